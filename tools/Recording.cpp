// Files of recorded routings, see Recording.h.
#include "tools/Recording.h"
#include "runtime/Failure.h"
#include "runtime/File.h"
#include "runtime/Json.h"
#include "runtime/Npz.h"
#include "tools/Values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace moe::tools {

using moert::fail;
using moert::JsonValue;
using moert::quote;

namespace {

/// Otherwise it ends with .jsonl.
bool endsWithNpz(const std::string &path) {
  bool npz = path.ends_with(".npz");
  if (!npz && !path.ends_with(".jsonl"))
    fail(MOERT_USAGE, "{}: wanted a file that ends with .npz or .jsonl", path);
  return npz;
}

int32_t idAt(const Array &ids, int64_t i) {
  return reinterpret_cast<const int32_t *>(ids.data.data())[i];
}

void setWeight(Array &weights, int64_t i, double value) {
  moert::storeElement(
      weights.dtype, weights.data.data() + i * moert::dtypeBytes(weights.dtype),
      value);
}

/// Copies [tokens, slots] from or to number `at` of [tokens, count, slots].
void copySlots(const Array &from, Array &to, int64_t at, int64_t count,
               bool intoMany) {
  const Array &one = intoMany ? from : to;
  int64_t bytes = one.shape[1] * moert::dtypeBytes(one.dtype);
  for (int64_t token = 0; token < one.shape[0]; ++token) {
    int64_t many = (token * count + at) * bytes, single = token * bytes;
    std::copy_n(from.data.data() + (intoMany ? single : many), bytes,
                to.data.data() + (intoMany ? many : single));
  }
}

bool areAlike(const std::vector<RecordedRouting> &routings) {
  for (const RecordedRouting &routing : routings)
    if (routing.ids.shape != routings[0].ids.shape ||
        routing.weights.dtype != routings[0].weights.dtype)
      return false;
  return !routings.empty();
}

//===-- .npz --------------------------------------------------------------===//

void writeArrays(moert::AtomicFile &file,
                 const std::vector<RecordedRouting> &routings) {
  std::vector<std::pair<std::string, const Array *>> arrays;
  std::vector<Array> owned;
  if (areAlike(routings)) {
    auto count = static_cast<int64_t>(routings.size());
    moert::Shape shape = {routings[0].ids.shape[0], count,
                          routings[0].ids.shape[1]};
    owned.emplace_back(MOERT_I32, shape, "the recorded experts");
    owned.emplace_back(routings[0].weights.dtype, shape,
                       "the recorded weights");
    for (int64_t i = 0; i < count; ++i) {
      copySlots(routings[i].ids, owned[0], i, count, true);
      copySlots(routings[i].weights, owned[1], i, count, true);
    }
    arrays = {{"ids", &owned[0]}, {"weights", &owned[1]}};
  } else {
    for (size_t i = 0; i < routings.size(); ++i) {
      arrays.emplace_back(fmt::format("ids{}", i), &routings[i].ids);
      arrays.emplace_back(fmt::format("weights{}", i), &routings[i].weights);
    }
  }
  moert::writeNpz(file, arrays);
}

/// Ids as i32; other integers are converted.
Array toIds(Array array, const std::string &where) {
  if (moert::isFloat(array.dtype) || array.dtype == MOERT_I1)
    fail(MOERT_MALFORMED, "{} is {}, wanted integers", where, array.type());
  if (array.dtype == MOERT_I32)
    return array;
  Array ids(MOERT_I32, array.shape, where);
  int64_t bytes = moert::dtypeBytes(array.dtype);
  for (int64_t i = 0; i < array.count(); ++i) {
    int64_t id = moert::loadInteger(array.dtype, array.data.data() + i * bytes);
    if (id < std::numeric_limits<int32_t>::min() ||
        id > std::numeric_limits<int32_t>::max())
      fail(MOERT_MALFORMED, "{}: element {} is {}, no expert", where, i, id);
    moert::storeInteger(MOERT_I32, ids.data.data() + i * 4, id);
  }
  return ids;
}

std::vector<RecordedRouting>
readArrays(const std::string &path, const std::vector<RoutingShape> &wanted) {
  moert::NpzReader archive(path);
  auto count = static_cast<int64_t>(wanted.size());
  bool together = archive.has("ids");
  std::vector<RecordedRouting> routings(wanted.size());
  size_t arrays = together ? 2 : 2 * wanted.size();
  if (archive.names().size() != arrays)
    fail(MOERT_MALFORMED, "{}: has {} arrays, wanted {}: {}", path,
         archive.names().size(), arrays,
         together ? "'ids' and 'weights'"
                  : fmt::format("'ids' and 'weights' of {} routings", count));
  auto isFloat = [&](const Array &array, const std::string &name) {
    if (array.dtype != MOERT_F32 && array.dtype != MOERT_F64)
      fail(MOERT_MALFORMED, "{}: {} is {}, wanted f32 or f64", path, name,
           array.type());
  };
  if (together) {
    Array ids = toIds(archive.read("ids"), path + ": ids");
    Array weights = archive.read("weights");
    isFloat(weights, "weights");
    if (ids.shape.size() != 3 || ids.shape[1] != count ||
        weights.shape != ids.shape || ids.shape[2] != wanted[0].slots)
      fail(MOERT_MALFORMED,
           "{}: ids are {} and weights {}, wanted both of tokens x {} routings "
           "x {} slots",
           path, ids.type(), weights.type(), count, wanted[0].slots);
    for (int64_t i = 0; i < count; ++i) {
      moert::Shape shape = {ids.shape[0], ids.shape[2]};
      routings[i] = {Array(MOERT_I32, shape, path),
                     Array(weights.dtype, shape, path)};
      copySlots(ids, routings[i].ids, i, count, false);
      copySlots(weights, routings[i].weights, i, count, false);
    }
    return routings;
  }
  for (int64_t i = 0; i < count; ++i) {
    std::string ids = fmt::format("ids{}", i),
                weights = fmt::format("weights{}", i);
    routings[i] = {toIds(archive.read(ids), path + ": " + ids),
                   archive.read(weights)};
    isFloat(routings[i].weights, weights);
  }
  return routings;
}

//===-- .jsonl ------------------------------------------------------------===//

std::string numberText(const Array &array, int64_t i) {
  double value = array.element(i);
  if (std::isnan(value))
    return "\"NaN\"";
  if (std::isinf(value))
    return value < 0 ? "\"-Infinity\"" : "\"Infinity\"";
  return elementText(array, i);
}

void writeLines(moert::AtomicFile &file,
                const std::vector<RecordedRouting> &routings) {
  for (size_t number = 0; number < routings.size(); ++number) {
    const RecordedRouting &routing = routings[number];
    int64_t slots = routing.ids.shape[1];
    for (int64_t token = 0; token < routing.ids.shape[0]; ++token) {
      std::string ids, weights;
      for (int64_t slot = 0; slot < slots; ++slot) {
        int64_t i = token * slots + slot;
        ids += fmt::format("{}{}", slot ? ", " : "", idAt(routing.ids, i));
        weights += (slot ? ", " : "") + numberText(routing.weights, i);
      }
      file.write(fmt::format("{{\"routing\": {}, \"token\": {}, \"ids\": [{}], "
                             "\"weights\": [{}]}}\n",
                             number, token, ids, weights));
    }
  }
}

/// One line of a file, for messages.
struct Line {
  const std::string &path;
  size_t number;

