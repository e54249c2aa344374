// See Team.h.

#include "codegen/cpu/Team.h"

#include "codegen/cpu/Linalg.h"
#include "codegen/cpu/Rows.h"

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

void Team::columns(int64_t count,
                   llvm::function_ref<void(Value, int64_t)> body) const {
  constexpr int64_t block = 16; // a cache line of f32
  int64_t whole = count / block;
  auto part = [&](Value begin, int64_t columns) {
    f.columns(columns, [&](Value column, int64_t lanes) {
      body(f.add(begin, column), lanes);
    });
  };
  each(f.constant(whole), [&](Value i) { part(f.mul(i, block), block); });
  if (int64_t rest = count - whole * block) {
    Value owner = f.rem(f.constant(whole), size);
    f.ifThen(f.is(Frame::Compare::eq, owner, thread),
             [&] { part(f.constant(whole * block), rest); });
  }
}

void emitTeam(const Team &team, const Step &step) {
  if (auto op = dyn_cast<SoftmaxOp>(step.op))
    return emitSoftmaxOverRows(team.f, op, &team);
  if (auto op = dyn_cast<ReduceOp>(step.op))
    return emitReduceOverRows(team.f, op, &team);
  if (auto op = dyn_cast<linalg::LinalgOp>(step.op))
    return emitLinalg(team.f, op, Value(), &team);
  emitTake(team, step);
}

} // namespace moe::cpu
