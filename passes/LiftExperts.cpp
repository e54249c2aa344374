// --moe-lift-experts: row-wise ops inside an expert region become the same ops
// over the rows of all experts.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_LIFTEXPERTS
#include "passes/Passes.h.inc"
} // namespace moe

namespace {
/// What a value of the region stands for over all experts.
enum class Kind {
  Shared, ///< the same for every expert
  Each,   ///< one per expert: lifted to a tensor stacked along E
  Rows,   ///< rows of the expert: lifted to the grouped rows
};

/// Writes the lifted ops before the loop, and takes them back if one op of the
/// region cannot be lifted.
class Lifting {
public:
  explicit Lifting(grouped::LoopOp loop)
      : loop(loop), plan(loop.getOffsets().getDefiningOp<grouped::PlanOp>()),
        builder(loop), begin(loop->getPrevNode()) {}

  void run() {
    if (!plan || loop.getBodies().size() != 1 || loop.getRows().empty())
      return;
    Block &body = loop.getBodies().front().front();
    auto rowArguments = body.getArguments().take_front(loop.getRows().size());
    auto eachArguments = body.getArguments().drop_front(loop.getRows().size());
    for (auto [argument, rows] : llvm::zip(rowArguments, loop.getRows()))
      set(argument, rows, Kind::Rows);
    for (auto [argument, each] : llvm::zip(eachArguments, loop.getEach()))
      set(argument, each, Kind::Each);
    for (Operation &op : body.without_terminator())
      if (failed(lift(&op)))
        return takeBack();
    auto yield = cast<grouped::YieldOp>(body.getTerminator());
    if (!yield.getEach().empty() ||
        !llvm::all_of(yield.getRows(),
                      [&](Value value) { return is(value, Kind::Rows); }))
      return takeBack();
    SmallVector<Value> results;
    for (Value value : yield.getRows())
      results.push_back(lifted.lookup(value));
    loop.replaceAllUsesWith(results);
    loop.erase();
  }

private:
  grouped::LoopOp loop;
  grouped::PlanOp plan;
  OpBuilder builder;
  Operation *begin; ///< the last op before those written here
  IRMapping lifted;
  DenseMap<Value, Kind>
      kinds;     ///< of values of the region; all others are shared
  Value experts; ///< the expert of every grouped row, once it is needed

  void takeBack() {
    while (Operation *last = loop->getPrevNode()) {
      if (last == begin)
        break;
      last->erase();
    }
  }

  void set(Value value, Value over, Kind kind) {
    lifted.map(value, over);
    kinds[value] = kind;
  }
  Kind kindOf(Value value) const {
    auto found = kinds.find(value);
    return found == kinds.end() ? Kind::Shared : found->second;
  }
  bool is(Value value, Kind kind) const { return kindOf(value) == kind; }
  Value over(Value value) const { return lifted.lookupOrDefault(value); }

  LogicalResult lift(Operation *op) {
    SmallVector<Value> operands(op->getOperands());
    llvm::append_range(operands, capturedScalars(op));
    auto have = [&](Kind kind) {
      return llvm::any_of(operands,
                          [&](Value value) { return is(value, kind); });
    };
    if (!isPure(op))
      return failure();
    if (!have(Kind::Rows) && !have(Kind::Each))
      return clone(op, Kind::Shared);
    if (!have(Kind::Rows))
      return liftEach(op);
    return llvm::TypeSwitch<Operation *, LogicalResult>(op)
        .Case<LinearOp>([&](LinearOp linear) { return liftLinear(linear); })
        .Case<BroadcastOp>(
            [&](BroadcastOp broadcast) { return liftBroadcast(broadcast); })
        .Case<SoftmaxOp>([&](SoftmaxOp softmax) {
          return cloneIf(softmax, softmax.getReducedDimension() != 0);
        })
        .Case<ReduceOp>([&](ReduceOp reduce) {
          return cloneIf(reduce, reduce.getDimension() != 0);
        })
        .Case<SplitOp>([&](SplitOp split) {
          return cloneIf(split, tensorOf(split.getInput()).getRank() > 1);
        })
        .Case<RmsNormOp>([&](RmsNormOp norm) {
          return cloneIf(norm, tensorOf(norm.getInput()).getRank() > 1 &&
                                   is(norm.getInput(), Kind::Rows) &&
                                   is(norm.getWeight(), Kind::Shared));
        })
        .Case<GatherOp>([&](GatherOp gather) {
          return cloneIf(gather, is(gather.getTable(), Kind::Shared));
        })
        .Case<tensor::CollapseShapeOp>([&](tensor::CollapseShapeOp collapse) {
          return cloneIf(
              collapse, collapse.getReassociationIndices().front().size() == 1);
        })
        .Default([&](Operation *other) { return liftElementwise(other); });
  }

