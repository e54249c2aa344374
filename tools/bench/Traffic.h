// How tokens spread over experts: evenly, by Zipf's law, or as a recording
// says.
#ifndef MOE_TOOLS_BENCH_TRAFFIC_H
#define MOE_TOOLS_BENCH_TRAFFIC_H

#include "tools/Recording.h"
#include "tools/bench/RandomWeights.h"

#include <string>
#include <string_view>
#include <vector>

namespace moe::bench {

struct Traffic {
  enum class Kind {
    Uniform, // random rows, which the router spreads nearly evenly
    Zipf,    // the i-th expert has popularity 1 / i^exponent
    File,    // the choices of a file of moe-run --routing
  };
  Kind kind = Kind::Uniform;
  double exponent = 0;
  std::string path;

  bool operator==(const Traffic &) const = default;
  /// "uniform", "zipf:1.2", "file:PATH"
  std::string text() const;
};

/// MOERT_USAGE, beginning with `option`, for another text than Traffic::text
/// gives.
Traffic parseTraffic(std::string_view text, std::string_view option);

/// k different experts for each token, drawn one after the other with
/// probabilities proportional to their popularity. Which expert is how popular
/// is fixed and in no order.
std::vector<int32_t> drawExperts(const Shape &shape, int64_t tokens,
                                 double exponent, RandomNumbers &random);

/// Tokens [first, first + tokens) of a recording, beginning again after its
/// last.
tools::RecordedRouting cutRecording(const tools::RecordedRouting &from,
                                    int64_t first, int64_t tokens);

} // namespace moe::bench

#endif
