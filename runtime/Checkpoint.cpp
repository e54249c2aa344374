// Checkpoints, see Checkpoint.h.
#include "runtime/Checkpoint.h"
#include "runtime/Failure.h"
#include "runtime/Json.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <sys/stat.h>

namespace moert {

namespace {
constexpr int deepestIndex = 4;

bool isRegular(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

std::string realPath(const std::string &path) {
  std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr),
                                              &free);
  return real ? real.get() : "";
}

/// Collects "weight_map" of an index.json and passes over everything else.
class IndexReader : public JsonEvents {
public:
  explicit IndexReader(const std::string &file) : file(file) {}

  void null() override { other("null"); }
  void boolean(bool) override { other("a boolean"); }
  void natural(uint64_t) override { other("a number"); }
  void number(double) override { other("a number"); }
  void string(std::string &value) override {
    if (!inMap())
      return other("a string");
    uint32_t shard = shardIndex(value); // its messages have the tensor's name
    auto [place, fresh] = fileOf.try_emplace(std::move(tensor), shard);
    if (!fresh)
      fail(MOERT_MALFORMED, "{}: tensor {}: the name appears twice (byte {})",
           file, quote(place->first), position);
  }
  void beginObject() override {
    if (level == 0 || (level == 1 && top == "weight_map")) {
      mapSeen |= level == 1;
      ++level;
      return;
    }
    other("an object");
    ++level;
  }
  void key(std::string &value) override {
    if (level == 1) {
      if (value == "weight_map" && mapSeen)
        fail(MOERT_MALFORMED, "{}: 'weight_map' appears twice (byte {})", file,
             position);
      top = value;
    } else if (inMap()) {
      tensor = value;
    }
  }
  void endObject() override { --level; }
  void beginArray() override {
    other("an array");
    ++level;
  }
  void endArray() override { --level; }

  std::vector<std::string> files;
  std::map<std::string, uint32_t> fileOf;
  bool mapSeen = false;

private:
  bool inMap() const { return level == 2 && top == "weight_map"; }
  /// A value outside the map is of no interest; inside, or instead of it, it is
  /// an error.
  void other(const char *found) const {
    if (level == 0)
      fail(MOERT_MALFORMED, "{}: is {}, not an object (byte {})", file, found,
           position);
    if (level == 1 && top == "weight_map")
      fail(MOERT_MALFORMED, "{}: 'weight_map' is {}, not an object (byte {})",
           file, found, position);
    if (inMap())
      fail(MOERT_MALFORMED,
           "{}: tensor {}: found {} where a file name should be (byte {})",
           file, quote(tensor), found, position);
  }
  uint32_t shardIndex(const std::string &value) {
    if (value.empty() || value == "." || value == ".." ||
        value.find('/') != std::string::npos ||
        value.find('\0') != std::string::npos)
      fail(MOERT_MALFORMED,
           "{}: tensor {}: {} is not a plain file name in the same directory "
           "(byte {})",
           file, quote(tensor), quote(value), position);
    auto [place, fresh] =
        indexOf.try_emplace(value, static_cast<uint32_t>(files.size()));
    if (fresh)
      files.push_back(value);
    return place->second;
  }

  const std::string &file;
  int level = 0;
  std::string top;
  std::string tensor;
  std::map<std::string, uint32_t> indexOf;
};

std::string digitsOf(std::string_view name) {
  std::string digits;
  std::ranges::copy_if(name, std::back_inserter(digits),
                       [](char c) { return c >= '0' && c <= '9'; });
  return digits;
}

/// Edit distance of two names, or `limit` if it is not smaller.
size_t editDistance(std::string_view a, std::string_view b, size_t limit) {
  size_t gap = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (gap >= limit)
    return limit;
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    size_t least = row[0];
    for (size_t j = 0; j < b.size(); ++j) {
      size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
      least = std::min(least, row[j + 1]);
    }
    if (least >= limit)
      return limit;
  }
  return std::min(row[b.size()], limit);
}

