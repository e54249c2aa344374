// Loops and branches over phases. Every thread takes the same way, because all
// read the same numbers; no thread begins an iteration before all have ended
// the last one.

#include "codegen/cpu/Phases.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Scalars.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

static bool isNumber(Value value) {
  return value.getType().isIntOrIndexOrFloat();
}

namespace {
class FlowEmitter {
public:
  FlowEmitter(Frame &f, const Phase &phase, Value thread)
      : f(f), b(f.builder), phase(phase), thread(thread),
        shift(f.counterShift) {}

  void emit() {
    Operation *op = phase.steps.front().op;
    IRMapping outside = f.scalars;
    emitScalarsOf(f, phase.steps.front());
    SmallVector<Value> numbers;
    if (auto loop = dyn_cast<scf::ForOp>(op))
      numbers = emitFor(loop);
    else if (auto loop = dyn_cast<scf::WhileOp>(op))
      numbers = emitWhile(loop);
    else
      numbers = emitIf(cast<scf::IfOp>(op));
    f.scalars = outside;
    f.counterShift = shift;
    size_t next = 0;
    for (Value value : op->getResults())
      if (isNumber(value))
        f.scalars.map(value, numbers[next++]);
  }

private:
  SmallVector<Value> emitFor(scf::ForOp op);
  SmallVector<Value> emitWhile(scf::WhileOp op);
  SmallVector<Value> emitIf(scf::IfOp op);

  void barrier() { omp::BarrierOp::create(b, f.loc); }

  /// Thread 0 clears counters [begin, begin + count) of this loop's.
  void clearCounters(Value begin, unsigned count) {
    Value first = f.is(Frame::Compare::eq, thread, 0);
    f.ifThen(first, [&] {
      f.clearCounters(f.add(begin, phase.counter), f.constant(count));
    });
  }

  void startLoop() {
    clearCounters(f.constant(0), 2 * phase.counters);
    barrier();
  }

  /// An iteration uses one set of counters and clears the other one for the
  /// next; `turn` is 0 or 1.
  void startIteration(Value turn) {
    Value other = f.sub(f.constant(1), turn);
    clearCounters(f.mul(other, phase.counters), phase.counters);
    f.counterShift = f.mul(turn, phase.counters);
  }

  /// The numbers among `values`; a region has computed them at its end.
  SmallVector<Value> numbersOf(ValueRange values) {
    SmallVector<Value> numbers;
    for (Value value : values)
      if (isNumber(value))
        numbers.push_back(f.scalars.lookup(value));
    return numbers;
  }

  void map(ValueRange arguments, ValueRange numbers) {
    size_t next = 0;
    for (Value argument : arguments)
      if (isNumber(argument))
        f.scalars.map(argument, numbers[next++]);
  }

  Frame &f;
  OpBuilder &b;
  const Phase &phase;
  Value thread, shift;
};
} // namespace

SmallVector<Value> FlowEmitter::emitFor(scf::ForOp op) {
  Type i64 = b.getI64Type();
  Value low = f.scalars.lookup(op.getLowerBound());
  Value high = f.scalars.lookup(op.getUpperBound());
  Value step = f.scalars.lookup(op.getStep());
  Type type = low.getType();
  bool isUnsigned = op.getUnsignedCmp();
  // A step below 1 is an error, and counting iterations cannot overflow.
  auto wide = [&](Value value) -> Value {
    if (type.isIndex())
      return arith::IndexCastOp::create(b, f.loc, i64, value);
    if (type == i64)
      return value;
    return isUnsigned ? Value(arith::ExtUIOp::create(b, f.loc, i64, value))
                      : Value(arith::ExtSIOp::create(b, f.loc, i64, value));
  };
  auto below = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(b, f.loc,
                                 isUnsigned ? arith::CmpIPredicate::ult
                                            : arith::CmpIPredicate::slt,
                                 x, y);
  };
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(b, f.loc, value, 64);
  };
  Value begin = wide(low), end = wide(high), by = wide(step);
  Value some = below(begin, end), forward = below(number(0), by);
  Value wrong = arith::XOrIOp::create(
      b, f.loc, forward, arith::ConstantIntOp::create(b, f.loc, 1, 1));
  f.ifThen(wrong, [&] { reportError(f, MOERT_CODE_STEP, by); });
  by = arith::SelectOp::create(b, f.loc, forward, by, number(1));
  Value last = arith::SubIOp::create(
      b, f.loc, arith::SubIOp::create(b, f.loc, end, begin), number(1));
  Value rounds = arith::AddIOp::create(
      b, f.loc, arith::DivUIOp::create(b, f.loc, last, by), number(1));
  Value runs = arith::AndIOp::create(b, f.loc, some, forward);
  rounds =
      f.toIndex(arith::SelectOp::create(b, f.loc, runs, rounds, number(0)));

  startLoop();
  size_t tensors = phase.carried.size();
  SmallVector<Value> initial = {f.constant(0)};
  for (auto [now, next] : phase.carried)
    initial.push_back(f.memrefs[now]);
  for (auto [now, next] : phase.carried)
    initial.push_back(f.memrefs[next]);
  llvm::append_range(initial, numbersOf(op.getInitArgs()));
  IRMapping outside = f.scalars;
  SmallVector<Value> results = f.fold(
      f.constant(0), rounds, initial,
      [&](Value round, ValueRange so) -> SmallVector<Value> {
        startIteration(so[0]);
        auto memories = so.drop_front();
        for (auto [i, carried] : llvm::enumerate(phase.carried)) {
          f.memrefs[carried.now] = memories[i];
          f.memrefs[carried.next] = memories[tensors + i];
        }
        Value offset = arith::MulIOp::create(
            b, f.loc, arith::IndexCastOp::create(b, f.loc, i64, round), by);
        Value variable = arith::AddIOp::create(b, f.loc, begin, offset);
        if (type.isIndex())
          variable = f.toIndex(variable);
        else if (type != i64)
          variable = arith::TruncIOp::create(b, f.loc, type, variable);
        f.scalars.map(op.getInductionVar(), variable);
        map(op.getRegionIterArgs(), memories.drop_front(2 * tensors));
        emitPhases(f, phase.bodies[0], thread);
        SmallVector<Value> yielded = {f.sub(f.constant(1), so[0])};
        llvm::append_range(yielded, memories.slice(tensors, tensors));
        llvm::append_range(yielded, memories.take_front(tensors));
        llvm::append_range(yielded, numbersOf(op.getYieldedValues()));
        f.scalars = outside;
        barrier();
        return yielded;
      });
  auto memories = ArrayRef(results).drop_front();
  for (auto [i, carried] : llvm::enumerate(phase.carried)) {
    f.memrefs[carried.now] = memories[i];
    f.memrefs[carried.next] = memories[tensors + i];
  }
  return SmallVector<Value>(memories.drop_front(2 * tensors));
}

