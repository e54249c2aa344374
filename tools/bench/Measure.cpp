// Rounds, samples, medians, see Measure.h.
#include "tools/bench/Measure.h"

#include <algorithm>

namespace moe::bench {

namespace {
/// Median seconds of calls that take `seconds` together. The first call only
/// wakes the threads.
template <typename Call> double sample(double seconds, const Call &call) {
  std::vector<double> taken;
  double sum = 0;
  call(size_t(0));
  for (size_t i = 1; sum < seconds || taken.size() < 3; ++i) {
    taken.push_back(call(i));
    sum += taken.back();
  }
  return spreadOf(std::move(taken)).median;
}

struct Samples {
  std::vector<double> seconds;
  std::vector<double> routing;
  std::vector<Ceiling> around;
};

Result summarise(const Layer &layer, const Batch &batch, const Samples &samples,
                 const MeasureOptions &options) {
  Result result{};
  result.shape = layer.shape();
  result.precision = layer.precision();
  result.tokens = batch.tokens;
  result.level = layer.level();
  result.threads = options.threads;
  result.rounds = options.rounds;
  result.activeExperts = batch.activeExperts;

  double operations = layer.shape().operations(batch.tokens) * 1e-9;
  double bytes =
      layer.shape().weightBytes(batch.activeExperts, layer.precision()) * 1e-9;
  auto spread = [&](auto value) {
    std::vector<double> values;
    for (size_t i = 0; i < samples.seconds.size(); ++i)
      values.push_back(value(samples.seconds[i], samples.around[i], i));
    return spreadOf(std::move(values));
  };
  auto limit = [&](const Ceiling &ceiling) {
    return ceiling.operations(result.level, result.precision);
  };
  result.milliseconds =
      spread([](double s, const Ceiling &, size_t) { return s * 1e3; });
  result.operations =
      spread([&](double s, const Ceiling &, size_t) { return operations / s; });
  result.bytes =
      spread([&](double s, const Ceiling &, size_t) { return bytes / s; });
  result.operationsShare = spread([&](double s, const Ceiling &c, size_t) {
    return operations / s / limit(c);
  });
  result.bytesShare = spread([&](double s, const Ceiling &c, size_t) {
    return bytes / s / c.bytes();
  });
  result.routingShare = spread([&](double s, const Ceiling &, size_t i) {
                          return samples.routing[i] / s;
                        }).median;
  result.ceilingOperations =
      spread([&](double, const Ceiling &c, size_t) { return limit(c); }).median;
  result.ceilingBytes =
      spread([](double, const Ceiling &c, size_t) { return c.bytes(); }).median;
  return result;
}
} // namespace

Spread spreadOf(std::vector<double> values) {
  std::ranges::sort(values);
  size_t middle = values.size() / 2;
  double median = values.size() % 2 ? values[middle]
                                    : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

std::vector<Result>
measureLayer(const Layer &layer, std::span<const int64_t> tokens,
             CeilingMeter &meter, const MeasureOptions &options,
             std::vector<Ceiling> &ceilings,
             const std::function<void(int, int)> &progress) {
  std::vector<Batch> batches;
  for (int64_t count : tokens)
    batches.push_back(layer.makeBatch(count));
  std::vector<Samples> samples(batches.size());
  int total = options.rounds * static_cast<int>(batches.size());
  int done = 0;
  for (int round = 0; round < options.rounds; ++round) {
    Ceiling before = meter.measure();
    ceilings.push_back(before);
    for (size_t i = 0; i < batches.size(); ++i) {
      Batch &batch = batches[i];
      double seconds = sample(options.seconds, [&](size_t input) {
        return layer.callLayer(batch, input);
      });
      Ceiling after = meter.measure();
      ceilings.push_back(after);
      samples[i].seconds.push_back(seconds);
      samples[i].around.push_back(between(before, after));
      samples[i].routing.push_back(sample(
          0, [&](size_t input) { return layer.callRouting(batch, input); }));
      before = after;
      progress(++done, total);
    }
  }
  std::vector<Result> results;
  for (size_t i = 0; i < batches.size(); ++i)
    results.push_back(summarise(layer, batches[i], samples[i], options));
  return results;
}

} // namespace moe::bench
