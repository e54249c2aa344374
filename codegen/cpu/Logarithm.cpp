// Logarithms and powers of f32 numbers, computed in f64: there are no denormals
// then, and no error but that of the last rounding.

#include "codegen/cpu/Functions.h"

#include <cmath>
#include <limits>
#include <numbers>

using namespace mlir;

namespace moe::cpu {

using Compare = Numbers::Compare;
static constexpr double kInfinity = std::numeric_limits<double>::infinity();

namespace {
/// x = 2^exponent m for positive x, with m between sqrt(1/2) and sqrt(2).
struct Logarithm {
  Value exponent; // f64
  Value ofM;      // log(m)
};
} // namespace

/// log m = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1), |s| < 0.172
static Logarithm split(const Numbers &f, Value x) {
  Value root = f.bits(f.number(std::numbers::sqrt2 / 2));
  Value bits = f.addBits(f.bits(x), f.subBits(f.bits(f.number(1)), root));
  Value power = f.shiftRight(bits, f.mantissaBits());
  Value m = f.fromBits(f.addBits(
      f.andBits(bits, f.integer((int64_t(1) << f.mantissaBits()) - 1)), root));
  Value s = f.div(f.sub(m, 1), f.add(m, 1)), z = f.mul(s, s);
  Value sum = f.series(z, {2.0, 2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11,
                           2.0 / 13, 2.0 / 15});
  Value exponent = convertNumber(f.builder, f.loc, power,
                                 f.builder.getI32Type()); // exists on AVX2
  Type type = f.lanes ? Type(VectorType::get({f.lanes}, f.element)) : f.element;
  exponent = arith::SIToFPOp::create(f.builder, f.loc, type, exponent);
  return {f.sub(exponent, static_cast<double>(f.bias())), f.mul(sum, s)};
}

/// `result` for positive numbers, and what all logarithms are for others.
static Value complete(const Numbers &f, Value x, Value result) {
  Value others = f.select(f.is(Compare::OEQ, x, 0), f.number(-kInfinity),
                          f.number(std::nan("")));
  result = f.select(f.is(Compare::OGT, x, 0), result, others);
  return f.select(f.is(Compare::OEQ, x, kInfinity), x, result);
}

static Value log(const Numbers &f, Value x) {
  Logarithm log = split(f, x);
  return complete(f, x, f.fma(log.exponent, std::numbers::ln2, log.ofM));
}

static Value log2(const Numbers &f, Value x) {
  Logarithm log = split(f, x);
  return complete(f, x, f.fma(log.ofM, std::numbers::log2e, log.exponent));
}

static Value log10(const Numbers &f, Value x) {
  return f.mul(log(f, x), std::numbers::log10e);
}

/// Of x below 2^-20 the sum 1 + x is not exact; what it lacks is added.
static Value log1p(const Numbers &f, Value x) {
  Value sum = f.add(x, 1), lost = f.sub(x, f.sub(sum, 1));
  Value tiny = f.is(Compare::OLT, f.abs(x), 0x1p-20);
  Value result = f.add(log(f, sum), f.select(tiny, lost, f.number(0)));
  return f.select(f.is(Compare::OEQ, x, 0), x, result); // -0
}

/// 2^x, at least 2^-200 and at most 2^200.
static Value powerOfTwo(const Numbers &f, Value x) {
  Value inside = f.atLeast(f.atMost(x, 200), -200);
  auto [n, whole] = f.nearest(inside);
  Value r = f.mul(f.sub(inside, n), std::numbers::ln2);
  SmallVector<double> coefficients = {1};
  for (int i = 1; i < 10; ++i)
    coefficients.push_back(coefficients.back() / i);
  return f.mul(f.series(r, coefficients), f.powerOfTwo(whole));
}

static Value pow(const Numbers &f, Value x, Value y) {
  Value size = f.abs(x);
  Value isOne = f.either(f.is(Compare::OEQ, size, 1), f.is(Compare::OEQ, y, 0));
  Value exponent = f.select(isOne, f.number(0), f.mul(y, log2(f, size)));
  // Odd powers have the sign of x; an infinite exponent is even.
  Value half = f.mul(y, 0.5);
  Value isOdd = f.both(f.is(Compare::OEQ, f.floor(y), y),
                       f.is(Compare::ONE, f.floor(half), half));
  Value result =
      f.withSignOf(powerOfTwo(f, exponent), f.select(isOdd, x, f.number(1)));
  Value hasNone = f.both(
      f.both(f.is(Compare::OLT, x, 0), f.is(Compare::OGT, x, -kInfinity)),
      f.is(Compare::UNE, f.floor(y), y));
  return f.select(hasNone, f.number(std::nan("")), result);
}

static Value cbrt(const Numbers &f, Value x) {
  Value size = powerOfTwo(f, f.mul(log2(f, f.abs(x)), 1.0 / 3));
  return f.withSignOf(size, x);
}

void populateLogarithms(RewritePatternSet &patterns) {
  addFunction<math::LogOp>(patterns, inF64(log));
  addFunction<math::Log2Op>(patterns, inF64(log2));
  addFunction<math::Log10Op>(patterns, inF64(log10));
  addFunction<math::Log1pOp>(patterns, inF64(log1p));
  addFunction<math::PowFOp>(patterns, inF64(pow));
  addFunction<math::CbrtOp>(patterns, inF64(cbrt));
  addFunction<math::FPowIOp>(patterns, [](const Numbers &f, Value x, Value n) {
    Type type = f.lanes
                    ? Type(VectorType::get({f.lanes}, f.builder.getF64Type()))
                    : f.builder.getF64Type();
    Value wide = convertNumber(f.builder, f.loc, x, f.builder.getF64Type());
    Numbers numbers(f.builder, f.loc, wide);
    Value y = arith::SIToFPOp::create(f.builder, f.loc, type, n);
    return convertNumber(f.builder, f.loc, pow(numbers, wide, y), f.element);
  });
}

} // namespace moe::cpu
