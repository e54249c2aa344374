// Rounds, samples, medians, see Measure.h.
#include "tools/bench/Measure.h"
#include "tools/bench/Explain.h"

#include <algorithm>
#include <ctime>

namespace moe::bench {

namespace {
double processorTime() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Times {
  double seconds;
  double processor;
};

/// Medians over calls that take `seconds` together. The first call only wakes
/// the threads.
template <typename Call> Times timesOf(double seconds, const Call &call) {
  std::vector<double> taken;
  std::vector<double> processor;
  double sum = 0;
  call(size_t(0));
  for (size_t i = 1; sum < seconds || taken.size() < 3; ++i) {
    double begin = processorTime();
    taken.push_back(call(i));
    processor.push_back(processorTime() - begin);
    sum += taken.back();
  }
  return {spreadOf(std::move(taken)).median,
          spreadOf(std::move(processor)).median};
}

Result summarise(const Layer &layer, const Batch &batch,
                 std::vector<Sample> samples) {
  Result result{};
  result.shape = layer.shape();
  result.precision = layer.precision();
  result.tokens = batch.tokens;
  result.traffic = batch.traffic.text();
  result.level = layer.level();
  result.threads = layer.threads();
  result.rounds = static_cast<int>(samples.size());
  result.activeExperts = batch.activeExperts;
  result.largestLoad = batch.largestLoad;

  double operations = layer.shape().operations(batch.tokens) * 1e-9;
  double bytes =
      layer.shape().weightBytes(batch.activeExperts, layer.precision()) * 1e-9;
  auto spread = [&](auto value) {
    std::vector<double> values;
    for (const Sample &sample : samples)
      values.push_back(value(sample));
    return spreadOf(std::move(values));
  };
  auto limit = [&](const Ceiling &ceiling) {
    return ceiling.operations(result.level, result.precision);
  };
  result.milliseconds = spread([](const Sample &s) { return s.seconds * 1e3; });
  result.operations =
      spread([&](const Sample &s) { return operations / s.seconds; });
  result.bytes = spread([&](const Sample &s) { return bytes / s.seconds; });
  result.operationsShare = spread([&](const Sample &s) {
    return operations / s.seconds / limit(s.around);
  });
  result.tileShare = spread([&](const Sample &s) {
    return operations / s.seconds /
           s.around.tileOperations(result.level, result.precision);
  });
  result.bytesShare = spread(
      [&](const Sample &s) { return bytes / s.seconds / s.around.bytes(); });
  result.routingShare =
      spread([](const Sample &s) { return s.routing / s.seconds; }).median;
  result.ceilingOperations =
      spread([&](const Sample &s) { return limit(s.around); }).median;
  result.ceilingBytes =
      spread([](const Sample &s) { return s.around.bytes(); }).median;
  if (!layer.remarks().empty())
    result.products = explainProducts(layer, batch, samples);
  result.samples = std::move(samples);
  return result;
}

/// Whether multiply-adds were much slower around a sample than they can be:
/// others used the processor. The rate of memory says nothing, since it changes
/// for minutes.
bool isDisturbed(const Layer &layer, std::initializer_list<Ceiling> around,
                 std::span<const Ceiling> all) {
  auto rate = [&](const Ceiling &ceiling) {
    return ceiling.threads == layer.threads()
               ? ceiling.operations(layer.level(), layer.precision())
               : 0;
  };
  double best = rate(std::ranges::max(all, {}, rate));
  return rate(std::ranges::min(around, {}, rate)) < 0.88 * best;
}
} // namespace

std::vector<Result>
measureLayer(const Layer &layer, std::span<const int64_t> tokens,
             std::span<const Traffic> traffics, CeilingMeter &meter,
             const MeasureOptions &options, std::vector<Ceiling> &ceilings,
             const std::function<void(int, int)> &progress) {
  std::vector<Batch> batches;
  for (const Traffic &traffic : traffics)
    for (int64_t count : tokens)
      batches.push_back(layer.makeBatch(count, traffic));
  std::vector<std::vector<Sample>> samples(batches.size());
  int total = options.rounds * static_cast<int>(batches.size());
  int done = 0;
  auto measureCeiling = [&] {
    ceilings.push_back(meter.measure(layer.threads()));
    return ceilings.back();
  };
  for (int round = 0; round < options.rounds; ++round) {
    Ceiling before = measureCeiling();
    for (size_t i = 0; i < batches.size(); ++i) {
      Batch &batch = batches[i];
      auto times = [&](Part part, double seconds) {
        return timesOf(seconds, [&](size_t input) {
          return layer.call(part, batch, input);
        });
      };
      Sample sample{};
      for (int retry = 0;; ++retry) {
        Times whole = times(Part::Layer, options.seconds);
        sample.seconds = whole.seconds;
        sample.processor = whole.processor;
        if (!layer.remarks().empty())
          sample.narrow = times(Part::Narrow, options.seconds).seconds;
        Ceiling after = measureCeiling();
        sample.around = between(before, after);
        bool disturbed = isDisturbed(layer, {before, after}, ceilings);
        before = after;
        if (!disturbed || retry == options.retries)
          break;
      }
      sample.routing = times(Part::Routing, 0).seconds;
      samples[i].push_back(sample);
      progress(++done, total);
    }
  }
  std::vector<Result> results;
  for (size_t i = 0; i < batches.size(); ++i)
    results.push_back(summarise(layer, batches[i], std::move(samples[i])));
  return results;
}

} // namespace moe::bench
