// The packed form of expert weights, shared by all kernels of a level.

#ifndef MOE_CODEGEN_CPU_PACKEDLAYOUT_H
#define MOE_CODEGEN_CPU_PACKEDLAYOUT_H

#include "codegen/cpu/Target.h"

#include "mlir/IR/BuiltinTypes.h"

namespace moe::cpu {

/// Where packed weights lie. `weights` matrices of N outputs and K inputs for
/// each of `experts` experts share one buffer:
///
///   [experts][panels][ceil(K / pairing)][vectors][lanes][pairing]
///
/// A panel holds `vectors / weights` vectors of columns (outputs) of every
/// weight, weight by weight, so that one pass over a row of A computes the same
/// columns of all of them. bf16 keeps two neighbouring inputs of a column
/// together (pairing 2). N and K are padded with zeros. Element type: f32, f16,
/// bf16, i8, i4, ui4 or si8. The buffer is aligned to 64 bytes.
///
/// With matrix tiles (bf16 and i8 of the level amx) a panel is a pair of
/// vectors, or one of each weight, and its steps fill blocks of 16: a vector of
/// a block is a tile of 16 rows of 64 bytes, `vectors` * 64 bytes apart.
///
/// i8 is symmetric with one scale per output: weight = scale * entry, scale =
/// largest |weight| / 127, entries rounded to nearest even. After its steps a
/// panel has the f32 scale of every column and, for Int8Dot, 128 times the i32
/// sum of its entries, both [vectors][lanes].
///
/// i4 is symmetric with one bf16 scale for each output and 32 inputs, scale =
/// largest |weight| / 7, and a panel is
///
///   [groups][vectors][16 / pairing][lanes][pairing] bytes, low half: input k
///   of the group plus 8, high half: input k + 16 plus 8; then the scales of
///   the group, [vectors][lanes]
///
/// and for Int8Dot 128 times the f32 sum of every column at the end.
///
/// ui4 has a zero point z beside each scale = (largest - smallest weight) / 15,
/// of weights and 0: halves hold the input plus z instead of 8, and a byte z
/// for each column follows the scales of a group.
///
/// si8 is i8 with groups like those of i4, scale = largest |weight| / 127:
/// [groups][vectors][32 / pairing][lanes][pairing] entries.
struct PackedLayout {
  int64_t experts = 0;
  int64_t outputs = 0; // N of every weight
  int64_t inputs = 0;  // K
  int64_t weights = 1; // 1, 2 or 3
  mlir::Type element;
  Level level;

  /// Vectors of a panel, all weights together.
  int64_t vectors() const;
  /// Vectors of a panel that belong to one weight.
  int64_t vectorsPerWeight() const { return vectors() / weights; }
  /// Columns of one weight that a panel covers.
  int64_t panelColumns() const { return vectorsPerWeight() * level.lanes; }
  /// Panels of one expert.
  int64_t panels() const;
  bool isQuantized() const { return element.isInteger(); }
  /// Whether matrix tiles can multiply these weights.
  bool hasTiles() const {
    return level.matrixRows != 0 &&
           (element.isBF16() || element.isSignlessInteger(8));
  }
  static constexpr int64_t kTileSteps = 16;
  /// i4, ui4 and si8, which have a scale for each group of inputs.
  bool hasGroups() const { return hasNibbles() || element.isSignedInteger(8); }
  bool hasNibbles() const { return element.isInteger(4); }
  bool hasZeroPoints() const { return element.isUnsignedInteger(4); }
  static constexpr int64_t kGroup = 32;
  int64_t groups() const { return (inputs + kGroup - 1) / kGroup; }
  /// Of one group: its entries, its scales, then its zero points.
  int64_t groupBytes() const {
    return zeroPointsOffset() + (hasZeroPoints() ? columns() : 0);
  }
  int64_t zeroPointsOffset() const {
    return groupScalesOffset() + 2 * columns();
  }
  int64_t groupScalesOffset() const { return groupEntryBytes() * columns(); }
  /// Bytes of the entries that a group has of one column.
  int64_t groupEntryBytes() const { return hasNibbles() ? kGroup / 2 : kGroup; }
  /// Columns of a panel, all weights together.
  int64_t columns() const { return vectors() * level.lanes; }
  /// Rows of the largest tile.
  int64_t maxRows() const;
  /// Entries of a quantised row, some of them beyond K.
  int64_t rowEntries() const {
    return hasGroups() ? groups() * kGroup : steps() * pairing();
  }
  /// Inputs that are stored side by side for a column: 2 for bf16, 4 or 2 for
  /// i8, else 1.
  int64_t pairing() const;
  /// Steps that a panel has: ceil(K / pairing), and up to whole tiles.
  int64_t steps() const;
  /// Where in a panel the scales and the sums of quantised columns begin.
  int64_t scalesOffset() const;
  int64_t sumsOffset() const;
  /// Bytes of one panel, and of the whole buffer.
  int64_t panelBytes() const;
  int64_t bytes() const { return experts * panels() * panelBytes(); }
  /// memref<(experts * panels) x (>= steps) x vectors x (lanes * pairing)>.
  mlir::MemRefType viewType() const;

private:
  int64_t stepBytes() const;
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_PACKEDLAYOUT_H
