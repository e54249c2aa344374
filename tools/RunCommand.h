// The command line that moe-run and moe-interpret share: options, the values
// that go in, and the results that come out.
#ifndef MOE_TOOLS_RUNCOMMAND_H
#define MOE_TOOLS_RUNCOMMAND_H

#include "tools/Values.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <span>

namespace moe::tools {

struct RunOptions {
  std::string model;
  std::string function; // empty: the only one
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<std::string> expected;
  std::string weights;
  std::string prefix;
  std::string routing;
  std::string replay;
  std::optional<double> atol, rtol;
  int64_t mostElements = 1024;
  bool stats = false;
  bool list = false;

  void addTo(CLI::App &app);
};

/// The main of a tool with these options: parses them and `app`'s own, answers
/// --help and --version, then calls `run`. Errors as in runTool.
int runCommand(const char *tool, const char *help, int argc, char **argv,
               RunOptions &options,
               const std::function<void(CLI::App &)> &addOptions,
               const std::function<int()> &run);

/// The values of one run. Everything that can be wrong with the command line or
/// the files is found by the constructor, before the work begins, and nothing
/// is written before finish().
class RunValues {
public:
  /// MOERT_USAGE where the function takes or returns another number of values.
  RunValues(const RunOptions &options, std::string_view function,
            size_t inputCount, size_t resultCount);

  std::vector<Array> takeInputs() { return std::move(inputs); }

  /// Compares and writes the results, prints `report` behind them, and lets
  /// `commit` finish files of its own. MOERT_OK or MOERT_RESULTS_DIFFER.
  int finish(std::span<const Array> results, std::string report,
             const std::function<void()> &commit);

private:
  const RunOptions &options;
  std::vector<std::string> outputs;
  ValueWriter writer;
  std::vector<Array> inputs, expected;
};

} // namespace moe::tools

#endif
