// The measuring loops, see Ceiling.h.
#include "tools/bench/Ceiling.h"
#include "runtime/Cpu.h"
#include "runtime/Failure.h"
#include "tools/bench/MatrixTile.h"
#include "tools/bench/Tile.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <immintrin.h>

namespace moe::bench {

namespace {
// Results go here, so that no loop is dead code.
thread_local volatile float floatSink;
thread_local volatile int64_t integerSink;

double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// 12 independent chains hide the latency of 4 to 5 cycles on two ports, with
// registers to spare.
constexpr int64_t fmaSteps = 2'000'000;

__attribute__((target("avx2,fma"))) void multiplyAdd256() {
  __m256 a = _mm256_set1_ps(0.999F);
  __m256 b = _mm256_set1_ps(0.001F);
  __m256 sum[12];
#pragma clang loop unroll(full)
  for (int i = 0; i < 12; ++i)
    sum[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int64_t step = 0; step < fmaSteps; ++step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 12; ++i)
      sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  }
#pragma clang loop unroll(full)
  for (int i = 1; i < 12; ++i)
    sum[0] = _mm256_add_ps(sum[0], sum[i]);
  floatSink = _mm256_cvtss_f32(sum[0]);
}

// Without avx512vl the compiler uses 16 of the 32 registers and spills.
__attribute__((target("avx512f,avx512vl"))) void multiplyAdd512() {
  __m512 a = _mm512_set1_ps(0.999F);
  __m512 b = _mm512_set1_ps(0.001F);
  __m512 sum[24];
#pragma clang loop unroll(full)
  for (int i = 0; i < 24; ++i)
    sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t step = 0; step < fmaSteps / 2; ++step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 24; ++i)
      sum[i] = _mm512_fmadd_ps(sum[i], a, b);
  }
#pragma clang loop unroll(full)
  for (int i = 1; i < 24; ++i)
    sum[0] = _mm512_add_ps(sum[0], sum[i]);
  floatSink = _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512vl,avx512bf16"))) void dot512() {
  __m512i one = _mm512_set1_epi16(0x3c00); // bf16 0.0078125
  auto a = reinterpret_cast<__m512bh>(one);
  __m512 sum[24];
#pragma clang loop unroll(full)
  for (int i = 0; i < 24; ++i)
    sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t step = 0; step < fmaSteps / 2; ++step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 24; ++i)
      sum[i] = _mm512_dpbf16_ps(sum[i], a, a);
  }
#pragma clang loop unroll(full)
  for (int i = 1; i < 24; ++i)
    sum[0] = _mm512_add_ps(sum[0], sum[i]);
  floatSink = _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512vl,avx512vnni"))) void dotBytes512() {
  __m512i a = _mm512_set1_epi8(3);
  __m512i sum[24];
#pragma clang loop unroll(full)
  for (int i = 0; i < 24; ++i)
    sum[i] = _mm512_set1_epi32(i);
  for (int64_t step = 0; step < fmaSteps / 2; ++step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 24; ++i)
      sum[i] = _mm512_dpbusd_epi32(sum[i], a, a);
  }
#pragma clang loop unroll(full)
  for (int i = 1; i < 24; ++i)
    sum[0] = _mm512_add_epi32(sum[0], sum[i]);
  integerSink = _mm512_cvtsi512_si32(sum[0]);
}

__attribute__((target("avx2,avxvnni"))) void dotBytes256() {
  __m256i a = _mm256_set1_epi8(3);
  __m256i sum[12];
#pragma clang loop unroll(full)
  for (int i = 0; i < 12; ++i)
    sum[i] = _mm256_set1_epi32(i);
  for (int64_t step = 0; step < fmaSteps; ++step) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 12; ++i)
      sum[i] = _mm256_dpbusd_avx_epi32(sum[i], a, a);
  }
#pragma clang loop unroll(full)
  for (int i = 1; i < 12; ++i)
    sum[0] = _mm256_add_epi32(sum[0], sum[i]);
  integerSink = _mm256_extract_epi32(sum[0], 0);
}