SmallVector<Value> FlowEmitter::emitWhile(scf::WhileOp op) {
  startLoop();
  SmallVector<Value> initial = {f.constant(0)};
  llvm::append_range(initial, numbersOf(op.getInits()));
  SmallVector<Type> forwarded = {b.getIndexType()};
  for (Type type : op.getResultTypes())
    if (type.isIntOrIndexOrFloat())
      forwarded.push_back(type);
  IRMapping outside = f.scalars;
  auto loop = scf::WhileOp::create(b, f.loc, forwarded, initial);
  OpBuilder::InsertionGuard guard(b);
  SmallVector<Location> places(initial.size(), f.loc);
  b.createBlock(&loop.getBefore(), {}, ValueRange(initial).getTypes(), places);
  ValueRange so = loop.getBeforeArguments();
  startIteration(so[0]);
  map(op.getBeforeArguments(), so.drop_front());
  emitPhases(f, phase.bodies[0], thread);
  SmallVector<Value> onward = {so[0]};
  llvm::append_range(onward, numbersOf(op.getConditionOp().getArgs()));
  Value condition = f.scalars.lookup(op.getConditionOp().getCondition());
  f.scalars = outside;
  barrier();
  scf::ConditionOp::create(b, f.loc, condition, onward);

  places.assign(forwarded.size(), f.loc);
  b.createBlock(&loop.getAfter(), {}, forwarded, places);
  so = loop.getAfterArguments();
  f.counterShift = f.mul(so[0], phase.counters);
  map(op.getAfterArguments(), so.drop_front());
  emitPhases(f, phase.bodies[1], thread);
  SmallVector<Value> yielded = {f.sub(f.constant(1), so[0])};
  llvm::append_range(yielded, numbersOf(op.getYieldOp().getOperands()));
  f.scalars = outside;
  barrier();
  scf::YieldOp::create(b, f.loc, yielded);
  return SmallVector<Value>(loop.getResults().drop_front());
}

SmallVector<Value> FlowEmitter::emitIf(scf::IfOp op) {
  barrier();
  SmallVector<Type> types;
  for (Type type : op.getResultTypes())
    if (type.isIntOrIndexOrFloat())
      types.push_back(type);
  IRMapping outside = f.scalars;
  bool hasElse = phase.bodies.size() > 1;
  auto choice = scf::IfOp::create(b, f.loc, types,
                                  f.scalars.lookup(op.getCondition()), hasElse);
  {
    OpBuilder::InsertionGuard guard(b);
    for (auto [source, target, sequence] :
         llvm::zip(op->getRegions(), choice->getRegions(), phase.bodies)) {
      b.setInsertionPointToStart(&target.front());
      emitPhases(f, sequence, thread);
      SmallVector<Value> yielded =
          numbersOf(source.front().getTerminator()->getOperands());
      f.scalars = outside;
      if (types.empty())
        continue; // the builder has ended the block
      scf::YieldOp::create(b, f.loc, yielded);
    }
  }
  barrier();
  return SmallVector<Value>(choice.getResults());
}

void emitFlowPhase(Frame &f, const Phase &phase, Value thread) {
  FlowEmitter(f, phase, thread).emit();
}

} // namespace moe::cpu
