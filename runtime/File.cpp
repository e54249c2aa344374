// Files, see File.h.
#include "runtime/File.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace moert {

namespace {
/// Calls a system function again for as long as a signal interrupts it.
template <typename Call> auto retry(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR)
    result = call();
  return result;
}

/// No single call moves more than this; the kernel's own limit is just below 2
/// GiB.
constexpr int64_t pieceBytes = int64_t(1) << 30;

std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}
} // namespace

File::File(std::string path) : name(std::move(path)) {
  // O_NONBLOCK: opening a pipe without a writer must not hang; it has no effect
  // on regular files.
  fd = retry(
      [&] { return open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (fd < 0)
    fail(MOERT_IO, "{}: cannot be opened: {}", name, errorText(errno));
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    fail(MOERT_IO, "{}: is {}, not a regular file", name,
         S_ISDIR(info.st_mode) ? "a directory" : "a device or pipe");
  }
  bytes = info.st_size;
}

File::File(File &&other) noexcept
    : name(std::move(other.name)), fd(std::exchange(other.fd, -1)),
      bytes(other.bytes) {}

File::~File() {
  if (fd >= 0)
    close(fd);
}

void File::readAt(int64_t offset, void *to, int64_t count) const {
  auto *next = static_cast<char *>(to);
  while (count > 0) {
    ssize_t got = retry(
        [&] { return pread(fd, next, std::min(count, pieceBytes), offset); });
    if (got < 0)
      fail(MOERT_IO, "{}: reading at byte {} failed: {}", name, offset,
           errorText(errno));
    if (got == 0)
      fail(MOERT_MALFORMED,
           "{}: ends at byte {}, {} bytes too early; it had {} bytes when it "
           "was opened",
           name, offset, count, bytes);
    next += got;
    offset += got;
    count -= got;
  }
}

std::vector<uint8_t> readWhole(const std::string &path, int64_t limit,
                               std::string_view start) {
  bool standardInput = path == "-";
  int fd = standardInput ? STDIN_FILENO : retry([&] {
    return open(path.c_str(), O_RDONLY | O_CLOEXEC);
  });
  const char *name = standardInput ? "standard input" : path.c_str();
  if (fd < 0)
    fail(MOERT_IO, "{}: cannot be opened: {}", name, errorText(errno));
  auto closer = [standardInput](int *open) {
    if (!standardInput)
      close(*open);
  };
  std::unique_ptr<int, decltype(closer)> guard(&fd, closer);

  std::vector<uint8_t> content;
  for (;;) {
    size_t have = content.size();
    struct stat info;
    size_t more = have ? have : 65536;
    if (!have && fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
      more = std::max<size_t>(static_cast<size_t>(info.st_size) + 1, 4096);
    if (static_cast<int64_t>(have) > limit)
      fail(MOERT_MEMORY, "{}: is longer than {} bytes", name, limit);
    content.resize(have +
                   std::min<size_t>(more, static_cast<size_t>(pieceBytes)));
    ssize_t got = retry(
        [&] { return read(fd, content.data() + have, content.size() - have); });
    content.resize(have + std::max<ssize_t>(got, 0));
    if (got < 0)
      fail(MOERT_IO, "{}: reading failed: {}", name, errorText(errno));
    std::string_view begin(reinterpret_cast<const char *>(content.data()),
                           std::min(content.size(), start.size()));
    if (got == 0 || !start.starts_with(begin))
      return content;
  }
}

AtomicFile::AtomicFile(std::string path) : name(std::move(path)), target(name) {
  if (name == "-") {
    name = "standard output";
    fd = STDOUT_FILENO;
    owned = false;
    return;
  }
  struct stat info;
  bool exists = stat(name.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {
    fd = retry([&] { return open(name.c_str(), O_WRONLY | O_CLOEXEC); });
    if (fd < 0)
      fail(MOERT_IO, "{}: cannot be opened for writing: {}", name,
           errorText(errno));
    return;
  }
  if (exists) {
    // A rename replaces the link itself, so go to where it points.
    if (char *real = realpath(name.c_str(), nullptr)) {
      target = real;
      free(real);
    }
    if (access(target.c_str(), W_OK) != 0)
      fail(MOERT_IO, "{}: cannot be written: {}", name, errorText(errno));
  }
  static std::atomic<unsigned> counter{
      0}; // only keeps the names of this process apart
  temporary =
      fmt::format("{}/.moe-{}-{}.tmp", folderOf(target), getpid(), counter++);
  fd = retry([&] {
    return open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                0666);
  });
  if (fd < 0) {
    temporary.clear();
    fail(MOERT_IO, "{}: cannot be created: {}", name, errorText(errno));
  }
  if (exists)
    (void)!fchmod(fd, info.st_mode & 07777); // keeping the mode is a courtesy
}

AtomicFile::~AtomicFile() {
  if (fd >= 0 && owned)
    close(fd);
  if (!temporary.empty())
    unlink(temporary.c_str());
}

void AtomicFile::write(const void *from, int64_t count) {
  const auto *next = static_cast<const char *>(from);
  while (count > 0) {
    ssize_t done =
        retry([&] { return ::write(fd, next, std::min(count, pieceBytes)); });
    if (done < 0)
      fail(MOERT_IO, "{}: writing failed: {}", name, errorText(errno));
    next += done;
    count -= done;
  }
}

void AtomicFile::flush() {
  if (!temporary.empty() && retry([&] { return fsync(fd); }) != 0)
    fail(MOERT_IO, "{}: writing to the disk failed: {}", name,
         errorText(errno));
}

void AtomicFile::commit() {
  flush();
  // Some file systems report a full disk only here. (close is not repeated
  // after EINTR: the descriptor is gone.)
  if (owned && close(std::exchange(fd, -1)) != 0 && errno != EINTR)
    fail(MOERT_IO, "{}: closing failed: {}", name, errorText(errno));
  if (temporary.empty())
    return;
  if (rename(temporary.c_str(), target.c_str()) != 0)
    fail(MOERT_IO, "{}: cannot be replaced: {}", name, errorText(errno));
  temporary.clear();
  int folder =
      open(folderOf(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >=
      0) { // makes the rename itself durable where the file system can do that
    fsync(folder);
    close(folder);
  }
}

} // namespace moert
