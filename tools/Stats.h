// What moe-run --stats prints: the load of every expert as a bar, and the time
// per token.
#ifndef MOE_TOOLS_STATS_H
#define MOE_TOOLS_STATS_H

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moe::tools {

/// Lines of text, one bar an expert, scaled to the busiest one:
///   routing 0: 8 experts, up to 1 a token, 11 rows, 2 of 13 slots empty
///   (15.4%), the busiest has 1.45 times the mean
///     expert 0  ############                     5  19.2%
/// `choices` 0 means no bound. Empty slots of tokens that may take all experts
/// say nothing, and are left out.
std::string loadText(int routing, std::span<const int64_t> loads,
                     int64_t choices, int64_t slots);

/// "time: 215 us a call, 16.5 us a token (13 tokens, 2 threads, avx2, median of
/// 21 calls)"
std::string timeText(std::vector<double> seconds, int64_t tokens, int threads,
                     const std::string &level);

} // namespace moe::tools

#endif
