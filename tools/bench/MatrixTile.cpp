// The tile registers: 0 to 3 sums, 4 and 5 rows, 6 and 7 columns, see
// MatrixTile.h.
#include "tools/bench/MatrixTile.h"

#include <algorithm>
#include <immintrin.h>

namespace moe::bench {

#pragma clang attribute push(                                                  \
    __attribute__((target("amx-tile,amx-bf16,amx-int8"))),                     \
    apply_to = function)

void beginMatrixTiles() {
  struct alignas(64) Configuration {
    uint8_t palette = 1;
    uint8_t startRow = 0;
    uint8_t reserved[14] = {};
    uint16_t rowBytes[16] = {};
    uint8_t rows[16] = {};
  } configuration;
  std::fill_n(configuration.rowBytes, 8, uint16_t(64));
  std::fill_n(configuration.rows, 8, uint8_t(16));
  _tile_loadconfig(&configuration);
}

void endMatrixTiles() { _tile_release(); }

template <MatrixKind kind> static void multiplyBlock() {
  if constexpr (kind == MatrixKind::Bf16) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  } else {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
}

static void zeroSums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

static void storeSums(void *sums, int64_t sumLanes) {
  float *first = static_cast<float *>(sums);
  float *second = first + 16 * sumLanes;
  _tile_stored(0, first, sumLanes * 4);
  _tile_stored(1, first + 16, sumLanes * 4);
  _tile_stored(2, second, sumLanes * 4);
  _tile_stored(3, second + 16, sumLanes * 4);
}

template <MatrixKind kind>
static void multiply(const char *rows, int64_t rowBytes,
                     const MatrixPanel &panel, void *sums, int64_t sumLanes) {
  auto from = static_cast<const char *>(panel.first);
  auto later = static_cast<const char *>(panel.later);
  zeroSums();
  for (int64_t block = 0; block < panel.blocks; ++block) {
    _tile_loadd(4, rows + block * 64, rowBytes);
    _tile_loadd(5, rows + 16 * rowBytes + block * 64, rowBytes);
    _tile_loadd(6, from, panel.stepBytes);
    _tile_loadd(7, from + 64, panel.stepBytes);
    from += 16 * panel.stepBytes;
    multiplyBlock<kind>();
    for (int64_t line = 0; line < panel.lines; ++line, later += 64)
      _mm_prefetch(later, _MM_HINT_T1);
  }
  storeSums(sums, sumLanes);
}

template <MatrixKind kind>
static void repeat(int64_t blocks, void *sums, int64_t sumLanes) {
  zeroSums();
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int64_t block = 0; block < blocks; ++block)
    multiplyBlock<kind>();
  storeSums(sums, sumLanes);
}

void multiplyMatrixTiles(MatrixKind kind, const void *rows, int64_t rowBytes,
                         const MatrixPanel &panel, void *sums,
                         int64_t sumLanes) {
  auto run = kind == MatrixKind::Bf16 ? multiply<MatrixKind::Bf16>
                                      : multiply<MatrixKind::Bytes>;
  run(static_cast<const char *>(rows), rowBytes, panel, sums, sumLanes);
}

void repeatMatrixTiles(MatrixKind kind, int64_t blocks, void *sums,
                       int64_t sumLanes) {
  auto run = kind == MatrixKind::Bf16 ? repeat<MatrixKind::Bf16>
                                      : repeat<MatrixKind::Bytes>;
  run(blocks, sums, sumLanes);
}

#pragma clang attribute pop

} // namespace moe::bench
