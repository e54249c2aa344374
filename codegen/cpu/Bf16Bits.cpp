// All types and constants are replaced first; then bitcasts are put around the
// few operations that really compute with bf16.

#include "codegen/cpu/Bf16Bits.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {

AttrTypeReplacer createReplacer(MLIRContext *context) {
  AttrTypeReplacer replacer;
  Type bits = IntegerType::get(context, 16);
  replacer.addReplacement([bits](Type type) -> std::optional<Type> {
    if (type.isBF16())
      return bits;
    return std::nullopt;
  });
  using Result = AttrTypeReplacer::ReplaceFnResult<Attribute>;
  replacer.addReplacement([bits](Attribute attribute) -> Result {
    auto number = dyn_cast<FloatAttr>(attribute);
    if (number && number.getType().isBF16())
      return std::pair(
          Attribute(IntegerAttr::get(bits, number.getValue().bitcastToAPInt())),
          WalkResult::skip());
    auto dense = dyn_cast<DenseElementsAttr>(attribute);
    if (dense && dense.getElementType().isBF16())
      return std::pair(Attribute(dense.bitcast(bits)), WalkResult::skip());
    return std::nullopt;
  });
  return replacer;
}

bool computes(Operation *op) {
  return isa<LLVM::FPTruncOp, LLVM::FPExtOp, LLVM::CallIntrinsicOp>(op);
}

struct Bf16BitsPass : PassWrapper<Bf16BitsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Bf16BitsPass)

  StringRef getName() const override { return "Bf16Bits"; }

  void runOnOperation() override {
    AttrTypeReplacer replacer = createReplacer(&getContext());
    SmallVector<Operation *> kept;
    // The types that operands of kept operations must have again.
    SmallVector<SmallVector<Type>> operandTypes;
    getOperation().walk([&](Operation *op) {
      if (!computes(op))
        return;
      kept.push_back(op);
      operandTypes.emplace_back(op->getOperandTypes());
    });
    getOperation().walk([&](Operation *op) {
      if (!computes(op))
        replacer.replaceElementsIn(op, /*replaceAttrs=*/true,
                                   /*replaceLocs=*/false,
                                   /*replaceTypes=*/true);
    });
    OpBuilder builder(&getContext());
    // Results first: an operand may be the result of another kept operation.
    for (Operation *op : kept) {
      builder.setInsertionPointAfter(op);
      for (Value result : op->getResults()) {
        Type bits = replacer.replace(result.getType());
        if (bits == result.getType())
          continue;
        auto cast =
            LLVM::BitcastOp::create(builder, op->getLoc(), bits, result);
        result.replaceAllUsesExcept(cast, cast);
      }
    }
    for (auto [op, types] : llvm::zip_equal(kept, operandTypes)) {
      builder.setInsertionPoint(op);
      for (auto [operand, type] : llvm::zip_equal(op->getOpOperands(), types))
        if (operand.get().getType() != type)
          operand.set(LLVM::BitcastOp::create(builder, op->getLoc(), type,
                                              operand.get()));
    }
  }
};

} // namespace

std::unique_ptr<Pass> createBf16BitsPass() {
  return std::make_unique<Bf16BitsPass>();
}

} // namespace moe::cpu
