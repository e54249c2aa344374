// Loads and stores of the first few lanes of a vector, which touch no memory
// beyond them.

#ifndef MOE_CODEGEN_CPU_VECTORACCESS_H
#define MOE_CODEGEN_CPU_VECTORACCESS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace moe::cpu {

/// A vector of type `type` whose first `lanes` elements come from
/// `memref[indices ...]` along its unit-stride last dimension; the others are
/// 0.
mlir::Value loadLanes(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::VectorType type, mlir::Value memref,
                      mlir::ValueRange indices, int64_t lanes);

/// Stores the first `lanes` elements of `vector`.
void storeLanes(mlir::OpBuilder &builder, mlir::Location loc,
                mlir::Value vector, mlir::Value memref,
                mlir::ValueRange indices, int64_t lanes);

/// `value` (f32, f16 or bf16; scalar or vector) with elements of type
/// `element`.
mlir::Value convertFloat(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value value, mlir::Type element);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_VECTORACCESS_H
