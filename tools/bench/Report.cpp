// The formats, see Report.h. CSV and JSON have the same fields.
#include "tools/bench/Report.h"
#include "tools/bench/Explain.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace moe::bench {

namespace {
using Json = nlohmann::ordered_json;

/// Four digits are more than the noise leaves.
double rounded(double value) { return std::stod(fmt::format("{:.4g}", value)); }

Json fieldsOf(const Result &r) {
  return {{"shape", r.shape.text()},
          {"dtype", nameOf(r.precision)},
          {"tokens", r.tokens},
          {"routing", r.traffic},
          {"level", r.level},
          {"threads", r.threads},
          {"rounds", r.rounds},
          {"active_experts", rounded(r.activeExperts)},
          {"largest_load", rounded(r.largestLoad)},
          {"ms", rounded(r.milliseconds.median)},
          {"ms_min", rounded(r.milliseconds.least)},
          {"ms_max", rounded(r.milliseconds.most)},
          {"gflops", rounded(r.operations.median)},
          {"gflops_share", rounded(r.operationsShare.median)},
          {"gflops_share_min", rounded(r.operationsShare.least)},
          {"gflops_share_max", rounded(r.operationsShare.most)},
          {"tile_share", rounded(r.tileShare.median)},
          {"gbs", rounded(r.bytes.median)},
          {"gbs_share", rounded(r.bytesShare.median)},
          {"gbs_share_min", rounded(r.bytesShare.least)},
          {"gbs_share_max", rounded(r.bytesShare.most)},
          {"routing_share", rounded(r.routingShare)},
          {"ceiling_gflops", rounded(r.ceilingOperations)},
          {"ceiling_gbs", rounded(r.ceilingBytes)}};
}

struct RateField {
  const char *name;
  const char *unit;
  const char *meaning;
  Rate rate;
};
constexpr RateField rateFields[] = {
    {"fma_avx2", "GFLOP/s", "f32 multiply-add, AVX2", Rate::Fma256},
    {"fma_avx512", "GFLOP/s", "f32 multiply-add, AVX-512", Rate::Fma512},
    {"dot_avx512bf16", "GFLOP/s", "bf16 dot, AVX-512-BF16", Rate::Dot512},
    {"dot_avx512vnni", "GOP/s", "int8 dot, AVX-512-VNNI", Rate::Bytes512},
    {"tile_fma_avx2", "GFLOP/s", "f32, AVX2, with a panel from L2",
     Rate::TileFma256},
    {"tile_fma_avx512", "GFLOP/s", "f32, AVX-512, with a panel from L2",
     Rate::TileFma512},
    {"tile_dot_avx512bf16", "GFLOP/s",
     "bf16, AVX-512-BF16, with a panel from L2", Rate::TileDot512},
    {"tile_dot_avx512vnni", "GOP/s", "int8, AVX-512-VNNI, with a panel from L2",
     Rate::TileBytes512},
    {"amx_bf16", "GFLOP/s", "bf16, AMX", Rate::Matrix},
    {"amx_int8", "GOP/s", "int8, AMX", Rate::MatrixBytes},
    {"tile_amx_bf16", "GFLOP/s", "bf16, AMX, with a panel from L2",
     Rate::TileMatrix},
    {"tile_amx_int8", "GOP/s", "int8, AMX, with a panel from L2",
     Rate::TileMatrixBytes},
    {"dot_avxvnni", "GOP/s", "int8 dot, AVX-VNNI", Rate::Bytes256},
    {"tile_dot_avxvnni", "GOP/s", "int8, AVX-VNNI, with a panel from L2",
     Rate::TileBytes256},
    {"read_1_stream", "GB/s", "memory read, 1 stream a thread", Rate::Stream1},
    {"read_8_streams", "GB/s", "memory read, 8 streams a thread",
     Rate::Stream8}};
static_assert(std::size(rateFields) == rateCount);

struct RateSpread {
  int threads;
  const RateField *field;
  Spread spread;
};

/// For every number of threads, in the order in which they were measured, the
/// rates that this CPU has.
std::vector<RateSpread> ratesOf(const Report &report) {
  std::vector<int> threads;
  for (const Ceiling &ceiling : report.ceilings)
    if (std::ranges::find(threads, ceiling.threads) == threads.end())
      threads.push_back(ceiling.threads);
  std::vector<RateSpread> rates;
  for (int count : threads)
    for (const RateField &field : rateFields) {
      std::vector<double> values;
      for (const Ceiling &ceiling : report.ceilings)
        if (ceiling.threads == count)
          values.push_back(ceiling.at(field.rate));
      Spread spread = spreadOf(std::move(values));
      if (spread.median > 0)
        rates.push_back({count, &field, spread});
    }
  return rates;
}

std::string percent(double value) {
  return fmt::format("{:.0f} %", value * 100);
}

/// How products are computed, said once for all numbers of tokens, and one row
/// for every product of every result that is explained.
std::string explanation(const Report &report) {
  std::string how, rows;
  std::set<std::string> said;
  for (const Result &r : report.results)
    for (const Product &product : r.products) {
      std::string code = fmt::format("* {}, {}, {}, {}: {}\n", r.shape.text(),
                                     nameOf(r.precision), r.level, product.name,
                                     product.remark);
      if (said.insert(code).second)
        how += code;
      std::string share;
      if (product.name == "router") {
        share = fmt::format("{:.1f} %", r.routingShare * 100);
        if (std::optional<double> limit = routingLimit(r.tokens))
          share += fmt::format(" (goal: below {:.0f} %)", *limit * 100);
      } else {
        share = percent(product.milliseconds / r.milliseconds.median);
      }
      rows += fmt::format(
          "| {} | {} | {} | {} | {} | {} | {} | {:.4g} | {:.4g} | {} | {} | {} "
          "| {:.1f} |\n",
          r.shape.text(), nameOf(r.precision), r.threads, r.traffic, r.tokens,
          product.name, share, product.milliseconds, product.expected,
          product.boundByMemory ? "memory" : "multiply-adds",
          percent(product.share), percent(product.expectedShare),
          product.bytes * 1e-6);
    }
  if (rows.empty())
    return {};
  return "\n" + how +
         "\n| shape | dtype | threads | routing | T | product | of the layer | "
         "ms | expected | limit | share | expected | MB |\n"
         "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n" +
         rows;
}

std::string markdown(const Report &report) {
  std::string text =
      fmt::format("{}, {} cores\n\n", report.processor, report.cores);
  text += "| ceiling | threads | median | min … max |\n|---|---|---|---|\n";
  for (const RateSpread &rate : ratesOf(report))
    text += fmt::format("| {} | {} | {:.1f} {} | {:.1f} … {:.1f} |\n",
                        rate.field->meaning, rate.threads, rate.spread.median,
                        rate.field->unit, rate.spread.least, rate.spread.most);
  text +=
      "\n| shape | dtype | level | threads | routing | T | ms | min … max | "
      "GFLOP/s | share | GB/s | share | router |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Result &r : report.results) {
    // The larger share is the limit that the sample is near.
    bool compute = r.operationsShare.median >= r.bytesShare.median;
    auto share = [](double value, bool bold) {
      return bold ? "**" + percent(value) + "**" : percent(value);
    };
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {:.4g} | {:.4g} … {:.4g} | {:.1f} | "
        "{} | {:.1f} | {} | {:.1f} % |\n",
        r.shape.text(), nameOf(r.precision), r.level, r.threads, r.traffic,
        r.tokens, r.milliseconds.median, r.milliseconds.least,
        r.milliseconds.most, r.operations.median,
        share(r.operationsShare.median, compute), r.bytes.median,
        share(r.bytesShare.median, !compute), r.routingShare * 100);
  }
  return text + explanation(report);
}

