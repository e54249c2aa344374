// Following routings and rows backwards, to check that the ops of one layer
// agree on the support.
#ifndef MOE_DIALECT_MOESUPPORT_H
#define MOE_DIALECT_MOESUPPORT_H

#include "dialect/MoeDialect.h"

namespace moe {
/// The routing that made a routing's pairs, through the edits that keep the
/// support.
mlir::Value supportOf(mlir::Value routing);
/// Whether rows come from a dispatch or expert whose routing surely has another
/// support than `routing`. Routings that are arguments, or results of calls,
/// may be the same.
bool moveOfOtherSupport(mlir::Value rows, mlir::Value routing);
/// Whether rows are surely those of the tokens that `routing` was made from,
/// which no dispatch has grouped.
bool areTokensOf(mlir::Value rows, mlir::Value routing);
/// Whether rows come from a weighted dispatch, directly or through experts.
bool comesFromWeighted(mlir::Value rows);
} // namespace moe

#endif // MOE_DIALECT_MOESUPPORT_H
