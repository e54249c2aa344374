// moe-bench: times compiled layers beside the ceilings of the machine.
#include "runtime/Cpu.h"
#include "runtime/Failure.h"
#include "tools/ToolMain.h"
#include "tools/bench/Report.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <thread>

namespace {
using namespace moe;

constexpr const char *examples = R"(Examples:
  moe-bench --shape=H2048,F1024,E64,k8 --tokens=1,512 --threads=2
  moe-bench --shape=H512,F256,E8,k2 --dtype=f32 --level=avx2 -o json > now.json
  moe-bench --tokens=32,512 --threads=1,2 --routing=uniform --routing=zipf:1.2
  moe-bench --tokens=1,512 --dtype=bf16,q8 --explain

--routing=file:PATH replays a file of moe-run --routing; the router still runs
and is timed. With zipf:S rows are made so that the router itself chooses so.
A share compares with the ceiling measured just before and after each sample:
GFLOP/s with multiply-adds in registers, GB/s (weights only) with reading
memory. $MOE_L2 and $MOE_NODES are read as by moe-run. Exit status: 0 ok, 1
compile or run error, 2 usage, 4 a broken recording, 5 input or output, 6
memory, 7 no such instructions on this CPU.)";

struct Options {
  std::vector<std::string> shapes = {"H2048,F1024,E64,k8"};
  std::vector<int64_t> tokens = {1, 8, 32, 512};
  std::vector<std::string> dtypes = {"bf16"};
  std::string format = "md";
  std::vector<std::string> traffics = {"uniform"};
  std::vector<int> threads;
  bool printModel = false;
  bench::LayerOptions layer;
  bench::MeasureOptions measure;
};

bench::Precision precisionOf(const std::string &name) {
  std::optional<bench::Precision> precision = bench::parsePrecision(name);
  if (!precision)
    moert::fail(MOERT_USAGE,
                "--dtype: {}; wanted f32, bf16, f16, q8, q8g, q4 or q4z",
                moert::quote(name));
  return *precision;
}

/// The moe-compile beside this program, or else on the path.
std::string neighbour() {
  std::error_code error;
  auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  auto compiler = self.parent_path() / "moe-compile";
  return std::filesystem::exists(compiler, error) ? compiler.string()
                                                  : "moe-compile";
}

void print(const std::string &text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
      std::fflush(stdout) != 0)
    moert::fail(MOERT_IO, "standard output: cannot be written: {}",
                moert::errorText(errno));
}

/// --level, or else $MOE_CPU, or else what the runtime chooses from the levels
/// that an artefact of such a layer has.
std::string levelOf(const std::string &option, bench::Precision precision) {
  std::vector<std::string> levels = {"avx2", "avxvnni", "avx512", "avx512bf16",
                                     "amx"};
  const char *variable = std::getenv("MOE_CPU");
  std::optional<std::string_view> wanted;
  if (!option.empty())
    wanted = option;
  else if (variable && *variable)
    wanted = variable;
  if (!wanted && !bench::isQuantized(precision))
    std::erase(levels, "avxvnni");
  if (!wanted && precision == bench::Precision::F32)
    std::erase(levels, "amx");
  return moert::chooseLevel(levels, moert::supportedLevels(), moert::hasAmx(),
                            wanted);
}

