// The four formats, see Report.h. CSV and JSON have the same fields.
#include "tools/bench/Report.h"

#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>

namespace moe::bench {

namespace {
using Json = nlohmann::ordered_json;

/// Four digits are more than the noise leaves.
double rounded(double value) { return std::stod(fmt::format("{:.4g}", value)); }

Json fieldsOf(const Result &r) {
  return {{"shape", r.shape.text()},
          {"dtype", nameOf(r.precision)},
          {"tokens", r.tokens},
          {"level", r.level},
          {"threads", r.threads},
          {"rounds", r.rounds},
          {"active_experts", rounded(r.activeExperts)},
          {"ms", rounded(r.milliseconds.median)},
          {"ms_min", rounded(r.milliseconds.least)},
          {"ms_max", rounded(r.milliseconds.most)},
          {"gflops", rounded(r.operations.median)},
          {"gflops_share", rounded(r.operationsShare.median)},
          {"gflops_share_min", rounded(r.operationsShare.least)},
          {"gflops_share_max", rounded(r.operationsShare.most)},
          {"gbs", rounded(r.bytes.median)},
          {"gbs_share", rounded(r.bytesShare.median)},
          {"gbs_share_min", rounded(r.bytesShare.least)},
          {"gbs_share_max", rounded(r.bytesShare.most)},
          {"routing_share", rounded(r.routingShare)},
          {"ceiling_gflops", rounded(r.ceilingOperations)},
          {"ceiling_gbs", rounded(r.ceilingBytes)}};
}

struct CeilingField {
  const char *name;
  const char *unit;
  const char *meaning;
  double Ceiling::*value;
};
constexpr CeilingField ceilingFields[] = {
    {"fma_avx2", "GFLOP/s", "f32 multiply-add, AVX2", &Ceiling::fma256},
    {"fma_avx512", "GFLOP/s", "f32 multiply-add, AVX-512", &Ceiling::fma512},
    {"dot_avx512bf16", "GFLOP/s", "bf16 dot, AVX-512-BF16", &Ceiling::dot512},
    {"dot_avx512vnni", "GOP/s", "int8 dot, AVX-512-VNNI", &Ceiling::bytes512},
    {"read_1_stream", "GB/s", "memory read, 1 stream a thread",
     &Ceiling::stream1},
    {"read_8_streams", "GB/s", "memory read, 8 streams a thread",
     &Ceiling::stream8}};

Spread spreadOf(const std::vector<Ceiling> &ceilings, double Ceiling::*value) {
  std::vector<double> values;
  for (const Ceiling &ceiling : ceilings)
    values.push_back(ceiling.*value);
  return bench::spreadOf(std::move(values));
}

std::string markdown(const Report &report) {
  std::string text =
      fmt::format("{}, {} cores, {} threads\n\n", report.processor,
                  report.cores, report.threads);
  text += "| ceiling | median | min … max |\n|---|---|---|\n";
  for (const CeilingField &field : ceilingFields) {
    Spread spread = spreadOf(report.ceilings, field.value);
    if (spread.median > 0)
      text +=
          fmt::format("| {} | {:.1f} {} | {:.1f} … {:.1f} |\n", field.meaning,
                      spread.median, field.unit, spread.least, spread.most);
  }
  text += "\n| shape | dtype | level | T | ms | min … max | GFLOP/s | share | "
          "GB/s | share | routing |\n"
          "|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Result &r : report.results) {
    // The larger share is the limit that the sample is near.
    bool compute = r.operationsShare.median >= r.bytesShare.median;
    auto share = [](double value, bool bold) {
      return bold ? fmt::format("**{:.0f} %**", value * 100)
                  : fmt::format("{:.0f} %", value * 100);
    };
    text += fmt::format(
        "| {} | {} | {} | {} | {:.4g} | {:.4g} … {:.4g} | {:.1f} | {} | {:.1f} "
        "| {} | {:.1f} % |\n",
        r.shape.text(), nameOf(r.precision), r.level, r.tokens,
        r.milliseconds.median, r.milliseconds.least, r.milliseconds.most,
        r.operations.median, share(r.operationsShare.median, compute),
        r.bytes.median, share(r.bytesShare.median, !compute),
        r.routingShare * 100);
  }
  return text;
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

std::string json(const Report &report) {
  Json ceilings;
  for (const CeilingField &field : ceilingFields) {
    Spread spread = spreadOf(report.ceilings, field.value);
    if (spread.median > 0)
      ceilings[field.name] = {{"unit", field.unit},
                              {"median", rounded(spread.median)},
                              {"min", rounded(spread.least)},
                              {"max", rounded(spread.most)}};
  }
  Json results = Json::array();
  for (const Result &result : report.results)
    results.push_back(fieldsOf(result));
  Json document = {{"processor", report.processor},
                   {"cores", report.cores},
                   {"threads", report.threads},
                   {"ceilings", ceilings},
                   {"results", results}};
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
      text += fieldsOf(result).dump() + '\n';
    return text;
  }
  }
  return {};
}

} // namespace moe::bench
