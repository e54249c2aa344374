// Interleaved measuring: rounds over all batches, every sample between two
// measurements of the machine's ceilings, so that a share compares with what
// the machine gave at that moment.
#ifndef MOE_TOOLS_BENCH_MEASURE_H
#define MOE_TOOLS_BENCH_MEASURE_H

#include "tools/bench/Ceiling.h"
#include "tools/bench/Layer.h"
#include "tools/bench/Spread.h"

#include <functional>
#include <span>
#include <vector>

namespace moe::bench {

/// One round of one batch.
struct Sample {
  double seconds;    // of a call of the layer
  double processor;  // the same in time of all threads' processors
  double routing;    // of a call of the router alone
  double narrow = 0; // of a call of @narrow
  Ceiling around;    // mean of before and after
};

/// One product of a layer, explained; medians.
struct Product {
  std::string name;
  std::string remark;   // how moe-compile computes it
  double milliseconds;  // measured
  double expected;      // milliseconds that the ceilings allow
  bool boundByMemory;   // otherwise by multiply-adds
  double expectedShare; // of that ceiling
  double share;         // measured
  double bytes;         // weights, rows and results, each once
};

/// What is known about one batch after all rounds.
struct Result {
  Shape shape;
  Precision precision;
  int64_t tokens;
  std::string traffic;
  std::string level;
  int threads;
  int rounds;
  double activeExperts;
  double largestLoad;          // over the mean
  std::vector<Sample> samples; // one a round
  Spread milliseconds;         // of one call
  Spread operations;           // 10^9 a second
  Spread bytes;                // 10^9 bytes of weights a second
  Spread operationsShare;      // of the ceiling around the sample
  Spread tileShare;            // of the same with weights from L2
  Spread bytesShare;           // of the read rate around the sample
  double routingShare;         // time of the router alone / of the layer
  double ceilingOperations;    // medians
  double ceilingBytes;
  std::vector<Product> products; // with LayerOptions::explain
};

struct MeasureOptions {
  int rounds = 5;
  double seconds = 0.2; // of one sample, at least; and at least 3 calls
  int retries = 3;      // of a sample that other programs disturb
};

/// Every number of tokens with every traffic. `progress` is told samples done
/// and in all. Adds every measured ceiling to `ceilings`.
std::vector<Result>
measureLayer(const Layer &layer, std::span<const int64_t> tokens,
             std::span<const Traffic> traffics, CeilingMeter &meter,
             const MeasureOptions &options, std::vector<Ceiling> &ceilings,
             const std::function<void(int, int)> &progress);

} // namespace moe::bench

#endif
