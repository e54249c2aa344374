// NumPy's .npy files, versions 1 to 3: little-endian, row-major, of the element
// types that models use. NumPy has no bfloat16: it is written as descr '<V2',
// as the ml_dtypes package does; '<V2', '|V2', 'bfloat16' are read.
#ifndef MOE_RUNTIME_NPY_H
#define MOE_RUNTIME_NPY_H

#include "runtime/Array.h"
#include "runtime/File.h"

#include <optional>
#include <string>
#include <vector>

namespace moert {

/// Reads the arrays of a file one after the other (numpy.save may append to an
/// open file). MOERT_MALFORMED names the file, the rule and the byte; MOERT_IO,
/// MOERT_MEMORY as usual.
class NpyReader {
public:
  /// `path` "-" is the standard input. Pipes and devices are read to their end
  /// first.
  explicit NpyReader(const std::string &path);
  /// Content that is already in memory; `name` is for messages.
  NpyReader(std::vector<uint8_t> content, std::string name);

  bool atEnd() const { return offset == size; }
  Array next();

private:
  void read(int64_t at, void *to, int64_t count) const;

  std::string name;
  std::optional<File> file;
  std::vector<uint8_t> content; // without a file
  int64_t offset = 0;
  int64_t size = 0;
};

/// The first array of a file.
Array readNpy(const std::string &path);

/// What stands before the elements of an array, in version 1 of the format.
std::string npyHeader(Dtype dtype, std::span<const int64_t> shape);

/// Appends one array in version 1 of the format.
void writeNpy(AtomicFile &file, Dtype dtype, std::span<const int64_t> shape,
              std::span<const uint8_t> data);

} // namespace moert

#endif