  [[noreturn]] void broken(std::string_view what) const {
    fail(MOERT_MALFORMED, "{}: line {}: {}", path, number, what);
  }
  const JsonValue &member(const JsonValue &object, const char *key,
                          JsonValue::Kind kind, const char *kindName) const {
    const JsonValue *found = object.find(key);
    if (!found || found->kind != kind)
      broken(fmt::format("has no {} '{}'", kindName, key));
    return *found;
  }
  int64_t natural(const JsonValue &object, const char *key) const {
    uint64_t value =
        member(object, key, JsonValue::Kind::Natural, "number").natural;
    if (value > INT32_MAX)
      broken(fmt::format("'{}' is {}, more than {}", key, value, INT32_MAX));
    return static_cast<int64_t>(value);
  }
  double weight(const JsonValue &value) const {
    if (value.kind == JsonValue::Kind::Natural)
      return static_cast<double>(value.natural);
    if (value.kind == JsonValue::Kind::Number)
      return value.number;
    if (value.kind == JsonValue::Kind::String && value.string == "NaN")
      return std::numeric_limits<double>::quiet_NaN();
    double infinity = std::numeric_limits<double>::infinity();
    if (value.kind == JsonValue::Kind::String && value.string == "Infinity")
      return infinity;
    if (value.kind == JsonValue::Kind::String && value.string == "-Infinity")
      return -infinity;
    broken("a weight is no number");
  }
  int32_t id(const JsonValue &value) const {
    double number = value.kind == JsonValue::Kind::Natural
                        ? static_cast<double>(value.natural)
                        : value.number;
    bool whole = (value.kind == JsonValue::Kind::Natural ||
                  value.kind == JsonValue::Kind::Number) &&
                 number == std::floor(number) && std::fabs(number) <= INT32_MAX;
    if (!whole)
      broken("an id is no expert's number");
    return static_cast<int32_t>(number);
  }
};

struct TokenRecord {
  std::vector<int32_t> ids;
  std::vector<double> weights;
};

std::vector<RecordedRouting>
readLines(const std::string &path, const std::vector<RoutingShape> &wanted) {
  std::vector<uint8_t> bytes =
      moert::readWhole(path, moert::availableMemory() / 4);
  std::string_view text(reinterpret_cast<const char *>(bytes.data()),
                        bytes.size());
  std::vector<std::map<int64_t, TokenRecord>> tokens(wanted.size());
  for (size_t number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view content = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    Line line{path, number};
    JsonValue object = moert::parseJsonTree(
        content, 2, 1 << 16, fmt::format("{}: line {}", path, number));
    if (object.kind != JsonValue::Kind::Object || object.keys.size() != 4)
      line.broken(
          "is not an object of 'routing', 'token', 'ids' and 'weights'");
    int64_t routing = line.natural(object, "routing"),
            token = line.natural(object, "token");
    const auto &ids =
        line.member(object, "ids", JsonValue::Kind::Array, "array").items;
    const auto &weights =
        line.member(object, "weights", JsonValue::Kind::Array, "array").items;
    if (routing >= static_cast<int64_t>(wanted.size()))
      line.broken(fmt::format("has routing {}, the function has {}", routing,
                              wanted.size()));
    int64_t slots = wanted[routing].slots;
    if (static_cast<int64_t>(ids.size()) != slots ||
        static_cast<int64_t>(weights.size()) != slots)
      line.broken(fmt::format("has {} ids and {} weights, wanted {} slots",
                              ids.size(), weights.size(), slots));
    auto [record, isNew] = tokens[routing].try_emplace(token);
    if (!isNew)
      line.broken(
          fmt::format("has token {} of routing {} again", token, routing));
    for (int64_t slot = 0; slot < slots; ++slot) {
      record->second.ids.push_back(line.id(ids[slot]));
      record->second.weights.push_back(line.weight(weights[slot]));
    }
  }
  std::vector<RecordedRouting> routings;
  for (size_t i = 0; i < wanted.size(); ++i) {
    moert::Shape shape = {static_cast<int64_t>(tokens[i].size()),
                          wanted[i].slots};
    RecordedRouting &routing = routings.emplace_back(
        Array(MOERT_I32, shape, path), Array(MOERT_F64, shape, path));
    int64_t at = 0;
    for (const auto &[token, record] : tokens[i]) {
      if (token != at / std::max<int64_t>(wanted[i].slots, 1))
        fail(MOERT_MALFORMED, "{}: has no line for token {} of routing {}",
             path, at / std::max<int64_t>(wanted[i].slots, 1), i);
      for (size_t slot = 0; slot < record.ids.size(); ++slot, ++at) {
        moert::storeInteger(MOERT_I32, routing.ids.data.data() + at * 4,
                            record.ids[slot]);
        setWeight(routing.weights, at, record.weights[slot]);
      }
    }
  }
  return routings;
}

/// Shapes, experts in range and distinct in a row; empty slots get weight 0.
void check(RecordedRouting &routing, const RoutingShape &wanted, size_t number,
           const std::string &path) {
  const moert::Shape &shape = routing.ids.shape;
  if (routing.weights.shape != shape || shape.size() != 2 ||
      shape[1] != wanted.slots ||
      (wanted.tokens >= 0 && shape[0] != wanted.tokens))
    fail(
        MOERT_MALFORMED,
        "{}: routing {} has ids {} and weights {}, wanted {} tokens x {} slots",
        path, number, routing.ids.type(), routing.weights.type(),
        wanted.tokens >= 0 ? fmt::to_string(wanted.tokens) : "any number of",
        wanted.slots);
  for (int64_t token = 0; token < shape[0]; ++token) {
    std::set<int32_t> seen;
    for (int64_t slot = 0; slot < shape[1]; ++slot) {
      int64_t i = token * shape[1] + slot;
      int32_t id = idAt(routing.ids, i);
      if (id < -1 || id >= wanted.experts)
        fail(MOERT_MALFORMED,
             "{}: routing {}: token {} has expert {}, wanted -1 to {}", path,
             number, token, id, wanted.experts - 1);
      if (id < 0)
        setWeight(routing.weights, i, 0);
      else if (!seen.insert(id).second)
        fail(MOERT_MALFORMED, "{}: routing {}: token {} has expert {} twice",
             path, number, token, id);
    }
  }
}

} // namespace