std::string storedType(const SafetensorsHeader::Tensor &tensor) {
  std::string text;
  for (int64_t size : tensor.shape)
    text += fmt::format("{}x", size);
  return text + (tensor.dtype->dtype ? dtypeName(*tensor.dtype->dtype)
                                     : tensor.dtype->name);
}

/// The name of the part at `indices`: every {..} of the template replaced by
/// its number.
std::string partName(std::string_view prefix, std::string_view nameTemplate,
                     const std::vector<StackAxis> &stack,
                     const std::vector<int64_t> &indices) {
  std::string result(prefix);
  for (size_t axis = 0;; ++axis) {
    size_t open =
        axis < stack.size() ? nameTemplate.find('{') : std::string_view::npos;
    result += nameTemplate.substr(0, open);
    if (open == std::string_view::npos)
      return result;
    result += fmt::to_string(stack[axis].begin + indices[axis]);
    nameTemplate.remove_prefix(nameTemplate.find('}') + 1);
  }
}

[[noreturn]] void failMissing(const Checkpoint &checkpoint,
                              std::string_view wanted,
                              std::string_view prefix) {
  std::string_view near = checkpoint.closest(wanted);
  std::string hint;
  if (near.empty())
    hint = fmt::format("; it has {} other tensors", checkpoint.size());
  else if (near.size() > wanted.size() && near.ends_with(wanted))
    hint = fmt::format(
        "; there is {}: is the prefix {}?", quote(near),
        quote(fmt::format("{}{}", near.substr(0, near.size() - wanted.size()),
                          prefix)));
  else
    hint = fmt::format("; the closest name is {}", quote(near));
  fail(MOERT_MALFORMED, "{}: has no tensor {}{}", checkpoint.path(),
       quote(wanted), hint);
}
} // namespace

Checkpoint::Checkpoint(const std::string &path) : name(path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    fail(MOERT_IO, "{}: cannot be opened: {}", path, errorText(errno));
  if (!S_ISDIR(info.st_mode)) {
    if (path.ends_with(".index.json")) {
      size_t slash = path.rfind('/');
      openIndexed(slash == std::string::npos ? "." : path.substr(0, slash),
                  path);
    } else {
      shards.emplace_back(path);
    }
    return;
  }
  std::string index = path + "/model.safetensors.index.json";
  std::string single = path + "/model.safetensors";
  if (isRegular(index))
    openIndexed(path, index);
  else if (isRegular(single))
    shards.emplace_back(single);
  else
    fail(MOERT_IO,
         "{}: holds neither model.safetensors.index.json nor model.safetensors",
         path);
}

void Checkpoint::openIndexed(const std::string &folder,
                             const std::string &index) {
  std::vector<uint8_t> content = readWhole(index);
  IndexReader reader(index);
  parseJson({reinterpret_cast<const char *>(content.data()), content.size()},
            deepestIndex, reader, index);
  if (!reader.mapSeen)
    fail(MOERT_MALFORMED, "{}: has no 'weight_map'", index);

  std::string home = realPath(folder);
  for (const std::string &file : reader.files) {
    std::string path = folder + "/" + file;
    std::string real = realPath(path);
    if (real.empty())
      fail(MOERT_IO, "{}: cannot be opened: {} (listed in {})", path,
           errorText(errno), index);
    if (real.substr(0, real.rfind('/')) != (home == "/" ? "" : home))
      fail(MOERT_MALFORMED,
           "{}: is a symbolic link out of its directory, to {} (listed in {})",
           path, quote(real), index);
    shards.emplace_back(path);
  }
  indexed = true;
  for (const auto &[tensor, shard] :
       reader.fileOf) { // a std::map: already in the order of the names
    std::optional<size_t> found = shards[shard].header().find(tensor);
    if (!found)
      fail(MOERT_MALFORMED, "{}: has no tensor {}, which {} says is there",
           shards[shard].path(), quote(tensor), index);
    listed.push_back({shard, static_cast<uint32_t>(*found)});
  }
}

