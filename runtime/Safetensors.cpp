// Reader of one .safetensors file, see Safetensors.h.
#include "runtime/Safetensors.h"
#include "runtime/Failure.h"
#include "runtime/Json.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

namespace moert {

namespace {
constexpr int64_t lengthBytes = 8;
constexpr uint64_t longestHeader = 100'000'000;
constexpr size_t longestName = 4096;
constexpr size_t mostTensors = 1'000'000;
constexpr size_t mostSizes = 4'000'000;
constexpr size_t mostMetadata = 100'000;
constexpr int deepest = 4;

constexpr SafetensorsDtype dtypes[] = {
    {"BOOL", 8, MOERT_I1},  {"F4", 4, {}},          {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},     {"U8", 8, MOERT_U8},    {"I8", 8, MOERT_I8},
    {"F8_E5M2", 8, {}},     {"F8_E4M3", 8, {}},     {"F8_E8M0", 8, {}},
    {"F8_E4M3FNUZ", 8, {}}, {"F8_E5M2FNUZ", 8, {}}, {"I16", 16, {}},
    {"U16", 16, {}},        {"F16", 16, MOERT_F16}, {"BF16", 16, MOERT_BF16},
    {"I32", 32, MOERT_I32}, {"U32", 32, {}},        {"F32", 32, MOERT_F32},
    {"C64", 64, {}},        {"F64", 64, MOERT_F64}, {"I64", 64, MOERT_I64},
    {"U64", 64, {}},
};
static_assert(std::size(dtypes) == 22);

std::string shapeText(std::span<const int64_t> shape) {
  std::string text;
  for (size_t i = 0; i < shape.size() && i < 16; ++i)
    text += fmt::format("{}{}", i ? "," : "", shape[i]);
  return fmt::format("[{}{}]", text, shape.size() > 16 ? ",..." : "");
}
} // namespace

/// Fills a SafetensorsHeader from the events of its JSON.
class HeaderReader : public JsonEvents {
public:
  HeaderReader(SafetensorsHeader &header, const std::string &file)
      : header(header), file(file) {}

  void null() override {
    // `"__metadata__": null` is read as absent by the format's own reader.
    if (state == State::MetadataStart)
      state = State::Root;
    else
      scalar("null");
  }
  void boolean(bool) override { scalar("a boolean"); }
  void number(double) override {
    scalar("a number that is not an unsigned 64-bit integer");
  }
  void natural(uint64_t value) override {
    if (state == State::Shape) {
      if (value > INT64_MAX)
        broken("shape", fmt::format("size {} does not fit 63 bits", value));
      if (header.sizes.size() == mostSizes)
        broken("shape",
               fmt::format("the file has more than {} sizes in all its shapes",
                           mostSizes));
      header.sizes.push_back(static_cast<int64_t>(value));
      ++entry.rank;
    } else if (state == State::Offsets) {
      if (value > INT64_MAX)
        broken("data_offsets",
               fmt::format("offset {} does not fit 63 bits", value));
      if (offsets == 2)
        broken("data_offsets", "more than 2 numbers");
      (offsets++ ? entry.end : entry.begin) = static_cast<int64_t>(value);
    } else {
      scalar("a number");
    }
  }
  void string(std::string &value) override {
    if (state == State::Dtype) {
      auto found =
          std::ranges::find_if(dtypes, [&](const SafetensorsDtype &row) {
            return value == row.name;
          });
      if (found == std::end(dtypes))
        broken("dtype", fmt::format("{} is not one of the 22 element types",
                                    quote(value)));
      entry.dtype = static_cast<uint8_t>(found - dtypes);
      state = State::Tensor;
    } else if (state != State::Metadata) {
      scalar("a string");
    }
  }
  void beginObject() override {
    switch (state) {
    case State::Start:
      state = State::Root;
      return;
    case State::TensorStart:
      state = State::Tensor;
      return;
    case State::MetadataStart:
      state = State::Metadata;
      return;
    default:
      nested("an object");
    }
  }
  void key(std::string &value) override {
    if (state == State::Root)
      rootKey(value);
    else if (state == State::Tensor)
      fieldKey(value);
    else if (state == State::Metadata)
      metadataKey(value);
  }
  void endObject() override {
    if (state == State::Skip)
      leave();
    else if (state == State::Tensor)
      endTensor();
    else if (state == State::Metadata)
      state = State::Root;
  }
  void beginArray() override {
    if (state == State::ShapeStart)
      state = State::Shape;
    else if (state == State::OffsetsStart)
      state = State::Offsets;
    else
      nested("an array");
  }
  void endArray() override {
    if (state == State::Skip)
      return leave();
    if (state == State::Offsets && offsets != 2)
      broken("data_offsets", fmt::format("{} numbers instead of 2", offsets));
    state = State::Tensor;
  }

private:
  enum class State {
    Start,
    Root,
    MetadataStart,
    Metadata,
    TensorStart,
    Tensor,
    Dtype,
    ShapeStart,
    Shape,
    OffsetsStart,
    Offsets,
    SkipStart, // the value of a field that the format does not know
    Skip
  };

