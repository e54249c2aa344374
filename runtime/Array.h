// A dense row-major array in memory: what .npy files, checkpoints and arguments
// have in common.
#ifndef MOE_RUNTIME_ARRAY_H
#define MOE_RUNTIME_ARRAY_H

#include "runtime/Memory.h"
#include "runtime/Types.h"

#include <string_view>

namespace moert {

struct Array {
  Dtype dtype = MOERT_F32;
  Shape shape; // at most MOERT_MAX_RANK sizes
  Buffer data;

  Array() = default;
  /// Zeros. MOERT_MEMORY if they do not fit; `what` begins the message.
  Array(Dtype dtype, Shape shape, std::string_view what);

  int64_t count() const { return data.size() / dtypeBytes(dtype); }
  double element(int64_t index) const {
    return loadElement(dtype, data.data() + index * dtypeBytes(dtype));
  }
  std::string type() const { return typeName(dtype, shape); }
};

/// Bytes of an array of this type, or -1 if they do not fit int64.
int64_t arrayBytes(Dtype dtype, std::span<const int64_t> shape);

/// Booleans are bytes 0 and 1; throws MOERT_MALFORMED, beginning with `name`,
/// for any other. Does nothing for other element types.
void checkBooleans(Dtype dtype, std::span<const uint8_t> data,
                   std::string_view name);

} // namespace moert

#endif
