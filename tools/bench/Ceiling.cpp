// The measuring loops, see Ceiling.h.
#include "tools/bench/Ceiling.h"
#include "runtime/Failure.h"

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
} // namespace

double Ceiling::operations(std::string_view level, Precision precision) const {
  if (level == "avx2")
    return fma256;
  if (level == "avx512bf16" && precision == Precision::Bf16)
    return std::max(dot512, fma512);
  if (level == "avx512bf16" && isQuantized(precision))
    return bytes512;
  return fma512;
}

Ceiling between(const Ceiling &before, const Ceiling &after) {
  return {(before.fma256 + after.fma256) / 2,
          (before.fma512 + after.fma512) / 2,
          (before.dot512 + after.dot512) / 2,
          (before.bytes512 + after.bytes512) / 2,
          (before.stream1 + after.stream1) / 2,
          (before.stream8 + after.stream8) / 2};
}

CeilingMeter::CeilingMeter(int threads)
    : threads(threads), memory(512 << 20, "measuring how fast memory is read") {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    moert::fail(MOERT_NO_DEVICE, "this CPU lacks AVX2 or FMA");
  // Untouched memory is one shared page of zeros, which would be read from the
  // cache.
  std::fill_n(memory.data(), memory.size(), uint8_t(1));
}

double CeilingMeter::readRate(int streams) {
  int64_t slice = memory.size() / threads / 4096 * 4096;
  double seconds = timeOnAll(threads, [&](int thread) {
    const uint8_t *from = memory.data() + thread * slice;
    streams == 1 ? readAll<1>(from, slice) : readAll<8>(from, slice);
  });
  return static_cast<double>(slice) * threads / seconds * 1e-9;
}

Ceiling CeilingMeter::measure() {
  Ceiling ceiling;
  ceiling.fma256 =
      operationRate(threads, multiplyAdd256, fmaSteps * 12 * 8 * 2);
  if (__builtin_cpu_supports("avx512vl"))
    ceiling.fma512 =
        operationRate(threads, multiplyAdd512, fmaSteps / 2 * 24 * 16 * 2);
  if (__builtin_cpu_supports("avx512bf16"))
    ceiling.dot512 = operationRate(threads, dot512, fmaSteps / 2 * 24 * 32 * 2);
  if (__builtin_cpu_supports("avx512vnni"))
    ceiling.bytes512 =
        operationRate(threads, dotBytes512, fmaSteps / 2 * 24 * 64 * 2);
  ceiling.stream1 = readRate(1);
  ceiling.stream8 = readRate(8);
  return ceiling;
}

} // namespace moe::bench
