// See Indices.h.

#include "codegen/cpu/Indices.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

void IndexBuilder::loop(Value begin, Value end, int64_t step,
                        llvm::function_ref<void(Value)> body) const {
  auto op = scf::ForOp::create(builder, loc, begin, end, constant(step));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  body(op.getInductionVar());
}

} // namespace moe::cpu
