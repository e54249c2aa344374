// Arithmetic on numbers of one float type, scalars or vectors, as formulas need
// it.

#ifndef MOE_CODEGEN_CPU_NUMBERS_H
#define MOE_CODEGEN_CPU_NUMBERS_H

#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace moe::cpu {

struct Numbers {
  using Value = mlir::Value;
  using Compare = mlir::arith::CmpFPredicate;

  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Type element;
  int64_t lanes = 0; // 0: scalars

  /// Numbers of the type of `like`.
  Numbers(mlir::OpBuilder &builder, mlir::Location loc, Value like)
      : builder(builder), loc(loc),
        element(mlir::getElementTypeOrSelf(like.getType())) {
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(like.getType()))
      lanes = vector.getNumElements();
  }

  Value number(double value) const {
    return splatConstant(builder, loc, element, value, lanes);
  }
  Value add(Value a, Value b) const {
    return mlir::arith::AddFOp::create(builder, loc, a, b);
  }
  Value add(Value a, double b) const { return add(a, number(b)); }
  Value sub(Value a, Value b) const {
    return mlir::arith::SubFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, double b) const { return sub(a, number(b)); }
  Value mul(Value a, Value b) const {
    return mlir::arith::MulFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, double b) const { return mul(a, number(b)); }
  Value div(Value a, Value b) const {
    return mlir::arith::DivFOp::create(builder, loc, a, b);
  }
  Value negate(Value x) const {
    return mlir::arith::NegFOp::create(builder, loc, x);
  }
  /// a * b + c, rounded once.
  Value fma(Value a, Value b, Value c) const {
    return mlir::math::FmaOp::create(builder, loc, a, b, c);
  }
  Value fma(Value a, double b, Value c) const { return fma(a, number(b), c); }
  /// first + x * (second + x * ...)
  Value series(Value x, llvm::ArrayRef<double> coefficients) const {
    Value sum = number(coefficients.back());
    for (double coefficient : llvm::reverse(coefficients.drop_back()))
      sum = fma(sum, x, number(coefficient));
    return sum;
  }
  Value round(Value x) const {
    return mlir::math::RoundEvenOp::create(builder, loc, x);
  }
  Value floor(Value x) const {
    return mlir::math::FloorOp::create(builder, loc, x);
  }
  Value abs(Value x) const {
    return mlir::math::AbsFOp::create(builder, loc, x);
  }
  Value withSignOf(Value x, Value sign) const {
    return mlir::math::CopySignOp::create(builder, loc, x, sign);
  }

  Value is(Compare predicate, Value a, Value b) const {
    return mlir::arith::CmpFOp::create(builder, loc, predicate, a, b);
  }
  Value is(Compare predicate, Value a, double b) const {
    return is(predicate, a, number(b));
  }
  Value both(Value a, Value b) const {
    return mlir::arith::AndIOp::create(builder, loc, a, b);
  }
  Value either(Value a, Value b) const {
    return mlir::arith::OrIOp::create(builder, loc, a, b);
  }
  Value select(Value condition, Value a, Value b) const {
    return mlir::arith::SelectOp::create(builder, loc, condition, a, b);
  }
  /// min(x, most) and max(x, least), but NaN stays NaN.
  Value atMost(Value x, double most) const {
    return select(is(Compare::OGT, x, most), number(most), x);
  }
  Value atLeast(Value x, double least) const {
    return select(is(Compare::OLT, x, least), number(least), x);
  }

  // Bits, as integers of the same width.
  mlir::Type integers() const {
    mlir::Type type = builder.getIntegerType(element.getIntOrFloatBitWidth());
    return lanes ? mlir::VectorType::get({lanes}, type) : type;
  }
  Value integer(int64_t value) const {
    mlir::Type type = builder.getIntegerType(element.getIntOrFloatBitWidth());
    mlir::TypedAttr attribute = builder.getIntegerAttr(type, value);
    if (lanes)
      attribute = mlir::DenseElementsAttr::get(
          mlir::cast<mlir::VectorType>(integers()),
          llvm::ArrayRef<mlir::Attribute>{attribute});
    return mlir::arith::ConstantOp::create(builder, loc, attribute);
  }
  Value bits(Value x) const {
    return mlir::arith::BitcastOp::create(builder, loc, integers(), x);
  }
  Value fromBits(Value bits) const {
    mlir::Type type = lanes ? mlir::VectorType::get({lanes}, element) : element;
    return mlir::arith::BitcastOp::create(builder, loc, type, bits);
  }
  Value addBits(Value a, Value b) const {
    return mlir::arith::AddIOp::create(builder, loc, a, b);
  }
  Value subBits(Value a, Value b) const {
    return mlir::arith::SubIOp::create(builder, loc, a, b);
  }
  Value andBits(Value a, Value b) const {
    return mlir::arith::AndIOp::create(builder, loc, a, b);
  }
  Value shiftLeft(Value a, int64_t by) const {
    return mlir::arith::ShLIOp::create(builder, loc, a, integer(by));
  }
  Value shiftRight(Value a, int64_t by) const { // signed
    return mlir::arith::ShRSIOp::create(builder, loc, a, integer(by));
  }

  /// Bits of the mantissa, and the number that makes 1 of an exponent of 0.
  int64_t mantissaBits() const { return element.isF64() ? 52 : 23; }
  int64_t bias() const { return element.isF64() ? 1023 : 127; }
  /// 2^n of whole numbers (integers) whose power is a normal number.
  Value powerOfTwo(Value n) const {
    return fromBits(shiftLeft(addBits(n, integer(bias())), mantissaBits()));
  }
  /// x as the nearest whole number: as a float and as an integer. Needs
  /// |x| < 2^(mantissa - 2); NaN stays NaN, with any integer.
  std::pair<Value, Value> nearest(Value x) const {
    // Adding it leaves no bits behind the point.
    Value magic = number(element.isF64() ? 0x1.8p52 : 0x1.8p23);
    Value sum = add(x, magic);
    return {sub(sum, magic), subBits(bits(sum), bits(magic))};
  }
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_NUMBERS_H
