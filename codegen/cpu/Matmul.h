// Emits the code of one block of a grouped matmul: rows of one group times a
// range of packed panels, in balanced register tiles, with any epilogue.

#ifndef MOE_CODEGEN_CPU_MATMUL_H
#define MOE_CODEGEN_CPU_MATMUL_H

#include "codegen/cpu/Family.h"

#include <functional>

namespace moe::cpu {

/// Whether groups of many rows are multiplied by matrix tiles (AMX), and only
/// the others in the way of their family, from the same packed weights.
bool hasMatrixForm(const PackedLayout &layout, mlir::Type a);

/// Rows of a group from which on it is: more for weights with groups, which
/// have to be unpacked for tiles.
int64_t matrixRowsFrom(const PackedLayout &layout);

/// memref<? x ? x f32, strided<[?, 1], offset: ?>>.
mlir::MemRefType resultsType(mlir::MLIRContext *context);

/// One block: acc_w[r, n] = sum over k of A[row(r), k] * B_w[group, n, k], for
/// r in [rowBegin, rowEnd) and the columns n of panels [panelBegin, panelEnd).
/// Empty ranges are allowed. All indices are of type index.
struct MatmulBlock {
  /// memref<? x (>= K) x (f32|bf16|f16)>, unit inner stride, any outer stride
  /// (static ones give shorter code). Only columns < K are read. Padding the
  /// outer stride by 64 bytes avoids cache set conflicts between rows.
  mlir::Value a;
  /// With quantised weights: memref<?xf32>, the scale of each row of A.
  mlir::Value rowScales;
  /// Null: row(r) = r. Otherwise memref<?xi32> and row(r) = rowIds[r].
  mlir::Value rowIds;
  /// memref<?xi8> in the layout's form.
  mlir::Value packed;
  mlir::Value group;
  mlir::Value rowBegin, rowEnd;
  mlir::Value panelBegin, panelEnd;
  /// For the matrix form: memref<?xi8> of MatrixRows::bytes or more, which
  /// no other thread uses, aligned to 64 bytes.
  mlir::Value rowPanel;
  /// The number of rows that decides about the matrix form, so that a result
  /// does not depend on how rows are divided; null: rowEnd - rowBegin.
  mlir::Value allRows;
  /// Null, or a multiple of kPartUnit: all rows are multiplied by so many
  /// inputs of a panel, then by the next ones. No sum depends on it. The matrix
  /// form needs no more than MatrixRows::partSteps allows, which it takes if
  /// this is null.
  mlir::Value partInputs = nullptr;
  /// Bytes of L2 that blocks of rows are chosen for, on which no result
  /// depends; null: 2 MiB for the matrix form, and for the other one block.
  mlir::Value cacheBytes = nullptr;
  /// Null, or of resultsType, where the epilogue only stores the sums, those of
  /// row r in row r. Whole matrix tiles then go there without it. Not for
  /// quantised weights.
  mlir::Value results = nullptr;
};

/// One vector of finished sums, to be turned into results and stored.
struct EpilogueSite {
  /// vector<lanes x f32> of each weight, all for the same row and columns.
  llvm::ArrayRef<mlir::Value> accumulators;
  mlir::Value row;    // r, of type index
  mlir::Value token;  // row(r), of type index
  mlir::Value group;  // of type index
  mlir::Value column; // first column, of type index
  /// Columns that exist: the first `lanes` of the vector. Nothing else may be
  /// stored or loaded (storeLanes and loadLanes of VectorAccess.h).
  int64_t lanes;
};

/// Emits code for one site. Called several times (for every vector of a panel,
/// and for tiles of one and of several panels).
using Epilogue = std::function<void(mlir::OpBuilder &, mlir::Location,
                                    const EpilogueSite &)>;

/// Emits the block. The code is a few hundred instructions for each of the
/// level's row variants: emit it once for a matmul, inside the task loop.
void emitMatmul(mlir::OpBuilder &builder, mlir::Location loc,
                const PackedLayout &layout, const MatmulBlock &block,
                const Epilogue &epilogue);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_MATMUL_H
