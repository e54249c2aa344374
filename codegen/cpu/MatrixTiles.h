// Products on the tile registers of AMX: 2 or 3 tiles of 16 rows times 2 of 16
// columns, and where the rows lie that they load.

#ifndef MOE_CODEGEN_CPU_MATRIXTILES_H
#define MOE_CODEGEN_CPU_MATRIXTILES_H

#include "codegen/cpu/Indices.h"
#include "codegen/cpu/Matmul.h"

namespace moe::cpu {

/// The layout of the panels that tiles load: that of packed weights, or what
/// panels with groups become on their way to tiles, bf16 of the same columns.
PackedLayout tiledLayout(const PackedLayout &layout);

/// Unpacks steps [begin, end) of panel `panel` of `packed`, whose weights have
/// groups, to the beginning of `view`, a panel of tiledLayout. Weights are
/// rounded to bf16 once.
void emitUnpackPanel(mlir::OpBuilder &builder, mlir::Location loc,
                     const PackedLayout &layout, mlir::Value packed,
                     mlir::Value panel, mlir::Value begin, mlir::Value end,
                     mlir::Value view);

/// Bytes of the cache that rows may take while panels pass: 5/8.
mlir::Value roomForRows(const IndexBuilder &index, mlir::Value cacheBytes);

/// Rows gathered side by side, or a part of K of them, zeros up to whole tiles:
/// as many as stay in the cache while panels pass, an odd number of cache lines
/// apart. Behind them lie the sums of some panels between parts of K, then an
/// unpacked panel.
struct MatrixRows {
  /// Rows of a tile register; bytes of one of its rows.
  static constexpr int64_t kRows = 16, kBytes = 64;
  /// Tiles of rows that are multiplied at once, at most.
  static constexpr int64_t kTiles = 3;
  int64_t rows;
  int64_t rowBytes;
  /// Steps of the largest part of K, a multiple of kTileSteps. A row's part is
  /// at most a page long and that of a panel 128 KiB.
  int64_t partSteps;
  int64_t columns;       // of a panel
  int64_t panels;        // whose sums are kept
  int64_t unpackedBytes; // of a panel, 0 if it is loaded where it lies

  static MatrixRows of(const PackedLayout &layout);
  /// Rows of a block whose part has room in the cache (null: `rows`).
  mlir::Value fitting(mlir::OpBuilder &builder, mlir::Location loc,
                      mlir::Value cacheBytes) const;
  int64_t sumRows() const { return panels * rows; }
  int64_t sumsOffset() const { return rows * rowBytes; }
  int64_t unpackedOffset() const {
    return sumsOffset() + sumRows() * columns * 4;
  }
  int64_t bytes() const { return unpackedOffset() + unpackedBytes; }
};

/// `panel` (memref<?xi8>) as rows of elements like those of `a`, or of bf16 for
/// unpacked weights.
mlir::Value rowPanelView(mlir::OpBuilder &builder, mlir::Location loc,
                         const PackedLayout &layout, mlir::Value a,
                         mlir::Value panel);

/// Copies the inputs of steps [begin, end) of row `token` of `a` to row `to` of
/// a row panel. Entries become exact bf16, without bias, for unpacked weights.
void emitGatherRow(mlir::OpBuilder &builder, mlir::Location loc,
                   const PackedLayout &layout, mlir::Value a, mlir::Value token,
                   mlir::Value begin, mlir::Value end, mlir::Value panelView,
                   mlir::Value to);

/// Whether tiles may be loaded from the rows of `a` where they lie: whole tiles
/// of K, and distances that do not put all rows into one cache set.
bool hasWholeTiles(const PackedLayout &layout, mlir::Value a);

/// What a product of tiles reads: 16 rows for each of 1 to 3 `tiles` of `a`
/// from `row` on, all of which are read, and steps [begin, end) of a panel. `a`
/// begins with step `aStep`. `view` and `panel` as for emitTileSums.
struct MatrixOperands {
  mlir::Value a, row, aStep;
  int64_t tiles;
  mlir::Value view, panel, begin, end;
};

/// Lines that a product asks for meanwhile, between its loads: with `stream`
/// all of the next step, to L1; else an eighth of as many steps of `panel`
/// as are multiplied, from `step` on, to L2. More of them would not pass the
/// few buffers between L1 and L2 without holding up loads of tiles. `panel` is
/// null: none.
struct MatrixPrefetch {
  static constexpr int64_t kParts = 8;
  mlir::Value panel, step;
  bool stream = false;
};

/// Where sums go: rows from `first` on of
/// memref<? x (columns of the panel) x (f32|i32)>. `isFirst` (i1): unless it is
/// true, products are added to what is there; null: never. Without it the
/// memref may have more columns, of which `column` is the first.
struct MatrixSums {
  mlir::Value memref, first, isFirst, column;
};

void emitMatrixTiles(mlir::OpBuilder &builder, mlir::Location loc,
                     const PackedLayout &layout, const MatrixOperands &operands,
                     const MatrixPrefetch &prefetch, const MatrixSums &sums);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_MATRIXTILES_H
