// exp and log of f64. The argument is reduced with ln 2 in two parts; what is
// left goes through a series that is exact to f64 there.

#include "codegen/cpu/Functions.h"

#include <limits>
#include <numbers>

using namespace mlir;

namespace moe::cpu {

using Compare = Numbers::Compare;
static constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ln 2 is kLn2 + kLn2Rest to 106 bits. kLn2High has 32 bits: its product with
// an exponent is exact, and kLn2Low is the rest.
static constexpr double kLn2 = 0x1.62e42fefa39efp-1;
static constexpr double kLn2Rest = 0x1.abc9e3b39803fp-56;
static constexpr double kLn2High = 0x1.62e42feep-1;
static constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

namespace {
struct ExpandExp : OpRewritePattern<math::ExpOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::ExpOp op,
                                PatternRewriter &rewriter) const override {
    Value x = op.getOperand();
    if (!getElementTypeOrSelf(x.getType()).isF64())
      return failure();
    Numbers f(rewriter, op.getLoc(), x);
    // Beyond these the result is 0 or infinite anyway.
    Value near = f.atLeast(f.atMost(x, 710), -746);
    auto [power, whole] = f.nearest(f.mul(near, std::numbers::log2e));
    Value rest = f.fma(power, -kLn2, near);
    rest = f.fma(power, -kLn2Rest, rest);
    SmallVector<double> taylor = {1};
    for (int i = 1; i <= 13; ++i)
      taylor.push_back(taylor.back() / i);
    Value result = f.series(rest, taylor);
    // In two steps, because powers of two end before the results do.
    Value half = f.shiftRight(whole, 1);
    result = f.mul(result, f.powerOfTwo(half));
    result = f.mul(result, f.powerOfTwo(f.subBits(whole, half)));
    rewriter.replaceOp(op, f.select(f.is(Compare::ORD, x, 0), result, x));
    return success();
  }
};

struct ExpandLog : OpRewritePattern<math::LogOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(math::LogOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value x = op.getOperand();
    if (!getElementTypeOrSelf(x.getType()).isF64())
      return failure();
    Numbers f(rewriter, loc, x);
    // x = m * 2^exponent, with m from sqrt(1/2) to sqrt(2).
    Value tiny = f.is(Compare::OLT, x, 0x1p-1022);
    Value all = f.bits(f.select(tiny, f.mul(x, 0x1p54), x));
    Value root = f.bits(f.number(std::numbers::sqrt2 / 2));
    Value power = f.shiftRight(f.subBits(all, root), 52);
    Value m = f.fromBits(f.subBits(all, f.shiftLeft(power, 52)));
    Value narrow = convertNumber(rewriter, loc, power,
                                 rewriter.getI32Type()); // exists on AVX2
    Value exponent =
        arith::SIToFPOp::create(rewriter, loc, x.getType(), narrow);
    exponent = f.select(tiny, f.sub(exponent, 54), exponent);
    // log m = 2 artanh(s) = d - s (d - 2 s^2 / 3 - 2 s^4 / 5 - ...)
    Value d = f.sub(m, 1);
    Value s = f.div(d, f.add(d, 2)), z = f.mul(s, s);
    SmallVector<double> terms;
    for (int i = 3; i <= 23; i += 2)
      terms.push_back(2.0 / i);
    Value rest = f.mul(z, f.series(z, terms));
    Value low = f.sub(f.mul(s, f.sub(d, rest)), f.mul(exponent, kLn2Low));
    Value result = f.add(f.mul(exponent, kLn2High), f.sub(d, low));

    result = f.select(f.is(Compare::OEQ, x, kInfinity), x, result);
    result = f.select(f.is(Compare::OEQ, x, 0), f.number(-kInfinity), result);
    Value none = f.number(std::numeric_limits<double>::quiet_NaN());
    rewriter.replaceOp(op, f.select(f.is(Compare::OGE, x, 0), result, none));
    return success();
  }
};
} // namespace

void populateWideMath(RewritePatternSet &patterns) {
  patterns.add<ExpandExp, ExpandLog>(patterns.getContext());
}

} // namespace moe::cpu