  [[noreturn]] void broken(const char *rule, const std::string &what) const {
    if (state == State::Start || state == State::Root)
      fail(MOERT_MALFORMED, "{}: {} (rule: {}; byte {})", file, what, rule,
           position);
    fail(MOERT_MALFORMED, "{}: tensor {}: {} (rule: {}; byte {})", file,
         quote(name), what, rule, position);
  }

  /// What the current state wanted when it got `found` instead.
  [[noreturn]] void unexpected(const char *found) const {
    switch (state) {
    case State::Start:
      broken("header", fmt::format("the header is {}, not an object", found));
    case State::MetadataStart:
    case State::Metadata:
      broken(
          "__metadata__",
          fmt::format("found {} where an object of strings should be", found));
    case State::Dtype:
      broken("dtype", fmt::format("found {} where a string should be", found));
    case State::ShapeStart:
    case State::Shape:
      broken(
          "shape",
          fmt::format("found {} where an array of unsigned integers should be",
                      found));
    case State::OffsetsStart:
    case State::Offsets:
      broken("data_offsets",
             fmt::format(
                 "found {} where an array of 2 unsigned integers should be",
                 found));
    case State::Root:
    case State::TensorStart:
    case State::Tensor:
    case State::SkipStart:
    case State::Skip:
      broken("tensor",
             fmt::format("found {} where an object should be", found));
    }
    __builtin_unreachable();
  }

  void scalar(const char *found) {
    if (state == State::SkipStart)
      state = State::Tensor;
    else if (state != State::Skip)
      unexpected(found);
  }
  void nested(const char *found) {
    if (state != State::SkipStart && state != State::Skip)
      unexpected(found);
    state = State::Skip;
    ++skipped;
  }
  void leave() {
    if (--skipped == 0)
      state = State::Tensor;
  }

  void rootKey(std::string &value) {
    if (value == "__metadata__") {
      if (metadataSeen)
        broken("__metadata__", "appears twice");
      metadataSeen = true;
      name = value;
      state = State::MetadataStart;
      return;
    }
    name = std::move(value);
    if (name.size() > longestName) {
      state = State::TensorStart;
      broken("name", fmt::format("name of {} bytes is longer than {}",
                                 name.size(), longestName));
    }
    if (header.entries.size() == mostTensors)
      broken("count", fmt::format("more than {} tensors", mostTensors));
    entry = {};
    entry.nameBegin = static_cast<uint32_t>(header.names.size());
    entry.nameLength = static_cast<uint16_t>(name.size());
    entry.shapeBegin = static_cast<uint32_t>(header.sizes.size());
    entry.position = static_cast<uint32_t>(position);
    header.names += name;
    seenDtype = seenShape = seenOffsets = false;
    offsets = 0;
    state = State::TensorStart;
  }
  void fieldKey(const std::string &value) {
    bool *seen = nullptr;
    if (value == "dtype") {
      seen = &seenDtype;
      state = State::Dtype;
    } else if (value == "shape") {
      seen = &seenShape;
      state = State::ShapeStart;
    } else if (value == "data_offsets") {
      seen = &seenOffsets;
      state = State::OffsetsStart;
    } else {
      state = State::SkipStart;
      return;
    }
    if (std::exchange(*seen, true))
      broken(value.c_str(), "appears twice");
  }
  void metadataKey(std::string &value) {
    if (metadata.size() == mostMetadata)
      broken("__metadata__", fmt::format("more than {} entries", mostMetadata));
    auto [place, fresh] = metadata.insert(std::move(value));
    if (!fresh)
      broken("__metadata__",
             fmt::format("key {} appears twice", quote(*place)));
  }
  void endTensor() {
    const char *missing = !seenDtype     ? "dtype"
                          : !seenShape   ? "shape"
                          : !seenOffsets ? "data_offsets"
                                         : nullptr;
    if (missing)
      broken(missing, "is missing");
    if (entry.end < entry.begin)
      broken("data_offsets",
             fmt::format("end {} is before begin {}", entry.end, entry.begin));
    std::span<const int64_t> shape(header.sizes.data() + entry.shapeBegin,
                                   entry.rank);
    // Multiplied from the left without special care for zeros, as the format's
    // own reader does.
    uint64_t bits = 1;
    bool overflow = false;
    for (int64_t size : shape)
      overflow |=
          __builtin_mul_overflow(bits, static_cast<uint64_t>(size), &bits);
    overflow |= __builtin_mul_overflow(
        bits, static_cast<uint64_t>(dtypes[entry.dtype].bits), &bits);
    if (overflow)
      broken("size", fmt::format("shape {} of {} overflows 64 bits",
                                 shapeText(shape), dtypes[entry.dtype].name));
    if (bits % 8)
      broken("size",
             fmt::format("shape {} of {} is {} bits, not a multiple of 8",
                         shapeText(shape), dtypes[entry.dtype].name, bits));
    if (bits / 8 != static_cast<uint64_t>(entry.end - entry.begin))
      broken("size",
             fmt::format(
                 "shape {} of {} needs {} bytes, data_offsets [{},{}] give {}",
                 shapeText(shape), dtypes[entry.dtype].name, bits / 8,
                 entry.begin, entry.end, entry.end - entry.begin));
    header.entries.push_back(entry);
    state = State::Root;
  }

