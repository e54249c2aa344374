// --moe-quantize-weights: packed weights of experts become entries of 8 or 4
// bits with scales.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/Passes.h.inc"
} // namespace moe

/// What is computed from inputs is packed in every call, as it is.
static bool dependsOnInputs(Value value, DenseSet<Value> &seen) {
  if (!seen.insert(value).second)
    return false;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    return !function ||
           !function.getArgAttr(argument.getArgNumber(), "moe.param");
  }
  SmallVector<Value> operands(value.getDefiningOp()->getOperands());
  llvm::append_range(operands, capturedScalars(value.getDefiningOp()));
  return llvm::any_of(
      operands, [&](Value operand) { return dependsOnInputs(operand, seen); });
}

namespace {
class QuantizeWeights : public moe::impl::QuantizeWeightsBase<QuantizeWeights> {
public:
  using QuantizeWeightsBase::QuantizeWeightsBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (format != "q8" && format != "q8g" && format != "q4" && format != "q4z")
      return emitError(UnknownLoc::get(context))
             << "quantises weights to '" << format
             << "', expected 'q8', 'q8g', 'q4' or 'q4z'";
    return success();
  }

  void runOnOperation() override {
    auto entry =
        IntegerType::get(&getContext(), StringRef(format)[1] == '8' ? 8 : 4,
                         format == "q4z"   ? IntegerType::Unsigned
                         : format == "q8g" ? IntegerType::Signed
                                           : IntegerType::Signless);
    getOperation().walk([&](grouped::PackOp pack) {
      bool ofExperts = llvm::all_of(pack->getUsers(), [](Operation *user) {
        auto matmul = dyn_cast<grouped::MatmulOp>(user);
        return matmul && matmul.getOffsets();
      });
      DenseSet<Value> seen;
      if (!ofExperts || pack->use_empty() ||
          llvm::any_of(pack.getWeights(), [&](Value weight) {
            return dependsOnInputs(weight, seen);
          }))
        return;
      grouped::PackedType type = pack.getPacked().getType();
      pack.getPacked().setType(grouped::PackedType::get(
          type.getContext(), type.getShape(), entry, type.getWeights()));
    });
  }
};
} // namespace
