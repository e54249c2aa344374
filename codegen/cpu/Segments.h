// Which rows compete with each other, as tables that generated code fills.

#ifndef MOE_CODEGEN_CPU_SEGMENTS_H
#define MOE_CODEGEN_CPU_SEGMENTS_H

#include "codegen/cpu/Frame.h"

namespace moe::cpu {

/// Storages of i64 words; `other` is as large and for sorting alone.
struct WordTables {
  WordTables(Frame &frame, unsigned words, unsigned other);
  Ref words, other;
};

/// Sorts the rows of a tensor [T] of segments: afterwards the place of word i
/// is row i in ascending order of segments, then of rows.
void emitSortSegments(Frame &frame, mlir::Value segments,
                      const WordTables &tables);

/// After emitSortSegments: body(begin, end, number, values) for every segment,
/// whose words are [begin, end); segments are numbered 0, 1, ... in ascending
/// order. Returns the last values.
llvm::SmallVector<mlir::Value>
foldSegments(Frame &frame, mlir::Value rows, const WordTables &tables,
             mlir::ValueRange initial,
             llvm::function_ref<llvm::SmallVector<mlir::Value>(
                 mlir::Value, mlir::Value, mlir::Value, mlir::ValueRange)>
                 body);

/// Sorts the segments and writes to numberOf[t] the number of the segment of
/// row t. Returns how many segments there are (index). Reports an error where
/// a capacity [T] has several values in a segment.
mlir::Value emitSegments(Frame &frame, mlir::Value segments,
                         const WordTables &tables, const Ref &numberOf,
                         mlir::Value capacity);

/// The capacity of a row (index): an index for all rows, or an element of [T].
mlir::Value capacityOf(Frame &frame, mlir::Value capacity, mlir::Value row);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_SEGMENTS_H
