// Structured operations of linalg: which can run row by row, and code for them.

#ifndef MOE_CODEGEN_CPU_LINALG_H
#define MOE_CODEGEN_CPU_LINALG_H

#include "codegen/cpu/Team.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace moe::cpu {

/// Whether the body consists of scalar operations that have CPU code, and every
/// loop is as long as a dimension of some operand.
bool isSupportedLinalg(mlir::linalg::LinalgOp op);

/// The parallel loop that walks dimension 0 of every result, and of the inputs
/// that use it; none if rows mix.
std::optional<unsigned> rowLoop(mlir::linalg::LinalgOp op);

/// Whether an input is indexed by loop `rows`, and thus by rows alone.
bool walksRows(mlir::linalg::LinalgOp op, mlir::OpOperand &input,
               unsigned rows);

/// Whether anything reads what `init` holds.
bool readsInit(mlir::linalg::LinalgOp op, mlir::OpOperand &init);

/// The operand and dimension that give the length of a loop.
std::pair<mlir::OpOperand *, unsigned> lengthOf(mlir::linalg::LinalgOp op,
                                                unsigned loop);
mlir::Value sizeOf(Frame &frame, mlir::Value tensor, unsigned dimension);

/// The parallel loop of static length that walks the last dimension of every
/// result and of the inputs that use it, so that its elements lie side by side.
std::optional<unsigned> vectorLoop(mlir::linalg::LinalgOp op);

/// Whether it has such a loop, and its sums are over rows and nothing else.
bool sumsOverRows(mlir::linalg::LinalgOp op);

/// One row of the results, or everything if `row` is null; with a team, what
/// this thread does of everything.
void emitLinalg(Frame &frame, mlir::linalg::LinalgOp op, mlir::Value row,
                const Team *team = nullptr);

/// The same for an operation with a vector loop, LinalgTiles.cpp.
void emitLinalgTiles(Frame &frame, mlir::linalg::LinalgOp op, mlir::Value row,
                     const Team *team);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_LINALG_H
