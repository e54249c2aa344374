// Median, smallest and largest, see Spread.h.
#include "tools/bench/Spread.h"

#include <algorithm>

namespace moe::bench {

Spread spreadOf(std::vector<double> values) {
  std::ranges::sort(values);
  size_t middle = values.size() / 2;
  double median = values.size() % 2 ? values[middle]
                                    : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

} // namespace moe::bench
