// See Team.h.

#include "codegen/cpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

void Team::barrier() const { omp::BarrierOp::create(f.builder, f.loc); }

void Team::first(llvm::function_ref<void()> body) const {
  f.ifThen(f.less(thread, f.constant(1)), body);
}

void Team::each(Value count, Frame::Body body) const {
  auto loop = scf::ForOp::create(f.builder, f.loc, thread, count, size);
  OpBuilder::InsertionGuard guard(f.builder);
  f.builder.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

std::pair<Value, Value> Team::part(Value count) const {
  Value block = f.mul(f.ceilDiv(f.ceilDiv(count, size), f.constant(16)), 16);
  Value begin = f.min(f.mul(thread, block), count);
  return {begin, f.min(f.add(begin, block), count)};
}

} // namespace moe::cpu
