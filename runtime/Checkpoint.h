// A checkpoint: one .safetensors file, or a directory of shards listed in an
// index, as one set of named tensors. Params of a model are looked up here;
// `experts.{expert}.w1` stacks one tensor per value of {expert}.
#ifndef MOE_RUNTIME_CHECKPOINT_H
#define MOE_RUNTIME_CHECKPOINT_H

#include "runtime/Array.h"
#include "runtime/Safetensors.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moert {

class Checkpoint {
public:
  /// `path` is a file, or a directory with model.safetensors.index.json and its
  /// shards or with model.safetensors. Checks every header. MOERT_IO or
  /// MOERT_MALFORMED.
  explicit Checkpoint(const std::string &path);

  struct Tensor {
    uint32_t shard;
    uint32_t index; // in the header of the shard
  };

  const std::string &path() const { return name; }
  size_t size() const;
  std::optional<Tensor> find(std::string_view tensorName) const;
  SafetensorsHeader::Tensor describe(Tensor tensor) const {
    return shards[tensor.shard].header().tensor(tensor.index);
  }
  const Safetensors &shardOf(Tensor tensor) const {
    return shards[tensor.shard];
  }
  void read(Tensor tensor, int64_t offset, void *to, int64_t count) const;
  /// In the order of the names, one call a tensor.
  void forEach(const std::function<void(Tensor)> &visit) const;
  /// The name nearest to `wanted` (a name that ends with it, else by edit
  /// distance, names with the same numbers first); empty if none is near.
  std::string_view closest(std::string_view wanted) const;

private:
  void openIndexed(const std::string &folder, const std::string &index);

  std::string name;
  std::vector<Safetensors> shards;
  bool indexed = false;
  std::vector<Tensor> listed; // of the index, by name
};

/// One `{name}` or `{name:begin}` of a param's name: a leading dimension of its
/// shape.
struct StackAxis {
  std::string name;
  int64_t begin = 0;
};

/// What a model wants from the checkpoint.
struct ParamSpec {
  std::string name; // "experts.{expert}.w1.weight", without the prefix
  Dtype dtype = MOERT_F32;
  Shape shape; // stacked dimensions first
  std::vector<StackAxis> stack;
};

/// The axes that a name template has. MOERT_MALFORMED, beginning with `what`,
/// for unbalanced braces, an empty name or a beginning that is no number.
std::vector<StackAxis> stackAxes(std::string_view nameTemplate,
                                 std::string_view what);

/// A param whose tensors were all found and have the right type, so that
/// reading can only fail for lack of data.
struct ResolvedParam {
  std::vector<Checkpoint::Tensor>
      parts; // in row-major order of the stacked dimensions
  int64_t partBytes = 0;
};

/// MOERT_MALFORMED: a tensor is missing (names the closest), has another shape
/// or dtype (names both).
ResolvedParam resolveParam(const Checkpoint &checkpoint, const ParamSpec &param,
                           std::string_view prefix);

/// Copies all parts to `to`, which has room for the whole param. `done` is told
/// the bytes of every piece.
void readParam(const Checkpoint &checkpoint, const ResolvedParam &param,
               uint8_t *to, const std::function<void(int64_t)> &done = {});

/// Look-up and reading in one.
Array readParam(const Checkpoint &checkpoint, const ParamSpec &param,
                std::string_view prefix);

/// A tensor as it is stored. MOERT_MALFORMED if there is none (names the
/// closest) or no model can use its type.
Array readTensor(const Checkpoint &checkpoint, std::string_view name);

} // namespace moert

#endif
