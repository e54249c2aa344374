// The innermost loop: a register tile of a few rows times one or several packed
// panels, summed over all of K.

#ifndef MOE_CODEGEN_CPU_TILEKERNEL_H
#define MOE_CODEGEN_CPU_TILEKERNEL_H

#include "codegen/cpu/Family.h"

namespace moe::cpu {

/// What a tile asks to be brought to the cache besides its own operands.
struct Prefetch {
  /// The packed weights of the tile itself, ahead of their use.
  bool stream = false;
  /// Part of other weights, while the tile computes: every step one line,
  /// `perStep` bytes further, from byte `begin` of `packed` (memref<?xi8>).
  mlir::Value packed = {}, begin = {}, perStep = {};
};

/// A part of K that is multiplied: inputs [begin, end), of type index. `begin`
/// is a multiple of kPartUnit, `end` too unless it is K or more. `sums` are
/// what parts before have left.
struct KPart {
  mlir::Value begin, end;
  llvm::SmallVector<mlir::Value> sums;
};

/// Emits the loop over K, or over the part of it that is given, and returns the
/// sums, vector<lanes x f32> each (i32 for quantised weights), in the order
/// [panel][row][vector of the panel].
///
/// `a` as in MatmulBlock, `rows` its row indices; `view` the packed weights as
/// PackedLayout::viewType, `panels` indices of its first dimension.
llvm::SmallVector<mlir::Value>
emitTileSums(mlir::OpBuilder &builder, mlir::Location loc,
             const PackedLayout &layout, mlir::Value a, mlir::ValueRange rows,
             mlir::Value view, mlir::ValueRange panels,
             const Prefetch &prefetch, const KPart *part = nullptr);

/// The same for weights with groups, f32 sums; `packed` is memref<?xi8>.
llvm::SmallVector<mlir::Value>
emitGroupTileSums(mlir::OpBuilder &builder, mlir::Location loc,
                  const PackedLayout &layout, mlir::Value a,
                  mlir::ValueRange rows, mlir::Value packed,
                  mlir::ValueRange panels, const Prefetch &prefetch,
                  const KPart *part = nullptr);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_TILEKERNEL_H
