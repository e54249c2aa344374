// What the verifiers of routings at both levels share: shapes, segments,
// capacities, groups.
#ifndef MOE_DIALECT_MOECHECKS_H
#define MOE_DIALECT_MOECHECKS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include <optional>

namespace moe {
/// Whether a tensor may have this shape at run time.
bool mayHaveShape(mlir::Value value, llvm::ArrayRef<int64_t> shape);
/// Checks that scores are tokens by a static number of experts, and that a
/// second tensor of them, called `name`, has the same type.
mlir::LogicalResult verifyScores(mlir::Operation *op, mlir::Value weights,
                                 mlir::Value second, llvm::StringRef name);
/// Checks that segments, where there are some, are one number per token.
mlir::LogicalResult verifySegments(mlir::Operation *op, mlir::Value segments);
/// Checks segments, and that a capacity is an index or one value per token and
/// then has segments.
mlir::LogicalResult verifyCapacity(mlir::Operation *op, mlir::Value capacity,
                                   mlir::Value segments);
/// Checks that a capacity is not that of a formula which limits nothing. One
/// below 1 is known only after folding, and valid: nothing is taken.
mlir::LogicalResult verifyNotDropless(mlir::Operation *op,
                                      mlir::Value capacity);

/// `groups n keep m score sum j` over E experts, of which k are chosen (0: not
/// by number).
struct Groups {
  std::optional<int64_t> groups, keep, best;
  int64_t experts, top;

  bool complete() const { return groups && keep && best; }
  bool absent() const { return !groups && !keep && !best; }
};
mlir::LogicalResult verifyGroupCounts(mlir::Operation *op,
                                      const Groups &groups);
/// Checks k of `top k`.
mlir::LogicalResult verifyTop(mlir::Operation *op, int64_t top,
                              int64_t experts);
} // namespace moe

#endif // MOE_DIALECT_MOECHECKS_H
