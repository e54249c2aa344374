// Declarations of the passes and pipelines (see Passes.td, Pipelines.cpp).
#ifndef MOE_PASSES_PASSES_H
#define MOE_PASSES_PASSES_H

#include "dialect/GroupedDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace moe {
#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Registers the dialects that moe programs may use: moe, grouped and the
/// standard ones.
void registerDialects(mlir::DialectRegistry &registry);
/// Level 1 until routings are tensors and plans with numbers, of which moe-run
/// and moe-interpret speak in the same way.
void buildNumberedRoutings(mlir::OpPassManager &module);
/// The phase moe-to-grouped, level 1 to level 2: a manager of modules.
/// `weightsFormat`: q8, q4, q4z, or empty for weights as the model has them.
void buildMoeToGrouped(mlir::OpPassManager &module,
                       llvm::StringRef weightsFormat = "");
/// Whether the runtime calls a function with inputs: a public one with a body
/// that is no prepare step.
inline bool isEntry(mlir::func::FuncOp function) {
  return function.isPublic() && !function.isExternal() &&
         !function->hasAttr("moe.prepare_of");
}
/// Registers the named phases of Pipelines.cpp for moe-opt.
void registerPipelines();
} // namespace moe

#endif // MOE_PASSES_PASSES_H
