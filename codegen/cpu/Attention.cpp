// Attention of one query row, by blocks of key rows: the keys it sees are
// listed, scored for every head, and added under a running maximum.

#include "codegen/cpu/Attention.h"

#include "codegen/cpu/Rows.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;

namespace moe::cpu {

static constexpr int64_t kAtOnce = 8; // vectors of sums in registers

int64_t attentionScratch(AttentionOp op) {
  RankedTensorType type = op.getResult().getType();
  int64_t heads = type.getDimSize(1);
  return heads * type.getDimSize(2) + 2 * heads + kAttentionBlock;
}

namespace {
struct AttentionRow {
  Frame &f;
  AttentionOp op;
  Value row;
  Ref query, key, value, out;
  Ref sums; // scratch: [heads, width], maxima and totals [heads], scores
  Ref keys; // scratch: the rows of a block that are seen
  int64_t heads, keyHeads, depth, width;
  int64_t maxima, totals, scores; // where they begin in `sums`
  Type f32;

  AttentionRow(Frame &f, const Step &step, Value row)
      : f(f), op(cast<AttentionOp>(step.op)), row(row),
        query(f.ref(op.getQuery())), key(f.ref(op.getKey())),
        value(f.ref(op.getValue())), out(f.ref(op.getResult())),
        sums(f.ref(step.extra[0], f.builder.getF32Type())),
        keys(f.ref(step.extra[1], f.builder.getIndexType())),
        heads(op.getQuery().getType().getDimSize(1)),
        keyHeads(op.getKey().getType().getDimSize(1)),
        depth(op.getQuery().getType().getDimSize(2)),
        width(op.getValue().getType().getDimSize(2)), maxima(heads * width),
        totals(maxima + heads), scores(totals + heads),
        f32(f.builder.getF32Type()) {}

  Value number(double value, int64_t lanes) {
    return splatConstant(f.builder, f.loc, f32, value, lanes);
  }
  static double lowest() { return -std::numeric_limits<double>::infinity(); }
  Value mul(Value a, Value b) {
    return arith::MulFOp::create(f.builder, f.loc, a, b);
  }
  Value spread(Value scalar) {
    return vector::BroadcastOp::create(f.builder, f.loc,
                                       f.vectorOf(scalar.getType()), scalar);
  }
  Value expOfDistance(Value x, Value from) {
    return math::ExpOp::create(
        f.builder, f.loc, arith::SubFOp::create(f.builder, f.loc, x, from));
  }
  Value reduce(vector::CombiningKind kind, Value vector) {
    return vector::ReductionOp::create(f.builder, f.loc, kind, vector);
  }
  Value load(const Ref &ref, Value address, int64_t lanes) {
    return convertNumber(f.builder, f.loc, f.load(ref, address, lanes), f32);
  }
  /// The columns [0, count) by vectors, all written out.
  void vectors(int64_t count, llvm::function_ref<void(int64_t, int64_t)> body) {
    for (int64_t column = 0; column < count; column += f.lanes)
      body(column, std::min(f.lanes, count - column));
  }

  /// Whether the row sees key row `s`; null: it sees all.
  Value sees(Value s) {
    OpBuilder &b = f.builder;
    using Predicate = arith::CmpIPredicate;
    Value result;
    auto compare = [&](Predicate predicate, Value left, Value right) {
      Value holds = arith::CmpIOp::create(b, f.loc, predicate, left, right);
      result = result ? arith::AndIOp::create(b, f.loc, result, holds) : holds;
    };
    auto get = [&](Value numbers, Value at, bool ofKey) {
      Ref ref = f.ref(numbers);
      Value address =
          ofKey ? f.wholeRowAddress(ref, at) : f.rowAddress(ref, at);
      return f.loadScalar(ref, address);
    };
    if (op.getQuerySegments())
      compare(Predicate::eq, get(op.getQuerySegments(), row, false),
              get(op.getKeySegments(), s, true));
    if (!op.getCausal() && !op.getWindow())
      return result;
    Value at = get(op.getQueryPositions(), row, false),
          from = get(op.getKeyPositions(), s, true);
    if (op.getCausal())
      compare(Predicate::sle, from, at);
    if (std::optional<uint64_t> window = op.getWindow()) {
      // In i64 no difference wraps around.
      Type wide = b.getI64Type();
      Value distance =
          arith::SubIOp::create(b, f.loc, convertNumber(b, f.loc, at, wide),
                                convertNumber(b, f.loc, from, wide));
      compare(Predicate::slt, distance,
              arith::ConstantIntOp::create(b, f.loc,
                                           static_cast<int64_t>(*window), 64));
    }
    return result;
  }

