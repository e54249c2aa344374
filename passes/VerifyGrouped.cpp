// --moe-verify-grouped: what the phases below may rely on at the end of
// moe-to-grouped.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_VERIFYGROUPED
#include "passes/Passes.h.inc"
} // namespace moe

static bool isLevelTwo(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return op->getParentOfType<grouped::LoopOp>() || isUnpacked(linear);
  auto isLevelOne = [](Type type) { return isa<RoutingType, ScopeType>(type); };
  if (isa<ParamOp, DispatchOp, ExpertOp, moe::CombineOp>(op) ||
      llvm::any_of(op->getOperandTypes(), isLevelOne) ||
      llvm::any_of(op->getResultTypes(), isLevelOne))
    return false;
  if (isa<linalg::YieldOp, linalg::IndexOp, func::ReturnOp, scf::ForOp,
          scf::WhileOp, scf::IfOp, scf::YieldOp, scf::ConditionOp>(op) ||
      op->getParentOfType<linalg::LinalgOp>())
    return true;
  return isa<MoeDialect, grouped::GroupedDialect, arith::ArithDialect,
             math::MathDialect, tensor::TensorDialect, linalg::LinalgDialect>(
      op->getDialect());
}

namespace {
class VerifyGrouped : public moe::impl::VerifyGroupedBase<VerifyGrouped> {
public:
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function->hasAttr("moe.prepare_of") && failed(verifyEntry(function)))
        return signalPassFailure();
  }

private:
  /// Steps are found by their attributes; private ones are removed as unused.
  static bool hasPrepare(func::FuncOp entry, int64_t step) {
    auto module = cast<ModuleOp>(entry->getParentOp());
    return llvm::any_of(
        module.getOps<func::FuncOp>(), [&](func::FuncOp function) {
          auto of = function->getAttrOfType<StringAttr>("moe.prepare_of");
          auto number = function->getAttrOfType<IntegerAttr>("moe.step");
          return of && number && of.getValue() == entry.getName() &&
                 number.getInt() == step;
        });
  }

  static LogicalResult verifyEntry(func::FuncOp entry) {
    if (entry.isExternal())
      return entry.emitOpError(
          "has no body, expected a definition of every function");
    if (!entry.isPublic())
      return entry.emitOpError(
          "is private and was not inlined: is it recursive?");
    if (!llvm::hasSingleElement(entry.getBody()))
      return entry.emitOpError(
          "has several blocks, expected one: control flow is that of scf");
    bool constants = false;
    for (BlockArgument argument : entry.getArguments()) {
      unsigned number = argument.getArgNumber();
      bool constant = entry.getArgAttr(number, "moe.param") ||
                      entry.getArgAttr(number, "moe.step");
      if (constants && !constant)
        return entry.emitOpError("has input ")
               << number << " behind its constants, expected inputs first";
      constants |= constant;
      if (auto step = entry.getArgAttrOfType<IntegerAttr>(number, "moe.step");
          step && !hasPrepare(entry, step.getInt()))
        return entry.emitOpError("has argument ")
               << number << " from prepare step " << step.getInt()
               << ", but no function {moe.prepare_of = \"" << entry.getName()
               << "\", moe.step = " << step.getInt() << "}";
    }
    WalkResult walk =
        entry.getBody().walk<WalkOrder::PreOrder>([](Operation *op) {
          if (isa<grouped::MatmulOp>(op) && !capturedScalars(op).empty()) {
            op->emitOpError("has an epilogue that uses a value from outside, "
                            "expected an operand of with(...)");
            return WalkResult::interrupt();
          }
          if (isLevelTwo(op))
            return WalkResult::advance();
          auto linear = dyn_cast<LinearOp>(op);
          if (linear && !linear.getWeight().getType().hasStaticShape())
            op->emitOpError("multiplies by ")
                << linear.getWeight().getType()
                << ", expected a weight of static shape";
          else
            op->emitOpError("cannot be lowered to grouped rows");
          return WalkResult::interrupt();
        });
    return failure(walk.wasInterrupted());
  }
};
} // namespace
