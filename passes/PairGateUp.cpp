// --moe-pair-gate-up: matmuls of the same rows whose results meet in one
// expression become one matmul.
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_PAIRGATEUP
#include "passes/Passes.h.inc"
} // namespace moe

/// The kernels have accumulators for three weights.
static constexpr int64_t maxWeights = 3;

/// Element-wise ops that depend on `op` through element-wise ops.
static SetVector<Operation *> expressionsOf(Operation *op) {
  SetVector<Operation *> reached;
  SmallVector<Operation *> work = {op};
  while (!work.empty())
    for (Operation *user : work.pop_back_val()->getUsers())
      if ((isElementwise(user) || isa<BroadcastOp>(user)) &&
          reached.insert(user))
        work.push_back(user);
  return reached;
}

static bool canPair(grouped::MatmulOp first, grouped::MatmulOp second) {
  auto firstPack = first.getWeights().getDefiningOp<grouped::PackOp>();
  auto secondPack = second.getWeights().getDefiningOp<grouped::PackOp>();
  if (!firstPack || !secondPack || !firstPack->hasOneUse() ||
      !secondPack->hasOneUse() ||
      firstPack.getInOut() != secondPack.getInOut() || first.isCombined() ||
      second.isCombined() || first->getBlock() != second->getBlock())
    return false;
  grouped::PackedType firstType = firstPack.getPacked().getType(),
                      secondType = secondPack.getPacked().getType();
  if (first.getInput() != second.getInput() ||
      first.getTokens() != second.getTokens() ||
      first.getOffsets() != second.getOffsets() ||
      firstType.getShape() != secondType.getShape() ||
      firstType.getElementType() != secondType.getElementType() ||
      firstType.getWeights() + secondType.getWeights() > maxWeights)
    return false;
  SetVector<Operation *> after;
  getForwardSlice(first.getOperation(), &after);
  if (after.contains(second)) // one is computed from the other
    return false;
  SetVector<Operation *> expressions = expressionsOf(first),
                         others = expressionsOf(second);
  return llvm::any_of(expressions,
                      [&](Operation *op) { return others.contains(op); });
}

/// One matmul in the place of `second`, with the accumulators, operands and
/// results of `first` before those of `second`.
static grouped::MatmulOp pair(grouped::MatmulOp first,
                              grouped::MatmulOp second) {
  OpBuilder builder(second);
  Location loc = builder.getFusedLoc({first.getLoc(), second.getLoc()});
  auto firstPack = first.getWeights().getDefiningOp<grouped::PackOp>();
  auto secondPack = second.getWeights().getDefiningOp<grouped::PackOp>();
  grouped::PackedType type = firstPack.getPacked().getType();
  int64_t firstWeights = type.getWeights(),
          secondWeights = secondPack.getPacked().getType().getWeights();
  type = grouped::PackedType::get(builder.getContext(), type.getShape(),
                                  type.getElementType(),
                                  firstWeights + secondWeights);
  auto concat = [](ValueRange a, ValueRange b) {
    SmallVector<Value> all(a);
    llvm::append_range(all, b);
    return all;
  };
  auto pack = grouped::PackOp::create(
      builder, loc, type,
      concat(firstPack.getWeights(), secondPack.getWeights()),
      firstPack.getInOut());
  SmallVector<Type> types(first.getResultTypes());
  llvm::append_range(types, second.getResultTypes());
  auto matmul = grouped::MatmulOp::create(
      builder, loc, types, second.getInput(), second.getTokens(),
      second.getOffsets(), pack, concat(first.getExtras(), second.getExtras()),
      Value(), Value(), Value());
  Block *body = builder.createBlock(&matmul.getEpilogue());
  IRMapping mapping;
  auto take = [&](auto arguments) {
    for (BlockArgument argument : arguments)
      mapping.map(argument,
                  body->addArgument(argument.getType(), argument.getLoc()));
  };
  Block &firstBody = first.getEpilogue().front(),
        &secondBody = second.getEpilogue().front();
  take(firstBody.getArguments().take_front(firstWeights));
  take(secondBody.getArguments().take_front(secondWeights));
  take(firstBody.getArguments().drop_front(firstWeights));
  take(secondBody.getArguments().drop_front(secondWeights));
  SmallVector<Value> yields;
  for (Block *part : {&firstBody, &secondBody}) {
    for (Operation &op : part->without_terminator())
      builder.clone(op, mapping);
    for (Value value : part->getTerminator()->getOperands())
      yields.push_back(mapping.lookupOrDefault(value));
  }
  grouped::YieldOp::create(builder, loc, yields);
  first.replaceAllUsesWith(
      matmul.getResults().take_front(first.getNumResults()));
  second.replaceAllUsesWith(
      matmul.getResults().drop_front(first.getNumResults()));
  first.erase();
  second.erase();
  firstPack.erase();
  secondPack.erase();
  return matmul;
}

namespace {
class PairGateUp : public moe::impl::PairGateUpBase<PairGateUp> {
public:
  void runOnOperation() override {
    SmallVector<grouped::MatmulOp> matmuls;
    getOperation().walk(
        [&](grouped::MatmulOp matmul) { matmuls.push_back(matmul); });
    for (size_t i = 0; i < matmuls.size(); ++i)
      for (size_t j = i + 1; j < matmuls.size(); ++j)
        if (canPair(matmuls[i], matmuls[j])) {
          matmuls[i] = pair(matmuls[i], matmuls[j]);
          matmuls.erase(matmuls.begin() + j--);
          // Uses of the first result may come before the second matmul.
          sortTopologically(matmuls[i]->getBlock());
        }
  }
};
} // namespace