  LogicalResult clone(Operation *op, Kind kind) {
    Operation *copy = builder.clone(*op, lifted);
    for (auto [result, value] : llvm::zip(op->getResults(), copy->getResults()))
      set(result, value, kind);
    return success();
  }
  LogicalResult cloneIf(Operation *op, bool rowWise) {
    return rowWise ? clone(op, Kind::Rows) : failure();
  }

  /// All tensors of an element-wise op have one shape, so all of them are rows;
  /// scalars are shared.
  LogicalResult liftElementwise(Operation *op) {
    for (Value value : capturedScalars(op))
      if (!is(value, Kind::Shared))
        return failure();
    return cloneIf(op, isElementwise(op) &&
                           llvm::all_of(op->getOperands(), [&](Value value) {
                             return is(value, Kind::Rows) ||
                                    !isa<RankedTensorType>(value.getType());
                           }));
  }

  LogicalResult liftLinear(LinearOp op) {
    if (!is(op.getInput(), Kind::Rows) || is(op.getWeight(), Kind::Rows) ||
        (op.getBias() && is(op.getBias(), Kind::Rows)))
      return failure();
    if (is(op.getWeight(), Kind::Shared))
      return cloneIf(op, tensorOf(op.getInput()).getRank() > 1 &&
                             (!op.getBias() || is(op.getBias(), Kind::Shared)));
    if (tensorOf(op.getInput()).getRank() != 2 ||
        !tensorOf(over(op.getWeight())).hasStaticShape())
      return failure();
    Value result = createLinear(
        builder, op.getLoc(), over(op.getInput()), plan.getOffsets(),
        over(op.getWeight()), op.getBias() ? over(op.getBias()) : Value(),
        op.getInOut(), op.getResult().getType().getElementType());
    set(op.getResult(), result, Kind::Rows);
    return success();
  }

  LogicalResult liftBroadcast(BroadcastOp op) {
    RankedTensorType like = op.getLike().getType();
    auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
    int64_t rank = input ? input.getRank() : 0;
    if (!is(op.getLike(), Kind::Rows))
      return failure();
    if (is(op.getInput(),
           Kind::Rows)) // otherwise rows would be aligned with columns
      return cloneIf(op, rank == like.getRank());
    if (is(op.getInput(), Kind::Shared))
      return cloneIf(op, rank < like.getRank());
    if (rank != 0 && rank != like.getRank() - 1)
      return failure();
    // One per expert: every row takes its expert's.
    Location loc = op.getLoc();
    Value table = over(op.getInput());
    SmallVector<int64_t> shape(tensorOf(table).getShape());
    if (rank == 0 && like.getRank() > 1) { // a scalar: [E] as [E, 1, ..., 1]
      shape.append(like.getRank() - 1, 1);
      table =
          SplitOp::create(builder, loc, tensorOf(table).clone(shape), table);
    }
    shape[0] = ShapedType::kDynamic;
    Value ofRow = GatherOp::create(builder, loc, tensorOf(table).clone(shape),
                                   table, expertOfRow());
    if (ofRow.getType() != op.getType())
      ofRow = BroadcastOp::create(builder, loc, ofRow, over(op.getLike()));
    set(op.getResult(), ofRow, Kind::Rows);
    return success();
  }

