// Strict JSON for hostile input: bounded nesting, no duplicate keys, valid
// UTF-8 only, nothing after the value. Events for large documents, a small tree
// for small ones. (nlohmann-json does the lexing, inside Json.cpp only.)
#ifndef MOE_RUNTIME_JSON_H
#define MOE_RUNTIME_JSON_H

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moert {

/// Receives one document. `position` is the byte just after what is being
/// reported (one more after a number). Handlers report errors by throwing
/// Failure.
class JsonEvents {
public:
  virtual ~JsonEvents();
  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  /// A number without sign, fraction or exponent that fits 64 bits.
  virtual void natural(uint64_t value) = 0;
  /// Any other number.
  virtual void number(double value) = 0;
  virtual void string(std::string &value) = 0;
  virtual void beginObject() = 0;
  virtual void key(std::string &value) = 0;
  virtual void endObject() = 0;
  virtual void beginArray() = 0;
  virtual void endArray() = 0;

  size_t position = 0;
};

/// Throws MOERT_MALFORMED, beginning with `name`, for text that is no JSON or
/// nests deeper than `depth` (a lone number has depth 0). Positions in messages
/// count from `base`. Duplicate keys are for the handler to find.
void parseJson(std::string_view text, int depth, JsonEvents &events,
               std::string_view name, size_t base = 0);

/// A parsed small document.
struct JsonValue {
  enum class Kind : uint8_t {
    Null,
    Boolean,
    Natural,
    Number,
    String,
    Array,
    Object
  };
  Kind kind = Kind::Null;
  bool boolean = false;
  uint64_t natural = 0;
  double number = 0;
  std::string string;
  std::vector<JsonValue> items;  // of an array, or the values of an object
  std::vector<std::string> keys; // of an object, in order

  /// The member called `key`, or null.
  const JsonValue *find(std::string_view key) const;
};

/// Throws MOERT_MALFORMED also for a duplicate key and for more than `values`
/// values.
JsonValue parseJsonTree(std::string_view text, int depth, size_t values,
                        std::string_view name);

} // namespace moert

#endif
