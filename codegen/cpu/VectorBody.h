// Scalar expressions, as in moe.map and in epilogues, computed on whole
// vectors.

#ifndef MOE_CODEGEN_CPU_VECTORBODY_H
#define MOE_CODEGEN_CPU_VECTORBODY_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace moe::cpu {

/// Divides two integers for an operation that may trap.
using Divide = llvm::function_ref<mlir::Value(
    mlir::Operation *op, mlir::Value dividend, mlir::Value divisor)>;

/// Emits `op` (element-wise, on scalars or tensors) on vectors of `lanes`
/// elements and maps its results. `mapping` has all operands, as vectors.
/// Integers are divided by `divide`, one lane at a time.
void emitOnVectors(mlir::OpBuilder &builder, mlir::Location loc,
                   mlir::Operation *op, mlir::IRMapping &mapping, int64_t lanes,
                   Divide divide = {});

/// Emits the operations of a block on vectors; `arguments` stand for its
/// arguments, and `scalars` for what it captures. Returns what its terminator
/// yields.
llvm::SmallVector<mlir::Value>
emitBlockOnVectors(mlir::OpBuilder &builder, mlir::Location loc,
                   mlir::Block &block, mlir::ValueRange arguments,
                   int64_t lanes, const mlir::IRMapping &scalars,
                   Divide divide = {});

/// Whether emitOnVectors knows the operation.
bool worksOnVectors(mlir::Operation *op);

/// Whether it divides integers, which a lane of zeros must not reach.
bool mayTrap(mlir::Operation *op);

/// `value` (any number type; scalar or vector) with elements of type `element`
/// of the same kind: floats to floats, integers to integers.
mlir::Value convertNumber(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value value, mlir::Type element);

/// A vector (or scalar, if lanes is 0) constant with all elements `value`.
mlir::Value splatConstant(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Type element, double value, int64_t lanes);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_VECTORBODY_H
