// What this machine can do at most, measured: multiply-adds of each instruction
// set in registers and with a panel from L2, and reading memory with 1 and 8
// streams a thread.
#ifndef MOE_TOOLS_BENCH_CEILING_H
#define MOE_TOOLS_BENCH_CEILING_H

#include "runtime/Memory.h"
#include "tools/bench/Shape.h"

#include <array>
#include <string_view>

namespace moe::bench {

enum class Rate {
  Fma256,       // AVX2 f32 multiply-add
  Fma512,       // AVX-512 f32 multiply-add
  Dot512,       // AVX-512 vdpbf16ps
  Bytes512,     // AVX-512 vpdpbusd
  TileFma256,   // the same in a tile of 6 rows whose panel comes from L2
  TileFma512,   //
  TileDot512,   //
  TileBytes512, //
  Matrix,       // AMX tdpbf16ps, 2 x 2 tile registers of sums
  MatrixBytes,  // AMX tdpbusd
  TileMatrix,   // the same with 32 rows from L1 and a panel from L2
  TileMatrixBytes,
  Bytes256,     // AVX-VNNI vpdpbusd
  TileBytes256, // the same in a tile
  Stream1,      // memory, one sequential stream a thread
  Stream8,      // memory, eight streams a thread
};
constexpr size_t rateCount = 16;

/// 10^9 operations or bytes a second, all threads together; 0 where the CPU
/// lacks the instructions.
struct Ceiling {
  int threads = 1;
  std::array<double, rateCount> rates{};

  double &at(Rate rate) { return rates[static_cast<size_t>(rate)]; }
  double at(Rate rate) const { return rates[static_cast<size_t>(rate)]; }

  /// The best that code of this level can do in this precision. Without
  /// vpdpbusd, products of 8-bit entries are as fast as f32 multiply-adds.
  double operations(std::string_view level, Precision precision) const;
  /// The same with weights from L2.
  double tileOperations(std::string_view level, Precision precision) const;
  /// The faster way of reading.
  double bytes() const;
};

/// The mean of two measurements, for the sample between them.
Ceiling between(const Ceiling &before, const Ceiling &after);

/// Measures on the threads of the OpenMP runtime that generated code uses, so
/// that no others compete. One measurement takes about 0.15 s.
class CeilingMeter {
public:
  /// MOERT_MEMORY if its 512 MiB to read do not fit; MOERT_NO_DEVICE without
  /// AVX2.
  CeilingMeter();
  Ceiling measure(int threads);

private:
  moert::Buffer memory;
};

} // namespace moe::bench

#endif
