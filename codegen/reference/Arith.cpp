// What the operations of arith and math compute.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "codegen/reference/Elementwise.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;

namespace moe::reference {

//===-- Constants ---------------------------------------------------------===//

static Value valueOf(Attribute attribute) {
  if (auto number = dyn_cast<FloatAttr>(attribute))
    return number.getValueAsDouble();
  if (auto number = dyn_cast<IntegerAttr>(attribute))
    return wrapTo(number.getType(), number.getValue().getSExtValue());
  auto dense = dyn_cast<DenseElementsAttr>(attribute);
  if (!dense)
    fail("has a value that is neither a number nor dense<...>");
  Tensor tensor(dense.getElementType(), dense.getType().getShape());
  int64_t i = 0;
  if (tensor.isFloat())
    for (const APFloat &number : dense.getValues<APFloat>())
      tensor.floats()[i++] = number.convertToDouble();
  else
    for (const APInt &number : dense.getValues<APInt>())
      tensor.integers()[i++] =
          wrapTo(dense.getElementType(), number.getSExtValue());
  return toValue(std::move(tensor));
}

static void constant(arith::ConstantOp op, Frame &frame) {
  frame.set(op.getResult(), valueOf(op.getValue()));
}

//===-- Floats ------------------------------------------------------------===//

/// NaN if either is NaN, and -0 below +0, as arith defines.
static double maximum(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return std::numeric_limits<double>::quiet_NaN();
  return a == b ? (std::signbit(a) ? b : a) : std::max(a, b);
}
static double minimum(double a, double b) { return -maximum(-a, -b); }

template <typename Op, double (*function)(double)>
static void unary(Op op, Frame &frame) {
  elementwise<double>(op, frame, function);
}
template <typename Op, double (*function)(double, double)>
static void binary(Op op, Frame &frame) {
  elementwise<double, double>(op, frame, function);
}
static double add(double a, double b) { return a + b; }
static double subtract(double a, double b) { return a - b; }
static double multiply(double a, double b) { return a * b; }
static double divide(double a, double b) { return a / b; }
static double negate(double a) { return -a; }
static double reciprocalRoot(double a) { return 1 / std::sqrt(a); }

static void fma(math::FmaOp op, Frame &frame) {
  elementwise<double, double, double>(
      op, frame,
      [](double a, double b, double c) { return std::fma(a, b, c); });
}
static void powInteger(math::FPowIOp op, Frame &frame) {
  elementwise<double, int64_t>(
      op, frame, [](double a, int64_t n) { return std::pow(a, n); });
}

static void compareFloats(arith::CmpFOp op, Frame &frame) {
  arith::CmpFPredicate predicate = op.getPredicate();
  elementwise<double, double>(op, frame,
                              [predicate](double a, double b) -> int64_t {
                                bool unordered = std::isnan(a) || std::isnan(b);
                                switch (predicate) {
                                case arith::CmpFPredicate::AlwaysFalse:
                                  return false;
                                case arith::CmpFPredicate::OEQ:
                                  return !unordered && a == b;
                                case arith::CmpFPredicate::OGT:
                                  return !unordered && a > b;
                                case arith::CmpFPredicate::OGE:
                                  return !unordered && a >= b;
                                case arith::CmpFPredicate::OLT:
                                  return !unordered && a < b;
                                case arith::CmpFPredicate::OLE:
                                  return !unordered && a <= b;
                                case arith::CmpFPredicate::ONE:
                                  return !unordered && a != b;
                                case arith::CmpFPredicate::ORD:
                                  return !unordered;
                                case arith::CmpFPredicate::UEQ:
                                  return unordered || a == b;
                                case arith::CmpFPredicate::UGT:
                                  return unordered || a > b;
                                case arith::CmpFPredicate::UGE:
                                  return unordered || a >= b;
                                case arith::CmpFPredicate::ULT:
                                  return unordered || a < b;
                                case arith::CmpFPredicate::ULE:
                                  return unordered || a <= b;
                                case arith::CmpFPredicate::UNE:
                                  return unordered || a != b;
                                case arith::CmpFPredicate::UNO:
                                  return unordered;
                                case arith::CmpFPredicate::AlwaysTrue:
                                  return true;
                                }
                                llvm_unreachable("all predicates are handled");
                              });
}

//===-- Integers ----------------------------------------------------------===//

/// The bits of an integer as an unsigned number.
static uint64_t bitsOf(Type type, int64_t value) {
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  return static_cast<uint64_t>(value) &
         (width == 64 ? ~uint64_t(0) : (uint64_t(1) << width) - 1);
}

/// The value as a signed number: a boolean true is -1.
static int64_t signedOf(Type type, int64_t value) {
  return type.isInteger(1) ? -value : value;
}

// Each gets its operands signed (s) or as bits (u); sums and products wrap like
// machine integers.
using Signed = int64_t (*)(int64_t, int64_t);
using Unsigned = uint64_t (*)(uint64_t, uint64_t);
template <typename Op, Signed function>
static void integers(Op op, Frame &frame) {
  Type type = getElementTypeOrSelf(op.getLhs().getType());
  elementwise<int64_t, int64_t>(op, frame, [type](int64_t a, int64_t b) {
    return function(signedOf(type, a), signedOf(type, b));
  });
}
template <typename Op, Unsigned function>
static void naturals(Op op, Frame &frame) {
  Type type = getElementTypeOrSelf(op.getLhs().getType());
  elementwise<int64_t, int64_t>(op, frame, [type](int64_t a, int64_t b) {
    return function(bitsOf(type, a), bitsOf(type, b));
  });
}

static uint64_t addBits(uint64_t a, uint64_t b) { return a + b; }
static uint64_t subtractBits(uint64_t a, uint64_t b) { return a - b; }
static uint64_t multiplyBits(uint64_t a, uint64_t b) { return a * b; }
static uint64_t andBits(uint64_t a, uint64_t b) { return a & b; }
static uint64_t orBits(uint64_t a, uint64_t b) { return a | b; }
static uint64_t xorBits(uint64_t a, uint64_t b) { return a ^ b; }
static uint64_t shiftLeft(uint64_t a, uint64_t b) {
  return b < 64 ? a << b : 0;
}
static uint64_t shiftRight(uint64_t a, uint64_t b) {
  return b < 64 ? a >> b : 0;
}
static int64_t shiftRightSigned(int64_t a, int64_t b) {
  return a >> std::clamp<int64_t>(b, 0, 63);
}
static uint64_t maxBits(uint64_t a, uint64_t b) { return std::max(a, b); }
static uint64_t minBits(uint64_t a, uint64_t b) { return std::min(a, b); }
static int64_t maxSigned(int64_t a, int64_t b) { return std::max(a, b); }
static int64_t minSigned(int64_t a, int64_t b) { return std::min(a, b); }

static uint64_t divideBits(uint64_t a, uint64_t b) {
  if (b == 0)
    fail("divides " + Twine(a) + " by 0");
  return a / b;
}
static uint64_t remainderBits(uint64_t a, uint64_t b) {
  return a - divideBits(a, b) * b;
}
static uint64_t ceilDivideBits(uint64_t a, uint64_t b) {
  return divideBits(a, b) + (remainderBits(a, b) != 0);
}
static int64_t divideSigned(int64_t a, int64_t b) {
  if (b == 0)
    fail("divides " + Twine(a) + " by 0");
  if (b == -1)
    return static_cast<int64_t>(
        -static_cast<uint64_t>(a)); // the smallest integer stays itself
  return a / b;
}
static int64_t remainderSigned(int64_t a, int64_t b) {
  return b == -1 ? 0 : a - divideSigned(a, b) * b;
}
static int64_t floorDivide(int64_t a, int64_t b) {
  return divideSigned(a, b) -
         (remainderSigned(a, b) != 0 && (a < 0) != (b < 0));
}
static int64_t ceilDivide(int64_t a, int64_t b) {
  return divideSigned(a, b) +
         (remainderSigned(a, b) != 0 && (a < 0) == (b < 0));
}

static void compareIntegers(arith::CmpIOp op, Frame &frame) {
  arith::CmpIPredicate predicate = op.getPredicate();
  Type type = getElementTypeOrSelf(op.getLhs().getType());
  elementwise<int64_t, int64_t>(
      op, frame, [=](int64_t x, int64_t y) -> int64_t {
        int64_t a = signedOf(type, x), b = signedOf(type, y);
        uint64_t ua = bitsOf(type, x), ub = bitsOf(type, y);
        switch (predicate) {
        case arith::CmpIPredicate::eq:
          return a == b;
        case arith::CmpIPredicate::ne:
          return a != b;
        case arith::CmpIPredicate::slt:
          return a < b;
        case arith::CmpIPredicate::sle:
          return a <= b;
        case arith::CmpIPredicate::sgt:
          return a > b;
        case arith::CmpIPredicate::sge:
          return a >= b;
        case arith::CmpIPredicate::ult:
          return ua < ub;
        case arith::CmpIPredicate::ule:
          return ua <= ub;
        case arith::CmpIPredicate::ugt:
          return ua > ub;
        case arith::CmpIPredicate::uge:
          return ua >= ub;
        }
        llvm_unreachable("all predicates are handled");
      });
}

static void absoluteInteger(math::AbsIOp op, Frame &frame) {
  elementwise<int64_t>(op, frame, [](int64_t a) {
    return a < 0 ? 0 - static_cast<uint64_t>(a) : a;
  });
}

//===-- Choice and conversion ---------------------------------------------===//

static void select(arith::SelectOp op, Frame &frame) {
  bool whole = !isa<ShapedType>(op.getCondition().getType());
  if (whole)
    return frame.set(op.getResult(), frame.get(frame.integer(op.getCondition())
                                                   ? op.getTrueValue()
                                                   : op.getFalseValue()));
  if (isa<FloatType>(getElementTypeOrSelf(op.getType())))
    return elementwise<int64_t, double, double>(
        op, frame, [](int64_t c, double a, double b) { return c ? a : b; });
  elementwise<int64_t, int64_t, int64_t>(
      op, frame, [](int64_t c, int64_t a, int64_t b) { return c ? a : b; });
}

/// The f64 meaning of a float does not depend on its type, so conversions
/// between them change nothing.
static void extend(arith::ExtFOp op, Frame &frame) {
  frame.set(op.getResult(), frame.get(op.getIn()));
}

static void truncate(arith::TruncFOp op, Frame &frame) {
  if (!frame.interpreter.getOptions().round)
    return frame.set(op.getResult(), frame.get(op.getIn()));
  auto type = cast<FloatType>(getElementTypeOrSelf(op.getType()));
  elementwise<double>(op, frame, [type](double a) { return roundTo(type, a); });
}

template <typename Op>
static void convertSigned(Op op, Frame &frame) { // also to fewer bits
  Type type = getElementTypeOrSelf(op.getIn().getType());
  elementwise<int64_t>(op, frame,
                       [type](int64_t a) { return signedOf(type, a); });
}
template <typename Op> static void convertUnsigned(Op op, Frame &frame) {
  Type type = getElementTypeOrSelf(op.getIn().getType());
  elementwise<int64_t>(op, frame,
                       [type](int64_t a) { return bitsOf(type, a); });
}
static void signedToFloat(arith::SIToFPOp op, Frame &frame) {
  Type type = getElementTypeOrSelf(op.getIn().getType());
  elementwise<int64_t>(op, frame, [type](int64_t a) {
    return static_cast<double>(signedOf(type, a));
  });
}
static void unsignedToFloat(arith::UIToFPOp op, Frame &frame) {
  Type type = getElementTypeOrSelf(op.getIn().getType());
  elementwise<int64_t>(op, frame, [type](int64_t a) {
    return static_cast<double>(bitsOf(type, a));
  });
}
/// The nearest integer of those that exist, towards 0; NaN becomes 0.
template <typename Op, bool isSigned>
static void floatToInteger(Op op, Frame &frame) {
  unsigned width = getElementTypeOrSelf(op.getType()).getIntOrFloatBitWidth();
  elementwise<double>(op, frame, [width](double a) -> int64_t {
    double limit = std::ldexp(1.0, isSigned ? width - 1 : width);
    if (std::isnan(a) || (!isSigned && a < 0))
      return 0;
    if (a >= limit)
      return static_cast<int64_t>((isSigned
                                       ? llvm::APInt::getSignedMaxValue(width)
                                       : llvm::APInt::getMaxValue(width))
                                      .getZExtValue());
    if (!isSigned)
      return static_cast<int64_t>(static_cast<uint64_t>(a));
    return static_cast<int64_t>(std::max(a, -limit));
  });
}

//===----------------------------------------------------------------------===//

template <typename Op, double (*function)(double)>
static void addUnary(OpTable &table) {
  table.add<Op>(unary<Op, function>);
}
template <typename Op, double (*function)(double, double)>
static void addBinary(OpTable &table) {
  table.add<Op>(binary<Op, function>);
}
template <typename Op, Signed function> static void addSigned(OpTable &table) {
  table.add<Op>(integers<Op, function>);
}
template <typename Op, Unsigned function>
static void addUnsigned(OpTable &table) {
  table.add<Op>(naturals<Op, function>);
}

void addArithOps(OpTable &table) {
  table.add<arith::ConstantOp>(constant);
  addBinary<arith::AddFOp, add>(table);
  addBinary<arith::SubFOp, subtract>(table);
  addBinary<arith::MulFOp, multiply>(table);
  addBinary<arith::DivFOp, divide>(table);
  addBinary<arith::RemFOp, std::fmod>(table);
  addBinary<arith::MaximumFOp, maximum>(table);
  addBinary<arith::MinimumFOp, minimum>(table);
  addBinary<arith::MaxNumFOp, std::fmax>(table);
  addBinary<arith::MinNumFOp, std::fmin>(table);
  addUnary<arith::NegFOp, negate>(table);
  table.add<arith::CmpFOp>(compareFloats);

  addUnsigned<arith::AddIOp, addBits>(table);
  addUnsigned<arith::SubIOp, subtractBits>(table);
  addUnsigned<arith::MulIOp, multiplyBits>(table);
  addUnsigned<arith::AndIOp, andBits>(table);
  addUnsigned<arith::OrIOp, orBits>(table);
  addUnsigned<arith::XOrIOp, xorBits>(table);
  addUnsigned<arith::ShLIOp, shiftLeft>(table);
  addUnsigned<arith::ShRUIOp, shiftRight>(table);
  addSigned<arith::ShRSIOp, shiftRightSigned>(table);
  addUnsigned<arith::MaxUIOp, maxBits>(table);
  addUnsigned<arith::MinUIOp, minBits>(table);
  addSigned<arith::MaxSIOp, maxSigned>(table);
  addSigned<arith::MinSIOp, minSigned>(table);
  addUnsigned<arith::DivUIOp, divideBits>(table);
  addUnsigned<arith::RemUIOp, remainderBits>(table);
  addUnsigned<arith::CeilDivUIOp, ceilDivideBits>(table);
  addSigned<arith::DivSIOp, divideSigned>(table);
  addSigned<arith::RemSIOp, remainderSigned>(table);
  addSigned<arith::FloorDivSIOp, floorDivide>(table);
  addSigned<arith::CeilDivSIOp, ceilDivide>(table);
  table.add<arith::CmpIOp>(compareIntegers);

  table.add<arith::SelectOp>(select);
  table.add<arith::ExtFOp>(extend);
  table.add<arith::TruncFOp>(truncate);
  table.add<arith::ExtSIOp>(convertSigned<arith::ExtSIOp>);
  table.add<arith::ExtUIOp>(convertUnsigned<arith::ExtUIOp>);
  table.add<arith::TruncIOp>(convertSigned<arith::TruncIOp>);
  table.add<arith::IndexCastOp>(convertSigned<arith::IndexCastOp>);
  table.add<arith::IndexCastUIOp>(convertUnsigned<arith::IndexCastUIOp>);
  table.add<arith::SIToFPOp>(signedToFloat);
  table.add<arith::UIToFPOp>(unsignedToFloat);
  table.add<arith::FPToSIOp>(floatToInteger<arith::FPToSIOp, true>);
  table.add<arith::FPToUIOp>(floatToInteger<arith::FPToUIOp, false>);

  addUnary<math::ExpOp, std::exp>(table);
  addUnary<math::Exp2Op, std::exp2>(table);
  addUnary<math::ExpM1Op, std::expm1>(table);
  addUnary<math::LogOp, std::log>(table);
  addUnary<math::Log2Op, std::log2>(table);
  addUnary<math::Log10Op, std::log10>(table);
  addUnary<math::Log1pOp, std::log1p>(table);
  addUnary<math::SqrtOp, std::sqrt>(table);
  addUnary<math::RsqrtOp, reciprocalRoot>(table);
  addUnary<math::CbrtOp, std::cbrt>(table);
  addUnary<math::TanhOp, std::tanh>(table);
  addUnary<math::SinOp, std::sin>(table);
  addUnary<math::CosOp, std::cos>(table);
  addUnary<math::ErfOp, std::erf>(table);
  addUnary<math::ErfcOp, std::erfc>(table);
  addUnary<math::AbsFOp, std::fabs>(table);
  addUnary<math::CeilOp, std::ceil>(table);
  addUnary<math::FloorOp, std::floor>(table);
  addUnary<math::RoundOp, std::round>(table);
  addUnary<math::RoundEvenOp, std::nearbyint>(
      table); // the default rounding mode
  addUnary<math::TruncOp, std::trunc>(table);
  addBinary<math::PowFOp, std::pow>(table);
  addBinary<math::Atan2Op, std::atan2>(table);
  addBinary<math::CopySignOp, std::copysign>(table);
  table.add<math::FPowIOp>(powInteger);
  table.add<math::FmaOp>(fma);
  table.add<math::AbsIOp>(absoluteInteger);
}

} // namespace moe::reference
