// Arrays in memory, see Array.h.
#include "runtime/Array.h"
#include "runtime/Failure.h"

#include <algorithm>

namespace moert {

Array::Array(Dtype dtype, Shape sizes, std::string_view what)
    : dtype(dtype), shape(std::move(sizes)),
      data(arrayBytes(dtype, shape), what) {}

int64_t arrayBytes(Dtype dtype, std::span<const int64_t> shape) {
  std::optional<int64_t> count = elementCount(shape);
  return count ? *count * dtypeBytes(dtype) : -1;
}

void checkBooleans(Dtype dtype, std::span<const uint8_t> data,
                   std::string_view name) {
  if (dtype != MOERT_I1)
    return;
  auto wrong =
      std::ranges::find_if(data, [](uint8_t byte) { return byte > 1; });
  if (wrong != data.end())
    fail(MOERT_MALFORMED,
         "{}: element {} of type bool is the byte {}, not 0 or 1", name,
         wrong - data.begin(), *wrong);
}

} // namespace moert
