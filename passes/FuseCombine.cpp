// --moe-fuse-combine: the weighted sum over a token's experts happens where the
// last matmul writes.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_FUSECOMBINE
#include "passes/Passes.h.inc"
} // namespace moe

namespace {
class FuseCombine : public moe::impl::FuseCombineBase<FuseCombine> {
public:
  void runOnOperation() override {
    SmallVector<grouped::CombineOp> combines;
    getOperation().walk(
        [&](grouped::CombineOp combine) { combines.push_back(combine); });
    for (grouped::CombineOp combine : combines)
      fuse(combine);
  }

private:
  static void fuse(grouped::CombineOp combine) {
    auto matmul = combine.getInput().getDefiningOp<grouped::MatmulOp>();
    auto plan = combine.getRows().getDefiningOp<grouped::PlanOp>();
    if (!matmul || !plan || matmul.isCombined() ||
        matmul.getNumResults() != 1 || !matmul->hasOneUse() ||
        matmul->getBlock() != combine->getBlock() ||
        getElementTypeOrSelf(combine.getInput()) !=
            getElementTypeOrSelf(combine.getResult()))
      return;
    OpBuilder builder(combine); // the weights may come after the matmul
    auto fused = grouped::MatmulOp::create(
        builder, combine.getLoc(), combine->getResultTypes(), matmul.getInput(),
        matmul.getTokens(), matmul.getOffsets(), matmul.getWeights(),
        matmul.getExtras(), combine.getRows(), plan.getSlots(),
        combine.getWeights());
    fused.getEpilogue().takeBody(matmul.getEpilogue());
    combine.replaceAllUsesWith(fused.getResult(0));
    combine.erase();
    matmul.erase();
  }
};
} // namespace
