// NumPy's .npz files, see Npz.h. PKWARE's APPNOTE.TXT has the format.
#include "runtime/Npz.h"
#include "runtime/Failure.h"
#include "runtime/Npy.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace moert {

namespace {
constexpr uint32_t localMagic = 0x04034b50, centralMagic = 0x02014b50,
                   endMagic = 0x06054b50;
constexpr int64_t localBytes = 30, centralBytes = 46, endBytes = 22;
constexpr int64_t longestComment = 65535, mostEntries = 4096;
constexpr std::string_view suffix = ".npy";
constexpr int64_t largestFile = UINT32_MAX;

/// CRC-32 of ISO 3309, as zip has it.
uint32_t checksumOf(std::span<const uint8_t> bytes, uint32_t before = 0) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < made.size(); ++i) {
      made[i] = i;
      for (int bit = 0; bit < 8; ++bit)
        made[i] = (made[i] >> 1) ^ (made[i] & 1 ? 0xedb88320u : 0);
    }
    return made;
  }();
  uint32_t sum = ~before;
  for (uint8_t byte : bytes)
    sum = table[(sum ^ byte) & 0xff] ^ (sum >> 8);
  return ~sum;
}

std::span<const uint8_t> bytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

/// Little-endian numbers of a record.
struct Record {
  const uint8_t *bytes;
  uint16_t half(int at) const {
    return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
  }
  uint32_t word(int at) const {
    return half(at) | static_cast<uint32_t>(half(at + 2)) << 16;
  }
};

/// The same for writing.
class RecordText {
public:
  RecordText &half(uint32_t value) {
    text += static_cast<char>(value);
    text += static_cast<char>(value >> 8);
    return *this;
  }
  RecordText &word(uint32_t value) { return half(value).half(value >> 16); }
  std::string text;
};
} // namespace

NpzReader::NpzReader(const std::string &path) : file(path) {
  // The end record is the last 22 bytes, or stands before a comment.
  int64_t tail = std::min(file.size(), endBytes + longestComment);
  std::vector<uint8_t> bytes(static_cast<size_t>(tail));
  file.readAt(file.size() - tail, bytes.data(), tail);
  int64_t at = tail - endBytes;
  for (; at >= 0; --at) {
    Record end{bytes.data() + at};
    if (end.word(0) == endMagic && end.half(20) == tail - endBytes - at)
      break;
  }
  if (at < 0)
    fail(MOERT_MALFORMED,
         "{}: has no end record of a zip archive, as .npz files have", path);
  Record end{bytes.data() + at};
  int64_t place = file.size() - tail + at;
  int64_t count = end.half(10), size = end.word(12), begin = end.word(16);
  if (count == UINT16_MAX || size == UINT32_MAX || begin == UINT32_MAX)
    fail(MOERT_MALFORMED, "{}: zip64 archives are not supported (byte {})",
         path, place);
  if (end.half(4) != 0 || end.half(6) != 0 || end.half(8) != count)
    fail(MOERT_MALFORMED, "{}: is a part of several archives (byte {})", path,
         place + 4);
  if (count > mostEntries)
    fail(MOERT_MALFORMED, "{}: has {} entries, more than {} (byte {})", path,
         count, mostEntries, place + 10);
  if (begin + size > place)
    fail(MOERT_MALFORMED,
         "{}: the directory of {} bytes from byte {} does not end before byte "
         "{}",
         path, size, begin, place);
  directory = begin;
  parseDirectory(begin, size, count);
}

void NpzReader::parseDirectory(int64_t begin, int64_t bytes, int64_t count) {
  std::vector<uint8_t> text(static_cast<size_t>(bytes));
  file.readAt(begin, text.data(), bytes);
  int64_t at = 0;
  auto broken = [&](std::string_view what) {
    fail(MOERT_MALFORMED, "{}: entry of the directory: {} (byte {})",
         file.path(), what, begin + at);
  };
  for (int64_t i = 0; i < count; ++i) {
    if (bytes - at < centralBytes)
      broken("does not fit the directory");
    Record entry{text.data() + at};
    int64_t nameBytes = entry.half(28);
    int64_t rest = nameBytes + entry.half(30) + entry.half(32);
    if (entry.word(0) != centralMagic)
      broken("does not begin with its magic number");
    if (bytes - at - centralBytes < rest)
      broken("does not fit the directory");
    std::string name(
        reinterpret_cast<const char *>(text.data() + at + centralBytes),
        static_cast<size_t>(nameBytes));
    if (entry.half(8) & 1)
      broken(fmt::format("{} is encrypted", quote(name)));
    if (entry.half(10) != 0)
      broken(
          fmt::format("{} is compressed; numpy.savez writes what can be read",
                      quote(name)));
    if (!name.ends_with(suffix))
      broken(fmt::format("{} is not a .npy array", quote(name)));
    name.resize(name.size() - suffix.size());
    Entry made{entry.word(42), entry.word(24), entry.word(16)};
    if (entry.word(20) != entry.word(24))
      broken(fmt::format("{} is stored in {} bytes, but has {}", quote(name),
                         entry.word(20), entry.word(24)));
    if (made.header + localBytes + made.bytes > directory)
      broken(
          fmt::format("{} reaches beyond byte {}, where the directory begins",
                      quote(name), directory));
    if (!entries.try_emplace(name, made).second)
      broken(fmt::format("{} appears twice", quote(name)));
    at += centralBytes + rest;
  }
  if (at != bytes)
    broken("bytes follow the last one");
  // No byte belongs to two entries, so a small file cannot claim much.
  std::vector<Entry> ordered;
  for (const auto &[name, entry] : entries)
    ordered.push_back(entry);
  std::ranges::sort(ordered, {}, &Entry::header);
  for (size_t i = 1; i < ordered.size(); ++i)
    if (ordered[i].header <
        ordered[i - 1].header + localBytes + ordered[i - 1].bytes)
      fail(MOERT_MALFORMED, "{}: entries overlap at byte {}", file.path(),
           ordered[i].header);
}

