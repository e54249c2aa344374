// Results as Markdown tables, CSV, one JSON document, one JSON object a line,
// or as Google Benchmark writes them.
#ifndef MOE_TOOLS_BENCH_REPORT_H
#define MOE_TOOLS_BENCH_REPORT_H

#include "tools/bench/Measure.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::bench {

enum class Format { Markdown, Csv, Json, JsonLines, GoogleBenchmark };

/// md, csv, json, jsonl, gbench
std::optional<Format> parseFormat(std::string_view name);

struct Report {
  std::string processor; // model name
  int cores;
  std::vector<Ceiling> ceilings; // all that were measured
  std::vector<Result> results;
};

/// What /proc/cpuinfo calls the processor; "unknown" if it does not say.
std::string processorName();

std::string format(const Report &report, Format format);

} // namespace moe::bench

#endif
