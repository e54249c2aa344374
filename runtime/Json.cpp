// Strict JSON, see Json.h.
#include "runtime/Json.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace moert {

JsonEvents::~JsonEvents() = default;

namespace {
/// Input iterator that tells how far the lexer has come.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char *;
  using reference = const char &;

  const char *at;
  const char **front;

  reference operator*() const { return *at; }
  CountingIterator &operator++() {
    *front = ++at;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const CountingIterator &other) const {
    return at == other.at;
  }
  bool operator!=(const CountingIterator &other) const {
    return at != other.at;
  }
};

/// Bounds the depth and keeps the position; everything else goes to the
/// handler.
class Bridge : public nlohmann::json_sax<nlohmann::json> {
public:
  Bridge(JsonEvents &events, const char *begin, size_t base, int depth,
         std::string_view name)
      : front(begin), events(events), begin(begin), base(base), depth(depth),
        name(name) {}

  bool null() override {
    return pass([&] { events.null(); });
  }
  bool boolean(bool value) override {
    return pass([&] { events.boolean(value); });
  }
  bool number_integer(number_integer_t value) override {
    return pass([&] { events.number(static_cast<double>(value)); });
  }
  bool number_unsigned(number_unsigned_t value) override {
    return pass([&] { events.natural(value); });
  }
  bool number_float(number_float_t value, const string_t &) override {
    return pass([&] { events.number(value); });
  }
  bool string(string_t &value) override {
    return pass([&] { events.string(value); });
  }
  bool binary(binary_t &) override { return false; } // not in text
  bool start_object(std::size_t) override {
    enter();
    return pass([&] { events.beginObject(); });
  }
  bool key(string_t &value) override {
    return pass([&] { events.key(value); });
  }
  bool end_object() override {
    --level;
    return pass([&] { events.endObject(); });
  }
  bool start_array(std::size_t) override {
    enter();
    return pass([&] { events.beginArray(); });
  }
  bool end_array() override {
    --level;
    return pass([&] { events.endArray(); });
  }
  bool parse_error(std::size_t, const std::string &,
                   const nlohmann::json::exception &error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax
    // error while ...; last read: '...'" Only the description is of use: the
    // position is given in bytes, and what was read may be megabytes long.
    std::string_view text = error.what();
    size_t from = text.find(": ");
    text = from == std::string_view::npos ? text : text.substr(from + 2);
    text = text.substr(0, text.find("; last read"));
    fail(MOERT_MALFORMED, "{}: is not JSON at byte {}: {}", name, position(),
         text.substr(0, 120));
  }

  const char *front;

private:
  size_t position() const { return base + static_cast<size_t>(front - begin); }
  void enter() {
    if (++level > depth)
      fail(MOERT_MALFORMED, "{}: nests deeper than {} levels at byte {}", name,
           depth, position());
  }
  template <typename Call> bool pass(Call call) {
    events.position = position();
    call();
    return true;
  }

  JsonEvents &events;
  const char *begin;
  size_t base;
  int depth;
  std::string_view name;
  int level = 0;
};

/// Builds a JsonValue.
class TreeBuilder : public JsonEvents {
public:
  TreeBuilder(size_t values, std::string_view name)
      : left(values), name(name) {}

  void null() override { add(JsonValue::Kind::Null); }
  void boolean(bool value) override {
    add(JsonValue::Kind::Boolean).boolean = value;
  }
  void natural(uint64_t value) override {
    add(JsonValue::Kind::Natural).natural = value;
  }
  void number(double value) override {
    add(JsonValue::Kind::Number).number = value;
  }
  void string(std::string &value) override {
    add(JsonValue::Kind::String).string = std::move(value);
  }
  void beginObject() override { open.push_back(&add(JsonValue::Kind::Object)); }
  void key(std::string &value) override {
    open.back()->keys.push_back(std::move(value));
  }
  void endObject() override {
    std::vector<std::string_view> keys(open.back()->keys.begin(),
                                       open.back()->keys.end());
    std::ranges::sort(keys);
    auto twice = std::ranges::adjacent_find(keys);
    if (twice != keys.end())
      fail(MOERT_MALFORMED,
           "{}: key {} appears twice in the object that ends at byte {}", name,
           quote(*twice), position);
    open.pop_back();
  }
  void beginArray() override { open.push_back(&add(JsonValue::Kind::Array)); }
  void endArray() override { open.pop_back(); }

  JsonValue root;

private:
  JsonValue &add(JsonValue::Kind kind) {
    if (left-- == 0)
      fail(MOERT_MALFORMED, "{}: holds too many values at byte {}", name,
           position);
    // A pointer in `open` stays valid: its container grows only while it is
    // itself at the back.
    JsonValue *value =
        open.empty() ? &root : &open.back()->items.emplace_back();
    value->kind = kind;
    return *value;
  }

  size_t left;
  std::string_view name;
  std::vector<JsonValue *> open;
};
} // namespace

void parseJson(std::string_view text, int depth, JsonEvents &events,
               std::string_view name, size_t base) {
  // Two things that the lexer forgives: a zero byte ends its input, and a byte
  // order mark is skipped.
  if (const void *zero = std::memchr(text.data(), 0, text.size()))
    fail(MOERT_MALFORMED, "{}: is not JSON at byte {}: zero byte", name,
         base + static_cast<size_t>(static_cast<const char *>(zero) -
                                    text.data()));
  if (text.starts_with("\xef\xbb\xbf"))
    fail(MOERT_MALFORMED, "{}: is not JSON at byte {}: byte order mark", name,
         base);
  const char *end = text.data() + text.size();
  Bridge bridge(events, text.data(), base, depth, name);
  nlohmann::json::sax_parse(CountingIterator{text.data(), &bridge.front},
                            CountingIterator{end, &bridge.front}, &bridge);
}

const JsonValue *JsonValue::find(std::string_view key) const {
  auto found = std::ranges::find(keys, key);
  return found == keys.end() ? nullptr : &items[found - keys.begin()];
}

JsonValue parseJsonTree(std::string_view text, int depth, size_t values,
                        std::string_view name) {
  TreeBuilder builder(values, name);
  parseJson(text, depth, builder, name);
  return std::move(builder.root);
}

} // namespace moert
