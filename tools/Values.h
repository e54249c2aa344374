// Values on a command line, as in iree-run-module: reading, printing, comparing
// and writing them. Shared by moe-run, moe-interpret and their tests; knows
// nothing of MLIR.
#ifndef MOE_TOOLS_VALUES_H
#define MOE_TOOLS_VALUES_H

#include "runtime/Array.h"
#include "runtime/Checkpoint.h"
#include "runtime/File.h"
#include "runtime/Npy.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace moe::tools {

using moert::Array;

/// Reads what --input and --expected_output say:
///   4x8xf32=1,2,...          values, separated by spaces, commas or brackets
///   4x8xf32=0.5              one value for all elements
///   4x8xf32                  zeros
///   4x8xf32=@x.bin           raw little-endian bytes of exactly this size
///   @x.npy                   the first array of a file
///   +x.npy                   the next array of a file read before
///   @x.safetensors:name      a tensor of a checkpoint (file or directory)
///   -                        the next .npy on the standard input
/// One reader serves one command line: it remembers how far each file has been
/// read.
class ValueReader {
public:
  /// MOERT_USAGE for text that is none of these (beginning with `option`); file
  /// errors as in the readers.
  Array read(const std::string &text, std::string_view option);

private:
  moert::NpyReader &open(const std::string &path, bool again);

  std::map<std::string, std::unique_ptr<moert::NpyReader>> files;
  std::map<std::string, std::unique_ptr<moert::Checkpoint>> checkpoints;
};

/// "2x3xf32=[1 2 3][4 5 6]", which ValueReader reads back to the same bits.
/// After `most` elements comes "...".
std::string valueText(const Array &value, int64_t most = INT64_MAX);

/// One element in the shortest form that reads back to the same bits.
std::string elementText(const Array &value, int64_t index);

/// |actual - expected| <= atol + rtol * |expected| is equal; so are two NaN and
/// equal infinities.
struct Tolerance {
  double atol;
  double rtol;
};

/// f64 1e-9, 1e-9; f32 1e-4, 1e-5; f16 1e-3, 2^-9; bf16 1e-2, 2^-7; integers
/// exact.
Tolerance defaultTolerance(moert::Dtype dtype);

struct Comparison {
  bool equal = true;
  std::string text; // "[SUCCESS] ..." or "[FAILED] result[0]: element at index
                    // 3 (1.5) does not match the expected (2)"
};

/// Shapes must be equal, element types only of the same kind (float, integer):
/// the coarser type's default tolerance holds where none is given.
Comparison compareValues(int index, const Array &actual, const Array &expected,
                         std::optional<double> atol,
                         std::optional<double> rtol);

/// Writes what --output says; nothing becomes visible before commit().
///   @y.npy   replaces the file
///   +y.npy   appends to it
///   @-       .npy on the standard output
///   -        text on the standard output, at most `most` elements a value
///   (empty)  nothing
class ValueWriter {
public:
  explicit ValueWriter(int64_t most = 1024) : most(most) {}
  /// Checks the syntax and opens the file, so that a hopeless one is found
  /// before the work. MOERT_USAGE, MOERT_IO.
  void open(const std::string &text);
  void write(const std::string &text, const Array &value);
  /// More text for the standard output, or for the standard error where a .npy
  /// file goes to the standard output.
  void print(std::string_view text);
  void commit();

private:
  int64_t most;
  std::map<std::string, std::unique_ptr<moert::AtomicFile>> files;
  std::string printed; // text of results
  std::string notes;   // from print()
};

} // namespace moe::tools

#endif
