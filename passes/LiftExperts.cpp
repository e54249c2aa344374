// --moe-lift-experts: row-wise ops inside an expert region become the same ops
// over the rows of all experts.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lifting.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_LIFTEXPERTS
#include "passes/Passes.h.inc"
} // namespace moe

void Lifting::run(SmallVectorImpl<grouped::LoopOp> &inner) {
  if (!plan || loop.getBodies().size() != 1 || loop.getRows().empty())
    return;
  Block &body = loop.getBodies().front().front();
  auto rowArguments = body.getArguments().take_front(loop.getRows().size());
  auto eachArguments = body.getArguments().drop_front(loop.getRows().size());
  for (auto [argument, rows] : llvm::zip(rowArguments, loop.getRows()))
    set(argument, rows, LiftKind::Rows, plan);
  for (auto [argument, each] : llvm::zip(eachArguments, loop.getEach()))
    set(argument, each, LiftKind::Each);
  for (Operation &op : body.without_terminator()) {
    if (!isPure(&op))
      return takeBack();
    if (failed(lift(&op)))
      keep(&op);
  }
  auto yield = cast<grouped::YieldOp>(body.getTerminator());
  SmallVector<Value> results;
  for (Value value : yield.getRows())
    results.push_back(isRowsOf(value, plan) ? over(value) : Value());
  if (results.empty())
    return takeBack();
  if (!yield.getEach().empty() && failed(liftStatistics(yield.getEach())))
    return takeBack();
  for (Value value : yield.getEach())
    results.push_back(stacked(value));
  if (!llvm::all_of(results, [](Value value) { return value; }))
    return takeBack();
  loop.replaceAllUsesWith(results);
  loop.erase();
  inner.append(innerLoops);
}

void Lifting::takeBack() {
  while (Operation *last = loop->getPrevNode()) {
    if (last == begin)
      break;
    last->erase();
  }
}

FailureOr<grouped::PlanOp> Lifting::rowsOf(Operation *op) const {
  grouped::PlanOp of;
  for (Value operand : op->getOperands()) {
    if (!is(operand, LiftKind::Rows) && !is(operand, LiftKind::Count))
      continue;
    if (of && info(operand).of != of)
      return failure();
    of = info(operand).of;
  }
  return of;
}

/// Ops over rows in which no operand but rows (and shared scalars) has a part.
static bool worksByRow(Operation *op) {
  if (auto concat = dyn_cast<tensor::ConcatOp>(op))
    return concat.getDim() > 0;
  return isElementwise(op) ||
         isa<grouped::TopKOp, grouped::SelectOp, grouped::JoinOp,
             grouped::CheckIdsOp, grouped::MatrixOp, CapacityOp>(op);
}

LogicalResult Lifting::lift(Operation *op) {
  SmallVector<Value> operands(op->getOperands());
  llvm::append_range(operands, capturedScalars(op));
  auto have = [&](LiftKind kind) {
    return llvm::any_of(operands, [&](Value value) { return is(value, kind); });
  };
  if (have(LiftKind::Kept))
    return failure();
  if (llvm::all_of(operands,
                   [&](Value value) { return is(value, LiftKind::Shared); }))
    return clone(op, {});
  if (isOfRouting(op))
    return liftRouting(op);
  if (have(LiftKind::Count) || isa<TokensOp, tensor::DimOp>(op))
    return liftShape(op);
  if (!have(LiftKind::Rows))
    return liftEach(op);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<LinearOp>([&](LinearOp linear) { return liftLinear(linear); })
      .Case<BroadcastOp>(
          [&](BroadcastOp broadcast) { return liftBroadcast(broadcast); })
      .Case<AttentionOp>(
          [&](AttentionOp attention) { return liftAttention(attention); })
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
                                 is(norm.getInput(), LiftKind::Rows) &&
                                 is(norm.getWeight(), LiftKind::Shared));
      })
      .Case<RopeOp>([&](RopeOp rope) {
        return cloneIf(rope, is(rope.getInput(), LiftKind::Rows) &&
                                 is(rope.getPositions(), LiftKind::Rows) &&
                                 is(rope.getFrequencies(), LiftKind::Shared));
      })
      .Case<GatherOp>([&](GatherOp gather) {
        return is(gather.getTable(), LiftKind::Each)
                   ? liftPick(gather, gather.getTable(), gather.getIndices())
                   : cloneIf(gather, is(gather.getTable(), LiftKind::Shared));
      })
      .Case<tensor::CollapseShapeOp>([&](tensor::CollapseShapeOp collapse) {
        if (collapse.getReassociationIndices().front().size() > 1)
          return liftFlat(collapse);
        return clone(collapse, info(collapse.getSrc()));
      })
      .Default([&](Operation *other) { return liftElementwise(other); });
}

