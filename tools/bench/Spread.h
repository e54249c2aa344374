// What is left of many measurements of one number.
#ifndef MOE_TOOLS_BENCH_SPREAD_H
#define MOE_TOOLS_BENCH_SPREAD_H

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

} // namespace moe::bench

#endif
