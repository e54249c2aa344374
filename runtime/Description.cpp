// What an artefact says about itself, see Description.h.
#include "runtime/Description.h"
#include "runtime/Failure.h"
#include "runtime/Json.h"

#include <algorithm>
#include <cstring>

namespace moert {

namespace {
constexpr int deepest = 16;
constexpr size_t mostValues = 200'000;
constexpr int64_t mostExperts = 1 << 20;

/// A place in the JSON, so that errors can say where:
/// "functions[0].inputs[1].dtype".
struct Place {
  const JsonValue &value;
  const std::string &file;
  std::string path;

  [[noreturn]] void broken(std::string_view what) const {
    fail(MOERT_MALFORMED, "{}: damaged description: {} {}", file,
         path.empty() ? "it" : path, what);
  }
  void require(JsonValue::Kind kind, const char *name) const {
    if (value.kind != kind)
      broken(fmt::format("is not {}", name));
  }
  Place member(const char *key) const {
    require(JsonValue::Kind::Object, "an object");
    const JsonValue *found = value.find(key);
    std::string inner = path.empty() ? key : fmt::format("{}.{}", path, key);
    if (!found)
      fail(MOERT_MALFORMED, "{}: damaged description: {} is missing", file,
           inner);
    return {*found, file, inner};
  }
  std::string text() const {
    require(JsonValue::Kind::String, "a string");
    if (value.string.empty() || value.string.find('\0') != std::string::npos)
      broken("is empty or holds a zero byte");
    return value.string;
  }
  int64_t natural() const {
    require(JsonValue::Kind::Natural, "an unsigned integer");
    if (value.natural > INT64_MAX)
      broken(fmt::format("is {}, which does not fit 63 bits", value.natural));
    return static_cast<int64_t>(value.natural);
  }
  int32_t indexBelow(size_t count, const char *what) const {
    int64_t index = natural();
    if (index >= static_cast<int64_t>(count))
      broken(fmt::format("is {}, but there are {} {}", index, count, what));
    return static_cast<int32_t>(index);
  }
  template <typename Call> auto list(Call parse) const {
    require(JsonValue::Kind::Array, "an array");
    std::vector<decltype(parse(*this))> parsed;
    for (size_t i = 0; i < value.items.size(); ++i)
      parsed.push_back(
          parse(Place{value.items[i], file, fmt::format("{}[{}]", path, i)}));
    return parsed;
  }
  Dtype dtype() const {
    std::optional<Dtype> found = parseDtype(text());
    if (!found)
      broken(fmt::format("is {}, no element type", quote(value.string)));
    return *found;
  }
};

/// Only our own names are looked up in the loaded code.
std::string symbolName(const Place &place) {
  std::string name = place.text();
  auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '$' ||
           c == '-';
  };
  if (!name.starts_with("moe_") || !std::ranges::all_of(name, plain))
    place.broken(
        fmt::format("is {}, not a symbol that begins with moe_", quote(name)));
  return name;
}

class FunctionParser {
public:
  FunctionParser(const std::vector<std::string> &levels, uint32_t minor)
      : levels(levels), minor(minor) {}

  Function parse(const Place &place) {
    function.name = place.member("name").text();
    function.entry = symbolName(place.member("entry"));
    function.workspace = symbolName(place.member("workspace"));
    function.inputs = place.member("inputs").list(
        [&](const Place &p) { return type(p, true); });
    function.results = place.member("results").list(
        [&](const Place &p) { return resultType(p); });
    function.params =
        place.member("params").list([&](const Place &p) { return param(p); });
    Place steps = place.member("steps");
    steps.require(JsonValue::Kind::Array, "an array");
    size_t stepCount = steps.value.items.size();
    function.constants = place.member("constants").list([&](const Place &p) {
      return constant(p, stepCount);
    });
    function.steps = steps.list([&](const Place &p) { return step(p); });
    checkSteps(steps);
    function.routings = place.member("routings").list([](const Place &p) {
      Routing routing{p.member("experts").natural(),
                      p.member("choices").natural()};
      if (routing.experts > mostExperts)
        p.member("experts").broken(
            fmt::format("is {}, more than {}", routing.experts, mostExperts));
      return routing;
    });
    if (minor >= 2)
      function.traced = place.member("traced").list(
          [&](const Place &p) { return traced(p); });
    return std::move(function);
  }

private:
  TypeSpec type(const Place &place, bool binds) {
    TypeSpec spec{place.member("dtype").dtype(), {}};
    Place shape = place.member("shape");
    spec.dims = shape.list([&](const Place &p) { return size(p, binds); });
    checkRank(shape, spec.dims.size());
    return spec;
  }

