// The progress bar, on a pseudo-terminal in place of the standard error.
#include "tools/ToolMain.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <thread>
#include <unistd.h>

using moe::tools::ProgressBar;

namespace {

/// What `body` writes to the standard error while that is a terminal.
template <typename Body> std::string onTerminal(const Body &body) {
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_GE(terminal, 0);
  EXPECT_EQ(grantpt(terminal), 0);
  EXPECT_EQ(unlockpt(terminal), 0);
  int inside = open(ptsname(terminal), O_RDWR | O_NOCTTY);
  EXPECT_GE(inside, 0);
  std::fflush(stderr);
  int before = dup(STDERR_FILENO);
  dup2(inside, STDERR_FILENO);
  body();
  std::fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  std::string text;
  fcntl(terminal, F_SETFL, O_NONBLOCK);
  char space[4096];
  for (ssize_t got; (got = read(terminal, space, sizeof(space))) > 0;)
    text.append(space, static_cast<size_t>(got));
  close(inside);
  close(terminal);
  return text;
}

constexpr int64_t kMiB = 1 << 20;

class ProgressTest : public testing::Test {
protected:
  void SetUp() override { setenv("TERM", "xterm", 1); }
};

TEST_F(ProgressTest, ShowsWorkOfMoreThanASecond) {
  std::string text = onTerminal([] {
    ProgressBar bar("loading weights");
    bar.show(0, 4 * kMiB);
    bar.show(1 * kMiB, 4 * kMiB);
    std::this_thread::sleep_for(std::chrono::milliseconds(1050));
    bar.show(2 * kMiB, 4 * kMiB);
    bar.show(2 * kMiB + 1, 4 * kMiB); // still 50 %
    bar.show(4 * kMiB, 4 * kMiB);
  });
  EXPECT_EQ(text, "\rloading weights [===============               ]  50% of "
                  "4.0 MiB"
                  "\rloading weights [==============================] 100% of "
                  "4.0 MiB"
                  "\r\033[K");
}

TEST_F(ProgressTest, CountsWhatItIsTold) {
  std::string text = onTerminal([] {
    ProgressBar bar("H64 bf16", "samples");
    std::this_thread::sleep_for(std::chrono::milliseconds(1050));
    bar.show(3, 4);
  });
  EXPECT_EQ(text, "\rH64 bf16 [======================        ]  75% of "
                  "4 samples\r\033[K");
}

TEST_F(ProgressTest, SaysNothingAboutShortWork) {
  EXPECT_EQ(onTerminal([] {
              ProgressBar bar("loading weights");
              for (int64_t done = 0; done <= 100; ++done)
                bar.show(done, 100);
            }),
            "");
}

TEST_F(ProgressTest, SaysNothingToADumbTerminal) {
  setenv("TERM", "dumb", 1);
  EXPECT_EQ(onTerminal([] {
              ProgressBar bar("loading weights");
              std::this_thread::sleep_for(std::chrono::milliseconds(1050));
              bar.show(1, 2);
            }),
            "");
}

// A pipe or a file is no terminal.
TEST_F(ProgressTest, SaysNothingToAFile) {
  testing::internal::CaptureStderr();
  {
    ProgressBar bar("loading weights");
    std::this_thread::sleep_for(std::chrono::milliseconds(1050));
    bar.show(1, 2);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

} // namespace
