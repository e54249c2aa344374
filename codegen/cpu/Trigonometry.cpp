// Sine and cosine: angles are reduced to an eighth of a turn in f64, where
// Taylor's series is exact to f32.

#include "codegen/cpu/Trigonometry.h"

#include "codegen/cpu/Functions.h"

#include <array>
#include <cmath>

using namespace mlir;

namespace moe::cpu {

using Compare = Numbers::Compare;

// pi / 2 is kQuarter + kQuarterRest to 107 bits.
static constexpr double kQuarter = 0x1.921fb54442d18p0;
static constexpr double kQuarterRest = 0x1.1a62633145c07p-54;

// 2 / pi in pieces of 29 bits: piece i times 2^(-29 (i + 1)). A product with an
// f32 number is exact, and behind the last one it is below 2^-75.
static constexpr std::array<double, 7> kPerQuarter = {
    341782637, 423170132, 352195499, 488592205, 461485765, 90590992, 478285810};

/// Of `quarters` (whole) quarter turns and `rest`, at most half of one.
static std::pair<Value, Value> sinCosOf(const Numbers &f, Value quarters,
                                        Value rest) {
  Value z = f.mul(rest, rest);
  Value odd = f.series(
      z, {-1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800});
  Value sin = f.fma(f.mul(odd, z), rest, rest);
  Value cos = f.series(
      z, {1, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800});
  // The quarter that the angle lies in: 0, 1, 2 or 3.
  Value quarter = f.fma(f.floor(f.mul(quarters, 0.25)), -4, quarters);
  auto negateIf = [&](Value condition, Value x) {
    return f.select(condition, f.negate(x), x);
  };
  Value swap = f.is(Compare::OEQ, f.abs(f.sub(quarter, 2)), 1);
  Value below = f.is(Compare::OGE, quarter, 2);
  Value left = f.is(Compare::OLT, f.abs(f.sub(quarter, 1.5)), 1);
  return {negateIf(below, f.select(swap, cos, sin)),
          negateIf(left, f.select(swap, sin, cos))};
}

SinCos emitSinCos(OpBuilder &builder, Location loc, Value high, Value low) {
  Numbers f(builder, loc, high);
  Value quarters = f.round(f.mul(high, 1 / kQuarter));
  Value rest = f.fma(quarters, -kQuarter, high);
  rest = f.add(f.fma(quarters, -kQuarterRest, rest), low);
  auto [sin, cos] = sinCosOf(f, quarters, rest);
  Type f32 = builder.getF32Type();
  return {convertNumber(builder, loc, sin, f32),
          convertNumber(builder, loc, cos, f32)};
}

Value emitCosOfTurns(OpBuilder &builder, Location loc, Value turns) {
  Numbers f(builder, loc, turns);
  Value exact = f.mul(turns, 4), quarters = f.round(exact);
  Value rest = f.mul(f.sub(exact, quarters), kQuarter);
  return convertNumber(builder, loc, sinCosOf(f, quarters, rest).second,
                       builder.getF32Type());
}

/// Of any f64 number that is one of f32.
static std::pair<Value, Value> sinCosOfAny(const Numbers &f, Value x) {
  // Whole turns of every product disappear without an error.
  Value quarters;
  for (int i = kPerQuarter.size() - 1; i >= 0; --i) {
    Value product = f.mul(x, std::ldexp(kPerQuarter[i], -29 * (i + 1)));
    Value turns = f.round(f.mul(product, 0.25));
    Value part = f.fma(turns, -4, product);
    quarters = quarters ? f.add(quarters, part) : part;
  }
  Value whole = f.round(quarters);
  return sinCosOf(f, whole, f.mul(f.sub(quarters, whole), kQuarter));
}

static Value sin(const Numbers &f, Value x) {
  Value result = sinCosOfAny(f, x).first;
  return f.select(f.is(Compare::OEQ, x, 0), x, result); // -0
}

static Value cos(const Numbers &f, Value x) { return sinCosOfAny(f, x).second; }

/// The angle of (x, y), from that of a point in the first eighth of a turn; its
/// tangent, or that of the difference to half of it, is at most 0.42.
static Value atan2(const Numbers &f, Value y, Value x) {
  Value width = f.abs(x), height = f.abs(y);
  Value steep = f.is(Compare::OGT, height, width);
  Value least = f.select(steep, width, height),
        most = f.select(steep, height, width);
  Value tangent = f.div(least, most);
  // Of 0 and 0 it is 0, of two infinities 1.
  Value same = f.is(Compare::OEQ, least, most);
  Value zero = f.is(Compare::OEQ, most, 0);
  tangent = f.select(zero, f.number(0), f.select(same, f.number(1), tangent));
  Value upper = f.is(Compare::OGT, tangent, 0.4142);
  Value t =
      f.select(upper, f.div(f.sub(tangent, 1), f.add(tangent, 1)), tangent);
  SmallVector<double> coefficients;
  for (int i = 0; i < 13; ++i)
    coefficients.push_back((i % 2 ? -1.0 : 1.0) / (2 * i + 1));
  Value angle = f.mul(t, f.series(f.mul(t, t), coefficients));
  angle = f.select(upper, f.add(angle, kQuarter / 2), angle);
  angle = f.select(steep, f.sub(f.number(kQuarter), angle), angle);
  Value left = f.is(Compare::OLT, f.withSignOf(f.number(1), x), 0); // -0 too
  angle = f.select(left, f.sub(f.number(2 * kQuarter), angle), angle);
  angle = f.select(f.is(Compare::UNO, x, y), f.add(x, y), angle); // NaN
  return f.withSignOf(angle, y);
}

void populateTrigonometry(RewritePatternSet &patterns) {
  addFunction<math::Atan2Op>(patterns, inF64(atan2));
  addFunction<math::SinOp>(patterns, inF64(sin));
  addFunction<math::CosOp>(patterns, inF64(cos));
}

} // namespace moe::cpu
