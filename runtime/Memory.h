// Memory for tensors: zeroed, 64-byte aligned, on huge pages where large, and
// refused up front when it cannot fit, because the system hands out address
// space freely and kills the process later.
#ifndef MOE_RUNTIME_MEMORY_H
#define MOE_RUNTIME_MEMORY_H

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace moert {

/// Bytes that this process can still use: the least of available memory,
/// control group limit and resource limits.
int64_t availableMemory();

/// Throws MOERT_MEMORY with the estimate and the limit unless `bytes` more
/// bytes fit; `what` begins the message.
void requireMemory(int64_t bytes, std::string_view what);

/// "1.5 GiB"
std::string bytesText(int64_t bytes);

class Buffer {
public:
  Buffer() = default;
  /// Throws MOERT_MEMORY if `bytes` do not fit; `what` names the purpose in the
  /// message. Negative sizes count as "too large": they come from products that
  /// overflowed.
  Buffer(int64_t bytes, std::string_view what);
  Buffer(Buffer &&other) noexcept { swap(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer();

  /// Never null, and 64-byte aligned, also for an empty buffer.
  uint8_t *data() { return begin; }
  const uint8_t *data() const { return begin; }
  int64_t size() const { return bytes; }
  std::span<uint8_t> span() { return {begin, static_cast<size_t>(bytes)}; }
  std::span<const uint8_t> span() const {
    return {begin, static_cast<size_t>(bytes)};
  }

private:
  void swap(Buffer &other) noexcept;
  static uint8_t *emptyData();

  uint8_t *begin = emptyData();
  int64_t bytes = 0;
  void *mapping = nullptr; // null: nothing to release
  int64_t mapped = 0;
};

} // namespace moert

#endif
