// NumPy's .npy files, see Npy.h.
#include "runtime/Npy.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <cstring>
#include <sys/stat.h>

namespace moert {

namespace {
constexpr std::string_view magic = "\x93NUMPY";
constexpr int64_t longestHeader = 1 << 20;

struct Descr {
  const char *text;
  Dtype dtype;
};
/// The first entry of a type is the one written.
constexpr Descr descrs[] = {
    {"<f4", MOERT_F32},  {"<f2", MOERT_F16},       {"<V2", MOERT_BF16},
    {"|V2", MOERT_BF16}, {"bfloat16", MOERT_BF16}, {"<f8", MOERT_F64},
    {"|b1", MOERT_I1},   {"|i1", MOERT_I8},        {"|u1", MOERT_U8},
    {"<i4", MOERT_I32},  {"<i8", MOERT_I64},
};

struct Header {
  Dtype dtype = MOERT_F32;
  Shape shape;
};

/// Parser of the Python literal {'descr': '<f4', 'fortran_order': False,
/// 'shape': (2, 3), }
class HeaderParser {
public:
  HeaderParser(std::string_view text, const std::string &file, int64_t base)
      : text(text), file(file), base(base) {}

  Header parse() {
    Header header;
    bool fortran = false;
    bool seen[3] = {};
    expect('{');
    while (!accept('}')) {
      std::string key = quotedText();
      expect(':');
      size_t index = key == "descr"           ? 0
                     : key == "fortran_order" ? 1
                     : key == "shape"         ? 2
                                              : 3;
      if (index == 3)
        broken(fmt::format("unknown key {}", quote(key)));
      if (std::exchange(seen[index], true))
        broken(fmt::format("key '{}' appears twice", key));
      if (index == 0)
        header.dtype = descr();
      else if (index == 1)
        fortran = boolean();
      else
        header.shape = shape();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skipSpace();
    if (at != text.size())
      broken("text after the closing brace");
    for (size_t i = 0; i < 3; ++i)
      if (!seen[i])
        broken(fmt::format("key '{}' is missing", i == 0   ? "descr"
                                                  : i == 1 ? "fortran_order"
                                                           : "shape"));
    if (fortran && header.shape.size() > 1)
      broken("the array is in Fortran order; wanted C order "
             "(numpy.ascontiguousarray makes it)");
    return header;
  }

private:
  [[noreturn]] void broken(std::string_view what) const {
    fail(MOERT_MALFORMED, "{}: header: {} (byte {})", file, what,
         base + static_cast<int64_t>(at));
  }
  void skipSpace() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n' ||
                                text[at] == '\t' || text[at] == '\r'))
      ++at;
  }
  bool accept(char wanted) {
    skipSpace();
    if (at == text.size() || text[at] != wanted)
      return false;
    ++at;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted))
      broken(fmt::format("expected '{}', found {}", wanted,
                         at < text.size() ? quote(text.substr(at, 1))
                                          : "the end"));
  }
  std::string quotedText() {
    skipSpace();
    char mark = at < text.size() ? text[at] : 0;
    if (mark != '\'' && mark != '"')
      broken("expected a quoted text");
    size_t end = text.find(mark, at + 1);
    if (end == std::string_view::npos)
      broken("a quoted text does not end");
    std::string inside(text.substr(at + 1, end - at - 1));
    at = end + 1;
    return inside;
  }
  Dtype descr() {
    skipSpace();
    if (at < text.size() && text[at] == '[')
      broken("structured element types are not supported");
    std::string name = quotedText();
    for (const Descr &row : descrs)
      if (name == row.text)
        return row.dtype;
    broken(fmt::format("element type {} is not one of <f4 <f2 <f8 <V2 "
                       "(bfloat16) |b1 |i1 |u1 <i4 <i8",
                       quote(name)));
  }
  bool boolean() {
    skipSpace();
    for (std::string_view word : {"True", "False"})
      if (text.substr(at).starts_with(word)) {
        at += word.size();
        return word == "True";
      }
    broken("fortran_order is neither True nor False");
  }
  Shape shape() {
    Shape sizes;
    expect('(');
    while (!accept(')')) {
      skipSpace();
      int64_t size = 0;
      size_t digits = 0;
      for (; at < text.size() && text[at] >= '0' && text[at] <= '9';
           ++at, ++digits)
        if (__builtin_mul_overflow(size, 10, &size) ||
            __builtin_add_overflow(size, text[at] - '0', &size))
          broken("a size of the shape does not fit 63 bits");
      if (digits == 0)
        broken("expected a size of the shape");
      if (sizes.size() == MOERT_MAX_RANK)
        broken(fmt::format("the shape has more than {} dimensions",
                           MOERT_MAX_RANK));
      sizes.push_back(size);
      if (!accept(',')) {
        if (sizes.size() == 1)
          broken("a tuple of one size needs a comma");
        expect(')');
        break;
      }
    }
    return sizes;
  }

  std::string_view text;
  const std::string &file;
  int64_t base;
  size_t at = 0;
};
} // namespace

