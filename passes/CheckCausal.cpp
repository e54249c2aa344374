// --moe-check-causal: proves that no token's output depends on later tokens,
// or names the op that may make it so.
#include "passes/Causality.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_CHECKCAUSAL
#include "passes/Passes.h.inc"
} // namespace moe

namespace {
class CheckCausal : public moe::impl::CheckCausalBase<CheckCausal> {
public:
  using CheckCausalBase::CheckCausalBase;

  void runOnOperation() override {
    bool proved = true;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (isEntry(function))
        proved &= check(function);
    if (!proved && !remarks)
      signalPassFailure();
    markAllAnalysesPreserved();
  }

private:
  bool check(func::FuncOp function) {
    Causality causality;
    Reach reach = Reach::Nothing;
    bool any = false, proved = true;
    for (auto [i, result] : llvm::enumerate(causality.resultsOf(function))) {
      if (!Causality::isByToken(function.getResultTypes()[i], result))
        continue;
      any = true;
      Fact fact = causality.asOutput(function, result);
      reach = std::max(reach, fact.reach);
      if (fact.reach != Reach::All)
        continue;
      proved = false;
      InFlightDiagnostic diagnostic = remarks ? emitRemark(function.getLoc())
                                              : emitError(function.getLoc());
      diagnostic << "@" << function.getName()
                 << " is not proved causal: result " << i
                 << " may depend on later tokens";
      diagnostic.attachNote(fact.blame->loc) << fact.blame->text;
    }
    if (remarks && proved)
      emitRemark(function.getLoc())
          << "@" << function.getName()
          << (!any                      ? " has no result by token"
              : reach == Reach::Earlier ? " is causal: a token's results "
                                          "depend on it and earlier ones"
              : reach == Reach::Own
                  ? " is causal: a token's results depend on it alone"
                  : " is causal: its results do not depend on tokens");
    return proved;
  }
};
} // namespace
