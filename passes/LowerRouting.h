// The patterns of --moe-lower-routing, by what they lower.
#ifndef MOE_PASSES_LOWERROUTING_H
#define MOE_PASSES_LOWERROUTING_H

#include "mlir/Transforms/DialectConversion.h"

namespace moe {
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
