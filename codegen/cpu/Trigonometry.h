// Sine and cosine of angles in f64: those of rotary positions and of random
// numbers.

#ifndef MOE_CODEGEN_CPU_TRIGONOMETRY_H
#define MOE_CODEGEN_CPU_TRIGONOMETRY_H

#include "mlir/IR/Builders.h"

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

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_TRIGONOMETRY_H
