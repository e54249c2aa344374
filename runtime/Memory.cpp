// Memory for tensors, see Memory.h.
#include "runtime/Memory.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace moert {

namespace {
constexpr int64_t unknown = INT64_MAX;
constexpr int64_t hugePage = 2 << 20;
/// Smaller requests are not worth reading /proc for.
constexpr int64_t checkFrom = 1 << 20;

/// The start of a small file of /proc or /sys, without allocating; empty if it
/// cannot be read.
std::string_view readSmall(const char *path, std::span<char> space) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return {};
  ssize_t got = read(fd, space.data(), space.size() - 1);
  close(fd);
  if (got <= 0)
    return {};
  space[got] = 0;
  return {space.data(), static_cast<size_t>(got)};
}

int64_t readNumber(const char *path) {
  char space[64];
  std::string_view text = readSmall(path, space);
  long long value;
  return !text.empty() && sscanf(text.data(), "%lld", &value) == 1 && value >= 0
             ? value
             : unknown;
}

int64_t memAvailable() {
  char space[4096];
  std::string_view text = readSmall("/proc/meminfo", space);
  size_t at = text.find("MemAvailable:");
  long long kib;
  if (at == std::string_view::npos ||
      sscanf(text.data() + at + 13, "%lld", &kib) != 1)
    return unknown;
  return kib * 1024;
}

/// What the control group of this machine (version 2, then 1) leaves. Page
/// cache counts as used there although it can be dropped, so this may err on
/// the careful side only for groups near their limit.
int64_t groupLeft() {
  int64_t limit = readNumber("/sys/fs/cgroup/memory.max");
  int64_t used = readNumber("/sys/fs/cgroup/memory.current");
  if (limit == unknown) {
    limit = readNumber("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    used = readNumber("/sys/fs/cgroup/memory/memory.usage_in_bytes");
  }
  if (limit == unknown || used == unknown)
    return unknown;
  char space[8192];
  std::string_view text = readSmall("/sys/fs/cgroup/memory.stat", space);
  long long cache = 0;
  size_t at = text.find("inactive_file ");
  if (at != std::string_view::npos &&
      sscanf(text.data() + at + 14, "%lld", &cache) != 1)
    cache = 0;
  return std::max<int64_t>(0, limit - used + cache);
}

int64_t addressSpaceLeft() {
  rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return unknown;
  int64_t pages = readNumber("/proc/self/statm");
  if (pages == unknown)
    return unknown;
  return std::max<int64_t>(0, static_cast<int64_t>(limit.rlim_cur) -
                                  pages * sysconf(_SC_PAGESIZE));
}
} // namespace

int64_t availableMemory() {
  return std::min({memAvailable(), groupLeft(), addressSpaceLeft()});
}

void requireMemory(int64_t bytes, std::string_view what) {
  if (bytes < 0)
    fail(MOERT_MEMORY, "{} would need more than {} bytes", what, INT64_MAX);
  if (bytes < checkFrom)
    return;
  int64_t limit = availableMemory();
  if (bytes > limit)
    fail(MOERT_MEMORY,
         "{} would need {} ({} bytes), but only {} ({} bytes) are available",
         what, bytesText(bytes), bytes, bytesText(limit), limit);
}

std::string bytesText(int64_t bytes) {
  const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  int unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit < 6; ++unit)
    value /= 1024;
  return unit ? fmt::format("{:.1f} {}", value, units[unit])
              : fmt::format("{} B", bytes);
}

Buffer::Buffer(int64_t wanted, std::string_view what) {
  requireMemory(wanted, what);
  if (wanted == 0)
    return;
  // One huge page of slack lets a large buffer start on a huge page.
  bool large = wanted >= 2 * hugePage;
  int64_t page = sysconf(_SC_PAGESIZE);
  if (wanted > INT64_MAX - 2 * hugePage)
    fail(MOERT_MEMORY, "{} would need {} bytes", what, wanted);
  int64_t length = ((wanted + page - 1) / page) * page + (large ? hugePage : 0);
  void *got = mmap(nullptr, length, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED)
    fail(MOERT_MEMORY,
         "{} would need {} ({} bytes), which the system refuses: {}", what,
         bytesText(wanted), wanted, errorText(errno));
  mapping = got;
  mapped = length;
  bytes = wanted;
  auto address = reinterpret_cast<uintptr_t>(got);
  if (large) {
    address = (address + hugePage - 1) / hugePage * hugePage;
    madvise(reinterpret_cast<void *>(address), wanted,
            MADV_HUGEPAGE); // only advice: its failure costs speed
  }
  begin = reinterpret_cast<uint8_t *>(address);
}

Buffer::~Buffer() {
  if (mapping)
    munmap(mapping, mapped);
}

void Buffer::swap(Buffer &other) noexcept {
  std::swap(begin, other.begin);
  std::swap(bytes, other.bytes);
  std::swap(mapping, other.mapping);
  std::swap(mapped, other.mapped);
}

uint8_t *Buffer::emptyData() {
  // Never written: it is only the address that zero bytes live at.
  alignas(64) static uint8_t nothing[64];
  return nothing;
}

} // namespace moert