NpyReader::NpyReader(const std::string &path)
    : name(path == "-" ? "standard input" : path) {
  struct stat info;
  if (path != "-" && stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
    file.emplace(path);
    size = file->size();
  } else {
    content = readWhole(path, availableMemory() / 2, magic);
    size = static_cast<int64_t>(content.size());
  }
}

NpyReader::NpyReader(std::vector<uint8_t> bytes, std::string name)
    : name(std::move(name)), content(std::move(bytes)),
      size(static_cast<int64_t>(content.size())) {}

void NpyReader::read(int64_t at, void *to, int64_t count) const {
  if (file)
    return file->readAt(at, to, count);
  std::copy_n(content.data() + at, count, static_cast<uint8_t *>(to));
}

Array NpyReader::next() {
  int64_t left = size - offset;
  auto need = [&](int64_t bytes, const char *what) {
    if (left < bytes)
      fail(MOERT_MALFORMED,
           "{}: ends at byte {} inside {}, which needs {} bytes from byte {}",
           name, size, what, bytes, offset);
  };
  need(10, "the start of a .npy array");
  char start[12];
  read(offset, start, std::min<int64_t>(left, 12));
  if (std::string_view(start, magic.size()) != magic)
    fail(MOERT_MALFORMED,
         "{}: does not have the magic number of .npy at byte {}", name, offset);
  int major = static_cast<unsigned char>(start[6]);
  int minor = static_cast<unsigned char>(start[7]);
  if (major < 1 || major > 3 || minor != 0)
    fail(MOERT_MALFORMED,
         "{}: .npy version {}.{} is not 1.0, 2.0 or 3.0 (byte {})", name, major,
         minor, offset + 6);
  int64_t prefix = major == 1 ? 10 : 12;
  need(prefix, "the start of a .npy array");
  int64_t length = 0; // little-endian, as this machine
  std::memcpy(&length, start + 8, static_cast<size_t>(prefix - 8));
  if (length > longestHeader)
    fail(MOERT_MALFORMED, "{}: header of {} bytes is longer than {} (byte {})",
         name, length, longestHeader, offset + 8);
  need(prefix + length, "the header");
  std::string text(static_cast<size_t>(length), 0);
  read(offset + prefix, text.data(), length);
  Header header = HeaderParser(text, name, offset + prefix).parse();

  int64_t bytes = arrayBytes(header.dtype, header.shape);
  int64_t begin = offset + prefix + length;
  if (bytes < 0 || bytes > size - begin)
    fail(MOERT_MALFORMED,
         "{}: the data of {} need {} bytes from byte {}, the file has {}", name,
         typeName(header.dtype, header.shape),
         bytes < 0 ? "more than 2^63" : fmt::to_string(bytes), begin,
         size - begin);
  Array array(header.dtype, std::move(header.shape), name);
  read(begin, array.data.data(), bytes);
  checkBooleans(array.dtype, array.data.span(), name);
  offset = begin + bytes;
  return array;
}

Array readNpy(const std::string &path) { return NpyReader(path).next(); }

std::string npyHeader(Dtype dtype, std::span<const int64_t> shape) {
  auto descr = std::ranges::find(descrs, dtype, &Descr::dtype);
  std::string sizes;
  for (int64_t size : shape)
    sizes += fmt::format("{}, ", size);
  if (shape.size() > 1)
    sizes.resize(sizes.size() - 2);
  else if (shape.size() == 1)
    sizes.pop_back();
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                  descr->text, sizes);
  // The format wants data to begin at a multiple of 64. Eight dimensions always
  // fit the short form.
  while ((magic.size() + 4 + text.size() + 1) % 64)
    text += ' ';
  text += '\n';
  std::string start(magic);
  start += {'\x01', '\0', static_cast<char>(text.size()),
            static_cast<char>(text.size() >> 8)};
  return start + text;
}

void writeNpy(AtomicFile &file, Dtype dtype, std::span<const int64_t> shape,
              std::span<const uint8_t> data) {
  file.write(npyHeader(dtype, shape));
  file.write(data.data(), static_cast<int64_t>(data.size()));
}

} // namespace moert
