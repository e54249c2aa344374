// Generated products beside their twins by hand and oneDNN, one thread, in one
// run whose repetitions are interleaved.
#include "bench/Generated.h"
#include "bench/Twin.h"
#ifdef MOE_HAS_ONEDNN
#include "bench/OneDnn.h"
#endif
#include "tools/bench/Measure.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <map>

using namespace moe::bench;

namespace {

// One tile of an expert, an expert of OLMoE and of Mixtral at T = 512, a dense
// product.
constexpr Size sizes[] = {
    {6, 2048, 2048}, {64, 2048, 2048}, {128, 4096, 2048}, {512, 2048, 1024}};
constexpr ProductKind products[] = {
    {TileKind::Fma256},   {TileKind::Fma512},       {TileKind::Dot512},
    {TileKind::Bytes512}, {TileKind::Dot512, true}, {TileKind::Bytes512, true}};

/// Ends the program if a result is not the sum, on some elements.
/// `ofBytes`: as oneDNN does int8.
void check(const Problem &problem, const std::string &who, const float *results,
           bool ofBytes) {
  for (int64_t i = 0; i < 50; ++i) {
    int64_t m = i * 7 % problem.size.rows;
    int64_t n = i * 1009 % problem.size.outputs;
    double sum = 0;
    double size = 0;
    for (int64_t k = 0; k < problem.size.inputs; ++k) {
      double row = ofBytes ? problem.byte(m, k) : problem.row(m, k);
      double product = row * problem.weight(n, k);
      sum += product;
      size += std::abs(product);
    }
    double got = results[m * problem.size.outputs + n];
    if (std::abs(got - sum) > 1e-5 * size) {
      fmt::print(stderr, "{} {} {}: element {}, {} is {}, wanted {}\n",
                 problem.name(), problem.size.text(), who, m, n, got, sum);
      std::exit(1);
    }
  }
}

/// Keeps the times of all repetitions, shows their medians, and prints ratios
/// at the end. Time is that of the thread: what other programs take does not
/// count.
class RatioReporter : public benchmark::ConsoleReporter {
public:
  RatioReporter() : ConsoleReporter(OO_None) {}

  void ReportRuns(const std::vector<Run> &runs) override {
    std::vector<Run> medians;
    for (const Run &run : runs) {
      if (run.run_type == Run::RT_Iteration && !run.error_occurred)
        times[run.run_name.function_name].push_back(run.GetAdjustedCPUTime());
      if (run.aggregate_name == "median")
        medians.push_back(run);
    }
    ConsoleReporter::ReportRuns(medians);
  }

  void Finalize() override {
    fmt::print(
        "\n| product | M x N x K | generated GFLOP/s | by hand | ratio | "
        "oneDNN | ratio |\n|---|---|---|---|---|---|---|\n");
    for (const ProductKind &product : products)
      for (const Size &size : sizes) {
        auto rate = [&](const char *who) {
          auto found = times.find(nameFor(product, size, who));
          return found == times.end()
                     ? 0
                     : 2.0 * static_cast<double>(size.rows) *
                           static_cast<double>(size.outputs * size.inputs) /
                           spreadOf(found->second).median;
        };
        double generated = rate("generated");
        if (generated == 0)
          continue;
        auto beside = [&](double other) {
          return other == 0 ? std::string("| - | - ")
                            : fmt::format("| {:.1f} | {:.2f} ", other,
                                          generated / other);
        };
        fmt::print("| {} | {} | {:.1f} {}{}|\n", product.name(), size.text(),
                   generated, beside(rate("hand")),
                   beside(std::max(rate("oneDNN"), rate("oneDNN dense"))));
      }
  }

  static std::string nameFor(const ProductKind &product, const Size &size,
                             const char *who) {
    return fmt::format("{}/{}/{}", product.name(), size.text(), who);
  }

private:
  std::map<std::string, std::vector<double>> times; // nanoseconds
};

template <typename Multiply>
void add(Problem &problem, const char *who, bool ofBytes, Multiply multiply) {
  auto results = reinterpret_cast<float *>(problem.results.data());
  // Not those of somebody else.
  std::ranges::fill(problem.results.span(), uint8_t(0x55));
  multiply(results);
  check(problem, who, results, ofBytes);
  benchmark::RegisterBenchmark(
      RatioReporter::nameFor(problem, problem.size, who).c_str(),
      [=, &problem](benchmark::State &state) mutable {
        for (auto _ : state) {
          multiply(results);
          benchmark::ClobberMemory();
        }
        state.counters["flops"] =
            benchmark::Counter(problem.operations(),
                               benchmark::Counter::kIsIterationInvariantRate);
      });
}

} // namespace

int main(int argc, char **argv) {
  // What is not given on the command line.
  std::vector<char *> arguments = {
      argv[0], const_cast<char *>("--benchmark_repetitions=9"),
      const_cast<char *>("--benchmark_min_time=0.05"),
      const_cast<char *>("--benchmark_enable_random_interleaving=true"),
      const_cast<char *>("--benchmark_report_aggregates_only=false")};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data()))
    return 2;

  std::vector<std::unique_ptr<Problem>> problems;
  for (const ProductKind &product : products) {
    if (!Generated::runs(product)) {
      fmt::print(stderr, "{}: this CPU lacks the instructions\n",
                 product.name());
      continue;
    }
    for (const Size &size : sizes) {
      if (product.onTiles && size.rows % matrixRows != 0)
        continue; // the twin has whole tiles only
      Problem &problem =
          *problems.emplace_back(std::make_unique<Problem>(product, size));
      auto generated = std::make_shared<Generated>(problem);
      add(problem, "generated", false, [generated, &problem](float *results) {
        generated->multiply(problem, results);
      });
      add(problem, "hand", false,
          [&problem](float *results) { multiplyByHand(problem, results); });
#ifdef MOE_HAS_ONEDNN
      if (OneDnn::uses(problem)) {
        for (bool dense : {false, true}) {
          auto library = std::make_shared<OneDnn>(problem, dense);
          add(problem, dense ? "oneDNN dense" : "oneDNN",
              product.kind == TileKind::Bytes512,
              [library](float *results) { library->multiply(results); });
        }
      }
#endif
    }
  }
  RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}
