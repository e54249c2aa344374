// Products on the tile registers of AMX: 2 x 2 tiles of 16 rows and 16 columns,
// and where the rows lie that they load.

#ifndef MOE_CODEGEN_CPU_MATRIXTILES_H
#define MOE_CODEGEN_CPU_MATRIXTILES_H

#include "codegen/cpu/Matmul.h"

namespace moe::cpu {

/// Rows gathered side by side, zeros up to whole tiles of K: as many as stay in
/// the cache while panels pass, an odd number of cache lines apart.
struct MatrixRows {
  /// Rows of a tile register; bytes of one of its rows.
  static constexpr int64_t kRows = 16, kBytes = 64;
  int64_t rows;
  int64_t rowBytes;

  static MatrixRows of(const PackedLayout &layout);
  int64_t bytes() const { return rows * rowBytes; }
};

/// `panel` (memref<?xi8>) as rows of elements like those of `a`.
mlir::Value rowPanelView(mlir::OpBuilder &builder, mlir::Location loc,
                         const PackedLayout &layout, mlir::Value a,
                         mlir::Value panel);

/// Copies row `token` of `a` to row `to` of a row panel.
void emitGatherRow(mlir::OpBuilder &builder, mlir::Location loc,
                   const PackedLayout &layout, mlir::Value a, mlir::Value token,
                   mlir::Value panelView, mlir::Value to);

/// Whether tiles may be loaded from the rows of `a` where they lie: whole tiles
/// of K, and distances that do not put all rows into one cache set.
bool hasWholeTiles(const PackedLayout &layout, mlir::Value a);

/// Multiplies 16 rows (`tiles` 1) or 32 (2) of `a` from `firstRow` on, all of
/// which are read, with a panel. `view` and `panel` as for emitTileSums. The
/// sums go to `sums`, memref<? x (columns of the panel) x (f32|i32)>. The part
/// `part` (0 or 1) of the next panel is prefetched meanwhile.
void emitMatrixTiles(mlir::OpBuilder &builder, mlir::Location loc,
                     const PackedLayout &layout, mlir::Value a,
                     mlir::Value firstRow, int64_t tiles, mlir::Value view,
                     mlir::Value panel, mlir::Value part, mlir::Value sums);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_MATRIXTILES_H
