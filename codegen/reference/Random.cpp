// Random numbers as functions of seed, stream and position: Philox4x32-10.
#include "codegen/reference/RoutingAlgebra.h"

#include <cmath>
#include <numbers>

using namespace mlir;

namespace moe::reference {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                               std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53) * counter[0],
             b = uint64_t(0xCD9E8D57) * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(a)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

/// One number of a distribution from two random words.
static double draw(Distribution distribution, uint32_t r0, uint32_t r1) {
  switch (distribution) {
  case Distribution::Uniform:
    return (r0 >> 8) * 0x1p-24;
  case Distribution::Normal: // Box and Muller
    return std::sqrt(-2 * std::log(((r0 >> 8) + 1) * 0x1p-24)) *
           std::cos(2 * std::numbers::pi * ((r1 >> 8) * 0x1p-24));
  case Distribution::Gumbel:
    return -std::log(-std::log(((r0 >> 9) + 0.5) * 0x1p-23));
  }
  llvm_unreachable("all distributions are handled");
}

static void random(RandomOp op, Frame &frame) {
  ArrayRef<int64_t> shape = frame.tensor(op.getLike()).shape;
  auto seed = static_cast<uint64_t>(frame.integer(op.getSeed()));
  std::vector<double> numbers;
  for (int64_t i = 0, size = elementCount(shape); i < size; ++i) {
    std::array<uint32_t, 4> words = philox(
        {static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32),
         static_cast<uint32_t>(op.getStream()), 0},
        {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    numbers.push_back(draw(op.getDistribution(), words[0], words[1]));
  }
  frame.set(op.getResult(), Tensor(shape, std::move(numbers)));
}

void addRandomOps(OpTable &table) { table.add<RandomOp>(random); }

} // namespace moe::reference
