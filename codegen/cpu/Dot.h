// What register tiles of all families share: one step's product, entries of a
// row in every lane, and a fence for LLVM's scheduler.

#ifndef MOE_CODEGEN_CPU_DOT_H
#define MOE_CODEGEN_CPU_DOT_H

#include "codegen/cpu/Family.h"

namespace moe::cpu {

/// sum + row . weights, lane by lane of 32 bits, in the way of `family`.
mlir::Value emitDot(mlir::OpBuilder &builder, mlir::Location loc,
                    const Level &level, Family family, mlir::Value sum,
                    mlir::Value row, mlir::Value weights);

/// The entries of row `row` of `a` from k on that fill 32 bits, in every one of
/// `lanes` lanes.
mlir::Value broadcastEntries(mlir::OpBuilder &builder, mlir::Location loc,
                             mlir::Value a, mlir::Value row, mlir::Value k,
                             int64_t lanes);

/// Keeps LLVM's scheduler from hoisting the loads that follow: with all
/// registers in use it would spill sums inside the loop. No instruction.
void emitFence(mlir::OpBuilder &builder, mlir::Location loc);

/// The same, and what makes `sums` is computed before it. (Vectors of at most
/// the level's registers.)
void emitFence(mlir::OpBuilder &builder, mlir::Location loc,
               llvm::MutableArrayRef<mlir::Value> sums);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_DOT_H
