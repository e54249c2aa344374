// A routing at level 2: the tensors of its slots, the plan of its ids, what an
// empty slot holds.
#ifndef MOE_PASSES_ROUTINGSLOTS_H
#define MOE_PASSES_ROUTINGSLOTS_H

#include "dialect/GroupedDialect.h"

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

/// `value` where a slot is filled, `other` where it is empty; scalars.
mlir::Value whereFilled(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value id, mlir::Value value, mlir::Value other);

/// The weights with `empty` in empty slots; unchanged if there are none.
mlir::Value fillEmpty(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value weights, mlir::Value ids, double empty = 0);
} // namespace moe

#endif // MOE_PASSES_ROUTINGSLOTS_H
