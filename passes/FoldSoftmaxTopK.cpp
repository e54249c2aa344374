// --moe-fold-softmax-top-k: softmax, top k, divide by the sum = top k, softmax
// over the chosen.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_FOLDSOFTMAXTOPK
#include "passes/Passes.h.inc"
} // namespace moe

/// Whether an op sees only which pairs a routing has, and not their weights.
static bool readsSupportOnly(Operation *op) {
  if (auto dispatch = dyn_cast<DispatchOp>(op))
    return !dispatch.getWeighted();
  if (auto combine = dyn_cast<moe::CombineOp>(op))
    return combine.getWeighting() == Weighting::Unweighted;
  return isa<ExpertOp, IndicesOp, CountsOp, WithWeightsOp>(op);
}

/// By the sum of the weights: `sum`, or `lp 1`, which is the same for what a
/// softmax gives. An epsilon is another function.
static bool dividesBySum(NormalizeOp normalize) {
  if (normalize.getPlus() || normalize.getAtLeast())
    return false;
  return normalize.getNorm() == Norm::Sum ||
         (normalize.getNorm() == Norm::Lp &&
          normalize.getP()->convertToDouble() == 1);
}

namespace {
class FoldSoftmaxTopK : public moe::impl::FoldSoftmaxTopKBase<FoldSoftmaxTopK> {
public:
  void runOnOperation() override { getOperation().walk(fold); }

private:
  static void fold(RouteOp route) {
    if (!route.isPlainTop())
      return;
    auto softmax = route.getWeights().getDefiningOp<SoftmaxOp>();
    // Probabilities of 16 bits are often equal where their logits are not.
    if (!softmax || softmax.getReducedDimension() != 1 ||
        getElementTypeOrSelf(softmax.getType()).getIntOrFloatBitWidth() < 32 ||
        (route.getKey() && route.getKey() != route.getWeights()))
      return;
    SmallVector<NormalizeOp> normalizations;
    for (Operation *user : route->getUsers()) {
      auto normalize = dyn_cast<NormalizeOp>(user);
      if (normalize && dividesBySum(normalize))
        normalizations.push_back(normalize);
      else if (!readsSupportOnly(user))
        return;
    }
    if (normalizations.empty())
      return;
    route.getWeightsMutable().assign(softmax.getInput());
    route.getKeyMutable().clear();
    for (NormalizeOp normalize : normalizations) {
      normalize.setNorm(Norm::Softmax);
      normalize.removePAttr();
    }
    if (softmax->use_empty())
      softmax.erase();
  }
};
} // namespace
