// Compiling with a cache, see Cache.h.
#include "tools/Cache.h"
#include "runtime/Failure.h"
#include "runtime/File.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char **environ;

namespace moe::tools {

using namespace moert;

namespace {
/// First 32 bits of the fractional parts of the cube roots of the first 64
/// primes.
constexpr uint32_t roundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void sha256Block(std::array<uint32_t, 8> &state, const uint8_t *block) {
  uint32_t w[64];
  for (int i = 0; i < 16; ++i)
    w[i] = uint32_t(block[4 * i]) << 24 | uint32_t(block[4 * i + 1]) << 16 |
           uint32_t(block[4 * i + 2]) << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    uint32_t s0 =
        std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
    uint32_t s1 =
        std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (int i = 0; i < 64; ++i) {
    uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + roundConstants[i] + w[i];
    uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  uint32_t mixed[8] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; ++i)
    state[i] += mixed[i];
}

std::string hex(const Digest &digest) {
  std::string text;
  for (uint8_t byte : digest)
    text += fmt::format("{:02x}", byte);
  return text;
}

std::string compilerPath() {
  std::error_code error;
  std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error);
  std::string compiler = self.parent_path() / "moe-compile";
  if (error || access(compiler.c_str(), X_OK) != 0)
    fail(MOERT_IO,
         "{}: cannot be run; a .mlir model needs the compiler beside moe-run",
         compiler);
  return compiler;
}

/// Changes whenever the compiler is rebuilt or replaced.
std::string compilerIdentity(const std::string &compiler) {
  struct stat info = {};
  if (stat(compiler.c_str(), &info) != 0)
    fail(MOERT_IO, "{}: cannot be opened: {}", compiler, errorText(errno));
  return fmt::format("{}\n{} {}.{:09} {}\nabi {}.{}\n", compiler, info.st_size,
                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino,
                     MOERT_ABI_MAJOR, MOERT_ABI_MINOR);
}

/// The cache folder, made if need be; empty if there can be none.
std::string cacheFolder() {
  const char *base = std::getenv("XDG_CACHE_HOME");
  const char *home = std::getenv("HOME");
  std::string folder;
  if (base && *base == '/')
    folder = base;
  else if (home && *home == '/')
    folder = std::string(home) + "/.cache";
  else
    return "";
  folder += "/moe-mlir";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  return error || access(folder.c_str(), W_OK | X_OK) != 0 ? "" : folder;
}

/// An entry is the artefact followed by its SHA-256, so that any damage shows.
/// (What follows an ELF file is ignored by the dynamic linker.)
bool isIntact(const std::string &path) {
  try {
    std::vector<uint8_t> content = readWhole(path);
    Digest stored;
    if (content.size() < stored.size())
      return false;
    std::span<const uint8_t> artefact =
        std::span(content).first(content.size() - stored.size());
    std::copy_n(content.end() - static_cast<std::ptrdiff_t>(stored.size()),
                stored.size(), stored.begin());
    return sha256(artefact) == stored;
  } catch (const Failure &) {
    return false;
  }
}

void compile(const std::string &compiler, const std::string &model,
             const std::vector<std::string> &options,
             const std::string &output) {
  std::vector<std::string> arguments = {compiler, model, "-o", output};
  arguments.insert(arguments.end(), options.begin(), options.end());
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  // The child gets back the SIGPIPE that this program ignores.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child;
  int error = posix_spawn(&child, compiler.c_str(), nullptr, &attributes,
                          pointers.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (error)
    fail(MOERT_IO, "{}: cannot be run: {}", compiler, errorText(error));
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFSIGNALED(status))
    fail(MOERT_RUN_ERROR, "{}: moe-compile died of signal {}", model,
         WTERMSIG(status));
  int code = WEXITSTATUS(status);
  if (code != 0)
    fail(code <= MOERT_PEER_LOST ? static_cast<moert_status>(code)
                                 : MOERT_RUN_ERROR,
         "{}: does not compile", model);
}
} // namespace

Digest sha256(std::span<const uint8_t> data) {
  std::array<uint32_t, 8> state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                   0xa54ff53a, 0x510e527f, 0x9b05688c,
                                   0x1f83d9ab, 0x5be0cd19};
  size_t whole = data.size() / 64 * 64;
  for (size_t i = 0; i < whole; i += 64)
    sha256Block(state, data.data() + i);
  uint8_t tail[128] = {};
  size_t left = data.size() - whole;
  std::copy_n(data.data() + whole, left, tail);
  tail[left] = 0x80;
  size_t length = left < 56 ? 64 : 128;
  uint64_t bits = uint64_t(data.size()) * 8;
  for (size_t i = 0; i < 8; ++i)
    tail[length - 1 - i] = static_cast<uint8_t>(bits >> (8 * i));
  for (size_t i = 0; i < length; i += 64)
    sha256Block(state, tail + i);
  Digest digest;
  for (size_t i = 0; i < 32; ++i)
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

Artefact::Artefact(std::string path, std::string temporaryFolder)
    : file(std::move(path)), folder(std::move(temporaryFolder)) {}

Artefact::~Artefact() {
  std::error_code ignored;
  if (!folder.empty())
    std::filesystem::remove_all(folder, ignored);
}

std::unique_ptr<Artefact>
compileCached(const std::string &model,
              const std::vector<std::string> &options) {
  std::string compiler = compilerPath();
  std::vector<uint8_t> key = readWhole(model);
  std::string identity = compilerIdentity(compiler);
  for (const std::string &option : options)
    identity += option + "\n";
  key.insert(key.end(), identity.begin(), identity.end());
  std::string cache = cacheFolder();
  std::string entry = fmt::format("{}/{}.so", cache, hex(sha256(key)));
  if (!cache.empty() && isIntact(entry))
    return std::make_unique<Artefact>(entry, "");

  std::error_code error;
  std::string pattern =
      (std::filesystem::temp_directory_path(error) / "moe-run-XXXXXX").string();
  if (error || !mkdtemp(pattern.data()))
    fail(MOERT_IO, "{}: no folder for temporary files can be made: {}", pattern,
         errorText(errno));
  auto fresh = std::make_unique<Artefact>(pattern + "/model.so", pattern);
  compile(compiler, model, options, fresh->path());
  if (cache.empty())
    return fresh;
  try {
    std::vector<uint8_t> content = readWhole(fresh->path());
    Digest digest = sha256(content);
    AtomicFile file(entry);
    file.write(content.data(), static_cast<int64_t>(content.size()));
    file.write(digest.data(), static_cast<int64_t>(digest.size()));
    file.commit();
    return std::make_unique<Artefact>(entry, "");
  } catch (const Failure &) {
    return fresh; // a full disk: next time costs a compilation again
  }
}

} // namespace moe::tools