std::string csv(const Report &report) {
  std::string text;
  for (const Result &result : report.results) {
    Json fields = fieldsOf(result);
    if (text.empty()) {
      for (const auto &[name, value] : fields.items())
        text += (text.empty() ? "" : ",") + name;
      text += '\n';
    }
    std::string line;
    for (const auto &[name, value] : fields.items()) {
      if (!line.empty())
        line += ',';
      line += value.dump(); // strings in quotes: a shape has commas
    }
    text += line + '\n';
  }
  return text;
}

Json explainedFieldsOf(const Result &r) {
  Json fields = fieldsOf(r);
  Json &rounds = fields["ms_rounds"] = Json::array();
  for (const Sample &sample : r.samples)
    rounds.push_back(rounded(sample.seconds * 1e3));
  for (const Product &product : r.products)
    fields["products"].push_back(
        {{"product", product.name},
         {"how", product.remark},
         {"ms", rounded(product.milliseconds)},
         {"expected_ms", rounded(product.expected)},
         {"limit", product.boundByMemory ? "memory" : "multiply-adds"},
         {"share", rounded(product.share)},
         {"expected_share", rounded(product.expectedShare)},
         {"bytes", product.bytes}});
  return fields;
}

std::string json(const Report &report) {
  Json ceilings = Json::array();
  for (const RateSpread &rate : ratesOf(report))
    ceilings.push_back({{"name", rate.field->name},
                        {"threads", rate.threads},
                        {"unit", rate.field->unit},
                        {"median", rounded(rate.spread.median)},
                        {"min", rounded(rate.spread.least)},
                        {"max", rounded(rate.spread.most)}});
  Json results = Json::array();
  for (const Result &result : report.results)
    results.push_back(explainedFieldsOf(result));
  Json document = {{"processor", report.processor},
                   {"cores", report.cores},
                   {"ceilings", ceilings},
                   {"results", results}};
  return document.dump(2) + "\n";
}