LogicalResult Lifting::clone(Operation *op, Lifted as) {
  Operation *copy = builder.clone(*op, mapping);
  for (auto [result, value] : llvm::zip(op->getResults(), copy->getResults()))
    set(result, value, as.kind, as.of);
  return success();
}

LogicalResult Lifting::cloneIf(Operation *op, bool rowWise) {
  FailureOr<grouped::PlanOp> of = rowsOf(op);
  if (!rowWise || failed(of))
    return failure();
  return clone(op, {LiftKind::Rows, *of});
}

/// All tensors of an element-wise op have one shape, so all of them are rows;
/// scalars are shared.
LogicalResult Lifting::liftElementwise(Operation *op) {
  for (Value value : capturedScalars(op))
    if (!is(value, LiftKind::Shared))
      return failure();
  return cloneIf(op, worksByRow(op) &&
                         llvm::all_of(op->getOperands(), [&](Value value) {
                           return isa<RankedTensorType>(value.getType())
                                      ? is(value, LiftKind::Rows)
                                      : is(value, LiftKind::Shared);
                         }));
}

LogicalResult Lifting::liftLinear(LinearOp op) {
  if (!is(op.getInput(), LiftKind::Rows) ||
      is(op.getWeight(), LiftKind::Rows) ||
      (op.getBias() && is(op.getBias(), LiftKind::Rows)))
    return failure();
  if (is(op.getWeight(), LiftKind::Shared))
    return cloneIf(op,
                   tensorOf(op.getInput()).getRank() > 1 &&
                       (!op.getBias() || is(op.getBias(), LiftKind::Shared)));
  if (tensorOf(op.getInput()).getRank() != 2 ||
      !tensorOf(over(op.getWeight())).hasStaticShape())
    return failure();
  // Rows of a routing inside are grouped by its experts too.
  grouped::PlanOp of = info(op.getInput()).of;
  auto groups = static_cast<int64_t>(of.getExperts());
  Value bias = op.getBias();
  if (bias)
    bias = is(bias, LiftKind::Each) ? repeated(bias, groups) : over(bias);
  Value result =
      createLinear(builder, op.getLoc(), over(op.getInput()), of.getOffsets(),
                   repeated(op.getWeight(), groups), bias, op.getInOut(),
                   op.getResult().getType().getElementType());
  set(op.getResult(), result, LiftKind::Rows, of);
  return success();
}

LogicalResult Lifting::liftBroadcast(BroadcastOp op) {
  RankedTensorType like = op.getLike().getType();
  auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
  int64_t rank = input ? input.getRank() : 0;
  if (!is(op.getLike(), LiftKind::Rows))
    return failure();
  if (is(op.getInput(),
         LiftKind::Rows)) // otherwise rows would be aligned with columns
    return cloneIf(op, rank == like.getRank());
  if (is(op.getInput(), LiftKind::Shared))
    return cloneIf(op, rank < like.getRank());
  if (rank != 0 && rank != like.getRank() - 1)
    return failure();
  // One per expert: every row takes its expert's.
  Location loc = op.getLoc();
  Value table = over(op.getInput());
  SmallVector<int64_t> shape(tensorOf(table).getShape());
  if (rank == 0 && like.getRank() > 1) { // a scalar: [E] as [E, 1, ..., 1]
    shape.append(like.getRank() - 1, 1);
    table = SplitOp::create(builder, loc, tensorOf(table).clone(shape), table);
  }
  shape[0] = ShapedType::kDynamic;
  grouped::PlanOp of = info(op.getLike()).of;
  Value ofRow = GatherOp::create(builder, loc, tensorOf(table).clone(shape),
                                 table, expertOfRow(of));
  if (ofRow.getType() != op.getType())
    ofRow = BroadcastOp::create(builder, loc, ofRow, over(op.getLike()));
  set(op.getResult(), ofRow, LiftKind::Rows, of);
  return success();
}

