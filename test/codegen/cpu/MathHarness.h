// Functions of one number, compiled as loops over memory.

#ifndef MOE_TEST_CODEGEN_CPU_MATHHARNESS_H
#define MOE_TEST_CODEGEN_CPU_MATHHARNESS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace moe::test {

/// Adds a function that replaces the numbers [0, count) in memory by vectors of
/// `lanes`, or one by one if that is 0.
using Body = llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location,
                                            mlir::Value)>;
void addLoop(mlir::OpBuilder &builder, mlir::ModuleOp module,
             llvm::StringRef name, mlir::Type element, int64_t lanes,
             Body body);

/// A body of one operation.
template <typename Op>
mlir::Value emit(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x) {
  return Op::create(builder, loc, x);
}

} // namespace moe::test

#endif // MOE_TEST_CODEGEN_CPU_MATHHARNESS_H
