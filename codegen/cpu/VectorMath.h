// Expands what no x86 instruction computes: exp and its relatives into
// polynomials, and bf16 dot products where the level is only emulated.

#ifndef MOE_CODEGEN_CPU_VECTORMATH_H
#define MOE_CODEGEN_CPU_VECTORMATH_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace moe::cpu {

/// f32, f16 and bf16 math functions, scalar or vector, become multiply-adds and
/// bit operations; no library is called. Errors of f32 results, in units of
/// their last place, for all numbers (test/codegen/cpu/MathTest.cpp):
/// 0.5 sqrt; 0.51 sin, cos, atan2, log, log2, log10, log1p, powf, fpowi, cbrt;
/// 1.05 exp, exp2; 1.5 rsqrt; 1.7 expm1; 2.5 tanh; 4.5 erf; erfc 2e-7.
std::unique_ptr<mlir::Pass> createExpandMathPass();

/// x86vector.avx512.dot becomes two multiply-adds on widened halves.
std::unique_ptr<mlir::Pass> createExpandDotPass();

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_VECTORMATH_H
