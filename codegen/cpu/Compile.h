// From a level-2 module to CPU code: level-3 MLIR, objects, the artefact.

#ifndef MOE_CODEGEN_CPU_COMPILE_H
#define MOE_CODEGEN_CPU_COMPILE_H

#include "codegen/cpu/Object.h"

#include "mlir/IR/OwningOpRef.h"

namespace moe::cpu {

/// Registers all dialects and interfaces that the functions below need.
void registerCompilation(mlir::DialectRegistry &registry);

/// Level 3 of one level: the functions moe_F_L, moe_F_workspace_L and
/// moe_F_prepare<i>_L in scf, memref, vector and omp. Null after a diagnostic.
mlir::OwningOpRef<mlir::ModuleOp> emitLevel(mlir::ModuleOp grouped,
                                            const Level &level);

/// The levels that do something for the model: all but amx where no product has
/// a matrix form, and avxvnni where no weights are quantised.
llvm::SmallVector<Level> usefulLevels(mlir::ModuleOp grouped);

/// LLVM IR, assembly or the object of one level.
mlir::LogicalResult compileLevel(mlir::ModuleOp grouped, const Level &level,
                                 CodeKind kind,
                                 llvm::SmallVectorImpl<char> &output);

/// The artefact: one object for each level and the description, linked. Levels
/// are compiled by threads of their own, so the context must be enabled for
/// multithreading.
mlir::FailureOr<llvm::SmallVector<char, 0>>
compileArtefact(mlir::ModuleOp grouped, llvm::ArrayRef<Level> levels);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_COMPILE_H