/// Adds up `bytes` bytes in `streams` pieces side by side, a cache line of each
/// in turn.
template <int streams>
__attribute__((target("avx2"))) void readAll(const uint8_t *from,
                                             int64_t bytes) {
  int64_t piece = bytes / streams / 64 * 64;
  __m256i sum[streams];
#pragma clang loop unroll(full)
  for (int i = 0; i < streams; ++i)
    sum[i] = _mm256_setzero_si256();
  for (int64_t at = 0; at < piece; at += 64) {
#pragma clang loop unroll(full)
    for (int i = 0; i < streams; ++i) {
      const auto *line =
          reinterpret_cast<const __m256i *>(from + i * piece + at);
      sum[i] = _mm256_add_epi64(sum[i], _mm256_load_si256(line));
      sum[i] = _mm256_add_epi64(sum[i], _mm256_load_si256(line + 1));
    }
  }
#pragma clang loop unroll(full)
  for (int i = 1; i < streams; ++i)
    sum[0] = _mm256_add_epi64(sum[0], sum[i]);
  integerSink = _mm256_extract_epi64(sum[0], 0);
}

/// Seconds until all threads have done `work(thread)`.
template <typename Work> double timeOnAll(int threads, const Work &work) {
  double begin = 0;
#pragma omp parallel num_threads(threads)
  {
#pragma omp barrier
#pragma omp single
    begin = now();
#pragma omp for schedule(static, 1)
    for (int thread = 0; thread < threads; ++thread)
      work(thread);
  }
  return now() - begin;
}

double operationRate(int threads, void (*kernel)(), int64_t operations) {
  double seconds = timeOnAll(threads, [&](int) { kernel(); });
  return static_cast<double>(threads) * static_cast<double>(operations) /
         seconds * 1e-9;
}

/// Of the largest tile whose rows lie in L1 and whose panel, of 64 or 256 KiB,
/// lies in L2.
double tileRate(int threads, TileKind kind, uint8_t *memory, int64_t slice) {
  constexpr int64_t steps = 1024;
  constexpr int64_t passes = 400;
  constexpr int64_t rowBytes = steps * 4 + 64;
  Tile tile = tileOf(kind, mostTileRows);
  double seconds = timeOnAll(threads, [&](int thread) {
    uint8_t *rows = memory + thread * slice;
    uint8_t *panel = rows + (mostTileRows * rowBytes + 4095) / 4096 * 4096;
    alignas(64) float sums[mostTileRows * 64];
    for (int64_t pass = 0; pass < passes; ++pass)
      tile(rows, rowBytes, panel, steps, sums, 64);
    floatSink = sums[0];
  });
  return static_cast<double>(threads * passes * steps) *
         static_cast<double>(tileOperations(kind, mostTileRows)) / seconds *
         1e-9;
}
} // namespace

/// Which rate code of this level and precision has in registers, and in tiles.
static std::pair<Rate, Rate> ratesOf(std::string_view level,
                                     Precision precision) {
  bool bf16 = precision == Precision::Bf16;
  bool bytes = isQuantized(precision);
  if (level == "avxvnni" && bytes)
    return {Rate::Bytes256, Rate::TileBytes256};
  if (level == "avx2" || level == "avxvnni")
    return {Rate::Fma256, Rate::TileFma256};
  if (level == "amx" && bf16)
    return {Rate::Matrix, Rate::TileMatrix};
  if (level == "amx" && bytes)
    return {Rate::MatrixBytes, Rate::TileMatrixBytes};
  if (level == "avx512bf16" && bf16)
    return {Rate::Dot512, Rate::TileDot512};
  if (level == "avx512bf16" && bytes)
    return {Rate::Bytes512, Rate::TileBytes512};
  return {Rate::Fma512, Rate::TileFma512};
}

double Ceiling::operations(std::string_view level, Precision precision) const {
  double rate = at(ratesOf(level, precision).first);
  // There are CPUs whose f32 multiply-adds are faster than bf16 dot products.
  return precision == Precision::Bf16 && level == "avx512bf16"
             ? std::max(rate, at(Rate::Fma512))
             : rate;
}

double Ceiling::tileOperations(std::string_view level,
                               Precision precision) const {
  double rate = at(ratesOf(level, precision).second);
  return precision == Precision::Bf16 && level == "avx512bf16"
             ? std::max(rate, at(Rate::TileFma512))
             : rate;
}

double Ceiling::bytes() const {
  return std::max(at(Rate::Stream1), at(Rate::Stream8));
}

Ceiling between(const Ceiling &before, const Ceiling &after) {
  Ceiling mean = before;
  for (size_t i = 0; i < mean.rates.size(); ++i)
    mean.rates[i] = (before.rates[i] + after.rates[i]) / 2;
  return mean;
}

