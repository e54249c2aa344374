// The functions of an artefact: checks and memory around the phases.

#ifndef MOE_CODEGEN_CPU_ENTRY_H
#define MOE_CODEGEN_CPU_ENTRY_H

#include "codegen/cpu/Schedule.h"

namespace moe::cpu {

/// Emits `int32 symbol(moert_context *, moert_tensor **)` at the end of the
/// builder's block (the body of a module). With `ownMemory` the function takes
/// its workspace from OpenMP's allocator, otherwise from the context.
void emitFunction(mlir::OpBuilder &builder, mlir::func::FuncOp source,
                  const Schedule &schedule, llvm::StringRef symbol,
                  bool ownMemory);

/// Emits `int64 symbol(moert_context *, moert_tensor **)`: the bytes of
/// workspace that the function above needs for the same arguments.
void emitWorkspaceFunction(mlir::OpBuilder &builder, mlir::func::FuncOp source,
                           const Schedule &schedule, llvm::StringRef symbol);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_ENTRY_H
