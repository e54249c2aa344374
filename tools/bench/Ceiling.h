// What this machine can do at most, measured: multiply-adds in registers for
// each instruction set, and reading memory with 1 and 8 streams a thread.
#ifndef MOE_TOOLS_BENCH_CEILING_H
#define MOE_TOOLS_BENCH_CEILING_H

#include "runtime/Memory.h"
#include "tools/bench/Shape.h"

#include <string_view>

namespace moe::bench {

/// 10^9 operations or bytes a second, all threads together; 0 where the CPU
/// lacks the instructions.
struct Ceiling {
  double fma256 = 0;   // AVX2 f32 multiply-add
  double fma512 = 0;   // AVX-512 f32 multiply-add
  double dot512 = 0;   // AVX-512 vdpbf16ps
  double bytes512 = 0; // AVX-512 vpdpbusd
  double stream1 = 0;  // memory, one sequential stream a thread
  double stream8 = 0;  // memory, eight streams a thread

  /// The best that code of this level can do in this precision. Without
  /// vpdpbusd, products of 8-bit entries are as fast as f32 multiply-adds.
  double operations(std::string_view level, Precision precision) const;
  /// The faster way of reading.
  double bytes() const { return stream1 > stream8 ? stream1 : stream8; }
};

/// The mean of two measurements, for the sample between them.
Ceiling between(const Ceiling &before, const Ceiling &after);

/// Measures on the threads of the OpenMP runtime that generated code uses, so
/// that no others compete. One measurement takes about 0.1 s.
class CeilingMeter {
public:
  /// MOERT_MEMORY if its 512 MiB to read do not fit; MOERT_NO_DEVICE without
  /// AVX2.
  explicit CeilingMeter(int threads);
  Ceiling measure();

private:
  double readRate(int streams);

  int threads;
  moert::Buffer memory;
};

} // namespace moe::bench

#endif