std::string timeNow() {
  std::time_t now = std::time(nullptr);
  std::tm local{};
  char text[64];
  localtime_r(&now, &local);
  return {text, std::strftime(text, sizeof text, "%FT%T%z", &local)};
}

/// Every round is a repetition. What a rate is per second, it is here too.
std::string googleBenchmark(const Report &report) {
  Json benchmarks = Json::array();
  int family = 0;
  for (const Result &r : report.results) {
    std::string name =
        fmt::format("{}/{}/{}/{}/{}", r.shape.text(), nameOf(r.precision),
                    r.level, r.traffic, r.tokens);
    double operations = r.shape.operations(r.tokens);
    double bytes = r.shape.weightBytes(r.activeExperts, r.precision);
    int repetition = 0;
    for (const Sample &sample : r.samples)
      benchmarks.push_back(
          {{"name", fmt::format("{}/threads:{}", name, r.threads)},
           {"family_index", family},
           {"per_family_instance_index", 0},
           {"run_name", fmt::format("{}/threads:{}", name, r.threads)},
           {"run_type", "iteration"},
           {"repetitions", r.rounds},
           {"repetition_index", repetition++},
           {"threads", r.threads},
           {"iterations", 1},
           {"real_time", sample.seconds * 1e3},
           {"cpu_time", sample.processor * 1e3},
           {"time_unit", "ms"},
           {"flops", operations / sample.seconds},
           {"bytes_per_second", bytes / sample.seconds}});
    ++family;
  }
  Json document = {{"context",
                    {{"date", timeNow()},
                     {"executable", "moe-bench"},
                     {"num_cpus", report.cores},
                     {"library_build_type", "release"},
                     {"json_schema_version", 1}}},
                   {"benchmarks", benchmarks}};
  return document.dump(2) + "\n";
}
} // namespace

std::optional<Format> parseFormat(std::string_view name) {
  if (name == "md")
    return Format::Markdown;
  if (name == "csv")
    return Format::Csv;
  if (name == "json")
    return Format::Json;
  if (name == "jsonl")
    return Format::JsonLines;
  if (name == "gbench")
    return Format::GoogleBenchmark;
  return std::nullopt;
}

std::string processorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown";
}

std::string format(const Report &report, Format format) {
  switch (format) {
  case Format::Markdown:
    return markdown(report);
  case Format::Csv:
    return csv(report);
  case Format::Json:
    return json(report);
  case Format::JsonLines: {
    std::string text;
    for (const Result &result : report.results)
      text += explainedFieldsOf(result).dump() + '\n';
    return text;
  }
  case Format::GoogleBenchmark:
    return googleBenchmark(report);
  }
  return {};
}

} // namespace moe::bench