  /// Sizes of results may be objects: {"of":"d0","factor":...}, {"most":...}.
  TypeSpec resultType(const Place &place) {
    TypeSpec spec{place.member("dtype").dtype(), {}};
    Place shape = place.member("shape");
    spec.dims = shape.list([&](const Place &p) {
      if (minor < 3 || p.value.kind != JsonValue::Kind::Object)
        return size(p, false);
      bool most = p.value.find("most");
      Dim dim = most ? scaledSize(p.member("most")) : scaledSize(p);
      dim.most = most;
      if (most)
        dim.text = fmt::format(
            "at most {}", dim.symbol < 0 ? fmt::to_string(dim.size) : dim.text);
      return dim;
    });
    checkRank(shape, spec.dims.size());
    return spec;
  }

  Dim size(const Place &place, bool binds) {
    Dim dim;
    if (place.value.kind != JsonValue::Kind::String) {
      dim.size = place.natural();
      return dim;
    }
    std::string name = place.text();
    auto found = std::ranges::find(function.symbols, name);
    if (found == function.symbols.end() && !binds)
      place.broken(fmt::format("is {}, a size that no input has", quote(name)));
    if (found == function.symbols.end())
      found = function.symbols.insert(found, name);
    dim.size = -1;
    dim.symbol = static_cast<int32_t>(found - function.symbols.begin());
    dim.text = name;
    return dim;
  }

  Dim scaledSize(const Place &place) {
    if (place.value.kind != JsonValue::Kind::Object)
      return size(place, false);
    Dim dim = size(place.member("of"), false);
    if (dim.symbol < 0)
      place.member("of").broken("is not the name of a size");
    dim.factor = place.member("factor").natural();
    dim.divisor = place.member("divisor").natural();
    dim.times = place.member("times").natural();
    dim.more = place.member("more").natural();
    if (dim.divisor == 0)
      place.member("divisor").broken("is 0");
    if (dim.factor != 1)
      dim.text = fmt::format("{}*{}", dim.factor, dim.text);
    if (dim.divisor != 1)
      dim.text = fmt::format("{}/{}", dim.text, dim.divisor);
    if (dim.times != 1)
      dim.text = fmt::format("{}*{}", dim.text, dim.times);
    if (dim.more != 0)
      dim.text = fmt::format("{}+{}", dim.text, dim.more);
    return dim;
  }

  static void checkRank(const Place &shape, size_t rank) {
    if (rank > MOERT_MAX_RANK)
      shape.broken(
          fmt::format("has {} dimensions, more than {}", rank, MOERT_MAX_RANK));
  }

  Traced traced(const Place &place) {
    Traced spec;
    spec.routing = place.member("routing").indexBelow(function.routings.size(),
                                                      "routings");
    spec.type = type(place, false);
    spec.times = place.member("times").natural();
    if (spec.type.dtype != MOERT_I32 && spec.type.dtype != MOERT_F32)
      place.member("dtype").broken("is neither i32 (ids) nor f32 (weights)");
    if (spec.type.dims.size() != 2 || spec.type.dims[1].symbol >= 0 ||
        spec.type.dims[1].size > mostExperts || spec.times < 1 ||
        spec.times > mostExperts)
      place.broken("is not rows of slots");
    return spec;
  }

  ParamSpec param(const Place &place) {
    ParamSpec spec;
    spec.name = place.member("name").text();
    spec.dtype = place.member("dtype").dtype();
    Place shape = place.member("shape");
    spec.shape = shape.list([](const Place &p) { return p.natural(); });
    checkRank(shape, spec.shape.size());
    if (arrayBytes(spec.dtype, spec.shape) < 0)
      shape.broken("overflows 63 bits");
    Place stack = place.member("stack");
    spec.stack = stack.list([](const Place &p) {
      return StackAxis{p.member("name").text(), p.member("begin").natural()};
    });
    std::vector<StackAxis> braces = stackAxes(spec.name, place.file);
    if (spec.stack.size() != braces.size() ||
        spec.stack.size() > spec.shape.size())
      stack.broken(fmt::format(
          "has {} axes, the name {} has {} and the shape {} dimensions",
          spec.stack.size(), quote(spec.name), braces.size(),
          spec.shape.size()));
    for (const StackAxis &axis : spec.stack)
      if (axis.begin > INT64_MAX / 2)
        stack.broken("begins beyond 2^62");
    return spec;
  }

