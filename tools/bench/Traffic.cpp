// Drawing experts by Gumbel's trick and cutting recordings, see Traffic.h.
#include "tools/bench/Traffic.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace moe::bench {

using moert::Array;

std::string Traffic::text() const {
  switch (kind) {
  case Kind::Uniform:
    return "uniform";
  case Kind::Zipf:
    return fmt::format("zipf:{}", exponent);
  case Kind::File:
    return "file:" + path;
  }
  return {};
}

Traffic parseTraffic(std::string_view text, std::string_view option) {
  Traffic traffic;
  if (text == "uniform")
    return traffic;
  if (text.starts_with("file:") && text.size() > 5) {
    traffic.kind = Traffic::Kind::File;
    traffic.path = text.substr(5);
    return traffic;
  }
  traffic.kind = Traffic::Kind::Zipf;
  if (text.starts_with("zipf:")) {
    const char *end = text.data() + text.size();
    auto [stop, error] =
        std::from_chars(text.data() + 5, end, traffic.exponent);
    if (error == std::errc() && stop == end && traffic.exponent >= 0 &&
        traffic.exponent <= 100)
      return traffic;
  }
  moert::fail(MOERT_USAGE,
              "{}: {}; wanted uniform, zipf:S with S from 0 to 100, or "
              "file:PATH",
              option, moert::quote(text));
}

/// A permutation of the experts, the same for all inputs of a shape.
static std::vector<int32_t> shuffledExperts(int64_t experts) {
  std::vector<int32_t> order(static_cast<size_t>(experts));
  std::iota(order.begin(), order.end(), 0);
  RandomNumbers random(static_cast<uint64_t>(experts));
  for (int64_t i = experts - 1; i > 0; --i) {
    auto other =
        static_cast<int64_t>(random.uniform() * static_cast<double>(i + 1));
    std::swap(order[i], order[other]);
  }
  return order;
}

std::vector<int32_t> drawExperts(const Shape &shape, int64_t tokens,
                                 double exponent, RandomNumbers &random) {
  std::vector<int32_t> order = shuffledExperts(shape.experts);
  std::vector<int32_t> drawn;
  std::vector<std::pair<double, int32_t>> keys(order.size());
  for (int64_t token = 0; token < tokens; ++token) {
    // The k largest of log p + Gumbel noise are k draws without replacement.
    for (size_t i = 0; i < keys.size(); ++i) {
      double noise = -std::log(-std::log(random.uniform()));
      keys[i] = {noise - exponent * std::log(static_cast<double>(i + 1)),
                 order[i]};
    }
    std::partial_sort(keys.begin(), keys.begin() + shape.choices, keys.end(),
                      std::greater());
    for (int64_t choice = 0; choice < shape.choices; ++choice)
      drawn.push_back(keys[choice].second);
  }
  return drawn;
}

tools::RecordedRouting cutRecording(const tools::RecordedRouting &from,
                                    int64_t first, int64_t tokens) {
  int64_t recorded = from.ids.shape[0];
  int64_t slots = from.ids.shape[1];
  tools::RecordedRouting cut = {
      Array(MOERT_I32, {tokens, slots}, "the choices"),
      Array(MOERT_F32, {tokens, slots}, "the weights")};
  for (int64_t i = 0; i < tokens * slots; ++i) {
    int64_t at = (first + i / slots) % recorded * slots + i % slots;
    moert::storeInteger(
        MOERT_I32, cut.ids.data.data() + i * 4,
        moert::loadInteger(MOERT_I32, from.ids.data.data() + at * 4));
    moert::storeElement(MOERT_F32, cut.weights.data.data() + i * 4,
                        from.weights.element(at));
  }
  return cut;
}

} // namespace moe::bench