  /// Lists the rows of [begin, end) that are seen and returns their number.
  Value list(Value begin, Value end) {
    return f.fold(begin, end, f.constant(0),
                  [&](Value s, ValueRange so) -> SmallVector<Value> {
                    f.storeScalar(keys, so[0], s);
                    Value seen = sees(s);
                    Value more =
                        seen ? convertNumber(f.builder, f.loc,
                                             arith::ExtUIOp::create(
                                                 f.builder, f.loc,
                                                 f.builder.getI64Type(), seen),
                                             f.builder.getIndexType())
                             : f.constant(1);
                    return {f.add(so[0], more)};
                  })[0];
  }

  /// The first element of a head of the j-th listed row.
  Value address(const Ref &ref, Value j, Value head, int64_t columns) {
    Value s = f.loadScalar(keys, j);
    return f.add(f.wholeRowAddress(ref, s), f.mul(head, columns));
  }

  void score(Value head, Value keyHead, Value count) {
    OpBuilder &b = f.builder;
    Value from = f.add(f.rowAddress(query, row), f.mul(head, depth));
    for (int64_t i = 0; i < kAttentionBlock; i += f.lanes)
      f.store(sums, f.constant(scores + i), number(lowest(), f.lanes), f.lanes);
    f.loop(f.constant(0), count, [&](Value j) {
      Value to = address(key, j, keyHead, depth);
      Value products =
          f.foldColumns(depth, number(0, f.lanes),
                        [&](Value column, int64_t lanes,
                            ValueRange so) -> SmallVector<Value> {
                          return {vector::FMAOp::create(
                              b, f.loc, load(query, f.add(from, column), lanes),
                              load(key, f.add(to, column), lanes), so[0])};
                        })[0];
      Value product = reduce(vector::CombiningKind::ADD, products);
      f.storeScalar(sums, f.add(j, scores),
                    mul(product, number(op.getScale().convertToDouble(), 0)));
    });
  }

  /// Scores become powers below a maximum that may be new. Returns the factor
  /// for what was added below the old one.
  Value power(Value head, Value count) {
    OpBuilder &b = f.builder;
    Value vectors = f.ceilDiv(count, f.constant(f.lanes));
    auto at = [&](Value i) { return f.add(f.mul(i, f.lanes), scores); };
    Value best =
        f.fold(f.constant(0), vectors, number(lowest(), f.lanes),
               [&](Value i, ValueRange so) -> SmallVector<Value> {
                 Value score = f.load(sums, at(i), f.lanes);
                 return {arith::MaximumFOp::create(b, f.loc, so[0], score)};
               })[0];
    Value oldMax = f.loadScalar(sums, f.add(head, maxima));
    Value max = arith::MaximumFOp::create(
        b, f.loc, oldMax, reduce(vector::CombiningKind::MAXIMUMF, best));
    f.storeScalar(sums, f.add(head, maxima), max);
    // While all scores are -inf, their powers are 0 and not NaN.
    Value none = arith::CmpFOp::create(b, f.loc, arith::CmpFPredicate::OEQ, max,
                                       number(lowest(), 0));
    Value base = arith::SelectOp::create(b, f.loc, none, number(0, 0), max);
    Value wide = spread(base);
    Value powers =
        f.fold(f.constant(0), vectors, number(0, f.lanes),
               [&](Value i, ValueRange so) -> SmallVector<Value> {
                 Value power =
                     expOfDistance(f.load(sums, at(i), f.lanes), wide);
                 f.store(sums, at(i), power, f.lanes);
                 return {arith::AddFOp::create(b, f.loc, so[0], power)};
               })[0];
    Value factor = expOfDistance(oldMax, base);
    Value total = f.loadScalar(sums, f.add(head, totals));
    total = arith::AddFOp::create(b, f.loc, mul(total, factor),
                                  reduce(vector::CombiningKind::ADD, powers));
    f.storeScalar(sums, f.add(head, totals), total);
    return factor;
  }

