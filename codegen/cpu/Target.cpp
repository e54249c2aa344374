// The table of levels, and the tile sizes that follow from it.

#include "codegen/cpu/Target.h"

#include <algorithm>

namespace moe::cpu {

// Latency times throughput of a multiply-add on the cores in question (4
// cycles, 2 a cycle): fewer chains than this leave the units idle.
static constexpr int64_t kChains = 8;
static constexpr int64_t kMaxRows = 6;

// CPUs with AVX-512-BF16 prefetch well enough by themselves: on Zen 4 prefetch
// instructions cost a tenth of the speed at four rows an expert. Those with AMX
// gain a quarter by them, so without code for amx the runtime takes avx512
// there (runtime/Cpu.cpp). Asking for L2, and from far ahead, makes weights
// with groups up to a third faster there (measured with 4 bits); others only
// where experts have few rows, since later tiles of a panel want it in L1.
static constexpr Ahead kNot = {0, 0}, kNearest = {2048, 3}, kNear = {4096, 3},
                       kFar = {8192, 2};

// 16 registers hold 12 accumulators, 2 panel vectors and a broadcast; 32
// registers hold 24, 4 and some. prefer-256-bit is what x86-64-v4 asks for by
// default: these kernels are written in 512-bit vectors on purpose. With AMX
// a tile of 16 padded rows reads weights from memory as fast as 4 rows by dot
// products.
static const Level kLevels[] = {
    {"avx2", 8, 2, 12, false, false, 4, kNear, kNear, "x86-64-v3", ""},
    {"avxvnni", 8, 2, 12, false, true, 4, kNear, kNear, "x86-64-v3",
     "+avxvnni"},
    {"avx512", 16, 4, 24, false, false, 4, kNear, kFar, "x86-64-v4",
     "-prefer-256-bit"},
    {"avx512bf16", 16, 4, 24, true, true, 4, kNot, kNot, "x86-64-v4",
     "-prefer-256-bit,+avx512bf16,+avx512vnni"},
    {"amx", 16, 4, 24, true, true, 4, kNearest, kFar, "x86-64-v4",
     "-prefer-256-bit,+avx512bf16,+avx512vnni,+amx-tile,+amx-bf16,+amx-int8",
     4},
};

int64_t Level::maxRows(int64_t vectors) const {
  return std::clamp<int64_t>(accumulators / vectors, 1, kMaxRows);
}

int64_t Level::panelsAtOnce(int64_t rows, int64_t vectors) const {
  int64_t panels = 1;
  while (rows * vectors * panels < kChains &&
         rows * vectors * panels * 2 <= accumulators)
    panels *= 2;
  return panels;
}

llvm::ArrayRef<Level> levels() { return kLevels; }

const Level *findLevel(llvm::StringRef name) {
  for (const Level &level : kLevels)
    if (level.name == name)
      return &level;
  return nullptr;
}

Level emulate(const Level &level) {
  Level result = level;
  result.emulated = true;
  result.cpu = kLevels[0].cpu;
  result.features = kLevels[0].features;
  if (level.matrixRows != 0)
    result.features = "+amx-tile,+amx-bf16,+amx-int8";
  return result;
}

} // namespace moe::cpu
