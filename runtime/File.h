// Files: reading at a position, and writing that either replaces the whole file
// or leaves it as it was. Reads and writes survive EINTR and short counts; a
// file that shrinks meanwhile is an error, never a signal.
#ifndef MOE_RUNTIME_FILE_H
#define MOE_RUNTIME_FILE_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moert {

/// A regular file opened for reading. Many threads may read at once.
class File {
public:
  /// MOERT_IO if it cannot be opened or is not a regular file.
  explicit File(std::string path);
  File(File &&other) noexcept;
  File &operator=(File &&) = delete;
  ~File();

  const std::string &path() const { return name; }
  /// The size when it was opened.
  int64_t size() const { return bytes; }
  /// Copies bytes [offset, offset + count). MOERT_MALFORMED if the file ends
  /// before that, MOERT_IO if the system refuses.
  void readAt(int64_t offset, void *to, int64_t count) const;

private:
  std::string name;
  int fd = -1;
  int64_t bytes = 0;
};

/// Everything up to the end of a file, pipe or device; `path` "-" is the
/// standard input. MOERT_MEMORY beyond `limit` bytes. Of what does not begin
/// with `start`, only a piece is read: it may have no end.
std::vector<uint8_t> readWhole(const std::string &path,
                               int64_t limit = INT64_MAX,
                               std::string_view start = {});

/// A file being written. What exists under `path` stays untouched until
/// commit(), which makes the new content durable and puts it in place at once.
/// Without commit() nothing remains. Devices and pipes are written directly.
/// All failures are MOERT_IO and name the file. `path` "-" is the standard
/// output.
class AtomicFile {
public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;
  ~AtomicFile();

  void write(const void *from, int64_t count);
  void write(std::string_view text) {
    write(text.data(), static_cast<int64_t>(text.size()));
  }
  /// fsync without rename: after it, commit() can hardly fail. For several
  /// files that belong together.
  void flush();
  void commit();

private:
  std::string name;      // as given
  std::string target;    // symbolic links followed
  std::string temporary; // empty when written directly
  int fd = -1;
  bool owned = true;
};

} // namespace moert

#endif
