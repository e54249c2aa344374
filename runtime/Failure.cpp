// Printing of names and system errors in messages, see Failure.h.
#include "runtime/Failure.h"

#include <system_error>

namespace moert {

namespace {
/// Length of the UTF-8 sequence at `at`, or 0 if the bytes are not UTF-8 (or
/// are C1 control characters).
size_t sequenceLength(std::string_view text, size_t at) {
  auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  unsigned first = byte(at);
  size_t length = first < 0x80       ? 1
                  : first >> 5 == 6  ? 2
                  : first >> 4 == 14 ? 3
                  : first >> 3 == 30 ? 4
                                     : 0;
  if (length == 1)
    return first >= 0x20 && first != 0x7f ? 1 : 0;
  if (length == 2 && (first < 0xc2 || (first == 0xc2 && byte(at + 1) < 0xa0)))
    return 0;
  for (size_t i = 1; i < length; ++i)
    if (byte(at + i) >> 6 != 2)
      return 0;
  return length;
}
} // namespace

std::string quote(std::string_view name) {
  constexpr size_t longest = 200;
  std::string text = "'";
  for (size_t i = 0; i < name.size();) {
    if (text.size() > longest)
      return text + "...'";
    size_t length = sequenceLength(name, i);
    if (length == 0) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(name[i]));
      length = 1;
    } else {
      text += name.substr(i, length);
    }
    i += length;
  }
  return text + "'";
}

std::string errorText(int number) {
  return std::generic_category().message(number);
}

} // namespace moert