size_t Checkpoint::size() const {
  return indexed ? listed.size() : shards[0].header().size();
}

std::optional<Checkpoint::Tensor>
Checkpoint::find(std::string_view wanted) const {
  if (!indexed) {
    std::optional<size_t> found = shards[0].header().find(wanted);
    return found ? std::optional(Tensor{0, static_cast<uint32_t>(*found)})
                 : std::nullopt;
  }
  auto found = std::ranges::lower_bound(
      listed, wanted, {}, [&](Tensor tensor) { return describe(tensor).name; });
  if (found == listed.end() || describe(*found).name != wanted)
    return std::nullopt;
  return *found;
}

void Checkpoint::read(Tensor tensor, int64_t offset, void *to,
                      int64_t count) const {
  shards[tensor.shard].read(describe(tensor), offset, to, count);
}

void Checkpoint::forEach(const std::function<void(Tensor)> &visit) const {
  for (size_t i = 0; i < size(); ++i)
    visit(indexed ? listed[i] : Tensor{0, static_cast<uint32_t>(i)});
}

std::string_view Checkpoint::closest(std::string_view wanted) const {
  // Bounded work on any file: the first names only, and none that is far from
  // the best so far.
  constexpr size_t mostCandidates = 100'000;
  constexpr size_t longestCandidate = 512;
  std::string_view best;
  if (wanted.empty() || wanted.size() > longestCandidate)
    return best;
  std::string digits = digitsOf(wanted);
  size_t bestDistance = std::max<size_t>(3, wanted.size() / 2);
  bool suffix = false;
  size_t seen = 0;
  forEach([&](Tensor tensor) {
    std::string_view candidate = describe(tensor).name;
    if (suffix || ++seen > mostCandidates ||
        candidate.size() > longestCandidate)
      return;
    if (candidate.size() > wanted.size() && candidate.ends_with(wanted)) {
      best = candidate;
      suffix = true;
      return;
    }
    // The same name of another layer or expert is no help: another number costs
    // more than two swapped letters.
    size_t distance = editDistance(wanted, candidate, bestDistance) +
                      (digitsOf(candidate) == digits ? 0 : 2);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  });
  return best;
}

std::vector<StackAxis> stackAxes(std::string_view nameTemplate,
                                 std::string_view what) {
  std::vector<StackAxis> axes;
  auto broken = [&](std::string_view why) {
    fail(MOERT_MALFORMED, "{}: param name {} {}", what, quote(nameTemplate),
         why);
  };
  for (size_t at = 0; at < nameTemplate.size(); ++at) {
    if (nameTemplate[at] == '}')
      broken("has a '}' without '{'");
    if (nameTemplate[at] != '{')
      continue;
    size_t close = nameTemplate.find('}', at);
    if (close == std::string_view::npos)
      broken("has a '{' without '}'");
    std::string_view inside = nameTemplate.substr(at + 1, close - at - 1);
    size_t colon = inside.find(':');
    StackAxis axis{std::string(inside.substr(0, colon)), 0};
    if (axis.name.empty() || axis.name.find('{') != std::string::npos)
      broken("has braces without a name inside");
    if (colon != std::string_view::npos) {
      std::string_view digits = inside.substr(colon + 1);
      if (digits.empty() || digits.size() > 9 ||
          digits.find_first_not_of("0123456789") != std::string_view::npos)
        broken("begins an axis at something that is not a number of up to 9 "
               "digits");
      axis.begin = std::stoll(std::string(digits));
    }
    axes.push_back(std::move(axis));
    at = close;
  }
  return axes;
}

