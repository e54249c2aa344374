// From the LLVM dialect to machine code of one level.

#ifndef MOE_CODEGEN_CPU_OBJECT_H
#define MOE_CODEGEN_CPU_OBJECT_H

#include "codegen/cpu/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"

namespace moe::cpu {

/// What `emitCode` writes.
enum class CodeKind {
  LLVMIR,   // text, optimised
  Assembly, // text
  Object,   // ELF relocatable
};

/// Optimises `module` (LLVM dialect) for `level` and appends its code to
/// `output`. Fails with a diagnostic if the module uses an instruction of a
/// higher level, or cannot be translated.
mlir::LogicalResult emitCode(mlir::ModuleOp module, const Level &level,
                             CodeKind kind,
                             llvm::SmallVectorImpl<char> &output);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_OBJECT_H
