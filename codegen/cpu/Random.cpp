// Random numbers of one row: Philox4x32-10 on vectors. Uniform ones are exact,
// normal ones within 2e-7 of their size, Gumbel ones within 7e-8 besides.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/Trigonometry.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <array>
#include <numbers>

using namespace mlir;

namespace moe::cpu {

namespace {
struct RandomRow {
  Frame &f;
  RandomOp op;
  OpBuilder &b;
  Type i32, i64, f32;

  RandomRow(Frame &f, RandomOp op)
      : f(f), op(op), b(f.builder), i32(b.getI32Type()), i64(b.getI64Type()),
        f32(b.getF32Type()) {}

  Value whole(Type type, int64_t value) {
    auto vector = f.vectorOf(type);
    llvm::APInt bits(type.getIntOrFloatBitWidth(), value, /*isSigned=*/false,
                     /*implicitTrunc=*/true);
    return arith::ConstantOp::create(b, f.loc,
                                     DenseElementsAttr::get(vector, bits));
  }
  Value number(double value) {
    return splatConstant(b, f.loc, f32, value, f.lanes);
  }
  Value spread(Value scalar) {
    return vector::BroadcastOp::create(b, f.loc, f.vectorOf(scalar.getType()),
                                       scalar);
  }
  Value low(Value wide) { return convertNumber(b, f.loc, wide, i32); }
  Value high(Value wide) {
    Value bits = arith::ShRUIOp::create(b, f.loc, wide, whole(i64, 32));
    return low(bits);
  }
  Value right(Value word, int64_t bits) {
    return arith::ShRUIOp::create(b, f.loc, word, whole(i32, bits));
  }
  Value exclusiveOr(Value x, Value y, Value z) {
    return arith::XOrIOp::create(b, f.loc,
                                 arith::XOrIOp::create(b, f.loc, x, y), z);
  }
  /// The 64 bits of a product of 32-bit words.
  Value product(Value word, uint32_t factor) {
    Value wide = arith::ExtUIOp::create(b, f.loc, f.vectorOf(i64), word);
    return arith::MulIOp::create(b, f.loc, wide, whole(i64, factor));
  }

  /// Words 0 and 1 for the elements from number `first` on.
  std::pair<Value, Value> words(Value first) {
    SmallVector<int64_t> lanes(f.lanes);
    std::iota(lanes.begin(), lanes.end(), 0);
    Value lane = arith::ConstantOp::create(
        b, f.loc,
        DenseElementsAttr::get(f.vectorOf(i64), ArrayRef<int64_t>(lanes)));
    Value element = arith::AddIOp::create(
        b, f.loc, spread(convertNumber(b, f.loc, first, i64)), lane);
    Value seed = spread(f.scalars.lookup(op.getSeed()));
    std::array<Value, 4> counter = {
        low(element), high(element),
        whole(i32, static_cast<int64_t>(op.getStream())), whole(i32, 0)};
    std::array<Value, 2> key = {low(seed), high(seed)};
    for (int round = 0; round < 10; ++round) {
      Value a = product(counter[0], 0xD2511F53),
            c = product(counter[2], 0xCD9E8D57);
      counter = {exclusiveOr(high(c), counter[1], key[0]), low(c),
                 exclusiveOr(high(a), counter[3], key[1]), low(a)};
      key = {arith::AddIOp::create(b, f.loc, key[0], whole(i32, 0x9E3779B9)),
             arith::AddIOp::create(b, f.loc, key[1], whole(i32, 0xBB67AE85))};
    }
    return {counter[0], counter[1]};
  }

  /// (n + offset) * 2^-24 of whole numbers below 2^24, exactly.
  Value fraction(Value n, int64_t offset) {
    if (offset != 0)
      n = arith::AddIOp::create(b, f.loc, n, whole(i32, offset));
    Value real = arith::SIToFPOp::create(b, f.loc, f.vectorOf(f32), n);
    return arith::MulFOp::create(b, f.loc, real, number(0x1p-24));
  }
  Value minusLog(Value x) {
    return arith::NegFOp::create(b, f.loc, math::LogOp::create(b, f.loc, x));
  }

  Value draw(Value first) {
    auto [r0, r1] = words(first);
    switch (op.getDistribution()) {
    case Distribution::Uniform:
      return fraction(right(r0, 8), 0);
    case Distribution::Normal: { // Box and Muller
      Value square = arith::MulFOp::create(
          b, f.loc, minusLog(fraction(right(r0, 8), 1)), number(2));
      Value turns =
          convertNumber(b, f.loc, fraction(right(r1, 8), 0), b.getF64Type());
      return arith::MulFOp::create(b, f.loc,
                                   math::SqrtOp::create(b, f.loc, square),
                                   emitCosOfTurns(b, f.loc, turns));
    }
    case Distribution::Gumbel: { // (n + 1/2) 2^-23 is (2 n + 1) 2^-24
      Value n = arith::ShLIOp::create(b, f.loc, right(r0, 9), whole(i32, 1));
      return minusLog(minusLog(fraction(n, 1)));
    }
    }
    llvm_unreachable("all distributions are handled");
  }
};
} // namespace

void emitRandomRow(Frame &f, RandomOp op, Value row) {
  Ref out = f.ref(op.getResult());
  Value to = f.rowAddress(out, row);
  // In a group elements are counted from its first row.
  Value number = out.groupRows ? f.sub(row, f.groupBegin) : row;
  Value first = f.mul(number, out.rowElements);
  f.columns(out.rowElements, [&](Value column, int64_t lanes) {
    Value drawn = RandomRow(f, op).draw(f.add(first, column));
    f.store(out, f.add(to, column), drawn, lanes);
  });
}

} // namespace moe::cpu