ResolvedParam resolveParam(const Checkpoint &checkpoint, const ParamSpec &param,
                           std::string_view prefix) {
  ResolvedParam resolved;
  size_t axes = param.stack.size();
  std::span<const int64_t> partShape = std::span(param.shape).subspan(axes);
  resolved.partBytes = arrayBytes(param.dtype, partShape);
  std::optional<int64_t> parts =
      elementCount(std::span(param.shape).first(axes));
  if (resolved.partBytes < 0 || !parts ||
      arrayBytes(param.dtype, param.shape) < 0)
    fail(MOERT_MEMORY, "param {} of type {} is larger than 2^63 bytes",
         quote(param.name), typeName(param.dtype, param.shape));
  // A model that wants more tensors than there are cannot be satisfied; find
  // out before counting to 2^63.
  int64_t count =
      std::min<int64_t>(*parts, static_cast<int64_t>(checkpoint.size()) + 1);

  std::vector<int64_t> indices(axes, 0);
  for (int64_t part = 0; part < count; ++part) {
    std::string wanted = partName(prefix, param.name, param.stack, indices);
    std::optional<Checkpoint::Tensor> found = checkpoint.find(wanted);
    if (!found)
      failMissing(checkpoint, wanted, prefix);
    SafetensorsHeader::Tensor tensor = checkpoint.describe(*found);
    if (tensor.dtype->dtype != param.dtype ||
        !std::ranges::equal(tensor.shape, partShape))
      fail(MOERT_MALFORMED, "{}: tensor {} is {}, the model wants {}",
           checkpoint.shardOf(*found).path(), quote(wanted), storedType(tensor),
           typeName(param.dtype, partShape));
    resolved.parts.push_back(*found);
    for (size_t axis = axes; axis-- > 0;) {
      if (++indices[axis] < param.shape[axis])
        break;
      indices[axis] = 0;
    }
  }
  return resolved;
}

void readParam(const Checkpoint &checkpoint, const ResolvedParam &param,
               uint8_t *to, const std::function<void(int64_t)> &done) {
  // Pieces keep a progress display alive during one large tensor.
  constexpr int64_t piece = 16 << 20;
  for (Checkpoint::Tensor part : param.parts) {
    for (int64_t offset = 0; offset < param.partBytes; offset += piece) {
      int64_t count = std::min(piece, param.partBytes - offset);
      checkpoint.read(part, offset, to + offset, count);
      if (done)
        done(count);
    }
    SafetensorsHeader::Tensor tensor = checkpoint.describe(part);
    if (tensor.dtype->dtype == MOERT_I1)
      checkBooleans(MOERT_I1, {to, static_cast<size_t>(param.partBytes)},
                    fmt::format("{}: tensor {}",
                                checkpoint.shardOf(part).path(),
                                quote(tensor.name)));
    to += param.partBytes;
  }
}

Array readParam(const Checkpoint &checkpoint, const ParamSpec &param,
                std::string_view prefix) {
  ResolvedParam resolved = resolveParam(checkpoint, param, prefix);
  Array array(param.dtype, param.shape,
              fmt::format("param {}", quote(param.name)));
  readParam(checkpoint, resolved, array.data.data());
  return array;
}

Array readTensor(const Checkpoint &checkpoint, std::string_view name) {
  std::optional<Checkpoint::Tensor> found = checkpoint.find(name);
  if (!found)
    failMissing(checkpoint, name, "");
  SafetensorsHeader::Tensor tensor = checkpoint.describe(*found);
  if (!tensor.dtype->dtype)
    fail(MOERT_MALFORMED,
         "{}: tensor {} has element type {}, which no model can use",
         checkpoint.shardOf(*found).path(), quote(name), tensor.dtype->name);
  if (tensor.shape.size() > MOERT_MAX_RANK)
    fail(MOERT_MALFORMED, "{}: tensor {} has rank {}, more than {}",
         checkpoint.shardOf(*found).path(), quote(name), tensor.shape.size(),
         MOERT_MAX_RANK);
  return readParam(checkpoint,
                   {std::string(name),
                    *tensor.dtype->dtype,
                    {tensor.shape.begin(), tensor.shape.end()},
                    {}},
                   "");
}

} // namespace moert