/// With `fromL2`, rows of 1 KiB lie in L1 and four panels of 64 KiB in L2.
static double matrixRate(int threads, MatrixKind kind, bool fromL2,
                         uint8_t *memory, int64_t slice) {
  constexpr int64_t blocks = 16;
  constexpr int64_t passes = 2000;
  constexpr int64_t rowBytes = blocks * 64 + 64;
  constexpr int64_t panelBytes = blocks * 4096;
  double seconds = timeOnAll(threads, [&](int thread) {
    const uint8_t *rows = memory + thread * slice;
    const uint8_t *panels = rows + (matrixRows * rowBytes + 4095) / 4096 * 4096;
    alignas(64) float sums[matrixRows * matrixColumns];
    beginMatrixTiles();
    if (!fromL2)
      repeatMatrixTiles(kind, blocks * passes, sums, matrixColumns);
    // Four panels of 64 KiB in turn, of each both halves of its columns.
    for (int64_t pass = 0; fromL2 && pass < passes; ++pass)
      multiplyMatrixTiles(
          kind, rows, rowBytes,
          {panels + pass / 2 % 4 * panelBytes + pass % 2 * 128, 256, blocks},
          sums, matrixColumns);
    endMatrixTiles();
    floatSink = sums[0];
  });
  return static_cast<double>(threads * passes * blocks) *
         static_cast<double>(matrixOperations(kind)) / seconds * 1e-9;
}

CeilingMeter::CeilingMeter()
    : memory(512 << 20, "measuring how fast memory is read") {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    moert::fail(MOERT_NO_DEVICE, "this CPU lacks AVX2 or FMA");
  // Untouched memory is one shared page of zeros, which would be read from the
  // cache.
  std::fill_n(memory.data(), memory.size(), uint8_t(0x3c)); // no denormals
}

Ceiling CeilingMeter::measure(int threads) {
  int64_t slice = memory.size() / threads / 4096 * 4096;
  auto readRate = [&](int streams) {
    double seconds = timeOnAll(threads, [&](int thread) {
      const uint8_t *from = memory.data() + thread * slice;
      streams == 1 ? readAll<1>(from, slice) : readAll<8>(from, slice);
    });
    return static_cast<double>(slice) * threads / seconds * 1e-9;
  };
  auto tile = [&](TileKind kind) {
    return tileRate(threads, kind, memory.data(), slice);
  };
  Ceiling ceiling;
  ceiling.threads = threads;
  ceiling.at(Rate::Fma256) =
      operationRate(threads, multiplyAdd256, fmaSteps * 12 * 8 * 2);
  ceiling.at(Rate::TileFma256) = tile(TileKind::Fma256);
  if (__builtin_cpu_supports("avx512vl")) {
    ceiling.at(Rate::Fma512) =
        operationRate(threads, multiplyAdd512, fmaSteps / 2 * 24 * 16 * 2);
    ceiling.at(Rate::TileFma512) = tile(TileKind::Fma512);
  }
  if (__builtin_cpu_supports("avx512bf16")) {
    ceiling.at(Rate::Dot512) =
        operationRate(threads, dot512, fmaSteps / 2 * 24 * 32 * 2);
    ceiling.at(Rate::TileDot512) = tile(TileKind::Dot512);
  }
  if (__builtin_cpu_supports("avx512vnni")) {
    ceiling.at(Rate::Bytes512) =
        operationRate(threads, dotBytes512, fmaSteps / 2 * 24 * 64 * 2);
    ceiling.at(Rate::TileBytes512) = tile(TileKind::Bytes512);
  }
  if (__builtin_cpu_supports("avxvnni")) {
    ceiling.at(Rate::Bytes256) =
        operationRate(threads, dotBytes256, fmaSteps * 12 * 32 * 2);
    ceiling.at(Rate::TileBytes256) = tile(TileKind::Bytes256);
  }
  // Asking also gets leave to use the tile registers.
  std::vector<std::string_view> levels = moert::supportedLevels();
  if (std::ranges::find(levels, "amx") != levels.end()) {
    auto matrix = [&](MatrixKind kind, bool fromL2) {
      return matrixRate(threads, kind, fromL2, memory.data(), slice);
    };
    ceiling.at(Rate::Matrix) = matrix(MatrixKind::Bf16, false);
    ceiling.at(Rate::MatrixBytes) = matrix(MatrixKind::Bytes, false);
    ceiling.at(Rate::TileMatrix) = matrix(MatrixKind::Bf16, true);
    ceiling.at(Rate::TileMatrixBytes) = matrix(MatrixKind::Bytes, true);
  }
  ceiling.at(Rate::Stream1) = readRate(1);
  ceiling.at(Rate::Stream8) = readRate(8);
  return ceiling;
}

} // namespace moe::bench
