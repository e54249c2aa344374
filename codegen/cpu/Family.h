// How a register tile multiplies: the choice that its kernel, and all that
// prepares its operands, must agree on.

#ifndef MOE_CODEGEN_CPU_FAMILY_H
#define MOE_CODEGEN_CPU_FAMILY_H

#include "codegen/cpu/PackedLayout.h"

namespace moe::cpu {

/// How a tile of vectors multiplies.
enum class Family {
  /// f32 multiply-add; A and B are widened in registers.
  Fma,
  /// x86vector.avx512.dot on bf16 pairs of A and B.
  Bf16Dot,
  /// vpmaddwd on pairs: i16 entries of A, i8 entries of B. Sums are i32.
  Int16Dot,
  /// vpdpbusd on quadruples: entries of A are i8 + 128, those of B i8. Sums are
  /// i32; the 128 comes off at the end.
  Int8Dot,
};

/// The family for rows of type `a`. Bf16Dot needs bf16 rows, bf16 weights and
/// the level's bf16Dot. Fma takes f32, f16 and bf16 rows, but only f32 rows are
/// fast (widening A costs as much as the multiplication): widen it beforehand.
/// Quantised weights need quantised rows (QuantizedRows.h).
Family chooseFamily(const PackedLayout &layout, mlir::Type a);

/// Parts of K begin at multiples of this: whole groups and tiles, and whole
/// bodies of the loop over steps.
inline constexpr int64_t kPartUnit = 192;

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_FAMILY_H
