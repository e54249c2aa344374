// What the scheduler must know about an operation: how it is run, and which
// rows of its operands it reads.

#ifndef MOE_CODEGEN_CPU_OPKINDS_H
#define MOE_CODEGEN_CPU_OPKINDS_H

#include "codegen/cpu/Extents.h"

namespace moe::cpu {

enum class OpKind {
  Row,         // row r of the results depends on row r of row operands
  Serial,      // one thread does it at once
  Team,        // all threads do it together
  Matmul,      // grouped.matmul
  Pack,        // grouped.pack
  Loop,        // grouped.loop
  Flow,        // scf.for, scf.while, scf.if
  View,        // the same elements in another shape
  Constant,    // a tensor known at compile time, or tensor.empty
  Scalar,      // numbers that no tensor holds, see Scalars.h
  Unsupported, // no CPU code exists
};

/// How to run `op`. Unsupported operations get a diagnostic where they stop the
/// compilation, not here.
OpKind kindOf(mlir::Operation *op);

/// What of an operand is read to make one row of the results.
enum class Reach {
  Row,   // the row of the same number
  Whole, // anything
};

/// Whether row r of a slice is row r of the tensor that it is cut out of or put
/// into.
bool keepsRows(mlir::tensor::ExtractSliceOp op, const Extents &extents);
bool keepsRows(mlir::tensor::InsertSliceOp op, const Extents &extents);

/// Calls `visit` for every tensor or packed operand; of loops and flows also
/// for the values that their regions capture. Tensors with elements that become
/// scalar operands count too.
void forEachRead(mlir::Operation *op, const Extents &extents,
                 llvm::function_ref<void(mlir::Value, Reach)> visit);

/// A row of scratch that an operation needs besides its results.
struct ScratchRow {
  mlir::Type element;
  int64_t columns;
};
llvm::SmallVector<ScratchRow> scratchRows(mlir::Operation *op);

/// More than so many largest keys of a row are found by sorting all of them, so
/// that the time is not the product of two numbers that may both be large.
constexpr int64_t kMostRounds = 64;
/// Of so many experts more than a few are a share of the sum.
constexpr int64_t kFewExperts = 1024;

/// The tensor whose rows a Row operation walks: its result, or its first one.
mlir::Value rowsOf(mlir::Operation *op);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_OPKINDS_H
