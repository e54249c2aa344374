// Text of moe-run --stats, see Stats.h.
#include "tools/Stats.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace moe::tools {

namespace {
constexpr int64_t barWidth = 40;

std::string durationText(double seconds) {
  if (seconds < 1e-3)
    return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 1)
    return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}
} // namespace

std::string loadText(int routing, std::span<const int64_t> loads,
                     int64_t choices, int64_t slots) {
  int64_t rows = std::accumulate(loads.begin(), loads.end(), int64_t(0));
  auto sum = static_cast<double>(rows);
  int64_t most = loads.empty() ? 0 : std::ranges::max(loads);
  std::string text =
      fmt::format("routing {}: {} experts", routing, loads.size());
  if (choices > 0)
    text += fmt::format(", up to {} a token", choices);
  text += fmt::format(", {} rows", rows);
  if (slots > rows && choices < static_cast<int64_t>(loads.size()))
    text += fmt::format(", {} of {} slots empty ({:.1f}%)", slots - rows, slots,
                        100 - 100 * sum / static_cast<double>(slots));
  if (sum > 0)
    text += fmt::format(", the busiest has {:.2f} times the mean",
                        static_cast<double>(most) *
                            static_cast<double>(loads.size()) / sum);
  text += '\n';
  size_t digits = fmt::to_string(loads.size()).size();
  size_t countDigits = fmt::to_string(most).size();
  for (size_t expert = 0; expert < loads.size(); ++expert) {
    // In double: counts times the width may not fit. A used expert shows at
    // least one mark.
    double share = most > 0 ? static_cast<double>(loads[expert]) /
                                  static_cast<double>(most)
                            : 0;
    auto marks = static_cast<int64_t>(share * barWidth + 0.5);
    marks = std::clamp<int64_t>(marks, loads[expert] > 0 ? 1 : 0, barWidth);
    text += fmt::format(
        "  expert {:>{}}  {:#<{}}{: <{}}  {:>{}}  {:5.1f}%\n", expert, digits,
        "", marks, "", barWidth - marks, loads[expert], countDigits,
        sum > 0 ? 100 * static_cast<double>(loads[expert]) / sum : 0.0);
  }
  return text;
}

std::string timeText(std::vector<double> seconds, int64_t tokens, int threads,
                     const std::string &level) {
  std::ranges::sort(seconds);
  double median = seconds[seconds.size() / 2];
  std::string text = fmt::format("time: {} a call", durationText(median));
  if (tokens > 0)
    text += fmt::format(", {} a token",
                        durationText(median / static_cast<double>(tokens)));
  return text +
         fmt::format(" ({} token{}, {} thread{}, {}, median of {} call{})\n",
                     tokens, tokens == 1 ? "" : "s", threads,
                     threads == 1 ? "" : "s", level, seconds.size(),
                     seconds.size() == 1 ? "" : "s");
}

} // namespace moe::tools
