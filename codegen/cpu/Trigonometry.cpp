// See Trigonometry.h. Within an eighth of a turn Taylor's series in f64 is
// exact to f32.

#include "codegen/cpu/Trigonometry.h"

#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <array>
#include <cmath>

using namespace mlir;

namespace moe::cpu {

// pi / 2 is kQuarter + kQuarterRest to 107 bits.
static constexpr double kQuarter = 0x1.921fb54442d18p0;
static constexpr double kQuarterRest = 0x1.1a62633145c07p-54;

// 2 / pi in pieces of 29 bits: piece i times 2^(-29 (i + 1)). A product with an
// f32 number is exact, and behind the last one it is below 2^-75.
static constexpr std::array<double, 7> kPerQuarter = {
    341782637, 423170132, 352195499, 488592205, 461485765, 90590992, 478285810};

namespace {
/// Arithmetic on f64 values of one shape.
struct Wide {
  OpBuilder &builder;
  Location loc;
  int64_t lanes; // 0: scalars

  Wide(OpBuilder &builder, Location loc, Value like)
      : builder(builder), loc(loc), lanes(0) {
    if (auto vector = dyn_cast<VectorType>(like.getType()))
      lanes = vector.getNumElements();
  }
  Value number(double value) const {
    return splatConstant(builder, loc, builder.getF64Type(), value, lanes);
  }
  Value add(Value a, Value b) const {
    return arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) const {
    return arith::SubFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) const {
    return arith::MulFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, double b) const { return mul(a, number(b)); }
  Value fma(Value a, Value b, Value c) const {
    return math::FmaOp::create(builder, loc, a, b, c);
  }
  Value round(Value x) const {
    return math::RoundEvenOp::create(builder, loc, x);
  }
  Value abs(Value x) const { return math::AbsFOp::create(builder, loc, x); }
  Value compare(arith::CmpFPredicate predicate, Value a, double b) const {
    return arith::CmpFOp::create(builder, loc, predicate, a, number(b));
  }
  Value select(Value condition, Value a, Value b) const {
    return arith::SelectOp::create(builder, loc, condition, a, b);
  }
  Value negateIf(Value condition, Value x) const {
    return select(condition, arith::NegFOp::create(builder, loc, x), x);
  }
  /// first + z * (second + z * ...)
  Value series(Value z, ArrayRef<double> coefficients) const {
    Value sum = number(coefficients.back());
    for (double coefficient : llvm::reverse(coefficients.drop_back()))
      sum = fma(sum, z, number(coefficient));
    return sum;
  }
};
} // namespace

/// Of `quarters` (whole) quarter turns and `rest`, at most half of one.
static std::pair<Value, Value> sinCosOf(const Wide &w, Value quarters,
                                        Value rest) {
  using Predicate = arith::CmpFPredicate;
  Value z = w.mul(rest, rest);
  Value odd = w.series(
      z, {-1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800});
  Value sin = w.fma(w.mul(odd, z), rest, rest);
  Value cos = w.series(
      z, {1, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800});
  // The quarter that the angle lies in: 0, 1, 2 or 3.
  Value whole = math::FloorOp::create(w.builder, w.loc, w.mul(quarters, 0.25));
  Value quarter = w.fma(whole, w.number(-4), quarters);
  Value swap = w.compare(Predicate::OEQ, w.abs(w.sub(quarter, w.number(2))), 1);
  Value below = w.compare(Predicate::OGE, quarter, 2);
  Value left =
      w.compare(Predicate::OLT, w.abs(w.sub(quarter, w.number(1.5))), 1);
  return {w.negateIf(below, w.select(swap, cos, sin)),
          w.negateIf(left, w.select(swap, sin, cos))};
}

SinCos emitSinCos(OpBuilder &builder, Location loc, Value high, Value low) {
  Wide w(builder, loc, high);
  Value quarters = w.round(w.mul(high, 1 / kQuarter));
  Value rest = w.fma(quarters, w.number(-kQuarter), high);
  rest = w.add(w.fma(quarters, w.number(-kQuarterRest), rest), low);
  auto [sin, cos] = sinCosOf(w, quarters, rest);
  Type f32 = builder.getF32Type();
  return {convertNumber(builder, loc, sin, f32),
          convertNumber(builder, loc, cos, f32)};
}

Value emitCosOfTurns(OpBuilder &builder, Location loc, Value turns) {
  Wide w(builder, loc, turns);
  Value exact = w.mul(turns, 4);
  Value quarters = w.round(exact);
  Value rest = w.mul(w.sub(exact, quarters), kQuarter);
  return convertNumber(builder, loc, sinCosOf(w, quarters, rest).second,
                       builder.getF32Type());
}

namespace {
template <typename Op> struct ExpandTrigonometry : OpRewritePattern<Op> {
  explicit ExpandTrigonometry(MLIRContext *context)
      : OpRewritePattern<Op>(context, /*benefit=*/2) {} // before MLIR's own

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value operand = op.getOperand();
    if (!getElementTypeOrSelf(operand.getType()).isF32())
      return failure();
    Value x = convertNumber(rewriter, loc, operand, rewriter.getF64Type());
    Wide w(rewriter, loc, x);
    // Whole turns of every product disappear without an error.
    Value quarters;
    for (int64_t i = kPerQuarter.size() - 1; i >= 0; --i) {
      Value product =
          w.mul(x, std::ldexp(kPerQuarter[i], -29 * static_cast<int>(i + 1)));
      Value turns = w.round(w.mul(product, 0.25));
      Value part = w.fma(turns, w.number(-4), product);
      quarters = quarters ? w.add(quarters, part) : part;
    }
    Value whole = w.round(quarters);
    Value rest = w.mul(w.sub(quarters, whole), kQuarter);
    auto [sin, cos] = sinCosOf(w, whole, rest);
    bool isSin = isa<math::SinOp>(op);
    Value result =
        convertNumber(rewriter, loc, isSin ? sin : cos, rewriter.getF32Type());
    if (isSin) // -0
      result =
          w.select(w.compare(arith::CmpFPredicate::OEQ, x, 0), operand, result);
    rewriter.replaceOp(op, result);
    return success();
  }
};
} // namespace

void populateTrigonometry(RewritePatternSet &patterns) {
  patterns
      .add<ExpandTrigonometry<math::SinOp>, ExpandTrigonometry<math::CosOp>>(
          patterns.getContext());
}

} // namespace moe::cpu
