// What the mains of moe-run and moe-interpret share: errors to exit codes, and
// knowing a terminal.
#ifndef MOE_TOOLS_TOOLMAIN_H
#define MOE_TOOLS_TOOLMAIN_H

#include <chrono>
#include <functional>
#include <string>

namespace moe::tools {

/// Runs `body` and returns its exit code. A moert::Failure is printed as
/// "moe-run: message" and becomes its status, lack of memory becomes 6, any
/// other exception 1. A reader that closes the pipe is an I/O error (5), not a
/// signal.
int runTool(const char *tool, const std::function<int()> &body);

/// Whether the standard error is a terminal that wants colours and progress
/// displays (not TERM=dumb).
bool showsProgress();

/// A progress bar on the standard error, for work that takes more than a
/// second; does nothing where that is no terminal.
class ProgressBar {
public:
  /// A total is bytes, or a number of what `unit` says.
  explicit ProgressBar(std::string what, std::string unit = {});
  ~ProgressBar(); // removes the bar
  void show(int64_t done, int64_t total);

private:
  std::string what;
  std::string unit;
  bool active;
  int lastPercent = -1;
  std::chrono::steady_clock::time_point begin;
};

} // namespace moe::tools

#endif
