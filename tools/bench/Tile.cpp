// The tiles, one template for each kind of instruction, see Tile.h.
#include "tools/bench/Tile.h"

#include <immintrin.h>

namespace moe::bench {

namespace {

/// 4 bytes of row `row`.
const char *entry(const void *rows, int64_t rowBytes, int64_t row,
                  int64_t step) {
  return static_cast<const char *>(rows) + row * rowBytes + step * 4;
}

#pragma clang attribute push(__attribute__((target("avx2,fma"))),              \
                             apply_to = function)
template <int count>
void fma256(const void *rows, int64_t rowBytes, const void *panel,
            int64_t steps, void *sums, int64_t sumLanes) {
  __m256 sum[count][2] = {};
  const auto *weights = static_cast<const float *>(panel);
  for (int64_t step = 0; step < steps; ++step, weights += 16) {
    __m256 first = _mm256_load_ps(weights);
    __m256 second = _mm256_load_ps(weights + 8);
#pragma clang loop unroll(full)
    for (int row = 0; row < count; ++row) {
      __m256 value = _mm256_broadcast_ss(
          reinterpret_cast<const float *>(entry(rows, rowBytes, row, step)));
      sum[row][0] = _mm256_fmadd_ps(value, first, sum[row][0]);
      sum[row][1] = _mm256_fmadd_ps(value, second, sum[row][1]);
    }
  }
#pragma clang loop unroll(full)
  for (int row = 0; row < count; ++row) {
    float *out = static_cast<float *>(sums) + row * sumLanes;
    _mm256_storeu_ps(out, sum[row][0]);
    _mm256_storeu_ps(out + 8, sum[row][1]);
  }
}
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))),          \
                             apply_to = function)
template <int count>
void bytes256(const void *rows, int64_t rowBytes, const void *panel,
              int64_t steps, void *sums, int64_t sumLanes) {
  __m256i sum[count][2] = {};
  const auto *weights = static_cast<const __m256i *>(panel);
  for (int64_t step = 0; step < steps; ++step, weights += 2) {
    __m256i first = _mm256_load_si256(weights);
    __m256i second = _mm256_load_si256(weights + 1);
#pragma clang loop unroll(full)
    for (int row = 0; row < count; ++row) {
      __m256i value = _mm256_set1_epi32(
          *reinterpret_cast<const int32_t *>(entry(rows, rowBytes, row, step)));
      sum[row][0] = _mm256_dpbusd_avx_epi32(sum[row][0], value, first);
      sum[row][1] = _mm256_dpbusd_avx_epi32(sum[row][1], value, second);
    }
  }
#pragma clang loop unroll(full)
  for (int row = 0; row < count; ++row) {
    auto *out = static_cast<int32_t *>(sums) + row * sumLanes;
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), sum[row][0]);
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + 8), sum[row][1]);
  }
}
#pragma clang attribute pop

// All tiles of 512 bits differ in the type of a sum and in one instruction.
#pragma clang attribute push(                                                  \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512bf16,"              \
                          "avx512vnni"))),                                     \
    apply_to = function)
template <TileKind kind> struct Wide {
  using Sum = __m512;
  static Sum multiply(Sum sum, __m512i value, __m512i weights) {
    if constexpr (kind == TileKind::Dot512)
      return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(value),
                              reinterpret_cast<__m512bh>(weights));
    else
      return _mm512_fmadd_ps(_mm512_castsi512_ps(value),
                             _mm512_castsi512_ps(weights), sum);
  }
  static void store(void *to, Sum sum) { _mm512_storeu_ps(to, sum); }
};
template <> struct Wide<TileKind::Bytes512> {
  using Sum = __m512i;
  static Sum multiply(Sum sum, __m512i value, __m512i weights) {
    return _mm512_dpbusd_epi32(sum, value, weights);
  }
  static void store(void *to, Sum sum) { _mm512_storeu_si512(to, sum); }
};

template <TileKind kind, int count>
void wide(const void *rows, int64_t rowBytes, const void *panel, int64_t steps,
          void *sums, int64_t sumLanes) {
  using Kind = Wide<kind>;
  typename Kind::Sum sum[count][4] = {};
  const auto *weights = static_cast<const __m512i *>(panel);
  for (int64_t step = 0; step < steps; ++step, weights += 4) {
    __m512i column[4];
#pragma clang loop unroll(full)
    for (int vector = 0; vector < 4; ++vector)
      column[vector] = _mm512_load_si512(weights + vector);
#pragma clang loop unroll(full)
    for (int row = 0; row < count; ++row) {
      __m512i value = _mm512_set1_epi32(
          *reinterpret_cast<const int32_t *>(entry(rows, rowBytes, row, step)));
#pragma clang loop unroll(full)
      for (int vector = 0; vector < 4; ++vector)
        sum[row][vector] =
            Kind::multiply(sum[row][vector], value, column[vector]);
    }
  }
#pragma clang loop unroll(full)
  for (int row = 0; row < count; ++row)
#pragma clang loop unroll(full)
    for (int vector = 0; vector < 4; ++vector)
      Kind::store(static_cast<float *>(sums) + row * sumLanes + 16 * vector,
                  sum[row][vector]);
}
#pragma clang attribute pop

template <TileKind kind>
constexpr Tile wideTiles[] = {wide<kind, 1>, wide<kind, 2>, wide<kind, 3>,
                              wide<kind, 4>, wide<kind, 5>, wide<kind, 6>};
constexpr Tile narrowTiles[] = {fma256<1>, fma256<2>, fma256<3>,
                                fma256<4>, fma256<5>, fma256<6>};
constexpr Tile byteTiles[] = {bytes256<1>, bytes256<2>, bytes256<3>,
                              bytes256<4>, bytes256<5>, bytes256<6>};

} // namespace

Tile tileOf(TileKind kind, int64_t rows) {
  switch (kind) {
  case TileKind::Fma256:
    return narrowTiles[rows - 1];
  case TileKind::Fma512:
    return wideTiles<TileKind::Fma512>[rows - 1];
  case TileKind::Dot512:
    return wideTiles<TileKind::Dot512>[rows - 1];
  case TileKind::Bytes512:
    return wideTiles<TileKind::Bytes512>[rows - 1];
  case TileKind::Bytes256:
    return byteTiles[rows - 1];
  }
  __builtin_unreachable();
}

} // namespace moe::bench
