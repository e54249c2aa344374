// Expands what no x86 instruction computes: exp and its relatives into
// polynomials, and bf16 dot products where the level is only emulated.

#ifndef MOE_CODEGEN_CPU_VECTORMATH_H
#define MOE_CODEGEN_CPU_VECTORMATH_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace moe::cpu {

/// f32, f16 and bf16 math functions, scalar or vector, become multiply-adds and
/// bit operations with relative errors of about 3e-7; no library is called.
std::unique_ptr<mlir::Pass> createExpandMathPass();

/// x86vector.avx512.dot becomes two multiply-adds on widened halves.
std::unique_ptr<mlir::Pass> createExpandDotPass();

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_VECTORMATH_H
