// Sine and cosine of any f32 number, and of the angles of rotary positions: the
// angle is reduced to an eighth of a turn in f64, so none is too large.

#ifndef MOE_CODEGEN_CPU_TRIGONOMETRY_H
#define MOE_CODEGEN_CPU_TRIGONOMETRY_H

#include "mlir/IR/PatternMatch.h"

namespace moe::cpu {

struct SinCos {
  mlir::Value sin, cos; // f32
};

/// Of the angle `high` + `low` (f64, scalar or vector), |low| <= ulp(high).
/// Below 2^50 the absolute error is that of rounding to f32 (2^-25) plus 2e-10.
SinCos emitSinCos(mlir::OpBuilder &builder, mlir::Location loc,
                  mlir::Value high, mlir::Value low);

/// The cosine (f32) of a number of turns (f64), below 2^50.
mlir::Value emitCosOfTurns(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::Value turns);

/// math.sin and math.cos of f32: error at most 0.51 ulp, or 1e-15 where that is
/// more (at multiples of pi); sin of -0 is -0, NaN of an infinity.
void populateTrigonometry(mlir::RewritePatternSet &patterns);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_TRIGONOMETRY_H