/// Queries are rows of the expert. Keys and values are the same for all, or
/// rows too: those of other experts are then another segment.
LogicalResult Lifting::liftAttention(AttentionOp op) {
  auto all = [&](ValueRange values, LiftKind kind) {
    return llvm::all_of(values,
                        [&](Value value) { return !value || is(value, kind); });
  };
  bool ofRows =
      all({op.getQuery(), op.getQuerySegments(), op.getQueryPositions()},
          LiftKind::Rows);
  Value keys[] = {op.getKey(), op.getValue(), op.getKeySegments(),
                  op.getKeyPositions()};
  if (ofRows && all(keys, LiftKind::Shared))
    return cloneIf(op, true);
  FailureOr<grouped::PlanOp> of = rowsOf(op);
  if (failed(of) || !ofRows || op.getKeySegments() ||
      !all(keys, LiftKind::Rows))
    return failure();
  Value segments = expertOfRow(*of);
  auto copy = cast<AttentionOp>(builder.clone(*op, mapping));
  copy.getQuerySegmentsMutable().assign(segments);
  copy.getKeySegmentsMutable().assign(segments);
  set(op.getResult(), copy.getResult(), LiftKind::Rows, *of);
  return success();
}

/// Collapsed and expanded dimensions, with that of the experts before them.
static SmallVector<ReassociationIndices>
withExperts(ArrayRef<ReassociationIndices> groups) {
  SmallVector<ReassociationIndices> result = {{0}};
  for (ReassociationIndices group : groups) {
    for (int64_t &dimension : group)
      ++dimension;
    result.push_back(std::move(group));
  }
  return result;
}

/// Ops on per-expert tensors alone: element-wise ones work on the stacked
/// tensors, views get a leading dimension.
LogicalResult Lifting::liftEach(Operation *op) {
  Location loc = op->getLoc();
  auto result = op->getNumResults() == 1
                    ? dyn_cast<RankedTensorType>(op->getResult(0).getType())
                    : RankedTensorType();
  if (!result || !result.hasStaticShape())
    return failure();
  SmallVector<int64_t> shape(result.getShape());
  shape.insert(shape.begin(), numExperts());
  RankedTensorType type = result.clone(shape);
  auto setStacked = [&](Value value) {
    set(op->getResult(0), value, LiftKind::Each);
    return success();
  };
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    SmallVector<OpFoldResult> offsets = slice.getMixedOffsets(),
                              sizes = slice.getMixedSizes(),
                              strides = slice.getMixedStrides();
    if (llvm::any_of(offsets, llvm::IsaPred<Value>))
      return failure();
    offsets.insert(offsets.begin(), builder.getIndexAttr(0));
    sizes.insert(sizes.begin(), builder.getIndexAttr(numExperts()));
    strides.insert(strides.begin(), builder.getIndexAttr(1));
    return setStacked(tensor::ExtractSliceOp::create(
        builder, loc, type, over(slice.getSource()), offsets, sizes, strides));
  }
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return setStacked(tensor::CollapseShapeOp::create(
        builder, loc, type, over(collapse.getSrc()),
        withExperts(collapse.getReassociationIndices())));
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return setStacked(tensor::ExpandShapeOp::create(
        builder, loc, type, over(expand.getSrc()),
        withExperts(expand.getReassociationIndices())));
  if (!isElementwise(op) || isa<MapOp>(op))
    return failure();
  Value like; // what shared operands are stretched to
  for (Value operand : op->getOperands())
    if (is(operand, LiftKind::Each))
      like = over(operand);
  IRMapping operands;
  for (Value operand : op->getOperands()) {
    Value value = over(operand);
    if (is(operand, LiftKind::Shared) && isa<RankedTensorType>(value.getType()))
      value = BroadcastOp::create(builder, loc, value, like);
    operands.map(operand, value);
  }
  Operation *copy = builder.clone(*op, operands);
  copy->getResult(0).setType(type);
  return setStacked(copy->getResult(0));
}