  /// Ops on per-expert tensors alone: element-wise ones work on the stacked
  /// tensors, slices get a leading dimension.
  LogicalResult liftEach(Operation *op) {
    auto result = op->getNumResults() == 1
                      ? dyn_cast<RankedTensorType>(op->getResult(0).getType())
                      : RankedTensorType();
    if (!result || !result.hasStaticShape())
      return failure();
    int64_t numExperts = loop.getBounds().back();
    SmallVector<int64_t> shape(result.getShape());
    shape.insert(shape.begin(), numExperts);
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      SmallVector<OpFoldResult> offsets = slice.getMixedOffsets(),
                                sizes = slice.getMixedSizes(),
                                strides = slice.getMixedStrides();
      if (slice.getSourceType().getRank() != result.getRank() ||
          llvm::any_of(offsets, llvm::IsaPred<Value>))
        return failure();
      offsets.insert(offsets.begin(), builder.getIndexAttr(0));
      sizes.insert(sizes.begin(), builder.getIndexAttr(numExperts));
      strides.insert(strides.begin(), builder.getIndexAttr(1));
      Value stacked = tensor::ExtractSliceOp::create(
          builder, op->getLoc(), result.clone(shape), over(slice.getSource()),
          offsets, sizes, strides);
      set(slice.getResult(), stacked, Kind::Each);
      return success();
    }
    if (!isElementwise(op) || isa<MapOp>(op))
      return failure();
    Value like; // what shared operands are stretched to
    for (Value operand : op->getOperands())
      if (is(operand, Kind::Each))
        like = over(operand);
    IRMapping operands;
    for (Value operand : op->getOperands()) {
      Value value = over(operand);
      if (is(operand, Kind::Shared) && isa<RankedTensorType>(value.getType()))
        value = BroadcastOp::create(builder, op->getLoc(), value, like);
      operands.map(operand, value);
    }
    Operation *stacked = builder.clone(*op, operands);
    stacked->getResult(0).setType(result.clone(shape));
    set(op->getResult(0), stacked->getResult(0), Kind::Each);
    return success();
  }

  Value expertOfRow() {
    if (!experts) {
      Location loc = plan.getLoc();
      Value flat = tensor::CollapseShapeOp::create(
          builder, loc, plan.getIds(), ArrayRef<ReassociationIndices>{{0, 1}});
      experts = GatherOp::create(builder, loc, plan.getSlots().getType(), flat,
                                 plan.getSlots());
    }
    return experts;
  }
};

/// A plan of one expert has one group, which is all rows: its loop is straight
/// code, whatever the region does with its rows.
class Straightening {
public:
  explicit Straightening(grouped::LoopOp loop)
      : loop(loop), builder(loop), loc(loop.getLoc()) {}

  void run() {
    if (!loop.getOffsets().getDefiningOp<grouped::PlanOp>() ||
        loop.getBounds() != ArrayRef<int64_t>{0, 1})
      return;
    auto yield = cast<grouped::YieldOp>(body().getTerminator());
    for (Value value : yield.getEach())
      if (!tensorOf(value).hasStaticShape())
        return;
    SmallVector<Value> arguments(loop.getRows());
    for (Value each : loop.getEach())
      arguments.push_back(tensor::CollapseShapeOp::create(
          builder, loc, each, leading(tensorOf(each).getRank())));
    IRRewriter rewriter(builder);
    rewriter.inlineBlockBefore(&body(), loop, arguments);
    SmallVector<Value> results(yield.getRows());
    for (auto [value, result] : llvm::zip(
             yield.getEach(), loop.getResults().drop_front(results.size())))
      results.push_back(
          tensor::ExpandShapeOp::create(builder, loc, result.getType(), value,
                                        leading(tensorOf(result).getRank())));
    loop.replaceAllUsesWith(results);
    yield.erase();
    loop.erase();
  }

private:
  grouped::LoopOp loop;
  OpBuilder builder;
  Location loc;

  Block &body() { return loop.getBodies().front().front(); }
  /// Dimensions 0 and 1 of `rank` belong together.
  static SmallVector<ReassociationIndices> leading(int64_t rank) {
    if (rank == 1)
      return {};
    SmallVector<ReassociationIndices> groups = {{0, 1}};
    for (int64_t d = 2; d < rank; ++d)
      groups.push_back({d});
    return groups;
  }
};

class LiftExperts : public moe::impl::LiftExpertsBase<LiftExperts> {
public:
  void runOnOperation() override {
    getOperation().walk(
        [](grouped::LoopOp loop) { Straightening(loop).run(); });
    // A loop inside a loop stays one: its weights may be slices of the outer
    // expert's, which cannot be packed once.
    SmallVector<grouped::LoopOp> loops;
    getOperation().walk<WalkOrder::PreOrder>([&](grouped::LoopOp loop) {
      loops.push_back(loop);
      return WalkResult::skip();
    });
    for (grouped::LoopOp loop : loops)
      Lifting(loop).run();
  }
};
} // namespace
