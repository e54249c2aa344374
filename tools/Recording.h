// Files of recorded routings: which experts every token visited, and with what
// weights. moe-run and moe-interpret write and read the same ones.
#ifndef MOE_TOOLS_RECORDING_H
#define MOE_TOOLS_RECORDING_H

#include "runtime/Array.h"
#include "runtime/File.h"

#include <optional>
#include <string>
#include <vector>

namespace moe::tools {

using moert::Array;

/// One routing of a function, as a program knows it before it reads a file.
struct RoutingShape {
  int64_t experts = 0;
  int64_t slots = 0;
  int64_t tokens = -1; // -1: known only when the function runs
};

/// A tensor that a function lets its caller record and replace.
struct TracedTensor {
  int64_t routing = 0; // the number that --stats has too
  bool isIds = false;  // otherwise weights
  int64_t slots = 0;
  int64_t experts = 0;
};
/// A routing of the files: traced tensors by their place in the function.
struct TracedRouting {
  RoutingShape shape;
  size_t ids = 0;
  std::optional<size_t> weights; // none: rows are never weighed
};
/// The routings of a function in the order of their numbers. One whose rows are
/// weighed in several ways is there once for each.
std::vector<TracedRouting>
groupTraced(const std::vector<TracedTensor> &tensors);

/// Which experts and weights the tokens of a routing have.
struct RecordedRouting {
  Array ids;     // [tokens, slots], i32; -1: empty
  Array weights; // [tokens, slots], f32 or f64; of an empty slot 0
};

/// MOERT_MALFORMED if routings of one choice are given different ids.
void checkSameIds(const std::string &path,
                  const std::vector<TracedRouting> &traced,
                  const std::vector<RecordedRouting> &given);

/// Weights of 1 for the filled slots of `ids`.
Array unitWeights(const Array &ids);

/// A .npz or .jsonl file, by the end of its path. Nothing becomes visible
/// before commit().
///
/// .npz: arrays `ids` (i32) and `weights` of [tokens, routings, slots], or
/// where routings differ in tokens or slots `ids0`, `weights0`, `ids1`, ... of
/// [tokens, slots]. .jsonl: one line for each routing and token,
/// {"routing": 0, "token": 5, "ids": [3, 1], "weights": [0.75, 0.25]}; numbers
/// that JSON lacks are "NaN", "Infinity" and "-Infinity".
class RecordingWriter {
public:
  /// MOERT_USAGE for another end, MOERT_IO where nothing can be written.
  explicit RecordingWriter(const std::string &path);
  void write(const std::vector<RecordedRouting> &routings);
  void commit() { file.commit(); }

private:
  bool npz;
  moert::AtomicFile file;
};

/// Reads either form. MOERT_USAGE for another end of the path; MOERT_MALFORMED
/// names the file, the routing and the token: another shape than wanted, an
/// expert that is not there or twice in a row, something missing. Weights of
/// empty slots become 0.
std::vector<RecordedRouting>
readRecording(const std::string &path, const std::vector<RoutingShape> &wanted);

} // namespace moe::tools

#endif