  Constant constant(const Place &place, size_t stepCount) {
    bool isParam = place.value.find("param");
    if (isParam == (place.value.find("step") != nullptr))
      place.broken("has not exactly one of 'param' and 'step'");
    if (isParam)
      return {
          place.member("param").indexBelow(function.params.size(), "params"),
          -1};
    return {-1, place.member("step").indexBelow(stepCount, "steps")};
  }

  Step step(const Place &place) {
    Step made;
    made.symbol = symbolName(place.member("symbol"));
    made.params = place.member("params").list([&](const Place &p) {
      return p.indexBelow(function.params.size(), "params");
    });
    made.results = place.member("results").list([&](const Place &p) {
      return p.indexBelow(function.constants.size(), "constants");
    });
    Place bytes = place.member("bytes");
    for (size_t level = 0; level < levels.size(); ++level) {
      Place ofLevel = bytes.member(levels[level].c_str());
      made.bytes.push_back(
          ofLevel.list([](const Place &p) { return p.natural(); }));
      if (made.bytes.back().size() != made.results.size())
        ofLevel.broken(fmt::format("has {} sizes for {} results",
                                   made.bytes.back().size(),
                                   made.results.size()));
    }
    return made;
  }

  /// Every constant that a step makes is made by exactly that step, once.
  void checkSteps(const Place &place) const {
    std::vector<int> made(function.constants.size(), 0);
    for (size_t i = 0; i < function.steps.size(); ++i)
      for (int32_t result : function.steps[i].results) {
        if (function.constants[result].step != static_cast<int32_t>(i))
          place.broken(fmt::format(
              "has step {} make constant {}, which is not its own", i, result));
        ++made[result];
      }
    for (size_t i = 0; i < made.size(); ++i)
      if (made[i] != (function.constants[i].step >= 0))
        place.broken(fmt::format("makes constant {} {} times", i, made[i]));
  }

  const std::vector<std::string> &levels;
  uint32_t minor;
  Function function;
};

void checkUnique(const Place &place, std::vector<std::string> names) {
  std::ranges::sort(names);
  auto twice = std::ranges::adjacent_find(names);
  if (twice != names.end())
    place.broken(fmt::format("has {} twice", quote(*twice)));
}
} // namespace

Description parseDescription(std::string_view section,
                             const std::string &file) {
  moert_meta_header header;
  if (section.size() < sizeof(header))
    fail(MOERT_MALFORMED,
         "{}: damaged description: section of {} bytes, wanted at least {}",
         file, section.size(), sizeof(header));
  std::memcpy(&header, section.data(), sizeof(header));
  if (std::memcmp(header.magic, MOERT_META_MAGIC, sizeof(header.magic)) != 0)
    fail(MOERT_MALFORMED,
         "{}: damaged description: it does not begin with MOEMLIR", file);
  if (header.major != MOERT_ABI_MAJOR || header.minor > MOERT_ABI_MINOR)
    fail(MOERT_MALFORMED,
         "{}: is an artefact of version {}.{}, this runtime loads {}.0 to "
         "{}.{}; compile it again",
         file, header.major, header.minor, MOERT_ABI_MAJOR, MOERT_ABI_MAJOR,
         MOERT_ABI_MINOR);
  std::string_view json = section.substr(sizeof(header));
  if (header.json_length > json.size())
    fail(MOERT_MALFORMED,
         "{}: damaged description: {} bytes of JSON in a section with room for "
         "{}",
         file, header.json_length, json.size());
  if (json.substr(header.json_length).find_first_not_of('\0') !=
      std::string_view::npos)
    fail(MOERT_MALFORMED,
         "{}: damaged description: bytes that are not zero after the JSON",
         file);

  JsonValue tree = parseJsonTree(json.substr(0, header.json_length), deepest,
                                 mostValues, file);
  Place root{tree, file, ""};
  Description description;
  description.producer = root.member("producer").text();
  Place levels = root.member("levels");
  description.levels = levels.list([](const Place &p) { return p.text(); });
  checkUnique(levels, description.levels);
  Place functions = root.member("functions");
  description.functions = functions.list([&](const Place &p) {
    return FunctionParser(description.levels, header.minor).parse(p);
  });
  std::vector<std::string> names;
  for (const Function &function : description.functions)
    names.push_back(function.name);
  checkUnique(functions, names);
  return description;
}

} // namespace moert
