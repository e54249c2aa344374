// grouped.take in two steps: the keys of every expert give the first word that
// is not taken; then every row compares its words.

#include "codegen/cpu/Ranking.h"
#include "codegen/cpu/Segments.h"
#include "codegen/cpu/Sort.h"
#include "codegen/cpu/Team.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {
struct TakeEmitter {
  const Team &team;
  Frame &f;
  grouped::TakeOp op;
  Ref weights, key, chosen, ids;
  WordTables tables; // of the thread
  Ref taken;         // of the thread: rows that an expert has of each segment
  Ref numberOf;      // the segment of a row
  Ref ends;          // [segments, E], the first word that is not taken
  Ref segments;      // how many there are
  int64_t experts;
  Value rows;

  TakeEmitter(const Team &team, const Step &step)
      : team(team), f(team.f), op(cast<grouped::TakeOp>(step.op)),
        weights(f.ref(op.getWeights())), key(f.ref(op.getKey())),
        chosen(f.ref(op.getChosen())), ids(f.ref(op.getIds())),
        tables(f, step.extra[0], step.extra[1]),
        taken(f.ref(step.extra[2], f.builder.getI32Type())),
        numberOf(f.ref(step.extra[3], f.builder.getI32Type())),
        ends(f.ref(step.extra[4], f.builder.getI64Type())),
        segments(f.ref(step.extra[5], f.builder.getI64Type())),
        experts(key.rowElements), rows(f.rowRange(op.getKey()).second) {}

  Value get(const Ref &ref, Value at) {
    return f.toIndex(f.loadScalar(ref, at));
  }
  Value endAt(Value segment, Value expert) {
    return f.add(f.mul(segment, experts), expert);
  }
  Value none() { // behind all words
    return arith::ConstantIntOp::create(f.builder, f.loc, -1, 64);
  }

  void emit() {
    if (op.getSegments()) {
      team.first([&] {
        Value count = emitSegments(f, op.getSegments(), tables, numberOf,
                                   op.getCapacity());
        f.storeScalar(segments, f.constant(0), count);
      });
      team.barrier();
    }
    if (key.type.isF64())
      return team.each(f.constant(experts),
                       [&](Value expert) { takeByWideKeys(expert); });
    team.each(f.constant(experts), [&](Value expert) {
      makeWords(expert);
      if (op.getSegments())
        endsOfSegments(expert);
      else
        endOfAll(expert);
    });
    team.barrier();
    auto [begin, end] = team.part(rows);
    f.loop(begin, end, [&](Value row) { compare(row); });
  }

  void makeWords(Value expert) {
    f.loop(f.constant(0), rows, [&](Value row) {
      Value number = f.loadScalar(key, f.add(f.rowAddress(key, row), expert));
      f.storeScalar(tables.words, row, descendingWord(f, number, row));
    });
  }

  void endOfAll(Value expert) {
    Value capacity =
        f.max(capacityOf(f, op.getCapacity(), f.constant(0)), f.constant(0));
    f.storeScalar(ends, expert, none());
    f.ifThen(f.less(capacity, rows), [&] {
      emitSelect(f, tables.words.memref, tables.other.memref, rows, capacity);
      f.storeScalar(ends, expert, f.loadScalar(tables.words, capacity));
    });
  }

  void endsOfSegments(Value expert) {
    emitSort(f, tables.words.memref, tables.other.memref, rows);
    f.loop(f.constant(0), get(segments, f.constant(0)), [&](Value segment) {
      f.storeScalar(taken, segment, f.constant(0));
      f.storeScalar(ends, endAt(segment, expert), none());
    });
    f.loop(f.constant(0), rows, [&](Value i) {
      Value word = f.loadScalar(tables.words, i);
      Value row = placeOf(f, word);
      Value segment = get(numberOf, row), count = get(taken, segment);
      Value capacity =
          f.max(capacityOf(f, op.getCapacity(), row), f.constant(0));
      Value full = f.is(Frame::Compare::eq, count, capacity);
      f.ifThen(full,
               [&] { f.storeScalar(ends, endAt(segment, expert), word); });
      f.storeScalar(taken, segment, f.add(count, 1));
    });
  }

