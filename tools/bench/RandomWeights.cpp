// Random checkpoints in memory, see RandomWeights.h.
#include "tools/bench/RandomWeights.h"
#include "runtime/Array.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <unistd.h>

namespace moe::bench {

namespace {
void writeAll(int file, const void *from, int64_t bytes) {
  const char *at = static_cast<const char *>(from);
  while (bytes > 0) {
    ssize_t written = write(file, at, static_cast<size_t>(bytes));
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      moert::fail(errno == ENOSPC ? MOERT_MEMORY : MOERT_IO,
                  "random weights: cannot be written to memory: {}",
                  moert::errorText(errno));
    at += written;
    bytes -= written;
  }
}
} // namespace

uint64_t RandomNumbers::bits() {
  state += 0x9e3779b97f4a7c15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double RandomNumbers::uniform() {
  return (static_cast<double>(bits() >> 12) + 0.5) * 0x1p-52;
}

double RandomNumbers::next() {
  uint64_t z = bits();
  // Four 16-bit uniform numbers: near enough to a normal one.
  double sum = 0;
  for (int part = 0; part < 4; ++part)
    sum += static_cast<double>((z >> (16 * part)) & 0xffff) / 65536.0 - 0.5;
  return sum * std::sqrt(3.0);
}

RandomWeights::RandomWeights(const Shape &shape, moert::Dtype dtype)
    : file(memfd_create("moe-bench-weights", MFD_CLOEXEC)) {
  if (file < 0)
    moert::fail(MOERT_IO, "random weights: no file in memory: {}",
                moert::errorText(errno));
  int64_t size = moert::dtypeBytes(dtype);
  std::string dtypeName = moert::dtypeName(dtype);
  std::ranges::transform(dtypeName, dtypeName.begin(), ::toupper);
  nlohmann::ordered_json header;
  int64_t end = 0;
  auto add = [&](const std::string &name, int64_t out, int64_t in) {
    int64_t begin = end;
    end += out * in * size;
    header[name] = {{"dtype", dtypeName},
                    {"shape", {out, in}},
                    {"data_offsets", {begin, end}}};
  };
  add("gate.weight", shape.experts, shape.hidden);
  for (int64_t expert = 0; expert < shape.experts; ++expert) {
    add(fmt::format("experts.{}.w1.weight", expert), shape.inner, shape.hidden);
    add(fmt::format("experts.{}.w3.weight", expert), shape.inner, shape.hidden);
    add(fmt::format("experts.{}.w2.weight", expert), shape.hidden, shape.inner);
    // Only for @narrow.
    add(fmt::format("experts.{}.narrow.weight", expert), narrowWidth(shape),
        shape.inner);
  }
  // Once in this file and once packed.
  moert::requireMemory(
      2 * end, fmt::format("{} in {}", shape.text(), moert::dtypeName(dtype)));

  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  uint64_t length = text.size();
  writeAll(file, &length, 8);
  writeAll(file, text.data(), static_cast<int64_t>(length));

  // One block of numbers, repeated: of prime length, so that no two experts
  // are alike. Variance 1 / H keeps values of order 1 through the layer.
  moert::Array block(dtype, {1'048'573}, "random numbers");
  RandomNumbers random(1);
  double scale = 1.0 / std::sqrt(static_cast<double>(shape.hidden));
  for (int64_t i = 0; i < block.count(); ++i)
    moert::storeElement(dtype, block.data.data() + i * size,
                        random.next() * scale);
  for (int64_t i = 0; i < shape.experts * shape.hidden; ++i)
    routerWeights.push_back(
        static_cast<float>(block.element(i % block.count())));
  for (int64_t left = end; left > 0;) {
    int64_t now = std::min(left, block.data.size());
    writeAll(file, block.data.data(), now);
    left -= now;
  }
}

RandomWeights::~RandomWeights() { close(file); }

std::string RandomWeights::path() const {
  return fmt::format("/proc/self/fd/{}", file);
}

} // namespace moe::bench
