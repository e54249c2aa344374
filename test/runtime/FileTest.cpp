// Files: reading, and writing that leaves nothing half done.
#include "runtime/File.h"
#include "Support.h"
#include "runtime/Memory.h"

#include <filesystem>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace moert;
using test::Folder;

namespace {

TEST(AtomicFile, ReplacesAtOnce) {
  Folder folder;
  std::string path = folder / "a";
  test::writeFile(path, "old");
  {
    AtomicFile file(path);
    file.write("new");
    EXPECT_EQ(test::readFile(path), "old");
    file.commit();
  }
  EXPECT_EQ(test::readFile(path), "new");
  EXPECT_EQ(folder.files(), std::vector<std::string>{"a"});
}

TEST(AtomicFile, WithoutCommitNothingRemains) {
  Folder folder;
  {
    AtomicFile file(folder / "a");
    file.write("half");
    file.flush();
  }
  EXPECT_TRUE(folder.files().empty());
}

TEST(AtomicFile, KeepsModeAndFollowsLinks) {
  Folder folder;
  test::writeFile(folder / "real", "old");
  std::filesystem::permissions(folder / "real", std::filesystem::perms(0640));
  std::filesystem::create_symlink("real", folder / "link");
  AtomicFile file(folder / "link");
  file.write("new");
  file.commit();
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(test::readFile(folder / "real"), "new");
  struct stat info;
  ASSERT_EQ(stat((folder / "real").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST(AtomicFile, FullDevice) {
  AtomicFile file("/dev/full");
  EXPECT_FAILURE(file.write("text"), MOERT_IO,
                 "/dev/full: writing failed: No space left");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST(AtomicFile, WhereNothingCanBeWritten) {
  Folder folder;
  EXPECT_FAILURE(AtomicFile(folder / "none/a"), MOERT_IO, "cannot be created");
  EXPECT_FAILURE(AtomicFile(folder.path), MOERT_IO,
                 "cannot be opened for writing");
  EXPECT_FAILURE(AtomicFile("/proc/version"), MOERT_IO, "/proc/version: ");
}

TEST(File, ReadsPipesAndRefusesThemWhereItSeeks) {
  Folder folder;
  std::string path = folder / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_FAILURE(File file(path), MOERT_IO, "not a regular file");
  std::thread writer([&] { test::writeFile(path, std::string(200'000, 'x')); });
  EXPECT_EQ(readWhole(path).size(), 200'000u);
  writer.join();
}

TEST(File, Limits) {
  Folder folder;
  test::writeFile(folder / "a", std::string(100, 'x'));
  EXPECT_EQ(readWhole(folder / "a").size(), 100u);
  EXPECT_FAILURE(readWhole(folder / "none"), MOERT_IO,
                 "none: cannot be opened");
  EXPECT_FAILURE(readWhole("/dev/zero", 1'000'000), MOERT_MEMORY,
                 "is longer than 1000000");
  EXPECT_LT(readWhole("/dev/zero", 1'000'000, "start").size(), 1'000'000u);
  EXPECT_EQ(readWhole("/dev/null", 1'000'000, "start").size(), 0u);
  File file(folder / "a");
  EXPECT_EQ(file.size(), 100);
  char space[8];
  EXPECT_NO_THROW(file.readAt(92, space, 8));
  EXPECT_FAILURE(file.readAt(93, space, 8), MOERT_MALFORMED,
                 "ends at byte 100, 1 bytes too early");
}

TEST(Buffer, IsZeroedAlignedAndRefused) {
  for (int64_t bytes : {0, 1, 63, 4096, 5 << 20}) {
    Buffer buffer(bytes, "test");
    EXPECT_EQ(buffer.size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    for (int64_t i = 0; i < bytes; i += 61)
      EXPECT_EQ(buffer.data()[i], 0);
  }
  EXPECT_FAILURE(
      Buffer(int64_t(1) << 50, "the test"), MOERT_MEMORY,
      "the test would need 1.0 PiB (1125899906842624 bytes), but only");
  EXPECT_FAILURE(Buffer(-1, "the test"), MOERT_MEMORY, "would need more than");
  EXPECT_FAILURE(Buffer(INT64_MAX, "the test"), MOERT_MEMORY,
                 "the test would need");
  Buffer first(100, "first");
  uint8_t *data = first.data();
  Buffer second = std::move(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_NE(first.data(), nullptr);
}

TEST(Failure, QuotesNamesSafely) {
  EXPECT_EQ(quote("plain.0"), "'plain.0'");
  EXPECT_EQ(quote("a\nb\x1b[31m\x7f"), "'a\\x0ab\\x1b[31m\\x7f'");
  EXPECT_EQ(quote("\xc3\xa9\xff\xc2\x9b"), "'\xc3\xa9\\xff\\xc2\\x9b'");
  EXPECT_LT(quote(std::string(10'000, 'x')).size(), 300u);
}

} // namespace
