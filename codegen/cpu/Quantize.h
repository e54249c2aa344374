// Symmetric 8-bit numbers, entry = round(127 * x / largest |x|), and 4-bit
// ones: the same formulas for weights and rows and in the interpreter.

#ifndef MOE_CODEGEN_CPU_QUANTIZE_H
#define MOE_CODEGEN_CPU_QUANTIZE_H

#include "mlir/IR/Builders.h"

namespace moe::cpu {

/// The largest entries of 8 and of 4 bits, of either sign.
inline constexpr double kLargestEntry = 127;
inline constexpr double kLargestNibble = 7;
/// Steps between the smallest and the largest entry beside a zero point.
inline constexpr double kNibbleSteps = 15;

/// 127 / largest, or 0 if nothing is larger than 0; `largest` is an f32.
mlir::Value inverseScale(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value largest);

/// largest / 127.
mlir::Value scaleOf(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value largest);

/// x * inverse (both f32, scalars or vectors), rounded to nearest even and kept
/// in [-largest, largest], as i32. NaN becomes -largest: the scale is NaN then.
mlir::Value quantize(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value x, mlir::Value inverse,
                     double largest = kLargestEntry);

/// The same kept in [low, high], f32 like x.
mlir::Value quantize(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value x, mlir::Value inverse, mlir::Value low,
                     mlir::Value high);

/// The bf16 scale of a group, size / steps as f32, and its inverse (0 if the
/// scale is not larger than 0). `size`: of the largest number, or with a zero
/// point of the whole range.
std::pair<mlir::Value, mlir::Value> groupScale(mlir::OpBuilder &builder,
                                               mlir::Location loc,
                                               mlir::Value size,
                                               double steps = kLargestNibble);

/// The zero point of a group whose smallest number, or else 0, is `low`: an f32
/// in [0, 15].
mlir::Value zeroPoint(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value low, mlir::Value inverse);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_QUANTIZE_H