int measure(Options options) {
  std::optional<bench::Format> format = bench::parseFormat(options.format);
  if (!format)
    moert::fail(MOERT_USAGE, "-o: {}; wanted md, csv, json, jsonl or gbench",
                moert::quote(options.format));
  std::vector<bench::Shape> shapes;
  for (const std::string &text : options.shapes)
    shapes.push_back(bench::parseShape(text, "--shape"));
  std::vector<bench::Precision> precisions;
  for (const std::string &name : options.dtypes)
    precisions.push_back(precisionOf(name));
  std::vector<bench::Traffic> traffics;
  for (const std::string &text : options.traffics)
    traffics.push_back(bench::parseTraffic(text, "--routing"));
  bool flat = *format == bench::Format::Csv ||
              *format == bench::Format::GoogleBenchmark;
  if (options.layer.explain && flat)
    moert::fail(MOERT_USAGE, "--explain: wanted -o md, json or jsonl, not {}",
                options.format);

  if (options.printModel) {
    const char *separator = "";
    for (const bench::Shape &shape : shapes)
      for (bench::Precision precision : precisions) {
        print(separator + bench::modelText(shape, bench::dtypeOf(precision),
                                           options.layer.explain));
        separator = "\n// -----\n\n";
      }
    return MOERT_OK;
  }

  std::vector<std::string> levels;
  for (bench::Precision precision : precisions)
    levels.push_back(levelOf(options.layer.level, precision));
  bench::Report report;
  report.processor = bench::processorName();
  report.cores = static_cast<int>(std::thread::hardware_concurrency());
  bench::CeilingMeter meter;
  for (const bench::Shape &shape : shapes)
    for (size_t i = 0; i < precisions.size(); ++i)
      for (int threads : options.threads) {
        tools::ProgressBar progress(
            fmt::format("{} {} threads {}", shape.text(),
                        bench::nameOf(precisions[i]), threads),
            "samples");
        progress.show(0, 1);
        options.layer.threads = threads;
        options.layer.level = levels[i];
        bench::Layer layer(shape, precisions[i], options.layer);
        auto more = bench::measureLayer(
            layer, options.tokens, traffics, meter, options.measure,
            report.ceilings,
            [&](int done, int total) { progress.show(done, total); });
        report.results.insert(report.results.end(), more.begin(), more.end());
      }
  print(bench::format(report, *format));
  return MOERT_OK;
}
} // namespace

int main(int argc, char **argv) {
  Options options;
  options.layer.compiler = neighbour();
  options.threads = {
      static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))};

  CLI::App app("Times Mixtral-style layers on random weights.", "moe-bench");
  app.footer(examples);
  app.set_version_flag("--version",
                       fmt::format("moe-bench {}", moert_version()));
  app.add_option("--shape", options.shapes,
                 "H,F,E,k: hidden, inner, experts, chosen; may be repeated")
      ->delimiter(';')
      ->capture_default_str();
  app.add_option("--tokens", options.tokens, "numbers of tokens")
      ->delimiter(',')
      ->check(CLI::Range(int64_t(1), int64_t(1) << 20))
      ->capture_default_str();
  app.add_option("--dtype", options.dtypes, "f32, bf16, f16, q8, q8g, q4, q4z")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--threads", options.threads, "numbers of threads")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--routing", options.traffics,
                 "how tokens spread over experts: uniform, zipf:S, file:PATH; "
                 "may be repeated")
      ->capture_default_str();
  app.add_flag("--explain", options.layer.explain,
               "time, limit and code of each product");
  app.add_option(
      "--level", options.layer.level,
      "avx2, avxvnni, avx512, avx512bf16 or amx (default: $MOE_CPU, or best)");
  app.add_option("--rounds", options.measure.rounds, "samples of each batch")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", options.measure.seconds,
                 "length of a sample, 0 to 60")
      ->capture_default_str();
  app.add_option("--retries", options.measure.retries,
                 "of a sample around which multiply-adds are slower than 88 % "
                 "of the fastest seen")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_option("--compiler", options.layer.compiler, "which moe-compile");
  app.add_option("-o", options.format, "md, csv, json, jsonl or gbench")
      ->capture_default_str();
  app.add_flag("--print-model", options.printModel,
               "print the models instead of timing them");
  // CLI::Range lets pass what is no number.
  app.get_option("--seconds")->check([](const std::string &text) {
    double number = -1;
    return CLI::detail::lexical_cast(text, number) && number >= 0 &&
                   number <= 60
               ? ""
               : fmt::format("{} is no number from 0 to 60",
                             moert::quote(text));
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &help) {
    return app.exit(help);
  } catch (const CLI::ParseError &error) {
    fmt::print(stderr, "moe-bench: {} (moe-bench --help explains)\n",
               error.what());
    return MOERT_USAGE;
  }
  return tools::runTool("moe-bench", [&] { return measure(options); });
}
