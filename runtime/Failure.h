// The one exception of the runtime: a status and a message that names the
// thing, the value found and the value wanted. Thrown anywhere inside, caught
// where the C interface (or a tool's main) begins.
#ifndef MOE_RUNTIME_FAILURE_H
#define MOE_RUNTIME_FAILURE_H

#include "runtime/moert.h"

#include <exception>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <utility>

namespace moert {

class Failure : public std::exception {
public:
  Failure(moert_status status, std::string message)
      : code(status), text(std::move(message)) {}
  moert_status status() const { return code; }
  const std::string &message() const { return text; }
  const char *what() const noexcept override { return text.c_str(); }

private:
  moert_status code;
  std::string text;
};

template <typename... Args>
[[noreturn]] void fail(moert_status status, fmt::format_string<Args...> format,
                       Args &&...args) {
  throw Failure(status, fmt::format(format, std::forward<Args>(args)...));
}

/// `'name'` for a message: control bytes and bytes outside ASCII that are not
/// UTF-8 become \xNN, long names are cut.
std::string quote(std::string_view name);

/// The text of an errno value.
std::string errorText(int number);

} // namespace moert

#endif