  SafetensorsHeader &header;
  const std::string &file;
  State state = State::Start;
  SafetensorsHeader::Entry entry = {};
  std::string name;
  bool seenDtype = false, seenShape = false, seenOffsets = false,
       metadataSeen = false;
  int offsets = 0;
  int skipped = 0;
  std::set<std::string> metadata;
};

SafetensorsHeader::SafetensorsHeader(std::string_view json, int64_t dataBytes,
                                     const std::string &file) {
  HeaderReader reader(*this, file);
  parseJson(json, deepest, reader, file, lengthBytes);
  checkNames(file);
  checkOffsets(dataBytes, file);
}

std::string_view SafetensorsHeader::nameOf(const Entry &entry) const {
  return std::string_view(names).substr(entry.nameBegin, entry.nameLength);
}

std::span<const int64_t> SafetensorsHeader::shapeOf(const Entry &entry) const {
  return {sizes.data() + entry.shapeBegin, entry.rank};
}

void SafetensorsHeader::checkNames(const std::string &file) {
  byName.resize(entries.size());
  std::iota(byName.begin(), byName.end(), 0u);
  std::ranges::sort(
      byName, {}, [&](uint32_t i) { return std::pair(nameOf(entries[i]), i); });
  for (size_t i = 1; i < byName.size(); ++i) {
    const Entry &second = entries[byName[i]];
    if (nameOf(entries[byName[i - 1]]) == nameOf(second))
      fail(
          MOERT_MALFORMED,
          "{}: tensor {}: the name appears twice (rule: unique names; byte {})",
          file, quote(nameOf(second)), second.position);
  }
}

void SafetensorsHeader::checkOffsets(int64_t dataBytes,
                                     const std::string &file) const {
  std::vector<uint32_t> byOffset(entries.size());
  std::iota(byOffset.begin(), byOffset.end(), 0u);
  std::ranges::sort(byOffset, {}, [&](uint32_t i) {
    return std::pair(entries[i].begin, entries[i].end);
  });
  int64_t next = 0;
  for (uint32_t i : byOffset) {
    const Entry &entry = entries[i];
    if (entry.begin != next)
      fail(MOERT_MALFORMED,
           "{}: tensor {}: data begin at {}, which {} the tensor before it "
           "that ends at {} (rule: {}; "
           "byte {})",
           file, quote(nameOf(entry)), entry.begin,
           entry.begin < next ? "overlaps" : "leaves a hole after", next,
           entry.begin < next ? "no overlap" : "no hole", entry.position);
    next = entry.end;
  }
  if (next != dataBytes)
    fail(MOERT_MALFORMED,
         "{}: the tensors end at byte {} of the data, of which the file has {} "
         "bytes (rule: data end "
         "with the file; byte {})",
         file, next, dataBytes, lengthBytes);
}

SafetensorsHeader::Tensor SafetensorsHeader::tensor(size_t index) const {
  const Entry &entry = entries[byName[index]];
  return {nameOf(entry), &dtypes[entry.dtype], shapeOf(entry), entry.begin,
          entry.end};
}

std::optional<size_t> SafetensorsHeader::find(std::string_view name) const {
  auto found = std::ranges::lower_bound(
      byName, name, {}, [&](uint32_t i) { return nameOf(entries[i]); });
  if (found == byName.end() || nameOf(entries[*found]) != name)
    return std::nullopt;
  return static_cast<size_t>(found - byName.begin());
}

Safetensors::Safetensors(const std::string &path) : file(path) {
  if (file.size() < lengthBytes)
    fail(MOERT_MALFORMED,
         "{}: has {} bytes, a safetensors file has at least {} (rule: header "
         "length; byte 0)",
         path, file.size(), lengthBytes);
  uint64_t length;
  file.readAt(0, &length, lengthBytes);
  if (length > longestHeader)
    fail(
        MOERT_MALFORMED,
        "{}: header of {} bytes is longer than {}: is this a safetensors file? "
        "(rule: header length; byte 0)",
        path, length, longestHeader);
  if (static_cast<int64_t>(length) > file.size() - lengthBytes)
    fail(MOERT_MALFORMED,
         "{}: header of {} bytes does not fit the file of {} (rule: header "
         "length; byte 0)",
         path, length, file.size());
  std::string json(length, 0);
  file.readAt(lengthBytes, json.data(), static_cast<int64_t>(length));
  dataBegin = lengthBytes + static_cast<int64_t>(length);
  parsed.emplace(json, file.size() - dataBegin, path);
}

void Safetensors::read(const SafetensorsHeader::Tensor &tensor, int64_t offset,
                       void *to, int64_t count) const {
  if (offset < 0 || count < 0 || count > tensor.end - tensor.begin - offset)
    fail(MOERT_USAGE, "{}: tensor {}: bytes {} to {} are outside its {}",
         path(), quote(tensor.name), offset, offset + count,
         tensor.end - tensor.begin);
  file.readAt(dataBegin + tensor.begin + offset, to, count);
}

} // namespace moert
