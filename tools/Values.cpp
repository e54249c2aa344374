// Values on a command line, see Values.h.
#include "tools/Values.h"
#include "runtime/Failure.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <sys/stat.h>

namespace moe::tools {

using namespace moert;

namespace {
bool isSeparator(char c) {
  return c == ' ' || c == ',' || c == '[' || c == ']' || c == '\t' || c == '\n';
}

struct ValueType {
  Dtype dtype;
  Shape shape;
};

/// "4x8xf32"
ValueType parseType(std::string_view text, std::string_view option) {
  auto wrong = [&](std::string_view why) {
    fail(MOERT_USAGE,
         "{}: {} in type {}; wanted sizes and an element type as in 4x8xf32",
         option, why, quote(text));
  };
  ValueType type{MOERT_F32, {}};
  std::string_view left = text;
  while (!left.empty() && left[0] >= '0' && left[0] <= '9') {
    int64_t size = 0;
    auto [end, error] =
        std::from_chars(left.data(), left.data() + left.size(), size);
    left.remove_prefix(static_cast<size_t>(end - left.data()));
    if (error != std::errc())
      wrong("a size that does not fit 63 bits");
    if (left.empty() || left[0] != 'x')
      wrong("a size without 'x' after it");
    left.remove_prefix(1);
    if (type.shape.size() == MOERT_MAX_RANK)
      wrong(fmt::format("more than {} sizes", MOERT_MAX_RANK));
    type.shape.push_back(size);
  }
  std::optional<Dtype> dtype = left == "ui8" ? MOERT_U8 : parseDtype(left);
  if (!dtype && (text.ends_with(".npy") ||
                 text.find(".safetensors") != std::string_view::npos))
    fail(MOERT_USAGE, "{}: {} is no value; wanted @ before the name of a file",
         option, quote(text));
  if (!dtype)
    wrong(fmt::format("unknown element type {}", quote(left)));
  type.dtype = *dtype;
  return type;
}

void parseElement(Dtype dtype, uint8_t *to, std::string_view text,
                  std::string_view option) {
  auto wrong = [&](std::string_view why) {
    fail(MOERT_USAGE, "{}: {} is {} {}", option, quote(text), why,
         dtypeName(dtype));
  };
  std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  const char *end = digits.data() + digits.size();
  if (isFloat(dtype)) {
    double value = 0;
    auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (stop != end || error == std::errc::invalid_argument)
      wrong("no number of type");
    if (error == std::errc::result_out_of_range)
      wrong("out of the range of");
    return storeElement(dtype, to, value);
  }
  if (dtype == MOERT_I1 && (text == "true" || text == "false"))
    return storeInteger(dtype, to, text == "true");
  int64_t value = 0;
  auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument)
    wrong("no number of type");
  storeInteger(dtype, to, value);
  if (error == std::errc::result_out_of_range ||
      loadInteger(dtype, to) != value)
    wrong("out of the range of");
}

/// The values after '='.
void parseElements(Array &array, std::string_view list,
                   std::string_view option) {
  int64_t bytes = dtypeBytes(array.dtype);
  int64_t count = array.count();
  int64_t read = 0;
  uint8_t single[8];
  for (size_t at = 0; at < list.size();) {
    if (isSeparator(list[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < list.size() && !isSeparator(list[end]))
      ++end;
    uint8_t *to = read < count ? array.data.data() + read * bytes : single;
    parseElement(array.dtype, to, list.substr(at, end - at), option);
    ++read;
    at = end;
  }
  if (read == 1)
    for (int64_t i = 1; i < count; ++i)
      std::memcpy(array.data.data() + i * bytes, array.data.data(),
                  static_cast<size_t>(bytes));
  else if (read != count)
    fail(MOERT_USAGE, "{}: {} values for {}, which has {} elements", option,
         read, array.type(), count);
}

Array readRaw(const std::string &path, const ValueType &type) {
  File file(path);
  Array array(type.dtype, type.shape, path);
  if (file.size() != array.data.size())
    fail(MOERT_MALFORMED, "{}: has {} bytes, {} needs {}", path, file.size(),
         array.type(), array.data.size());
  file.readAt(0, array.data.data(), file.size());
  checkBooleans(array.dtype, array.data.span(), path);
  return array;
}

/// Where the path ends and the tensor's name begins in "x.safetensors:name" or
/// "folder/:name"; 0 if neither.
size_t tensorColon(const std::string &text) {
  constexpr std::string_view ending = ".safetensors:";
  size_t at = text.find(ending);
  if (at != std::string::npos)
    return at + ending.size() - 1;
  size_t colon = text.find(':');
  struct stat info;
  if (colon != std::string::npos &&
      stat(text.substr(0, colon).c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    return colon;
  return 0;
}

void addNested(std::string &text, const Array &value, size_t axis,
               int64_t &index, int64_t most) {
  size_t rank = value.shape.size();
  if (axis == rank) {
    text += elementText(value, index++);
    return;
  }
  for (int64_t i = 0; i < value.shape[axis]; ++i) {
    if (index >= most) {
      text += "...";
      return;
    }
    bool innermost = axis + 1 == rank;
    if (innermost && i > 0)
      text += ' ';
    if (!innermost)
      text += '[';
    addNested(text, value, axis + 1, index, most);
    if (!innermost)
      text += ']';
  }
}
} // namespace

NpyReader &ValueReader::open(const std::string &path, bool again) {
  std::unique_ptr<NpyReader> &reader = files[path];
  if (!reader || !again)
    reader = std::make_unique<NpyReader>(path);
  return *reader;
}

Array ValueReader::read(const std::string &text, std::string_view option) {
  if (text == "-" || text == "@-" || text == "+-")
    return open("-", true).next();
  if (text.starts_with('@') || text.starts_with('+')) {
    std::string path = text.substr(1);
    if (path.empty())
      fail(MOERT_USAGE, "{}: {} names no file", option, quote(text));
    if (size_t colon = tensorColon(path)) {
      std::unique_ptr<Checkpoint> &checkpoint =
          checkpoints[path.substr(0, colon)];
      if (!checkpoint)
        checkpoint = std::make_unique<Checkpoint>(path.substr(0, colon));
      return readTensor(*checkpoint, path.substr(colon + 1));
    }
    if (path.ends_with(".safetensors"))
      fail(MOERT_USAGE, "{}: {} names no tensor; wanted @{}:TENSOR", option,
           quote(text), path);
    return open(path, text[0] == '+').next();
  }
  size_t equal = text.find('=');
  ValueType type = parseType(std::string_view(text).substr(0, equal), option);
  if (equal != std::string::npos && text.compare(equal, 2, "=@") == 0)
    return readRaw(text.substr(equal + 2), type);
  Array array(type.dtype, type.shape, option);
  if (equal != std::string::npos)
    parseElements(array, std::string_view(text).substr(equal + 1), option);
  return array;
}

std::string elementText(const Array &value, int64_t index) {
  const uint8_t *from = value.data.data() + index * dtypeBytes(value.dtype);
  switch (value.dtype) {
  case MOERT_F64:
  case MOERT_F32:
  case MOERT_F16:
  case MOERT_BF16: {
    double number = loadElement(value.dtype, from);
    if (std::isnan(number))
      return "nan"; // its sign says nothing
    return value.dtype == MOERT_F64
               ? fmt::to_string(number)
               : fmt::to_string(static_cast<float>(number));
  }
  case MOERT_I1:
  case MOERT_I8:
  case MOERT_U8:
  case MOERT_I32:
  case MOERT_I64:
    return fmt::to_string(loadInteger(value.dtype, from));
  }
  return {};
}

std::string valueText(const Array &value, int64_t most) {
  std::string text = value.type() + "=";
  int64_t index = 0;
  if (value.count() > 0) // an empty array may still have a huge outer dimension
    addNested(text, value, 0, index, most);
  return text;
}

Tolerance defaultTolerance(Dtype dtype) {
  switch (dtype) {
  case MOERT_F64:
    return {1e-9, 1e-9};
  case MOERT_F32:
    return {1e-4, 1e-5};
  case MOERT_F16:
    return {1e-3, 0x1p-9};
  case MOERT_BF16:
    return {1e-2, 0x1p-7};
  case MOERT_I1:
  case MOERT_I8:
  case MOERT_U8:
  case MOERT_I32:
  case MOERT_I64:
    return {0, 0};
  }
  return {0, 0};
}

Comparison compareValues(int index, const Array &actual, const Array &expected,
                         std::optional<double> atol,
                         std::optional<double> rtol) {
  bool floats = isFloat(actual.dtype);
  if (floats != isFloat(expected.dtype) || actual.shape != expected.shape)
    return {false,
            fmt::format(
                "[FAILED] result[{}]: type {} does not match the expected {}",
                index, actual.type(), expected.type())};
  Tolerance first = defaultTolerance(actual.dtype);
  Tolerance second = defaultTolerance(expected.dtype);
  Tolerance tolerance = {atol.value_or(std::max(first.atol, second.atol)),
                         rtol.value_or(std::max(first.rtol, second.rtol))};
  int64_t differing = 0;
  int64_t firstAt = 0;
  int64_t worstAt = -1;
  double worst = -1; // of the finite differences
  for (int64_t i = 0; i < actual.count(); ++i) {
    double error = 0;
    bool equal;
    double a = actual.element(i);
    double e = expected.element(i);
    if (floats) {
      error = std::fabs(a - e);
      equal = a == e || (std::isnan(a) && std::isnan(e)) ||
              (std::isfinite(e) &&
               error <= tolerance.atol + tolerance.rtol * std::fabs(e));
    } else {
      int64_t bytesA = dtypeBytes(actual.dtype);
      int64_t bytesE = dtypeBytes(expected.dtype);
      error = std::fabs(a - e);
      equal =
          loadInteger(actual.dtype, actual.data.data() + i * bytesA) ==
              loadInteger(expected.dtype, expected.data.data() + i * bytesE) ||
          ((atol || rtol) &&
           error <= tolerance.atol + tolerance.rtol * std::fabs(e));
    }
    if (!equal && differing++ == 0)
      firstAt = i;
    if (std::isfinite(error) && error > worst) {
      worst = error;
      worstAt = i;
    }
  }
  std::string bound =
      fmt::format("{:g} + {:g}*|expected|", tolerance.atol, tolerance.rtol);
  std::string largest =
      worstAt < 0 ? ""
                  : fmt::format("; largest difference {:.3g} at index {}",
                                worst, worstAt);
  if (!differing)
    return {true, fmt::format(
                      "[SUCCESS] result[{}]: all {} elements match within {}{}",
                      index, actual.count(), bound, largest)};
  return {false, fmt::format("[FAILED] result[{}]: element at index {} ({}) "
                             "does not match the expected ({}); {} of {} "
                             "elements differ by more than {}{}",
                             index, firstAt, elementText(actual, firstAt),
                             elementText(expected, firstAt), differing,
                             actual.count(), bound, largest)};
}

void ValueWriter::open(const std::string &text) {
  if (text.empty() || text == "-")
    return;
  bool append = text[0] == '+';
  if ((text[0] != '@' && !append) || text.size() == 1)
    fail(MOERT_USAGE, "--output: {} is none of @FILE.npy, +FILE.npy, @- and -",
         quote(text));
  std::string path = text.substr(1);
  auto [place, fresh] = files.try_emplace(path);
  if (!fresh && !append)
    fail(MOERT_USAGE, "--output: {} is named twice; +{} appends", quote(path),
         path);
  if (!fresh)
    return;
  place->second = std::make_unique<AtomicFile>(path);
  struct stat info;
  if (append && stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
    std::vector<uint8_t> content = readWhole(path);
    if (!content.empty())
      NpyReader(path).next(); // fails where an array cannot follow
    place->second->write(content.data(), static_cast<int64_t>(content.size()));
  }
}

void ValueWriter::write(const std::string &text, const Array &value) {
  if (text.empty())
    return;
  if (text == "-") {
    printed += valueText(value, most) + "\n";
    return;
  }
  writeNpy(*files.at(text.substr(1)), value.dtype, value.shape,
           value.data.span());
}

void ValueWriter::print(std::string_view text) { notes += text; }

void ValueWriter::commit() {
  // What may still fail comes first, so that a full disk or a closed pipe
  // leaves every file as it was.
  for (auto &[path, file] : files)
    file->flush();
  if (files.contains("-"))
    fmt::print(stderr, "{}", notes);
  else
    printed += notes;
  AtomicFile("-").write(printed);
  for (auto &[path, file] : files)
    file->commit();
  files.clear();
  printed.clear();
  notes.clear();
}

} // namespace moe::tools
