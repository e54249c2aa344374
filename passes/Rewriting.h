// What several passes share: conversions of floats and shapes, element-wise ops
// on tensors and on scalars, linear as grouped.matmul.
#ifndef MOE_PASSES_REWRITING_H
#define MOE_PASSES_REWRITING_H

#include "dialect/GroupedDialect.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"

namespace moe {
/// The type of a value known to be a ranked tensor.
mlir::RankedTensorType tensorOf(mlir::Value value);

/// `value` (scalar or tensor of floats) with another element type: extf,
/// truncf, or the value itself.
mlir::Value castFloat(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value value, mlir::Type element);

/// One scalar expression for every element: arith, math and moe activations on
/// tensors, and moe.map.
bool isElementwise(mlir::Operation *op);

/// Writes the expression of an element-wise op over scalars; `scalars` maps its
/// operands, and then its results too.
void cloneOverScalars(mlir::OpBuilder &builder, mlir::Operation *op,
                      mlir::IRMapping &scalars);

/// Scalars from outside that a moe.map uses in its region.
llvm::SmallVector<mlir::Value> capturedScalars(mlir::Operation *op);

/// rows [R, K] times `weight` ([E, N, K] by groups of `offsets`, or [N, K];
/// `inOut`: [.., K, N]) plus `bias` ([E, N], [N] or null): grouped.pack and
/// grouped.matmul, with the bias and the conversion to `element` in the
/// epilogue.
mlir::Value createLinear(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value rows, mlir::Value offsets,
                         mlir::Value weight, mlir::Value bias, bool inOut,
                         mlir::Type element);

/// Whether there are no packed weights for a product: it is of f64 numbers, and
/// matmuls sum in f32, or its weight has no elements.
bool isUnpacked(LinearOp linear);

/// `value` as a tensor of `type`, whose sizes it has at run time.
mlir::Value castShape(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value value, mlir::Type type);

/// [a, n] with columns of one element more: [a, n, 1, ..., 1], or [a, 1, n] if
/// `before`.
mlir::Value splitColumns(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value value, int64_t ones, bool before = false);

/// Of a reshape that joins or splits the first two of `rank` dimensions:
/// {{0, 1}, {2}, ...}, or {} for a scalar on the other side (rank 1).
llvm::SmallVector<mlir::ReassociationIndices> firstTwo(int64_t rank);

/// [a, n, rest...] as [a·n, rest...].
mlir::Value flatRows(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value value);

/// moe.map over tensors of one shape, with elements of type `element`.
mlir::Value
createMap(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange inputs,
          mlir::Type element,
          llvm::function_ref<mlir::Value(mlir::ValueRange scalars)> expression);

mlir::Value f32Constant(mlir::OpBuilder &builder, mlir::Location loc,
                        double value);

/// The plan whose rows a matmul computes, or null.
grouped::PlanOp planOf(grouped::MatmulOp matmul);

/// Whether `value` is the expert of every row of `plan`: its ids, by flat slot,
/// gathered at its slots.
bool isExpertOfRow(mlir::Value value, grouped::PlanOp plan);
} // namespace moe

#endif // MOE_PASSES_REWRITING_H
