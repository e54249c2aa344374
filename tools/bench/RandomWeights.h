// A checkpoint of random numbers for a shape, as a safetensors file that only
// lives in memory, so that measuring starts without the disk.
#ifndef MOE_TOOLS_BENCH_RANDOMWEIGHTS_H
#define MOE_TOOLS_BENCH_RANDOMWEIGHTS_H

#include "tools/bench/Shape.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moe::bench {

/// Numbers of mean 0 and variance 1, the same for the same seed (splitmix64).
class RandomNumbers {
public:
  explicit RandomNumbers(uint64_t seed) : state(seed) {}
  double next();
  /// Between 0 and 1, both excluded.
  double uniform();

private:
  uint64_t bits();

  uint64_t state;
};

class RandomWeights {
public:
  /// MOERT_MEMORY if they do not fit, MOERT_IO if the system has no files in
  /// memory.
  RandomWeights(const Shape &shape, moert::Dtype dtype);
  ~RandomWeights();
  RandomWeights(const RandomWeights &) = delete;
  RandomWeights &operator=(const RandomWeights &) = delete;

  /// What to open, as long as this object lives.
  std::string path() const;
  /// The router's weights, [experts, hidden].
  const std::vector<float> &router() const { return routerWeights; }

private:
  int file;
  std::vector<float> routerWeights;
};

} // namespace moe::bench

#endif
