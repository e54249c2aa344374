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

void IndexBuilder::loopOverBlocks(
    Value begin, Value count, Value most,
    llvm::function_ref<void(Value, Value)> body) const {
  Value size = ceilDiv(count, ceilDiv(count, most));
  Value end = add(begin, count);
  auto op = scf::ForOp::create(builder, loc, begin, end, size);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  Value first = op.getInductionVar();
  body(first, arith::MinUIOp::create(builder, loc, size, sub(end, first)));
}

} // namespace moe::cpu
