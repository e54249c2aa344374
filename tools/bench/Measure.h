// Interleaved measuring: rounds over all batches, every sample between two
// measurements of the machine's ceilings, so that a share compares with what
// the machine gave at that moment.
#ifndef MOE_TOOLS_BENCH_MEASURE_H
#define MOE_TOOLS_BENCH_MEASURE_H

#include "tools/bench/Ceiling.h"
#include "tools/bench/Layer.h"

#include <functional>
#include <span>
#include <vector>

namespace moe::bench {

/// Median, smallest and largest.
struct Spread {
  double median;
  double least;
  double most;
};
/// Of at least one value.
Spread spreadOf(std::vector<double> values);

/// What is known about one batch after all rounds.
struct Result {
  Shape shape;
  Precision precision;
  int64_t tokens;
  std::string level;
  int threads;
  int rounds;
  double activeExperts;
  Spread milliseconds;      // of one call
  Spread operations;        // 10^9 a second
  Spread bytes;             // 10^9 bytes of weights a second
  Spread operationsShare;   // of the ceiling around the sample
  Spread bytesShare;        // of the read rate around the sample
  double routingShare;      // time of the router alone / of the layer
  double ceilingOperations; // medians
  double ceilingBytes;
};

struct MeasureOptions {
  int threads = 1;
  int rounds = 5;
  double seconds = 0.2; // of one sample, at least; and at least 3 calls
};

/// `progress` is told samples done and in all. Adds every measured ceiling to
/// `ceilings`.
std::vector<Result> measureLayer(const Layer &layer,
                                 std::span<const int64_t> tokens,
                                 CeilingMeter &meter,
                                 const MeasureOptions &options,
                                 std::vector<Ceiling> &ceilings,
                                 const std::function<void(int, int)> &progress);

} // namespace moe::bench

#endif
