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
                   ? liftGather(gather)
                   : cloneIf(gather, is(gather.getTable(), LiftKind::Shared));
      })
      .Case<tensor::CollapseShapeOp>([&](tensor::CollapseShapeOp collapse) {
        if (collapse.getReassociationIndices().front().size() > 1)
          return liftFlat(collapse);
        return clone(collapse, info(collapse.getSrc()));
      })
      .Default([&](Operation *other) { return liftElementwise(other); });
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
          builder, loc, each, firstTwo(tensorOf(each).getRank())));
    IRRewriter rewriter(builder);
    rewriter.inlineBlockBefore(&body(), loop, arguments);
    SmallVector<Value> results(yield.getRows());
    for (auto [value, result] : llvm::zip(
             yield.getEach(), loop.getResults().drop_front(results.size())))
      results.push_back(
          tensor::ExpandShapeOp::create(builder, loc, result.getType(), value,
                                        firstTwo(tensorOf(result).getRank())));
    loop.replaceAllUsesWith(results);
    yield.erase();
    loop.erase();
  }

private:
  grouped::LoopOp loop;
  OpBuilder builder;
  Location loc;

  Block &body() { return loop.getBodies().front().front(); }
};

/// Moves out of a loop what is the same for all groups.
void hoistShared(grouped::LoopOp loop) {
  auto isOutside = [&](Value value) {
    return !loop->isAncestor(value.getParentBlock()->getParentOp());
  };
  for (Region &body : loop.getBodies())
    for (Operation &op :
         llvm::make_early_inc_range(body.front().without_terminator()))
      if (isPure(&op) && llvm::all_of(op.getOperands(), isOutside) &&
          llvm::all_of(capturedScalars(&op), isOutside))
        op.moveBefore(loop);
}

class LiftExperts : public moe::impl::LiftExpertsBase<LiftExperts> {
public:
  void runOnOperation() override {
    SmallVector<grouped::LoopOp> kinds; // inner ones first
    getOperation().walk([&](grouped::LoopOp loop) { kinds.push_back(loop); });
    llvm::for_each(kinds, splitRanges);
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
    getOperation().walk(hoistShared);
  }
};
} // namespace
