// Buffers for tensors: where large ones lie, and what the system is told.
#include "Support.h"

#include "runtime/Memory.h"

#include <filesystem>
#include <fstream>

using moert::Buffer;

namespace {

/// The flags of the mapping that holds an address, as "rd wr mr hg"; none
/// where the system does not tell.
std::string flagsOf(const void *address) {
  std::ifstream maps("/proc/self/smaps");
  auto wanted = reinterpret_cast<uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0, end = 0;
    if (sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
      inside = begin <= wanted && wanted < end;
    else if (inside && line.starts_with("VmFlags:"))
      return line.substr(8);
  }
  return "";
}

TEST(Memory, LargeBuffersAskForHugePages) {
  constexpr int64_t hugePage = 2 << 20;
  Buffer buffer(3 * hugePage, "weights");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % hugePage, 0U);
  std::string flags = flagsOf(buffer.data());
  if (flags.empty() ||
      !std::filesystem::exists("/sys/kernel/mm/transparent_hugepage"))
    GTEST_SKIP() << "the system has no huge pages, or does not tell";
  EXPECT_NE(flags.find(" hg"), std::string::npos) << flags;
  EXPECT_EQ(flagsOf(Buffer(hugePage, "rows").data()).find(" hg"),
            std::string::npos);
}

TEST(Memory, BuffersAreAlignedAndZero) {
  for (int64_t bytes : {0, 1, 4097, 5 << 20}) {
    Buffer buffer(bytes, "rows");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0U) << bytes;
    EXPECT_EQ(buffer.size(), bytes);
    for (int64_t i = 0; i < bytes; i += 4095)
      ASSERT_EQ(buffer.data()[i], 0);
  }
}

} // namespace
