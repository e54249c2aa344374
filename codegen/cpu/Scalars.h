// Scalars: numbers that no tensor holds, such as sizes, capacities and elements
// taken out of a tensor. Every thread computes them where it needs them.

#ifndef MOE_CODEGEN_CPU_SCALARS_H
#define MOE_CODEGEN_CPU_SCALARS_H

#include "codegen/cpu/Frame.h"

namespace moe::cpu {

/// The numbers that an operation uses: operands, and what its regions capture.
llvm::SetVector<mlir::Value> scalarsOf(mlir::Operation *op);

/// Calls `visit` for every tensor with an element that `scalar` depends on, and
/// for every number that a loop or branch over phases makes.
void forEachSource(mlir::Value scalar, const Extents &extents,
                   llvm::function_ref<void(mlir::Value)> visit);

/// Emits the operations that compute `scalar` where the builder stands, unless
/// frame.scalars has it already.
mlir::Value emitScalar(Frame &frame, mlir::Value scalar);

/// a / b of integers does not trap: dividing by 0 is an error of the model,
/// and the smallest integer divided by -1 is itself. `op` says which division.
mlir::Value emitDivision(Frame &frame, mlir::Operation *op,
                         mlir::Value dividend, mlir::Value divisor);

/// That, for emitOnVectors.
inline auto dividing(Frame &frame) {
  return
      [&frame](mlir::Operation *op, mlir::Value dividend, mlir::Value divisor) {
        return emitDivision(frame, op, dividend, divisor);
      };
}

/// emitScalar for all that a step uses.
void emitScalarsOf(Frame &frame, const Step &step);

/// Emits the scalars of a function that depend on its arguments alone, once for
/// all phases.
void emitEarlyScalars(Frame &frame, mlir::func::FuncOp source);

// Capacity.cpp: a moe.capacity for one number of tokens, i64.
mlir::Value emitCapacity(Frame &frame, CapacityOp op, mlir::Value tokens);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_SCALARS_H
