// Stable sorting of keys with their places, as 64-bit words, by one function
// of the emitted module.

#ifndef MOE_CODEGEN_CPU_SORT_H
#define MOE_CODEGEN_CPU_SORT_H

#include "codegen/cpu/Frame.h"

namespace moe::cpu {

/// A word (i64, or a vector of them) whose upper half sorts `number` (a float
/// of at most 32 bits) as Ranking does, the largest first, with `place` (index
/// below 2^32, or a vector of i64) in the lower half. Words are never -1.
mlir::Value descendingWord(Frame &frame, mlir::Value number, mlir::Value place);

/// A word that sorts `number` (i32) in ascending order.
mlir::Value ascendingWord(Frame &frame, mlir::Value number, mlir::Value place);

/// The lower half of a word, as index.
mlir::Value placeOf(Frame &frame, mlir::Value word);
/// The upper half, in the lower bits.
mlir::Value keyOf(Frame &frame, mlir::Value word);

/// Sorts the first `count` words (memref<?xi64>) by their upper halves as
/// unsigned numbers; equal ones keep their order. `other` is as large.
void emitSort(Frame &frame, mlir::Value words, mlir::Value other,
              mlir::Value count);

/// Sorts the first `count` words, of which only the places are set, by the
/// ranks (signed integers of 32 or 64 bits) of their places, the largest first.
void emitSortByRanks(Frame &frame, const Ref &words, const Ref &other,
                     mlir::Value count, mlir::IntegerType rank,
                     llvm::function_ref<mlir::Value(mlir::Value)> rankAt);

/// The same by numbers of type `number`, any float, in the order of Ranking.
void emitSortByNumbers(Frame &frame, const Ref &words, const Ref &other,
                       mlir::Value count, mlir::Type number,
                       llvm::function_ref<mlir::Value(mlir::Value)> numberAt);

/// Moves the `rank` first words of that order to the front, unsorted, and the
/// next one behind them; others are lost. 0 <= rank < count.
void emitSelect(Frame &frame, mlir::Value words, mlir::Value other,
                mlir::Value count, mlir::Value rank);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_SORT_H