std::vector<std::string> NpzReader::names() const {
  std::vector<std::string> found;
  for (const auto &[name, entry] : entries)
    found.push_back(name);
  return found;
}

int64_t NpzReader::dataOf(const std::string &name, const Entry &entry) const {
  std::array<uint8_t, localBytes> bytes{};
  file.readAt(entry.header, bytes.data(), localBytes);
  Record local{bytes.data()};
  std::string stored(local.half(26), '\0');
  int64_t begin = entry.header + localBytes;
  bool fits =
      local.word(0) == localMagic &&
      begin + local.half(26) + local.half(28) + entry.bytes <= directory;
  if (fits)
    file.readAt(begin, stored.data(), static_cast<int64_t>(stored.size()));
  if (!fits || stored != name + std::string(suffix) || local.half(8) != 0)
    fail(MOERT_MALFORMED,
         "{}: the header of {} does not agree with the directory (byte {})",
         file.path(), quote(name), entry.header);
  return begin + local.half(26) + local.half(28);
}

Array NpzReader::read(const std::string &name) const {
  auto found = entries.find(name);
  if (found == entries.end())
    fail(MOERT_MALFORMED, "{}: has no array {}", file.path(), quote(name));
  const Entry &entry = found->second;
  int64_t begin = dataOf(name, entry);
  std::string where = fmt::format("{}: {}", file.path(), name);
  requireMemory(2 * entry.bytes, where);
  std::vector<uint8_t> bytes(static_cast<size_t>(entry.bytes));
  file.readAt(begin, bytes.data(), entry.bytes);
  if (uint32_t sum = checksumOf(bytes); sum != entry.checksum)
    fail(MOERT_MALFORMED,
         "{}: has the checksum {:08x}, not {:08x}: it is "
         "damaged",
         where, sum, entry.checksum);
  NpyReader reader(std::move(bytes), where);
  Array array = reader.next();
  if (!reader.atEnd())
    fail(MOERT_MALFORMED, "{}: bytes follow the array", where);
  return array;
}

void writeNpz(
    AtomicFile &file,
    const std::vector<std::pair<std::string, const Array *>> &arrays) {
  RecordText directory;
  int64_t at = 0;
  auto write = [&](std::string_view text) {
    at += static_cast<int64_t>(text.size());
    file.write(text);
  };
  for (const auto &[name, array] : arrays) {
    std::string header = npyHeader(array->dtype, array->shape);
    int64_t bytes = static_cast<int64_t>(header.size()) + array->data.size();
    std::string entry = name + std::string(suffix);
    if (at + bytes > largestFile - (1 << 20))
      fail(MOERT_USAGE, "{} bytes of arrays do not fit a .npz file of 4 GiB",
           at + bytes);
    uint32_t sum = checksumOf(array->data.span(), checksumOf(bytesOf(header)));
    // Version 2.0, no flags, stored, the first day of zip's calendar.
    RecordText common;
    common.half(20).half(0).half(0).half(0).half(0x21).word(sum);
    common.word(static_cast<uint32_t>(bytes))
        .word(static_cast<uint32_t>(bytes))
        .half(static_cast<uint32_t>(entry.size()))
        .half(0);
    directory.word(centralMagic).half(20);
    directory.text += common.text;
    directory.half(0).half(0).half(0).word(0).word(static_cast<uint32_t>(at));
    directory.text += entry;
    write(RecordText().word(localMagic).text + common.text + entry + header);
    file.write(array->data.data(), array->data.size());
    at += array->data.size();
  }
  auto count = static_cast<uint32_t>(arrays.size());
  RecordText end;
  end.word(endMagic).half(0).half(0).half(count).half(count);
  end.word(static_cast<uint32_t>(directory.text.size()))
      .word(static_cast<uint32_t>(at))
      .half(0);
  write(directory.text + end.text);
}

} // namespace moert