  /// For a few columns of a head.
  void addValues(Value head, Value keyHead, Value count, Value factor,
                 int64_t first, int64_t columns) {
    OpBuilder &b = f.builder;
    Value to = f.add(f.mul(head, width), first);
    SmallVector<Value> totals;
    vectors(columns, [&](int64_t column, int64_t lanes) {
      totals.push_back(mul(f.load(sums, f.add(to, column), lanes), factor));
    });
    totals =
        f.fold(f.constant(0), count, totals,
               [&](Value j, ValueRange so) -> SmallVector<Value> {
                 Value power = spread(f.loadScalar(sums, f.add(j, scores)));
                 Value from = f.add(address(value, j, keyHead, width), first);
                 SmallVector<Value> next;
                 vectors(columns, [&](int64_t column, int64_t lanes) {
                   next.push_back(vector::FMAOp::create(
                       b, f.loc, power, load(value, f.add(from, column), lanes),
                       so[next.size()]));
                 });
                 return next;
               });
    vectors(columns, [&](int64_t column, int64_t lanes) {
      f.store(sums, f.add(to, column), totals[column / f.lanes], lanes);
    });
  }

  void emit() {
    OpBuilder &b = f.builder;
    f.columns(heads * width, [&](Value column, int64_t lanes) {
      f.store(sums, column, number(0, f.lanes), lanes);
    });
    f.columns(heads, [&](Value column, int64_t lanes) {
      f.store(sums, f.add(column, maxima), number(lowest(), f.lanes), lanes);
      f.store(sums, f.add(column, totals), number(0, f.lanes), lanes);
    });
    Value rows = f.extent(f.schedule.extents().of(op.getKey()));
    Value blocks = f.ceilDiv(rows, f.constant(kAttentionBlock));
    Value seen =
        f.fold(f.constant(0), blocks, f.constant(0),
               [&](Value block, ValueRange so) -> SmallVector<Value> {
                 Value begin = f.mul(block, kAttentionBlock);
                 Value count =
                     list(begin, f.min(f.add(begin, kAttentionBlock), rows));
                 f.ifThen(f.less(f.constant(0), count), [&] {
                   f.loop(keyHeads, [&](Value keyHead) {
                     int64_t shared = heads / keyHeads;
                     f.loop(shared, [&](Value i) {
                       Value head = f.add(f.mul(keyHead, shared), i);
                       score(head, keyHead, count);
                       Value factor = spread(power(head, count));
                       int64_t few = kAtOnce * f.lanes;
                       for (int64_t first = 0; first < width; first += few)
                         addValues(head, keyHead, count, factor, first,
                                   std::min(few, width - first));
                     });
                   });
                 });
                 return {f.add(so[0], count)};
               })[0];
    // Who sees nothing has sums of 0; 0 / 0 is for scores of -inf alone.
    Value nothing = arith::CmpIOp::create(b, f.loc, arith::CmpIPredicate::eq,
                                          seen, f.constant(0));
    Value to = f.rowAddress(out, row);
    f.loop(heads, [&](Value head) {
      Value total =
          arith::SelectOp::create(b, f.loc, nothing, number(1, 0),
                                  f.loadScalar(sums, f.add(head, totals)));
      Value wide = spread(total), first = f.mul(head, width);
      f.columns(width, [&](Value column, int64_t lanes) {
        Value at = f.add(first, column);
        Value mean =
            arith::DivFOp::create(b, f.loc, f.load(sums, at, lanes), wide);
        f.store(out, f.add(to, at), convertNumber(b, f.loc, mean, out.type),
                lanes);
      });
    });
  }
};
} // namespace

void emitAttentionRow(Frame &f, const Step &step, Value row) {
  AttentionRow(f, step, row).emit();
}

} // namespace moe::cpu
