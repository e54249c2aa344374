// The shared command line of moe-run and moe-interpret, see RunCommand.h.
#include "tools/RunCommand.h"
#include "runtime/Failure.h"
#include "tools/ToolMain.h"

using moert::fail;

namespace moe::tools {

void RunOptions::addTo(CLI::App &app) {
  app.add_flag("--stats", stats);
  app.add_flag("--list", list);
  app.add_option("MODEL", model);
  app.add_option("--function", function);
  app.add_option("--input", inputs)->allow_extra_args(false);
  app.add_option("--output", outputs)->allow_extra_args(false);
  app.add_option("--expected_output", expected)->allow_extra_args(false);
  // CLI::NonNegativeNumber prints the largest number, which has 309 digits.
  auto notNegative = [](const std::string &text) {
    double number = -1;
    return CLI::detail::lexical_cast(text, number) && number >= 0
               ? ""
               : fmt::format("{} is no number of 0 or more",
                             moert::quote(text));
  };
  app.add_option("--expected_atol", atol)->check(notNegative);
  app.add_option("--expected_rtol", rtol)->check(notNegative);
  app.add_option("--output_max_element_count", mostElements)
      ->check(notNegative);
  app.add_option("--weights", weights);
  app.add_option("--prefix", prefix);
  app.add_option("--routing", routing);
  app.add_option("--replay", replay);
}

int runCommand(const char *tool, const char *help, int argc, char **argv,
               RunOptions &options,
               const std::function<void(CLI::App &)> &addOptions,
               const std::function<int()> &run) {
  return runTool(tool, [&] {
    CLI::App app;
    app.set_help_flag();
    bool helpWanted = false, versionWanted = false;
    app.add_flag("-h,--help", helpWanted);
    app.add_flag("--version", versionWanted);
    options.addTo(app);
    addOptions(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
      fail(MOERT_USAGE, "{} ({} --help explains)", error.what(), tool);
    }
    if (helpWanted || versionWanted) {
      moert::AtomicFile("-").write(
          helpWanted ? std::string(help)
                     : fmt::format("{} {}\n", tool, moert_version()));
      return static_cast<int>(MOERT_OK);
    }
    if (options.model.empty())
      fail(MOERT_USAGE, "no model given ({} --help explains)", tool);
    return run();
  });
}

RunValues::RunValues(const RunOptions &options, std::string_view function,
                     size_t inputCount, size_t resultCount)
    : options(options), outputs(options.outputs), writer(options.mostElements) {
  auto checkCount = [&](const char *option, size_t given, const char *what,
                        size_t wanted) {
    if (given != wanted)
      fail(MOERT_USAGE, "{} {} option{}, function {} has {} {}{}", given,
           option, given == 1 ? "" : "s", moert::quote(function), wanted, what,
           wanted == 1 ? "" : "s");
  };
  checkCount("--input", options.inputs.size(), "input", inputCount);
  if (!options.outputs.empty())
    checkCount("--output", options.outputs.size(), "result", resultCount);
  if (!options.expected.empty())
    checkCount("--expected_output", options.expected.size(), "result",
               resultCount);
  if (outputs.empty())
    outputs.assign(resultCount, options.expected.empty() ? "-" : "");
  for (const std::string &output : outputs)
    writer.open(output);
  ValueReader reader;
  for (const std::string &input : options.inputs)
    inputs.push_back(reader.read(input, "--input"));
  for (const std::string &value : options.expected)
    expected.push_back(reader.read(value, "--expected_output"));
}

int RunValues::finish(std::span<const Array> results, std::string report,
                      const std::function<void()> &commit) {
  int status = MOERT_OK;
  for (size_t i = 0; i < expected.size(); ++i) {
    Comparison comparison =
        compareValues(static_cast<int>(i), results[i], expected[i],
                      options.atol, options.rtol);
    report += comparison.text + "\n";
    if (!comparison.equal)
      status = MOERT_RESULTS_DIFFER;
  }
  for (size_t i = 0; i < results.size(); ++i)
    writer.write(outputs[i], results[i]);
  writer.print(report);
  commit();
  writer.commit();
  return status;
}

} // namespace moe::tools
