// The named phases, composed of passes, with the reason for each place in the
// order.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/Extensions/InlinerExtension.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

using namespace mlir;

void moe::registerDialects(DialectRegistry &registry) {
  registry.insert<MoeDialect, grouped::GroupedDialect, arith::ArithDialect,
                  func::FuncDialect, linalg::LinalgDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect, tensor::TensorDialect,
                  vector::VectorDialect>();
  func::registerInlinerExtension(registry);
}

/// Folds constants, merges equal ops and drops unused ones.
static void cleanup(OpPassManager &manager) {
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void moe::buildNumberedRoutings(OpPassManager &module) {
  // 1. One function per entry: a routing may be made in one function and used
  // in another, and names of the checkpoint
  //    are known only when the scope's whole way from the entry is visible.
  module.addPass(createInlinerPass());
  // The inliner removes a function that nobody calls, but leaves what only
  // that function called.
  module.addPass(createSymbolDCEPass());
  // 2. Names become arguments, so that equal params are one value for all
  // passes below.
  module.addPass(createLiftParams());
  OpPassManager &function = module.nest<func::FuncOp>();
  // 3. While scale, normalize and combine are still single ops; below they are
  // arithmetic.
  function.addPass(createFoldScale());
  // 4. Routings become weights, ids and plans: from here on everything is a
  // tensor.
  function.addPass(createLowerRouting());
  // 5. Routings have numbers now, and nothing is fused yet with what reads
  // them.
  function.addPass(createTraceRoutings());
}

void moe::buildMoeToGrouped(OpPassManager &module, StringRef weightsFormat) {
  // 1 to 5: calls, names and routings.
  buildNumberedRoutings(module);
  OpPassManager &function = module.nest<func::FuncOp>();
  // 6. Arithmetic on rows like any other for the fusions below.
  function.addPass(createLowerLosses());
  cleanup(function);
  // 7. Before loops are looked at: only the first dimension of a tensor counts
  // rows below.
  function.addPass(createFoldTransposes());
  // 8. Expert regions first: what a region shares with all experts becomes a
  // dense linear, ...
  function.addPass(createLiftExperts());
  // 9. ... which is lowered here with the router's and the shared expert's.
  function.addPass(createLowerLinear());
  // 10. Before pairing, which compares rows: two matmuls of one dispatch must
  // look alike.
  function.addPass(createFuseGather());
  // 11. Before epilogues: silu(gate) * up can only be fused where both
  // accumulators are.
  function.addPass(createPairGateUp());
  // 12. Before combine: after it rows are tokens, and an expression over rows
  // of experts is too late.
  function.addPass(createFuseEpilogue());
  // 13. Last of the fusions: it needs a matmul whose only reader is the sum.
  function.addPass(createFuseCombine());
  // 14. Unused conversions and views must not become steps of their own.
  cleanup(function);
  // 15. After pairing, which gives gate and up one type, and before packing
  // leaves the entry.
  if (!weightsFormat.empty())
    module.addNestedPass<func::FuncOp>(
        createQuantizeWeights({weightsFormat.str()}));
  // 16. When the entry is final: one step for each packed weight that the
  // fusions left.
  module.addPass(createHoistParams());
  cleanup(module);
  // 17. What is left must be what the phases below can take.
  module.addPass(createVerifyGrouped());
}

void moe::registerPipelines() {
  struct Options : PassPipelineOptions<Options> {
    Option<std::string> weightsFormat{
        *this, "weights-format",
        llvm::cl::desc(
            "q8, q8g, q4, q4z: weights of experts become 8- or 4-bit entries")};
  };
  PassPipelineRegistration<Options>(
      "moe-to-grouped",
      "level 1 to level 2: routings to plans, experts to grouped matmuls",
      [](OpPassManager &module, const Options &options) {
        buildMoeToGrouped(module, options.weightsFormat);
      });
}
