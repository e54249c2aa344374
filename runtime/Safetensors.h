// Reader of one .safetensors file: the header is checked completely when it is
// opened, data are copied when wanted. Rules as in the format's own reader;
// ours on top: unique names up to 4 KiB, nesting up to 4, 1 M tensors.
#ifndef MOE_RUNTIME_SAFETENSORS_H
#define MOE_RUNTIME_SAFETENSORS_H

#include "runtime/File.h"
#include "runtime/Types.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moert {

/// The 22 element types of the format.
struct SafetensorsDtype {
  const char *name; // "BF16"
  int bits;
  std::optional<Dtype> dtype; // where models can use it
};

/// A checked header. Memory is less than its length in the file plus 64 MiB.
class SafetensorsHeader {
public:
  struct Tensor {
    std::string_view name;
    const SafetensorsDtype *dtype;
    std::span<const int64_t> shape;
    int64_t begin; // in bytes from the start of the data
    int64_t end;
  };

  /// `json` is what follows the first 8 bytes of a file with `dataBytes` after
  /// it. Throws MOERT_MALFORMED naming `file`, the tensor, the rule and the
  /// byte of the file.
  SafetensorsHeader(std::string_view json, int64_t dataBytes,
                    const std::string &file);

  /// Tensors in the order of their names (bytes compared).
  size_t size() const { return byName.size(); }
  Tensor tensor(size_t index) const;
  std::optional<size_t> find(std::string_view name) const;

private:
  friend class HeaderReader;
  struct Entry {
    uint32_t nameBegin;
    uint16_t nameLength;
    uint8_t dtype;
    uint32_t shapeBegin;
    uint32_t rank;
    uint32_t position; // of the name in the file
    int64_t begin;
    int64_t end;
  };
  std::string_view nameOf(const Entry &entry) const;
  std::span<const int64_t> shapeOf(const Entry &entry) const;
  void checkNames(const std::string &file);
  void checkOffsets(int64_t dataBytes, const std::string &file) const;

  std::vector<Entry> entries; // in the order of the file
  std::vector<uint32_t> byName;
  std::vector<int64_t> sizes;
  std::string names;
};

class Safetensors {
public:
  /// MOERT_IO or MOERT_MALFORMED.
  explicit Safetensors(const std::string &path);

  const std::string &path() const { return file.path(); }
  const SafetensorsHeader &header() const { return *parsed; }
  /// Copies bytes [offset, offset + count) of a tensor. MOERT_MALFORMED if the
  /// file has been cut since it was opened.
  void read(const SafetensorsHeader::Tensor &tensor, int64_t offset, void *to,
            int64_t count) const;

private:
  File file;
  int64_t dataBegin = 0;
  std::optional<SafetensorsHeader> parsed;
};

} // namespace moert

#endif
