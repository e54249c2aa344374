// NumPy's .npz files: named .npy arrays in a zip archive whose entries are
// stored, as numpy.savez writes them. Archives are hostile input: everything is
// checked before it is used.
#ifndef MOE_RUNTIME_NPZ_H
#define MOE_RUNTIME_NPZ_H

#include "runtime/Array.h"
#include "runtime/File.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace moert {

/// Reads the directory of an archive at once, and arrays when they are asked
/// for. MOERT_MALFORMED names the file, the rule and the byte.
class NpzReader {
public:
  explicit NpzReader(const std::string &path);

  bool has(const std::string &name) const { return entries.contains(name); }
  /// Without ".npy", sorted.
  std::vector<std::string> names() const;
  /// MOERT_MALFORMED if there is no such array.
  Array read(const std::string &name) const;

private:
  struct Entry {
    int64_t header = 0; // where its local header is
    int64_t bytes = 0;
    uint32_t checksum = 0;
  };
  void parseDirectory(int64_t begin, int64_t bytes, int64_t count);
  /// Where the bytes of an entry begin; checks its local header.
  int64_t dataOf(const std::string &name, const Entry &entry) const;

  File file;
  int64_t directory = 0; // where entries end
  std::map<std::string, Entry> entries;
};

/// Writes arrays under their names. The same arrays give the same bytes.
/// MOERT_USAGE beyond the 4 GiB of a plain zip.
void writeNpz(AtomicFile &file,
              const std::vector<std::pair<std::string, const Array *>> &arrays);

} // namespace moert

#endif
