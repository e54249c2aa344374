// One pipeline, with the reason for each place in the order.

#include "codegen/cpu/Lower.h"

#include "codegen/cpu/Bf16Bits.h"
#include "codegen/cpu/VectorMath.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/ConvertToLLVM/ToLLVMPass.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/OpenMPToLLVM/ConvertOpenMPToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/AMX/Transforms.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/OpenMP/OpenMPToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace moe::cpu {

namespace {

/// Private functions would still be external symbols after conversion.
struct InternalLinkagePass
    : PassWrapper<InternalLinkagePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(InternalLinkagePass)

  StringRef getName() const override { return "InternalLinkage"; }

  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    auto internal =
        LLVM::LinkageAttr::get(&getContext(), LLVM::linkage::Linkage::Internal);
    getOperation().walk([&](func::FuncOp function) {
      if (function.isPrivate() && !function.isDeclaration())
        function->setAttr("llvm.linkage", internal);
    });
  }
};

} // namespace

void registerCpuLowering(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, amx::AMXDialect, arith::ArithDialect,
                  cf::ControlFlowDialect, func::FuncDialect, LLVM::LLVMDialect,
                  math::MathDialect, memref::MemRefDialect, omp::OpenMPDialect,
                  scf::SCFDialect, ub::UBDialect, vector::VectorDialect,
                  x86vector::X86VectorDialect>();
  registerConvertToLLVMDependentDialectLoading(registry);
  registerConvertAMXToLLVMInterface(registry);
  arith::registerConvertArithToLLVMInterface(registry);
  cf::registerConvertControlFlowToLLVMInterface(registry);
  index::registerConvertIndexToLLVMInterface(registry);
  registerConvertFuncToLLVMInterface(registry);
  registerConvertMathToLLVMInterface(registry);
  registerConvertMemRefToLLVMInterface(registry);
  registerConvertOpenMPToLLVMInterface(registry);
  ub::registerConvertUBToLLVMInterface(registry);
  vector::registerConvertVectorToLLVMInterface(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerOpenMPDialectTranslation(registry);
}

static void cleanup(OpPassManager &manager) {
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void buildLowerToLLVM(OpPassManager &manager, const Level &level) {
  manager.addPass(std::make_unique<InternalLinkagePass>());

  // 1. Functions and types that the level lacks, while operations still are
  //    whole vectors. Math first: it turns f16 and bf16 functions into f32 ones
  //    and leaves extf and truncf behind, which the next two steps expand.
  if (level.emulated)
    manager.addPass(createExpandDotPass());
  manager.addPass(createExpandMathPass());

  // 2. f16 and bf16 arithmetic becomes f32 arithmetic between conversions.
  arith::ArithEmulateUnsupportedFloatsOptions narrow;
  narrow.sourceTypeStrs = {"bf16", "f16"};
  narrow.targetTypeStr = "f32";
  manager.addPass(arith::createArithEmulateUnsupportedFloats(narrow));

  // 3. Conversions to bf16 become bit operations unless the level has an
  //    instruction: LLVM would call __truncsfbf2, which libgcc 12 lacks.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = level.emulated || !level.bf16Dot;
  manager.addPass(arith::createArithExpandOpsPass(expand));

  // 4. Address arithmetic of tiles leaves the loops here, where it is still
  //    known to be pure.
  cleanup(manager);
  manager.addPass(createLoopInvariantCodeMotionPass());

  // 5. Structured loops become branches before anything is converted to LLVM
  //    types: vectors carried by scf.for become block arguments as they are.
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  cleanup(manager);

  // 6. convert-to-llvm leaves x86vector operations behind, so vectors go first;
  //    all other dialects go together, because block arguments of omp regions
  //    and branches (AMX tiles among them) must change their types at once.
  ConvertVectorToLLVMPassOptions vectors;
  vectors.x86Vector = true;
  manager.addPass(createConvertVectorToLLVMPass(vectors));
  manager.addPass(createConvertToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());

  // 7. What is left of bf16 are moves; LLVM must not round them.
  manager.addPass(createBf16BitsPass());
}

LogicalResult lowerToLLVM(ModuleOp module, const Level &level) {
  PassManager manager(module.getContext());
  // Once at the end instead of after each of the passes: a third of the time.
  manager.enableVerifier(false);
  buildLowerToLLVM(manager, level);
  if (failed(manager.run(module)))
    return failure();
  return verify(module);
}

} // namespace moe::cpu
