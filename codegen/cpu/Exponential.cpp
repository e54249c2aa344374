// exp and its relatives in f32, because activations and softmax need them fast:
// 2^n times a polynomial on half a power of two.

#include "codegen/cpu/Functions.h"

#include "codegen/cpu/Numbers.h"

using namespace mlir;

namespace moe::cpu {

// ln 2 to 48 bits, in two f32 numbers.
static constexpr double kLn2 = 0x1.62e43p-1;
static constexpr double kLn2Rest = -0x1.05c61p-29;
static constexpr double kLog2E = 0x1.715476p0;

/// e^r - 1 for |r| <= ln(2) / 2: r + r^2 times the interpolation of the rest at
/// the Chebyshev points, with an error of 1e-8.
static Value expMinusOne(const Numbers &f, Value r) {
  Value rest = f.series(
      r, {0.5, 0x1.5554dep-3, 0x1.55551ap-5, 0x1.120b64p-7, 0x1.6d10fep-10});
  return f.fma(f.mul(r, r), rest, r);
}

namespace {
/// x = n ln 2 + r
struct Reduced {
  Value n; // integers
  Value r;
};
} // namespace

static Reduced reduce(const Numbers &f, Value x) {
  auto [n, whole] = f.nearest(f.mul(x, kLog2E));
  return {whole, f.fma(n, -kLn2Rest, f.fma(n, -kLn2, x))};
}

/// 2^n e^r, where n may leave the range of normal numbers by once as much.
static Value scaledExp(const Numbers &f, const Reduced &x) {
  Value half = f.shiftRight(x.n, 1);
  Value rest = f.subBits(x.n, half);
  Value power = f.add(expMinusOne(f, x.r), 1);
  return f.mul(f.mul(power, f.powerOfTwo(half)), f.powerOfTwo(rest));
}

static Value exp(const Numbers &f, Value x) {
  // Beyond it is 0 or infinite.
  return scaledExp(f, reduce(f, f.atLeast(f.atMost(x, 104), -104)));
}

static Value exp2(const Numbers &f, Value x) {
  auto [n, whole] = f.nearest(f.atLeast(f.atMost(x, 151), -151));
  Value rest = f.sub(f.atLeast(f.atMost(x, 151), -151), n);
  return scaledExp(f, {whole, f.mul(rest, kLn2)});
}

/// e^x - 1 with x between -25 and 89: 2 (2^m (e^r - 1) + 2^m - 1/2), m = n - 1.
static Value expMinusOneOf(const Numbers &f, Value x) {
  Reduced reduced = reduce(f, x);
  Value power = f.powerOfTwo(f.subBits(reduced.n, f.integer(1)));
  return f.mul(f.fma(expMinusOne(f, reduced.r), power, f.sub(power, 0.5)), 2);
}

static Value expm1(const Numbers &f, Value x) {
  Value result = expMinusOneOf(f, f.atLeast(f.atMost(x, 89), -25));
  return f.select(f.is(Numbers::Compare::OEQ, x, 0), x, result); // -0
}

/// e / (e + 2) with e = e^(2|x|) - 1
static Value tanh(const Numbers &f, Value x) {
  Value twice = f.atMost(f.mul(f.abs(x), 2), 20);
  Value e = expMinusOneOf(f, twice);
  return f.withSignOf(f.div(e, f.add(e, 2)), x);
}

static Value rsqrt(const Numbers &f, Value x) {
  return f.div(f.number(1), math::SqrtOp::create(f.builder, f.loc, x));
}

void populateExponentials(RewritePatternSet &patterns) {
  addFunction<math::ExpOp>(patterns, exp);
  addFunction<math::Exp2Op>(patterns, exp2);
  addFunction<math::ExpM1Op>(patterns, expm1);
  addFunction<math::TanhOp>(patterns, tanh);
  addFunction<math::RsqrtOp>(patterns, rsqrt);
}

} // namespace moe::cpu
