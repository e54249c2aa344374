// Panels, and in each balanced tiles of rows, see Twin.h.
#include "bench/Twin.h"

#include <immintrin.h>

namespace moe::bench {

/// (sum - 128 * sum of the weights) * scale of the column * scale of the row.
__attribute__((target("avx512f"))) static void
dequantize(const Problem &problem, const uint8_t *panel, const int32_t *sums,
           int64_t firstRow, int64_t rows, float *results) {
  int64_t columns = problem.panelColumns();
  for (int64_t row = 0; row < rows; ++row) {
    __m512 rowScale = _mm512_set1_ps(problem.rowScales[firstRow + row]);
    for (int64_t column = 0; column < columns; column += 16) {
      __m512i sum = _mm512_loadu_si512(sums + row * columns + column);
      __m512i offset =
          _mm512_load_si512(panel + problem.sumsOffset + 4 * column);
      __m512 scale = _mm512_mul_ps(
          rowScale, _mm512_load_ps(panel + problem.scalesOffset + 4 * column));
      _mm512_storeu_ps(
          results + row * problem.size.outputs + column,
          _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, offset)),
                        scale));
    }
  }
}

/// Panels times pairs of tiles of rows, each of which asks for its share of the
/// next panel meanwhile.
static void multiplyOnTiles(const Problem &problem, float *results) {
  int64_t rows = problem.size.rows;
  int64_t outputs = problem.size.outputs;
  bool bytes = problem.kind == TileKind::Bytes512;
  MatrixKind kind = bytes ? MatrixKind::Bytes : MatrixKind::Bf16;
  MatrixPanel panel;
  panel.stepBytes = 4 * matrixColumns;
  panel.blocks = problem.steps() / 16;
  panel.lines = 16 * panel.stepBytes / 64 * matrixRows / rows;
  beginMatrixTiles();
  for (int64_t p = 0; p < problem.panels(); ++p) {
    const uint8_t *first = problem.packed.data() + p * problem.panelBytes;
    panel.first = first;
    for (int64_t row = 0; row < rows; row += matrixRows) {
      const uint8_t *from = problem.rows.data() + row * problem.rowBytes;
      float *out = results + row * outputs + p * matrixColumns;
      panel.later = first + problem.panelBytes +
                    row / matrixRows * panel.blocks * panel.lines * 64;
      if (bytes) {
        alignas(64) int32_t sums[matrixRows * matrixColumns];
        multiplyMatrixTiles(kind, from, problem.rowBytes, panel, sums,
                            matrixColumns);
        dequantize(problem, first, sums, row, matrixRows, out);
      } else {
        multiplyMatrixTiles(kind, from, problem.rowBytes, panel, out, outputs);
      }
    }
  }
  endMatrixTiles();
}

void multiplyByHand(const Problem &problem, float *results) {
  if (problem.onTiles)
    return multiplyOnTiles(problem, results);
  int64_t rows = problem.size.rows;
  int64_t outputs = problem.size.outputs;
  int64_t tiles = (rows + mostTileRows - 1) / mostTileRows;
  for (int64_t p = 0; p < problem.panels(); ++p) {
    const uint8_t *panel = problem.packed.data() + p * problem.panelBytes;
    int64_t row = 0;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      int64_t count = rows / tiles + (tile < rows % tiles ? 1 : 0);
      float *out = results + row * outputs + p * problem.panelColumns();
      const uint8_t *from = problem.rows.data() + row * problem.rowBytes;
      Tile multiply = tileOf(problem.kind, count);
      if (problem.kind == TileKind::Bytes512) {
        alignas(64) int32_t sums[mostTileRows * 64];
        multiply(from, problem.rowBytes, panel, problem.steps(), sums, 64);
        dequantize(problem, panel, sums, row, count, out);
      } else {
        multiply(from, problem.rowBytes, panel, problem.steps(), out, outputs);
      }
      row += count;
    }
  }
}

} // namespace moe::bench
