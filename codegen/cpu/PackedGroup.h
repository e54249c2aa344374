// Reads groups of packed weights that share a scale, see PackedLayout.

#ifndef MOE_CODEGEN_CPU_PACKEDGROUP_H
#define MOE_CODEGEN_CPU_PACKEDGROUP_H

#include "codegen/cpu/Indices.h"
#include "codegen/cpu/PackedLayout.h"

namespace moe::cpu {

/// One vector of columns of the group that begins at byte `start` of `packed`
/// (memref<?xi8>).
struct PackedGroup : IndexBuilder {
  const PackedLayout &layout;
  mlir::Value packed, start;
  int64_t vector;

  /// Entries of input `k` and the pairing - 1 after it; of 4 bits in the low
  /// halves of bytes, whose high halves are those of the inputs 16 further.
  mlir::Value entries(int64_t k) const;
  /// vector<lanes x f32>
  mlir::Value scales() const;
  /// vector<lanes x i8>, if the layout has them.
  mlir::Value zeroPoints() const;

private:
  mlir::Value bytes(int64_t offset, int64_t count) const;
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_PACKEDGROUP_H
