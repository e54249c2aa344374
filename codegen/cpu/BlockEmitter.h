// Emits one block, see Matmul.h: the matrix form in MatrixForm.cpp, all else in
// Matmul.cpp.

#ifndef MOE_CODEGEN_CPU_BLOCKEMITTER_H
#define MOE_CODEGEN_CPU_BLOCKEMITTER_H

#include "codegen/cpu/Indices.h"
#include "codegen/cpu/Matmul.h"
#include "codegen/cpu/MatrixTiles.h"
#include "codegen/cpu/TileKernel.h"

namespace moe::cpu {

/// Rows whose sums are kept between parts of K.
constexpr int64_t kPartRows = 126;

/// Tiles of so many sums have the epilogue written out behind each: all of
/// AVX2, and elsewhere those of few rows. A loop serves the others.
constexpr int64_t kDirectSums = 12;

class BlockEmitter : IndexBuilder {
public:
  BlockEmitter(mlir::OpBuilder &builder, mlir::Location loc,
               const PackedLayout &layout, const MatmulBlock &block,
               const Epilogue &epilogue)
      : IndexBuilder{builder, loc}, layout(layout), block(block),
        epilogue(epilogue), tiled(tiledLayout(layout)),
        matrixForm(hasMatrixForm(layout, block.a.getType())),
        maxRows(matrixForm
                    ? std::min(layout.maxRows(), matrixRowsFrom(layout) - 1)
                    : layout.maxRows()),
        // Vectors take few rows where there are matrix tiles.
        partInputs(matrixForm ? mlir::Value() : block.partInputs) {}

  void emit();

private:
  /// Emits `body(size)` for each size of 1 .. `largest`, of which the one that
  /// equals `rows` runs.
  void switchOnRows(mlir::Value rows, int64_t largest,
                    llvm::function_ref<void(int64_t)> body);
  void allocateSums();
  void emitVectorForm(mlir::Value rows);
  void emitTiles(mlir::Value panel, mlir::Value rowBegin, mlir::Value rows,
                 mlir::Value isLast);
  mlir::Value mostRowsOfBlock(mlir::Value rows);
  void emitInParts(mlir::Value panel, mlir::Value rowBegin, mlir::Value rows);
  struct MatrixBlock;
  struct MatrixCut;
  void emitMatrixForm(mlir::Value rows);
  MatrixCut cutRows(mlir::Value count);
  mlir::Value rowOfProduct(const MatrixCut &cut, mlir::Value product);
  void emitMatrixParts(MatrixBlock rows, const MatrixCut &cut,
                       mlir::Value part);
  void emitMatrixPanels(const MatrixBlock &rows, const MatrixCut &cut,
                        mlir::Value panelBegin, mlir::Value panelEnd);
  void emitMatrixProduct(const MatrixBlock &rows, mlir::Value first,
                         mlir::Value isTwo, mlir::Value packedPanel,
                         const MatrixPrefetch &prefetch,
                         const MatrixSums &sums);
  mlir::Value storeDirectly(mlir::Value row, mlir::Value count,
                            mlir::Value panel, MatrixSums &sums);
  MatrixPrefetch prefetchOf(const MatrixBlock &rows, mlir::Value product,
                            mlir::Value packedPanel,
                            std::pair<mlir::Value, mlir::Value> next);
  mlir::Value emitFewRows(mlir::Value rows);
  mlir::Value tokenOf(mlir::Value row);
  llvm::SmallVector<mlir::Value> emitTile(mlir::Value firstRow, int64_t rows,
                                          mlir::Value firstPanel,
                                          int64_t panels,
                                          const Prefetch &prefetch);
  void keepSums(llvm::ArrayRef<mlir::Value> sums);
  void finishRow(llvm::ArrayRef<mlir::Value> sums, mlir::Value row,
                 mlir::Value panel);
  void finishTile(llvm::ArrayRef<mlir::Value> sums, mlir::Value firstRow,
                  int64_t rows, mlir::Value firstPanel, int64_t panels);
  void finishKept(mlir::Value firstRow, mlir::Value rows, mlir::Value panel);
  llvm::SmallVector<mlir::Value> sumsSoFar(size_t count);
  mlir::Value sumAt(int64_t number) {
    mlir::Value at = constant(number);
    return firstSum ? add(firstSum, at) : at;
  }
  void emitEpilogue(llvm::ArrayRef<mlir::Value> sums, mlir::Value row,
                    mlir::Value token, mlir::Value panel);
  mlir::Value dequantize(mlir::Value sum, mlir::Value token, mlir::Value panel,
                         int64_t vector);
  void emitColumns(llvm::ArrayRef<mlir::Value> sums, mlir::Value row,
                   mlir::Value token, mlir::Value column, int64_t columns);

  const PackedLayout &layout;
  const MatmulBlock &block;
  const Epilogue &epilogue;
  const PackedLayout tiled;
  const bool matrixForm;
  bool onTiles = false;  // in the matrix form's code
  const int64_t maxRows; // of a tile of vectors
  const mlir::Value partInputs;
  mlir::Value view;
  /// The sums of a matrix tile, or of a tile of more than kDirectSums, on their
  /// way to the epilogue. With parts of K, those of all tiles of some rows, and
  /// a tile begins at `firstSum`.
  mlir::Value finished, firstSum;
  mlir::Value partBegin, partEnd; // null: all of K
  mlir::Value matrixSums;         // the same memory as rows of a panel
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_BLOCKEMITTER_H
