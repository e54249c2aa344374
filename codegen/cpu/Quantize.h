// Symmetric 8-bit numbers: entry = round(127 * x / largest |x|), the same
// formula for weights and rows and in the interpreter.

#ifndef MOE_CODEGEN_CPU_QUANTIZE_H
#define MOE_CODEGEN_CPU_QUANTIZE_H

#include "mlir/IR/Builders.h"

namespace moe::cpu {

/// The largest entry, of either sign.
inline constexpr double kLargestEntry = 127;

/// 127 / largest, or 0 if nothing is larger than 0; `largest` is an f32.
mlir::Value inverseScale(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value largest);

/// largest / 127.
mlir::Value scaleOf(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value largest);

/// x * inverse (both f32, scalars or vectors), rounded to nearest even and kept
/// in [-127, 127], as i32. NaN becomes -127: the scale is NaN then.
mlir::Value quantize(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value x, mlir::Value inverse);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_QUANTIZE_H