/// The number of an expert's rows, and tensors that have as many.
LogicalResult Lifting::liftShape(Operation *op) {
  FailureOr<grouped::PlanOp> of = rowsOf(op);
  if (failed(of) || op->getNumResults() != 1)
    return failure();
  if (isa<TokensOp, tensor::DimOp>(op)) {
    auto dim = dyn_cast<tensor::DimOp>(op);
    if (!is(op->getOperand(0), LiftKind::Rows) ||
        (dim && dim.getConstantIndex() != 0))
      return failure();
    known[op->getResult(0)] = {LiftKind::Count, *of};
    return success();
  }
  if (auto capacity = dyn_cast<CapacityOp>(op))
    return liftCapacity(capacity);
  auto result = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!result || !result.getRank() || !result.isDynamicDim(0) ||
      !llvm::all_of(op->getOperands(), [&](Value value) {
        return is(value, LiftKind::Count) ||
               (isa<RankedTensorType>(value.getType())
                    ? is(value, LiftKind::Rows)
                    : is(value, LiftKind::Shared));
      }))
    return failure();
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    bool allRows = slice.isDynamicSize(0) && !slice.getDroppedDims()[0] &&
                   slice.getStaticOffset(0) == 0 &&
                   slice.getStaticStride(0) == 1;
    if (!allRows)
      return failure();
  } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    for (int64_t d : llvm::drop_begin(expand.getReassociationIndices().front()))
      if (result.getDimSize(d) != 1)
        return failure();
  } else if (!isa<tensor::EmptyOp, tensor::SplatOp>(op)) {
    return failure();
  }
  // All rows of the plan instead of one expert's.
  IRMapping operands = mapping;
  for (Value operand : op->getOperands())
    if (is(operand, LiftKind::Count))
      operands.map(operand,
                   TokensOp::create(builder, op->getLoc(), (*of).getSlots()));
  set(op->getResult(0), builder.clone(*op, operands)->getResult(0),
      LiftKind::Rows, *of);
  return success();
}

Value Lifting::stacked(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  bool known = is(value, LiftKind::Each) || is(value, LiftKind::Shared);
  return known && type && type.hasStaticShape() ? repeated(value, numExperts())
                                                : Value();
}

Value Lifting::repeated(Value value, int64_t count) {
  Location loc = value.getLoc();
  Value tensor = over(value);
  RankedTensorType type = tensorOf(tensor);
  SmallVector<int64_t> shape(type.getShape());
  auto stretched = [&](Value input) -> Value {
    Value like =
        tensor::EmptyOp::create(builder, loc, shape, type.getElementType());
    return BroadcastOp::create(builder, loc, input, like);
  };
  if (is(value, LiftKind::Shared)) {
    shape.insert(shape.begin(), count);
    return stretched(tensor);
  }
  if (count == numExperts())
    return tensor;
  // [E, ...] as [E, 1, ...], stretched to [E, n, ...], as [E * n, ...].
  SmallVector<ReassociationIndices> groups = {{0, 1}};
  for (int64_t d = 1; d < type.getRank(); ++d)
    groups.push_back({d + 1});
  shape.insert(shape.begin() + 1, 1);
  Value column = tensor::ExpandShapeOp::create(builder, loc, type.clone(shape),
                                               tensor, groups);
  shape[1] = count / numExperts();
  return tensor::CollapseShapeOp::create(builder, loc, stretched(column),
                                         groups);
}

Value Lifting::expertOfRow(grouped::PlanOp of) {
  Value &result = experts[of];
  if (result)
    return result;
  Location loc = plan.getLoc();
  if (of == plan) {
    Value flat = tensor::CollapseShapeOp::create(
        builder, loc, plan.getIds(), ArrayRef<ReassociationIndices>{{0, 1}});
    return result = GatherOp::create(builder, loc, plan.getSlots().getType(),
                                     flat, plan.getSlots());
  }
  Value outer = expertOfRow(rowsBefore.lookup(of));
  return experts[of] = GatherOp::create(builder, loc, of.getTokens().getType(),
                                        outer, of.getTokens());
}

namespace {
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
    // A loop in a loop is lifted after the outer one, or stays in it: its
    // weights may be slices of the outer expert's, which cannot be packed once.
    SmallVector<grouped::LoopOp> loops;
    getOperation().walk<WalkOrder::PreOrder>([&](grouped::LoopOp loop) {
      loops.push_back(loop);
      return WalkResult::skip();
    });
    while (!loops.empty())
      Lifting(loops.pop_back_val()).run(loops);
  }
};
} // namespace
