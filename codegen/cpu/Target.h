// The x86 levels that kernels are generated for: what a register holds, what a
// tile may use, and what LLVM is told about the machine.

#ifndef MOE_CODEGEN_CPU_TARGET_H
#define MOE_CODEGEN_CPU_TARGET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace moe::cpu {

/// How far ahead of their use bytes are asked for (0: not at all), and
/// memref.prefetch's hint for that: 3 is L1, 2 is L2.
struct Ahead {
  int64_t bytes;
  unsigned locality;
};

/// One level of the instruction set. An artefact holds one object per level and
/// the runtime picks the best one that the machine has.
struct Level {
  /// Name in the artefact and suffix of its symbols: avx2, avxvnni, avx512,
  /// avx512bf16, amx.
  llvm::StringRef name;
  /// f32 lanes of a vector register.
  int64_t lanes;
  /// Vectors of a panel: the columns that one pass over K computes at once.
  int64_t panelVectors;
  /// Accumulators that fit the register file beside the operands.
  int64_t accumulators;
  /// Whether bf16 pairs are multiplied by x86vector.avx512.dot.
  bool bf16Dot;
  /// Whether four bytes are multiplied at once, by vpdpbusd (AVX-VNNI,
  /// AVX-512 VNNI).
  bool int8Dot;
  /// Steps of the K loop that are written out in its body.
  int64_t unroll;
  /// How packed weights are prefetched, without groups, whose tiles then ask
  /// for the next panel, too, and with them.
  Ahead ahead, groupsAhead;
  /// llvm::TargetMachine's cpu and features.
  llvm::StringRef cpu;
  llvm::StringRef features;
  /// Rows of a group from which on matrix tiles (AMX) multiply; 0: the level
  /// has none.
  int64_t matrixRows = 0;
  /// Same tiles and layouts, but compiled for x86-64-v3: vectors are split and
  /// dot products expanded, so any machine can test every level's code. AMX
  /// instructions stay: a machine without them has to emulate them.
  bool emulated = false;

  /// Rows of the largest tile of a panel of `vectors` vectors (at least 1).
  int64_t maxRows(int64_t vectors) const;

  /// Panels that a tile of `rows` rows walks at once, so that enough
  /// independent multiply-adds are in flight when there are few rows.
  int64_t panelsAtOnce(int64_t rows, int64_t vectors) const;
};

/// All levels, lowest first.
llvm::ArrayRef<Level> levels();

/// The level of that name, or null.
const Level *findLevel(llvm::StringRef name);

/// `level` as it is compiled for the lowest machine: see Level::emulated.
Level emulate(const Level &level);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_TARGET_H
