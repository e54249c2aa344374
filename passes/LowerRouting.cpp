// --moe-lower-routing: a routing becomes two tensors (weights, ids) and one
// plan for each support.
#include "passes/LowerRouting.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "passes/Passes.h"
#include "passes/RoutingSlots.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_LOWERROUTING
#include "passes/Passes.h.inc"
} // namespace moe

namespace {
class LowerRouting : public moe::impl::LowerRoutingBase<LowerRouting> {
public:
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (failed(checkTypes(function)))
      return signalPassFailure();
    if (!hasRoutings(function)) // plans keep their numbers
      return;
    TypeConverter converter;
    converter.addConversion([](Type type) { return type; });
    converter.addConversion([](RoutingType type, SmallVectorImpl<Type> &types)
                                -> std::optional<LogicalResult> {
      types.push_back(slotsOf(type, Float32Type::get(type.getContext())));
      types.push_back(slotsOf(type, IntegerType::get(type.getContext(), 32)));
      return success();
    });
    ConversionTarget target(getContext());
    target.markUnknownOpDynamicallyLegal([&](Operation *op) {
      return !isa<ExpertOp>(op) && converter.isLegal(op);
    });
    RewritePatternSet patterns(&getContext());
    populateRoutingSelect(converter, patterns);
    populateRoutingWeights(converter, patterns);
    populateRoutingEdit(converter, patterns);
    populateRoutingRead(converter, patterns);
    populateRoutingMove(converter, patterns);
    scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns,
                                                         target);
    if (failed(applyPartialConversion(function, target, std::move(patterns))))
      return signalPassFailure();

    IRRewriter rewriter(&getContext());
    DominanceInfo dominance(function);
    eliminateCommonSubExpressions(rewriter, dominance,
                                  function); // one plan for each support
    int64_t number = 0;
    function.walk([&](grouped::PlanOp plan) {
      plan->setAttr("moe.routing", rewriter.getI64IntegerAttr(number++));
    });
  }

private:
  static bool hasRoutings(func::FuncOp function) {
    return function
        .walk([](Operation *op) {
          return llvm::any_of(op->getResultTypes(), llvm::IsaPred<RoutingType>)
                     ? WalkResult::interrupt()
                     : WalkResult::advance();
        })
        .wasInterrupted();
  }

  /// A routing has no form outside of the compiler.
  static LogicalResult checkTypes(func::FuncOp function) {
    FunctionType type = function.getFunctionType();
    for (Type part :
         llvm::concat<const Type>(type.getInputs(), type.getResults()))
      if (isa<RoutingType>(part))
        return function.emitOpError("takes or returns ")
               << part
               << ", which has no form outside: use the tensors of moe.indices "
                  "and moe.weights";
    return success();
  }
};
} // namespace
