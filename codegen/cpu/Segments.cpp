// See Segments.h.

#include "codegen/cpu/Segments.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Rows.h"
#include "codegen/cpu/Sort.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

WordTables::WordTables(Frame &f, unsigned words, unsigned other)
    : words(f.ref(words, f.builder.getI64Type())),
      other(f.ref(other, f.builder.getI64Type())) {}

Value capacityOf(Frame &f, Value capacity, Value row) {
  if (!isa<RankedTensorType>(capacity.getType()))
    return f.scalars.lookup(capacity);
  Ref ref = f.ref(capacity);
  return f.toIndex(f.loadScalar(ref, f.rowAddress(ref, row)));
}

void emitSortSegments(Frame &f, Value segments, const WordTables &tables) {
  Ref numbers = f.ref(segments);
  Value rows = f.rowRange(segments).second;
  f.loop(f.constant(0), rows, [&](Value row) {
    Value number = f.loadScalar(numbers, f.rowAddress(numbers, row));
    f.storeScalar(tables.words, row, ascendingWord(f, number, row));
  });
  emitSort(f, tables.words.memref, tables.other.memref, rows);
}

SmallVector<Value> foldSegments(
    Frame &f, Value rows, const WordTables &tables, ValueRange initial,
    llvm::function_ref<SmallVector<Value>(Value, Value, Value, ValueRange)>
        body) {
  OpBuilder &b = f.builder;
  auto differ = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(b, f.loc, arith::CmpIPredicate::ne, x, y);
  };
  auto keyAt = [&](Value i) { return keyOf(f, f.loadScalar(tables.words, i)); };
  SmallVector<Value> start = {f.constant(0), f.constant(0)};
  llvm::append_range(start, initial);
  SmallVector<Value> last = f.fold(
      f.constant(0), rows, start,
      [&](Value i, ValueRange so) -> SmallVector<Value> {
        Value begin = so[0], number = so[1], end = f.add(i, 1);
        Value next = f.min(end, f.add(rows, -1));
        Value ends = arith::OrIOp::create(b, f.loc, differ(next, end),
                                          differ(keyAt(i), keyAt(next)));
        auto choice = scf::IfOp::create(b, f.loc, so.getTypes(), ends, true);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(choice.thenBlock());
        SmallVector<Value> values = {end, f.add(number, 1)};
        llvm::append_range(values, body(begin, end, number, so.drop_front(2)));
        scf::YieldOp::create(b, f.loc, values);
        b.setInsertionPointToStart(choice.elseBlock());
        scf::YieldOp::create(b, f.loc, so);
        return choice.getResults();
      });
  return SmallVector<Value>(ArrayRef(last).drop_front(2));
}

Value emitSegments(Frame &f, Value segments, const WordTables &tables,
                   const Ref &numberOf, Value capacity) {
  Value rows = f.rowRange(segments).second;
  auto rowAt = [&](Value i) {
    return placeOf(f, f.loadScalar(tables.words, i));
  };
  bool perRow = isa<RankedTensorType>(capacity.getType());
  emitSortSegments(f, segments, tables);
  return foldSegments(
      f, rows, tables, f.constant(0),
      [&](Value begin, Value end, Value number,
          ValueRange) -> SmallVector<Value> {
        Value wanted = perRow ? capacityOf(f, capacity, rowAt(begin)) : Value();
        f.loop(begin, end, [&](Value i) {
          Value row = rowAt(i);
          f.storeScalar(numberOf, row, number);
          if (!perRow)
            return;
          Value found = capacityOf(f, capacity, row);
          Value differs = arith::CmpIOp::create(
              f.builder, f.loc, arith::CmpIPredicate::ne, wanted, found);
          f.ifThen(differs, [&] {
            reportError(f, MOERT_CODE_SEGMENT, {wanted, found});
          });
        });
        return {f.add(number, 1)};
      })[0];
}

void emitSegmentSize(Frame &f, const Step &step) {
  auto op = cast<SegmentSizeOp>(step.op);
  WordTables tables(f, step.extra[0], step.extra[1]);
  Ref sizes = f.ref(op.getResult());
  emitSortSegments(f, op.getSegments(), tables);
  foldSegments(
      f, f.rowRange(op.getSegments()).second, tables, {},
      [&](Value begin, Value end, Value, ValueRange) -> SmallVector<Value> {
        f.loop(begin, end, [&](Value i) {
          Value row = placeOf(f, f.loadScalar(tables.words, i));
          f.storeScalar(sizes, f.rowAddress(sizes, row), f.sub(end, begin));
        });
        return {};
      });
}

} // namespace moe::cpu