  /// Keys whose words do not hold all of them: the expert's column at once.
  void takeByWideKeys(Value expert) {
    f.loop(f.constant(0), rows,
           [&](Value row) { f.storeScalar(tables.words, row, row); });
    emitSortByNumbers(
        f, tables.words, tables.other, rows, key.type, [&](Value row) {
          return f.loadScalar(key, f.add(f.rowAddress(key, row), expert));
        });
    if (op.getSegments())
      f.loop(f.constant(0), get(segments, f.constant(0)), [&](Value segment) {
        f.storeScalar(taken, segment, f.constant(0));
      });
    Value none = splatConstant(f.builder, f.loc, chosen.type, 0, 0);
    f.loop(f.constant(0), rows, [&](Value i) {
      Value row = placeOf(f, f.loadScalar(tables.words, i)), count = i;
      if (op.getSegments()) {
        Value segment = get(numberOf, row);
        count = get(taken, segment);
        f.storeScalar(taken, segment, f.add(count, 1));
      }
      Value stays = f.less(count, capacityOf(f, op.getCapacity(), row));
      Value weight =
          f.loadScalar(weights, f.add(f.rowAddress(weights, row), expert));
      weight = convertNumber(f.builder, f.loc, weight, chosen.type);
      auto select = [&](Value yes, Value no) {
        return arith::SelectOp::create(f.builder, f.loc, stays, yes, no);
      };
      f.storeScalar(chosen, f.add(f.rowAddress(chosen, row), expert),
                    select(weight, none));
      f.storeScalar(ids, f.add(f.rowAddress(ids, row), expert),
                    select(expert, f.constant(-1)));
    });
  }

  /// Slot e holds expert e where the row's word is before the end.
  void compare(Value row) {
    OpBuilder &b = f.builder;
    auto i32 = b.getI32Type();
    Value segment = op.getSegments() ? get(numberOf, row) : f.constant(0);
    Value fromKey = f.rowAddress(key, row);
    Value fromWeights = f.rowAddress(weights, row);
    Value toChosen = f.rowAddress(chosen, row), toIds = f.rowAddress(ids, row);
    Value place = vector::BroadcastOp::create(
        b, f.loc, f.vectorOf(b.getI64Type()),
        convertNumber(b, f.loc, row, b.getI64Type()));
    f.columns(experts, [&](Value column, int64_t lanes) {
      Value keys = f.load(key, f.add(fromKey, column), lanes);
      Value stays = arith::CmpIOp::create(
          b, f.loc, arith::CmpIPredicate::ult, descendingWord(f, keys, place),
          f.load(ends, endAt(segment, column), lanes));
      Value weight = convertNumber(
          b, f.loc, f.load(weights, f.add(fromWeights, column), lanes),
          chosen.type);
      Value empty = splatConstant(b, f.loc, chosen.type, 0, f.lanes);
      f.store(chosen, f.add(toChosen, column),
              arith::SelectOp::create(b, f.loc, stays, weight, empty), lanes);
      Value first = vector::BroadcastOp::create(
          b, f.loc, f.vectorOf(i32), convertNumber(b, f.loc, column, i32));
      Value id = arith::AddIOp::create(b, f.loc, first, laneNumbers(f, i32));
      f.store(
          ids, f.add(toIds, column),
          arith::SelectOp::create(b, f.loc, stays, id,
                                  splatConstant(b, f.loc, i32, -1, f.lanes)),
          lanes);
    });
  }
};
} // namespace

void emitTake(const Team &team, const Step &step) {
  TakeEmitter(team, step).emit();
}

} // namespace moe::cpu
