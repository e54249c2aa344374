// Reads groups of packed 4-bit weights, see PackedLayout.

#ifndef MOE_CODEGEN_CPU_PACKEDGROUP_H
#define MOE_CODEGEN_CPU_PACKEDGROUP_H

#include "codegen/cpu/Pack.h"

namespace moe::cpu {

/// One vector of columns of the group that begins at byte `start` of `packed`
/// (memref<?xi8>).
struct PackedGroup {
  const PackedLayout &layout;
  mlir::Value packed, start;
  int64_t vector;

  /// Bytes whose low halves are entries of input `k` and the pairing - 1 after
  /// it, and whose high halves are those of the inputs 16 further.
  mlir::Value entries(mlir::OpBuilder &builder, mlir::Location loc,
                      int64_t k) const;
  /// vector<lanes x f32>
  mlir::Value scales(mlir::OpBuilder &builder, mlir::Location loc) const;
  /// vector<lanes x i8>, if the layout has them.
  mlir::Value zeroPoints(mlir::OpBuilder &builder, mlir::Location loc) const;

private:
  mlir::Value bytes(mlir::OpBuilder &builder, mlir::Location loc,
                    int64_t offset, int64_t count) const;
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_PACKEDGROUP_H
