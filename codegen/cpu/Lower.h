// From scf, memref, vector, x86vector, math and omp to the LLVM dialect.

#ifndef MOE_CODEGEN_CPU_LOWER_H
#define MOE_CODEGEN_CPU_LOWER_H

#include "codegen/cpu/Target.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"

namespace moe::cpu {

/// Registers what lowering and translation of CPU code need in a context.
void registerCpuLowering(mlir::DialectRegistry &registry);

/// Appends the passes of `lowerToLLVM` to `manager`.
void buildLowerToLLVM(mlir::OpPassManager &manager, const Level &level);

/// Lowers a module of bufferised code to the LLVM dialect. Private functions
/// get internal linkage; every other function is exported.
mlir::LogicalResult lowerToLLVM(mlir::ModuleOp module, const Level &level);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_LOWER_H
