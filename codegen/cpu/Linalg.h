// Structured operations of linalg: which can run row by row, and code for them.

#ifndef MOE_CODEGEN_CPU_LINALG_H
#define MOE_CODEGEN_CPU_LINALG_H

#include "codegen/cpu/Frame.h"

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

/// One row of the results, or everything if `row` is null.
void emitLinalg(Frame &frame, mlir::linalg::LinalgOp op, mlir::Value row);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_LINALG_H
