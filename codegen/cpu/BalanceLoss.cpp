// grouped.balance_loss on one thread, in f64 and in the order of the
// reference, so that only its inputs are rounded.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/Segments.h"
#include "codegen/cpu/Sort.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace moe::cpu {

namespace {
struct BalanceLossEmitter {
  Frame &f;
  grouped::BalanceLossOp op;
  Ref probabilities, ids;
  WordTables tables;
  Ref counts, sums; // of the experts in one segment
  Type f64;
  int64_t experts;
  Value rows;

  BalanceLossEmitter(Frame &f, const Step &step)
      : f(f), op(cast<grouped::BalanceLossOp>(step.op)),
        probabilities(f.ref(op.getProbabilities())), ids(f.ref(op.getIds())),
        tables(f, step.extra[0], step.extra[1]),
        counts(f.ref(step.extra[2], f.builder.getF64Type())),
        sums(f.ref(step.extra[3], f.builder.getF64Type())),
        f64(f.builder.getF64Type()), experts(probabilities.rowElements),
        rows(f.rowRange(op.getIds()).second) {}

  Value number(double value) {
    return splatConstant(f.builder, f.loc, f64, value, 0);
  }
  Value add(Value a, Value b) {
    return arith::AddFOp::create(f.builder, f.loc, a, b);
  }
  Value mul(Value a, Value b) {
    return arith::MulFOp::create(f.builder, f.loc, a, b);
  }
  Value div(Value a, Value b) {
    return arith::DivFOp::create(f.builder, f.loc, a, b);
  }
  Value toFloat(Value index) {
    Value whole =
        convertNumber(f.builder, f.loc, index, f.builder.getI64Type());
    return arith::SIToFPOp::create(f.builder, f.loc, f64, whole);
  }

  void emit() {
    Value total, segments = f.constant(1);
    if (op.getSegments()) {
      emitSortSegments(f, op.getSegments(), tables);
      SmallVector<Value> both =
          foldSegments(f, rows, tables, {number(0), f.constant(0)},
                       [&](Value begin, Value end, Value number,
                           ValueRange so) -> SmallVector<Value> {
                         return {lossOf(begin, end, so[0]), f.add(number, 1)};
                       });
      total = both[0];
      segments = both[1];
    } else {
      total = lossOf(f.constant(0), rows, number(0));
    }
    bool isDivided =
        op.getScale() == BalanceScale::One && op.getCounting() == Counting::All;
    Value loss =
        div(div(total, toFloat(segments)),
            number(isDivided ? static_cast<double>(ids.rowElements) : 1));
    Value some = f.less(f.constant(0), rows);
    loss = arith::SelectOp::create(f.builder, f.loc, some, loss, number(0));
    Ref result = f.ref(op.getResult());
    f.storeScalar(result, f.rowAddress(result, f.constant(0)),
                  convertNumber(f.builder, f.loc, loss, result.type));
  }

  /// `total` and the loss of the rows whose words are [begin, end), or of rows
  /// [begin, end) themselves without segments.
  Value lossOf(Value begin, Value end, Value total) {
    f.loop(f.constant(0), f.constant(experts), [&](Value e) {
      f.storeScalar(counts, e, number(0));
      f.storeScalar(sums, e, number(0));
    });
    f.loop(begin, end, [&](Value i) {
      Value row =
          op.getSegments() ? placeOf(f, f.loadScalar(tables.words, i)) : i;
      addProbabilities(row);
      int64_t slots = op.getCounting() == Counting::All ? ids.rowElements : 1;
      f.loop(f.constant(0), f.constant(slots),
             [&](Value slot) { count(row, slot); });
    });
    Value size = toFloat(f.sub(end, begin));
    return f.fold(f.constant(0), f.constant(experts), total,
                  [&](Value e, ValueRange so) -> SmallVector<Value> {
                    Value share = div(f.loadScalar(counts, e), size);
                    Value mean = div(f.loadScalar(sums, e), size);
                    Value all = number(static_cast<double>(experts));
                    return {add(so[0], mul(mul(all, share), mean))};
                  })[0];
  }

  void addProbabilities(Value row) {
    Value from = f.rowAddress(probabilities, row);
    f.columns(experts, [&](Value column, int64_t lanes) {
      Value p = f.load(probabilities, f.add(from, column), lanes);
      Value so = f.load(sums, column, lanes);
      f.store(sums, column, add(so, convertNumber(f.builder, f.loc, p, f64)),
              lanes);
    });
  }

  void count(Value row, Value slot) {
    Value expert =
        f.toIndex(f.loadScalar(ids, f.add(f.rowAddress(ids, row), slot)));
    Value inside = f.is(Frame::Compare::ult, expert, experts);
    f.ifThen(inside, [&] {
      f.storeScalar(counts, expert,
                    add(f.loadScalar(counts, expert), number(1)));
    });
  }
};
} // namespace

void emitBalanceLoss(Frame &frame, const Step &step) {
  BalanceLossEmitter(frame, step).emit();
}

} // namespace moe::cpu
