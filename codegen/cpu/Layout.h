// Where the elements of tensors lie: storages, and views into them with static
// strides.

#ifndef MOE_CODEGEN_CPU_LAYOUT_H
#define MOE_CODEGEN_CPU_LAYOUT_H

#include "codegen/cpu/Extents.h"

namespace moe::cpu {

/// A piece of memory that holds one tensor.
struct Storage {
  enum class Kind {
    Argument,  // argument `number` of the function
    Result,    // result `number`
    Workspace, // a part of the call's workspace
    Scratch,   // one row for each thread
    Private,   // all rows for each thread
    Constant,  // `value`, known at compile time
    Number,    // no memory: a number that every thread has
    Traced,    // what the caller gives for trace `number`, else `source`
    RowCount,  // where the caller reads how many rows result `number` has
  };
  Kind kind = Kind::Workspace;
  unsigned number = 0;
  mlir::Type element; // as stored: may be wider than the tensor's
  Extent rows;
  int64_t rowStride = 0; // elements from one row to the next
  int64_t copies = 1;    // one for each group, in bodies of grouped.loop
  unsigned place = 0;    // of the workspace
  unsigned source = 0;   // of a traced storage
  /// The trace that records this storage, whose rows then all stay; -1: none.
  int recordedBy = -1;
  mlir::DenseElementsAttr value;

  int64_t rowBytes() const;
};

/// Element (i0, i1, ...) lies at
/// offset + group * groupRows * groupStride + sum of i * s.
struct Layout {
  unsigned storage = 0;
  int64_t offset = 0;
  int64_t groupStride = 0;
  Extent groupRows; // 1, or the most rows of a group's copy
  llvm::SmallVector<int64_t> strides;
  /// Row r lies within row r of the storage.
  bool sameRows = true;
};

/// Strides of a dense tensor whose rows are `rowStride` elements apart.
llvm::SmallVector<int64_t> denseStrides(mlir::RankedTensorType type,
                                        int64_t rowStride);

/// Elements between rows of `columns` elements of `bytes` bytes that are an odd
/// number of cache lines apart, so that they do not compete for one cache set.
int64_t paddedStride(int64_t columns, int64_t bytes);

/// Whether the elements of a row are contiguous; if dimension 0 is static, the
/// whole tensor.
bool isDense(mlir::RankedTensorType type, const Layout &layout);

/// The layout of the result of a View operation (OpKinds.h) whose source lies
/// at `source`. Fails if strides cannot express it: the source must be copied.
mlir::FailureOr<Layout> viewLayout(mlir::Operation *view, Layout source);

/// Bytes that an element takes in memory: 1 for i1, 8 for index.
int64_t elementBytes(mlir::Type element);

/// The type of such an element in memory: i8 for i1, i64 for index.
mlir::Type memoryType(mlir::Type element);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_LAYOUT_H
