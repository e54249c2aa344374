// What a tile of AMX can do, written with intrinsics: 2 x 2 tile registers of
// sums, as the generated code has them.
#ifndef MOE_TOOLS_BENCH_MATRIXTILE_H
#define MOE_TOOLS_BENCH_MATRIXTILE_H

#include <cstdint>

namespace moe::bench {

enum class MatrixKind {
  Bf16,  // tdpbf16ps
  Bytes, // tdpbusd; sums are i32
};

constexpr int64_t matrixRows = 32;
constexpr int64_t matrixColumns = 32;
/// Of one block: 64 bytes of every row times 16 steps of a panel; a
/// multiply-add is 2.
constexpr int64_t matrixOperations(MatrixKind kind) {
  return 2 * matrixRows * matrixColumns * (kind == MatrixKind::Bf16 ? 32 : 64);
}

/// Gives the tile registers of this thread their shapes, and frees them.
void beginMatrixTiles();
void endMatrixTiles();

/// 32 columns of a panel of 16 * `blocks` steps.
struct MatrixPanel {
  const void *first;
  int64_t stepBytes; // from one step to the next
  int64_t blocks;
  /// Of what is needed later, `lines` cache lines a block are asked for.
  const void *later = nullptr;
  int64_t lines = 0;
};

/// Sums of 32 rows, `rowBytes` apart, and the columns of a panel. `sums` are of
/// 4 bytes, [32][sumLanes].
void multiplyMatrixTiles(MatrixKind kind, const void *rows, int64_t rowBytes,
                         const MatrixPanel &panel, void *sums,
                         int64_t sumLanes);

/// The same number of products, from tile registers that stay as they are.
void repeatMatrixTiles(MatrixKind kind, int64_t blocks, void *sums,
                       int64_t sumLanes);

} // namespace moe::bench

#endif
