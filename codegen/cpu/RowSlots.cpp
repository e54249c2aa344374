// What moves weights and ids between slots and experts, in one row. Nothing
// outside of a row is touched, whatever its ids are.

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Ranking.h"
#include "codegen/cpu/Rows.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace moe::cpu {

static Value zeroOf(Frame &f, Type type) {
  return splatConstant(f.builder, f.loc, type, 0, 0);
}

static Value both(Frame &f, Value a, Value b) {
  return arith::AndIOp::create(f.builder, f.loc, a, b);
}

static Value choose(Frame &f, Value condition, Value yes, Value no) {
  return arith::SelectOp::create(f.builder, f.loc, condition, yes, no);
}

static void fillRow(Frame &f, const Ref &ref, Value address, double value) {
  Value all = splatConstant(f.builder, f.loc, ref.type, value, f.lanes);
  f.columns(ref.rowElements, [&](Value column, int64_t lanes) {
    f.store(ref, f.add(address, column), all, lanes);
  });
}

static Value isFilled(Frame &f, Value expert) {
  return f.less(f.constant(-1), expert);
}

/// The expert of a slot as an index, -1 for an empty one. One that does not
/// exist is an error and an empty slot.
static Value expertAt(Frame &f, const Ref &ids, Value address, int64_t experts,
                      Value row) {
  Value id = f.toIndex(f.loadScalar(ids, address));
  Value limit = f.constant(experts);
  Value exists = f.less(id, limit);
  f.ifThen(f.less(f.add(limit, -1), id),
           [&] { reportError(f, MOERT_CODE_EXPERT, {id, limit, row}); });
  return choose(f, both(f, exists, isFilled(f, id)), id, f.constant(-1));
}

namespace {
/// Slots of one row: weights and ids at the same places.
struct RowSlots {
  Frame &f;
  Ref weights, ids;
  Value row, fromWeights, fromIds;

  RowSlots(Frame &f, Value weightsOf, Value idsOf, Value row)
      : f(f), weights(f.ref(weightsOf)), ids(f.ref(idsOf)), row(row),
        fromWeights(f.rowAddress(weights, row)),
        fromIds(f.rowAddress(ids, row)) {}

  Value weight(Value slot) {
    return f.loadScalar(weights, f.add(fromWeights, slot));
  }
  void setWeight(Value slot, Value weight) {
    f.storeScalar(weights, f.add(fromWeights, slot), weight);
  }
  void setExpert(Value slot, Value expert) {
    f.storeScalar(ids, f.add(fromIds, slot),
                  convertNumber(f.builder, f.loc, expert, ids.type));
  }
  void addWeight(Value slot, Value more) {
    setWeight(slot,
              arith::AddFOp::create(f.builder, f.loc, weight(slot), more));
  }
  void clear() {
    fillRow(f, weights, fromWeights, 0);
    fillRow(f, ids, fromIds, -1);
  }
  void forSlots(int64_t experts, llvm::function_ref<void(Value, Value)> body) {
    f.loop(ids.rowElements, [&](Value slot) {
      body(slot, expertAt(f, ids, f.add(fromIds, slot), experts, row));
    });
  }
};
} // namespace

void emitJoinRow(Frame &f, grouped::JoinOp op, Value row) {
  auto experts = static_cast<int64_t>(op.getExperts());
  RowSlots first(f, op.getFirst(), op.getFirstIds(), row),
      second(f, op.getSecond(), op.getSecondIds(), row),
      out(f, op.getWeights(), op.getIds(), row);
  if (op.getByExpert()) {
    out.clear();
    for (RowSlots *from : {&first, &second})
      from->forSlots(experts, [&](Value slot, Value expert) {
        f.ifThen(isFilled(f, expert), [&] {
          out.addWeight(expert, from->weight(slot));
          out.setExpert(expert, expert);
        });
      });
    return;
  }
  Value none = f.constant(-1), zero = zeroOf(f, out.weights.type);
  int64_t slots = first.ids.rowElements;
  auto set = [&](Value slot, Value stays, Value expert, Value weight) {
    out.setExpert(slot, choose(f, stays, expert, none));
    out.setWeight(slot, choose(f, stays, weight, zero));
  };
  first.forSlots(experts, [&](Value slot, Value expert) {
    set(slot, isFilled(f, expert), expert, first.weight(slot));
  });
  second.forSlots(experts, [&](Value slot, Value expert) {
    Value weight = second.weight(slot), filled = isFilled(f, expert);
    Value earlier =
        firstPlace(f, out.ids, out.fromIds, slots,
                   convertNumber(f.builder, f.loc, expert, out.ids.type));
    Value isNew = f.less(f.constant(slots - 1), earlier);
    f.ifThen(both(f, filled, f.less(earlier, f.constant(slots))),
             [&] { out.addWeight(earlier, weight); });
    set(f.add(slot, slots), both(f, filled, isNew), expert, weight);
  });
}

void emitCheckIdsRow(Frame &f, grouped::CheckIdsOp op, Value row) {
  Ref in = f.ref(op.getIds()), out = f.ref(op.getResult());
  Value from = f.rowAddress(in, row), to = f.rowAddress(out, row);
  fillRow(f, out, to, -1);
  f.loop(out.rowElements, [&](Value slot) {
    Value expert = expertAt(f, in, f.add(from, slot),
                            static_cast<int64_t>(op.getExperts()), row);
    Value id = convertNumber(f.builder, f.loc, expert, out.type);
    Value earlier = firstPlace(f, out, to, out.rowElements, id);
    Value stands = f.less(earlier, f.constant(out.rowElements));
    // Slots that are still empty hold -1, which may stand twice.
    Value isNew = f.less(f.constant(out.rowElements - 1), earlier);
    f.ifThen(both(f, isFilled(f, expert), stands),
             [&] { reportError(f, MOERT_CODE_REPEATED, {expert, row}); });
    f.ifThen(isNew, [&] { f.storeScalar(out, f.add(to, slot), id); });
  });
}

void emitPickRow(Frame &f, grouped::PickOp op, Value row) {
  Ref values = f.ref(op.getValues()), ids = f.ref(op.getIds());
  Ref out = f.ref(op.getResult());
  bool byExpert = op.getValues().getType().getRank() == 1;
  Value first = f.rowAddress(values, byExpert ? f.constant(0) : row);
  Value from = f.rowAddress(ids, row), to = f.rowAddress(out, row);
  int64_t experts = op.getValues().getType().getShape().back();
  f.loop(ids.rowElements, [&](Value slot) {
    Value expert = expertAt(f, ids, f.add(from, slot), experts, row);
    Value value =
        f.loadScalar(values, f.add(first, f.max(expert, f.constant(0))));
    f.storeScalar(out, f.add(to, slot),
                  choose(f, isFilled(f, expert), value, zeroOf(f, out.type)));
  });
}

void emitMatrixRow(Frame &f, grouped::MatrixOp op, Value row) {
  RowSlots slots(f, op.getWeights(), op.getIds(), row);
  Ref out = f.ref(op.getResult());
  Value to = f.rowAddress(out, row);
  fillRow(f, out, to, 0);
  slots.forSlots(out.rowElements, [&](Value slot, Value expert) {
    f.ifThen(isFilled(f, expert), [&] {
      f.storeScalar(out, f.add(to, expert), slots.weight(slot));
    });
  });
}

} // namespace moe::cpu
