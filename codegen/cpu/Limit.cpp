// grouped.limit on one thread: a walk over the pairs, by counters where the
// order is that of memory, after a sort where it depends on numbers.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/Segments.h"
#include "codegen/cpu/Sort.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace moe::cpu {

bool sortsPairs(grouped::LimitOp op) {
  return op.getOrder() == Order::Weight ||
         (op.getOrder() == Order::Value &&
          op.getPriority().getType().getRank() == 2);
}

namespace {
struct LimitEmitter {
  Frame &f;
  grouped::LimitOp op;
  Ref weights, ids, kept, keptIds;
  WordTables tables;
  Ref numberOf, loads, placed;
  int64_t experts, slots;
  Value rows;

  LimitEmitter(Frame &f, const Step &step)
      : f(f), op(cast<grouped::LimitOp>(step.op)),
        weights(f.ref(op.getWeights())), ids(f.ref(op.getIds())),
        kept(f.ref(op.getKept())), keptIds(f.ref(op.getKeptIds())),
        tables(f, step.extra[0], step.extra[1]),
        numberOf(f.ref(step.extra[2], f.builder.getI32Type())),
        loads(f.ref(step.extra[3], f.builder.getI32Type())),
        placed(f.ref(step.extra[4], f.builder.getI32Type())),
        experts(static_cast<int64_t>(op.getExperts())), slots(ids.rowElements),
        rows(f.rowRange(op.getIds()).second) {}

  Value get(const Ref &ref, Value at) {
    return f.toIndex(f.loadScalar(ref, at));
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(f.builder, f.loc, condition, yes, no);
  }
  Value both(Value a, Value b) {
    return arith::AndIOp::create(f.builder, f.loc, a, b);
  }
  Value zeroOf(const Ref &ref) {
    return arith::ConstantOp::create(f.builder, f.loc,
                                     f.builder.getZeroAttr(ref.type));
  }

  void emit() {
    Value segments = f.constant(1);
    if (op.getSegments())
      segments =
          emitSegments(f, op.getSegments(), tables, numberOf, op.getCapacity());
    f.loop(f.constant(0), f.mul(segments, experts),
           [&](Value i) { f.storeScalar(loads, i, f.constant(0)); });
    if (op.getPlace())
      f.loop(f.constant(0), rows,
             [&](Value row) { f.storeScalar(placed, row, f.constant(0)); });
    if (sortsPairs(op))
      return walkSortedPairs();
    if (op.getPriority())
      sortRows();
    if (op.getOrder() == Order::Choice)
      f.loop(f.constant(0), f.constant(slots),
             [&](Value slot) { forRows([&](Value row) { look(row, slot); }); });
    else if (op.getOrder() == Order::Position && op.getPlace())
      forRows([&](Value row) { lookByExpert(row); });
    else // experts of a row do not compete, so position needs no order in it
      forRows([&](Value row) {
        f.loop(f.constant(0), f.constant(slots),
               [&](Value slot) { look(row, slot); });
      });
  }

  /// Rows in the order of the words, or of memory.
  void forRows(Frame::Body body) {
    f.loop(f.constant(0), rows, [&](Value i) {
      body(op.getPriority() ? placeOf(f, f.loadScalar(tables.words, i)) : i);
    });
  }

  void sortRows() {
    Ref priority = f.ref(op.getPriority());
    f.loop(f.constant(0), rows,
           [&](Value row) { f.storeScalar(tables.words, row, row); });
    emitSortByNumbers(
        f, tables.words, tables.other, rows, priority.type, [&](Value row) {
          return f.loadScalar(priority, f.rowAddress(priority, row));
        });
  }

  /// Whether the id is that of an expert, and a number that surely is one.
  std::pair<Value, Value> expertAt(Value row, Value slot) {
    Value id = get(ids, f.add(f.rowAddress(ids, row), slot));
    Value inside = f.is(Frame::Compare::ult, id, experts);
    return {inside, select(inside, id, f.constant(0))};
  }

  void walkSortedPairs() {
    Value pairs = f.fold(
        f.constant(0), rows, f.constant(0),
        [&](Value row, ValueRange outer) -> SmallVector<Value> {
          return f.fold(f.constant(0), f.constant(slots), outer,
                        [&](Value slot, ValueRange so) -> SmallVector<Value> {
                          return {addPlace(row, slot, so[0])};
                        });
        })[0];
    bool byWeight = op.getOrder() == Order::Weight;
    Ref numbers = f.ref(byWeight ? Value(op.getWeights()) : op.getPriority());
    bool bySlot = byWeight || numbers.rowElements == slots;
    emitSortByNumbers(
        f, tables.words, tables.other, pairs, numbers.type, [&](Value pair) {
          auto [row, slot] = slotOf(pair);
          Value column = bySlot ? slot : expertAt(row, slot).second;
          return f.loadScalar(numbers,
                              f.add(f.rowAddress(numbers, row), column));
        });
    f.loop(f.constant(0), pairs, [&](Value i) {
      auto [row, slot] = slotOf(placeOf(f, f.loadScalar(tables.words, i)));
      look(row, slot);
    });
  }

  /// The row and the slot of a place among all pairs.
  std::pair<Value, Value> slotOf(Value pair) {
    Value count = f.constant(slots);
    return {f.div(pair, count), f.rem(pair, count)};
  }

  /// Adds the place of a pair to `count` others, or empties the slot.
  Value addPlace(Value row, Value slot, Value count) {
    Value inside = expertAt(row, slot).first;
    f.storeScalar(tables.words, count, f.add(f.mul(row, slots), slot));
    set(row, slot, zeroOf(kept), f.constant(-1));
    return select(inside, f.add(count, 1), count);
  }

  /// Experts ascending.
  void lookByExpert(Value row) {
    f.loop(f.constant(0), f.constant(slots),
           [&](Value slot) { set(row, slot, zeroOf(kept), f.constant(-1)); });
    f.loop(f.constant(0), f.constant(experts), [&](Value expert) {
      f.loop(f.constant(0), f.constant(slots), [&](Value slot) {
        auto [inside, id] = expertAt(row, slot);
        Value same = f.is(Frame::Compare::eq, id, expert);
        f.ifThen(both(inside, same), [&] { look(row, slot); });
      });
    });
  }

  void set(Value row, Value slot, Value weight, Value id) {
    f.storeScalar(kept, f.add(f.rowAddress(kept, row), slot), weight);
    f.storeScalar(keptIds, f.add(f.rowAddress(keptIds, row), slot), id);
  }

  /// The pair stays if its expert has room and its token wants it.
  void look(Value row, Value slot) {
    auto [inside, expert] = expertAt(row, slot);
    Value counter = expert;
    if (op.getSegments())
      counter = f.add(counter, f.mul(get(numberOf, row), experts));
    Value load = get(loads, counter);
    Value stays =
        both(inside, f.less(load, capacityOf(f, op.getCapacity(), row)));
    if (op.getPlace()) {
      Value count = get(placed, row);
      stays = both(stays, f.less(count, f.constant(*op.getPlace())));
      f.storeScalar(placed, row, select(stays, f.add(count, 1), count));
    }
    f.storeScalar(loads, counter, select(stays, f.add(load, 1), load));
    Value weight =
        f.loadScalar(weights, f.add(f.rowAddress(weights, row), slot));
    set(row, slot, select(stays, weight, zeroOf(kept)),
        select(stays, expert, f.constant(-1)));
  }
};
} // namespace

void emitLimit(Frame &frame, const Step &step) {
  LimitEmitter(frame, step).emit();
}

} // namespace moe::cpu
