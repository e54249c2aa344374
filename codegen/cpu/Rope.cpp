// Rotary positions of one row: the angles of a few pairs are computed once and
// turn the pairs of every head.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/Trigonometry.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {
struct RopeRow {
  Frame &f;
  RopeOp op;
  Ref in, out;
  int64_t width, pairs;
  Value from, to; // the row's first elements

  RopeRow(Frame &f, RopeOp op, Value row)
      : f(f), op(op), in(f.ref(op.getInput())), out(f.ref(op.getResult())),
        width(op.getInput().getType().getShape().back()),
        pairs(op.getFrequencies().getType().getDimSize(0)),
        from(f.rowAddress(in, row)), to(f.rowAddress(out, row)) {}

  /// Of the pairs [pair, pair + count). The product of position and frequency
  /// is exact as a sum of two f64.
  SinCos sinCos(Value position, Value pair, int64_t count) {
    OpBuilder &b = f.builder;
    Ref frequencies = f.ref(op.getFrequencies());
    frequencies.type = b.getF64Type(); // constants are stored in f64
    Value first = f.wholeRowAddress(frequencies, f.constant(0));
    Value frequency = f.load(frequencies, f.add(first, pair), count);
    Value turns = vector::BroadcastOp::create(
        b, f.loc, f.vectorOf(frequencies.type), position);
    Value high = arith::MulFOp::create(b, f.loc, turns, frequency);
    Value low = math::FmaOp::create(b, f.loc, turns, frequency,
                                    arith::NegFOp::create(b, f.loc, high));
    return emitSinCos(b, f.loc, high, low);
  }

  std::pair<Value, Value> turn(Value x, Value y, const SinCos &angle) {
    OpBuilder &b = f.builder;
    auto mul = [&](Value a, Value c) -> Value {
      return arith::MulFOp::create(b, f.loc, a, c);
    };
    Value first =
        arith::SubFOp::create(b, f.loc, mul(x, angle.cos), mul(y, angle.sin));
    Value second =
        arith::AddFOp::create(b, f.loc, mul(y, angle.cos), mul(x, angle.sin));
    return {first, second};
  }

  Value load(Value column, int64_t count, int64_t lanes) {
    return convertNumber(f.builder, f.loc,
                         f.load(in, f.add(from, column), count, lanes),
                         f.builder.getF32Type());
  }
  void store(Value column, Value value, int64_t count) {
    f.store(out, f.add(to, column),
            convertNumber(f.builder, f.loc, value, out.type), count);
  }

  /// Of the head whose first column is `head`.
  void turnHalves(Value head, Value pair, int64_t count, const SinCos &angle) {
    Value first = f.add(head, pair), second = f.add(first, pairs);
    auto [x, y] =
        turn(load(first, count, f.lanes), load(second, count, f.lanes), angle);
    store(first, x, count);
    store(second, y, count);
  }
  void turnNeighbours(Value head, Value pair, int64_t count,
                      const SinCos &angle) {
    OpBuilder &b = f.builder;
    Value first = f.add(head, f.mul(pair, 2));
    auto both = vector::DeinterleaveOp::create(
        b, f.loc, load(first, 2 * count, 2 * f.lanes));
    auto [x, y] = turn(both.getRes1(), both.getRes2(), angle);
    store(first, vector::InterleaveOp::create(b, f.loc, x, y), 2 * count);
  }

  void emit(Value position) {
    int64_t heads = in.rowElements / width;
    f.columns(pairs, [&](Value pair, int64_t count) {
      SinCos angle = sinCos(position, pair, count);
      f.loop(heads, [&](Value number) {
        Value head = f.mul(number, width);
        if (op.getPairs() == RopePairs::Half)
          turnHalves(head, pair, count, angle);
        else
          turnNeighbours(head, pair, count, angle);
      });
    });
    if (2 * pairs == width)
      return;
    f.loop(heads, [&](Value number) { // what stays
      Value first = f.add(f.mul(number, width), 2 * pairs);
      f.columns(width - 2 * pairs, [&](Value column, int64_t count) {
        Value at = f.add(first, column);
        f.store(out, f.add(to, at), f.load(in, f.add(from, at), count), count);
      });
    });
  }
};
} // namespace

void emitRopeRow(Frame &f, RopeOp op, Value row) {
  Ref positions = f.ref(op.getPositions());
  Value position = arith::SIToFPOp::create(
      f.builder, f.loc, f.builder.getF64Type(),
      f.loadScalar(positions, f.rowAddress(positions, row)));
  RopeRow(f, op, row).emit(position);
}

} // namespace moe::cpu
