// --moe-fuse-gather: dispatch disappears into the load of the matmul's rows.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_FUSEGATHER
#include "passes/Passes.h.inc"
} // namespace moe

/// Rows of tokens in the order of a plan. Other gathers check their indices, so
/// they stay.
static bool isDispatch(GatherOp gather) {
  auto plan = gather.getIndices().getDefiningOp<grouped::PlanOp>();
  return plan && gather.getIndices() == plan.getTokens() &&
         tensorOf(gather.getTable()).getRank() == 2;
}

/// A conversion of dispatched rows is made once per token, before the rows are
/// repeated for every choice.
static GatherOp convertBeforeGather(GatherOp gather) {
  if (!gather->hasOneUse())
    return gather;
  Operation *cast = *gather->getUsers().begin();
  if (!isa<arith::TruncFOp, arith::ExtFOp>(cast))
    return gather;
  OpBuilder builder(gather);
  RankedTensorType type = tensorOf(cast->getResult(0));
  Operation *converted = builder.clone(*cast);
  converted->setOperand(0, gather.getTable());
  converted->getResult(0).setType(
      tensorOf(gather.getTable()).clone(type.getElementType()));
  auto result = GatherOp::create(builder, gather.getLoc(), type,
                                 converted->getResult(0), gather.getIndices());
  cast->replaceAllUsesWith(result);
  cast->erase();
  gather.erase();
  return result;
}

namespace {
class FuseGather : public moe::impl::FuseGatherBase<FuseGather> {
public:
  void runOnOperation() override {
    SmallVector<GatherOp> gathers;
    getOperation().walk([&](GatherOp gather) {
      if (isDispatch(gather))
        gathers.push_back(gather);
    });
    for (GatherOp gather : gathers)
      fuse(convertBeforeGather(gather));
  }

private:
  static void fuse(GatherOp gather) {
    for (OpOperand &use : gather->getUses()) {
      auto matmul = dyn_cast<grouped::MatmulOp>(use.getOwner());
      if (!matmul || matmul.getTokens() || use.getOperandNumber() != 0)
        return; // the rows are needed in memory anyway
    }
    for (Operation *user : llvm::make_early_inc_range(gather->getUsers())) {
      auto matmul = cast<grouped::MatmulOp>(user);
      matmul.getTokensMutable().assign(gather.getIndices());
      matmul.getInputMutable().assign(gather.getTable());
    }
    gather.erase();
  }
};
} // namespace
