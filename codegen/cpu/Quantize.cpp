// See Quantize.h.

#include "codegen/cpu/Quantize.h"

#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace moe::cpu {

static Value constantLike(OpBuilder &builder, Location loc, Type type,
                          double value) {
  TypedAttr attribute = FloatAttr::get(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, Attribute(attribute));
  return arith::ConstantOp::create(builder, loc, attribute);
}

Value inverseScale(OpBuilder &builder, Location loc, Value largest) {
  Type type = largest.getType();
  Value zero = constantLike(builder, loc, type, 0);
  Value some = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT,
                                     largest, zero);
  Value inverse = arith::DivFOp::create(
      builder, loc, constantLike(builder, loc, type, kLargestEntry), largest);
  return arith::SelectOp::create(builder, loc, some, inverse, zero);
}

Value scaleOf(OpBuilder &builder, Location loc, Value largest) {
  return arith::DivFOp::create(
      builder, loc, largest,
      constantLike(builder, loc, largest.getType(), kLargestEntry));
}

std::pair<Value, Value> groupScale(OpBuilder &builder, Location loc, Value size,
                                   double steps) {
  Type type = size.getType();
  Value scale = arith::DivFOp::create(builder, loc, size,
                                      constantLike(builder, loc, type, steps));
  scale = convertFloat(builder, loc, scale, builder.getBF16Type());
  scale = convertFloat(builder, loc, scale, builder.getF32Type());
  Value zero = constantLike(builder, loc, type, 0);
  Value some = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT,
                                     scale, zero);
  Value inverse = arith::DivFOp::create(
      builder, loc, constantLike(builder, loc, type, 1), scale);
  return {scale, arith::SelectOp::create(builder, loc, some, inverse, zero)};
}

Value zeroPoint(OpBuilder &builder, Location loc, Value low, Value inverse) {
  Type type = low.getType();
  Value scaled = arith::MulFOp::create(
      builder, loc, arith::NegFOp::create(builder, loc, low), inverse);
  Value rounded = math::RoundEvenOp::create(builder, loc, scaled);
  rounded = arith::MaxNumFOp::create(builder, loc, rounded,
                                     constantLike(builder, loc, type, 0));
  return arith::MinNumFOp::create(
      builder, loc, rounded, constantLike(builder, loc, type, kNibbleSteps));
}

Value quantize(OpBuilder &builder, Location loc, Value x, Value inverse,
               double largest) {
  Type type = x.getType();
  return quantize(builder, loc, x, inverse,
                  constantLike(builder, loc, type, -largest),
                  constantLike(builder, loc, type, largest));
}

Value quantize(OpBuilder &builder, Location loc, Value x, Value inverse,
               Value low, Value high) {
  Type type = x.getType();
  Value scaled = arith::MulFOp::create(builder, loc, x, inverse);
  Value rounded = math::RoundEvenOp::create(builder, loc, scaled);
  // maxnumf and minnumf take the other operand for NaN.
  rounded = arith::MaxNumFOp::create(builder, loc, rounded, low);
  rounded = arith::MinNumFOp::create(builder, loc, rounded, high);
  Type integer = builder.getI32Type();
  if (auto vector = dyn_cast<VectorType>(type))
    integer = vector.clone(integer);
  return arith::FPToSIOp::create(builder, loc, integer, rounded);
}

} // namespace moe::cpu
