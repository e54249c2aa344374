// Compiles a .mlir file with the moe-compile beside this program, and keeps the
// artefact for next time. A damaged, missing or unwritable cache only costs
// time.
#ifndef MOE_TOOLS_CACHE_H
#define MOE_TOOLS_CACHE_H

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moe::tools {

using Digest = std::array<uint8_t, 32>;

/// SHA-256 (FIPS 180-4).
Digest sha256(std::span<const uint8_t> data);

/// Where an artefact lies; one outside the cache is removed with this object.
class Artefact {
public:
  Artefact(std::string path, std::string temporaryFolder);
  Artefact(const Artefact &) = delete;
  Artefact &operator=(const Artefact &) = delete;
  ~Artefact();
  const std::string &path() const { return file; }

private:
  std::string file;
  std::string folder; // empty: keep
};

/// The artefact of `model`, from $XDG_CACHE_HOME/moe-mlir (else
/// ~/.cache/moe-mlir) or compiled now. The key is the text of the model, the
/// options and the identity of the compiler. `options` are moe-compile's.
/// Failures of the compiler keep its exit code; its messages have gone to the
/// standard error.
std::unique_ptr<Artefact>
compileCached(const std::string &model,
              const std::vector<std::string> &options);

} // namespace moe::tools

#endif
