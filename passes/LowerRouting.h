// What the files of --moe-lower-routing share: the two tensors of a routing,
// its plan, arithmetic on its slots. Patterns by what they lower.
#ifndef MOE_PASSES_LOWERROUTING_H
#define MOE_PASSES_LOWERROUTING_H

#include "dialect/GroupedDialect.h"
#include "mlir/Transforms/DialectConversion.h"

namespace moe {
/// [T, k] of a routing `top k`, [T, E] of another.
mlir::RankedTensorType slotsOf(RoutingType routing, mlir::Type element);

/// weights [T, slots] and ids [T, slots] of a routing operand.
mlir::Value weightsOf(mlir::ValueRange routing);
mlir::Value idsOf(mlir::ValueRange routing);

/// Whether no slot is empty, whatever the inputs: what chose the ids says so.
bool isFull(mlir::Value ids);

/// The plan of a routing, beside its ids, so that equal plans merge wherever
/// they are used.
grouped::PlanOp createPlan(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::Value ids, int64_t experts);

/// [a, n] with columns of one element more: [a, n, 1, ..., 1], or [a, 1, n] if
/// `before`.
mlir::Value splitColumns(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value value, int64_t ones, bool before = false);

/// [a, n, rest...] as [a·n, rest...].
mlir::Value flatRows(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value value);

/// moe.map over tensors of one shape, with elements of type `element`.
mlir::Value
createMap(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange inputs,
          mlir::Type element,
          llvm::function_ref<mlir::Value(mlir::ValueRange scalars)> expression);

/// `value` where a slot is filled, `other` where it is empty; scalars.
mlir::Value whereFilled(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value id, mlir::Value value, mlir::Value other);

/// The weights with `empty` in empty slots; unchanged if there are none.
mlir::Value fillEmpty(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value weights, mlir::Value ids, double empty = 0);

mlir::Value f32Constant(mlir::OpBuilder &builder, mlir::Location loc,
                        double value);

// LowerRoutingSelect.cpp: route, lookup, from_indices, assign.
void populateRoutingSelect(mlir::TypeConverter &converter,
                           mlir::RewritePatternSet &patterns);
// LowerRoutingWeights.cpp: normalize, scale, weights, indices, with_weights,
// arith.select.
void populateRoutingWeights(mlir::TypeConverter &converter,
                            mlir::RewritePatternSet &patterns);
// LowerRoutingEdit.cpp: keep, join, limit.
void populateRoutingEdit(mlir::TypeConverter &converter,
                         mlir::RewritePatternSet &patterns);
// LowerRoutingRead.cpp: counts, to_matrix, pairs, importance, balance_loss.
void populateRoutingRead(mlir::TypeConverter &converter,
                         mlir::RewritePatternSet &patterns);
// LowerRoutingMove.cpp: dispatch, expert, combine.
void populateRoutingMove(mlir::TypeConverter &converter,
                         mlir::RewritePatternSet &patterns);
} // namespace moe

#endif // MOE_PASSES_LOWERROUTING_H