std::vector<TracedRouting>
groupTraced(const std::vector<TracedTensor> &tensors) {
  std::map<int64_t, TracedRouting> routings;
  std::map<int64_t, std::vector<size_t>> weights;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TracedTensor &tensor = tensors[i];
    if (tensor.isIds)
      routings[tensor.routing] = {{tensor.experts, tensor.slots}, i, {}};
    else
      weights[tensor.routing].push_back(i);
  }
  std::vector<TracedRouting> grouped;
  for (auto &[number, routing] : routings) {
    for (size_t i : weights[number]) {
      routing.weights = i;
      grouped.push_back(routing);
    }
    if (!routing.weights)
      grouped.push_back(routing);
  }
  return grouped;
}

void checkSameIds(const std::string &path,
                  const std::vector<TracedRouting> &traced,
                  const std::vector<RecordedRouting> &given) {
  for (size_t i = 1; i < traced.size(); ++i)
    if (traced[i].ids == traced[i - 1].ids &&
        !std::ranges::equal(given[i].ids.data.span(),
                            given[i - 1].ids.data.span()))
      fail(MOERT_MALFORMED,
           "{}: routings {} and {} are one choice with two weights, but their "
           "ids differ",
           path, i - 1, i);
}

Array unitWeights(const Array &ids) {
  Array weights(MOERT_F32, ids.shape, "the recorded weights");
  for (int64_t i = 0; i < ids.count(); ++i)
    setWeight(weights, i, idAt(ids, i) < 0 ? 0 : 1);
  return weights;
}

RecordingWriter::RecordingWriter(const std::string &path)
    : npz(endsWithNpz(path)), file(path) {}

void RecordingWriter::write(const std::vector<RecordedRouting> &routings) {
  if (npz)
    writeArrays(file, routings);
  else
    writeLines(file, routings);
}

std::vector<RecordedRouting>
readRecording(const std::string &path,
              const std::vector<RoutingShape> &wanted) {
  std::vector<RecordedRouting> routings =
      endsWithNpz(path) ? readArrays(path, wanted) : readLines(path, wanted);
  for (size_t i = 0; i < wanted.size(); ++i)
    check(routings[i], wanted[i], i, path);
  return routings;
}

} // namespace moe::tools
