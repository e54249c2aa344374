// What the mains share, see ToolMain.h.
#include "tools/ToolMain.h"
#include "runtime/Failure.h"
#include "runtime/Memory.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>
#include <unistd.h>

namespace moe::tools {

/// Unlike fmt::print, throws nothing where nobody reads the standard error.
static void printError(const char *tool, std::string_view text) {
  std::fputs(fmt::format("{}: {}\n", tool, text).c_str(), stderr);
}

int runTool(const char *tool, const std::function<int()> &body) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return body();
  } catch (const moert::Failure &failure) {
    printError(tool, failure.message());
    return failure.status();
  } catch (const std::bad_alloc &) {
    std::fputs(tool, stderr);
    std::fputs(": out of memory\n", stderr);
    return MOERT_MEMORY;
  } catch (const std::exception &error) {
    printError(tool, error.what());
    return MOERT_RUN_ERROR;
  }
}

bool showsProgress() {
  const char *terminal = std::getenv("TERM");
  return isatty(STDERR_FILENO) &&
         !(terminal && std::string_view(terminal) == "dumb");
}

ProgressBar::ProgressBar(std::string text, std::string unit)
    : what(std::move(text)), unit(std::move(unit)), active(showsProgress()),
      begin(std::chrono::steady_clock::now()) {}

ProgressBar::~ProgressBar() {
  if (active && lastPercent >= 0)
    std::fputs("\r\033[K", stderr);
}

void ProgressBar::show(int64_t done, int64_t total) {
  if (!active)
    return;
  int percent = total > 0 ? static_cast<int>(static_cast<double>(done) /
                                             static_cast<double>(total) * 100)
                          : 100;
  if (percent == lastPercent ||
      std::chrono::steady_clock::now() - begin < std::chrono::seconds(1))
    return;
  lastPercent = percent;
  int filled = percent * 30 / 100;
  fmt::print(stderr, "\r{} [{:=<{}}{: <{}}] {:3}% of {}", what, "", filled, "",
             30 - filled, percent,
             unit.empty() ? moert::bytesText(total)
                          : fmt::format("{} {}", total, unit));
  std::fflush(stderr);
}

} // namespace moe::tools
