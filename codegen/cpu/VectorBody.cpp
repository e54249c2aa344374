// Operations of arith and math are cloned with vector types; activations of the
// moe dialect become their formulas, in f32 or wider.

#include "codegen/cpu/VectorBody.h"

#include "codegen/cpu/Numbers.h"

#include "dialect/MoeDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <cmath>

using namespace mlir;

namespace moe::cpu {

Value splatConstant(OpBuilder &builder, Location loc, Type element,
                    double value, int64_t lanes) {
  TypedAttr number;
  if (isa<FloatType>(element))
    number = builder.getFloatAttr(element, value);
  else
    number = builder.getIntegerAttr(element, static_cast<int64_t>(value));
  if (lanes > 0)
    number = DenseElementsAttr::get(VectorType::get({lanes}, element),
                                    ArrayRef<Attribute>{number});
  return arith::ConstantOp::create(builder, loc, number);
}

static Type likeType(Value value, Type element) {
  auto vector = dyn_cast<VectorType>(value.getType());
  return vector ? Type(vector.clone(element)) : element;
}

Value convertNumber(OpBuilder &builder, Location loc, Value value,
                    Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  Type to = likeType(value, element);
  if (from.isIndex() || element.isIndex())
    return arith::IndexCastOp::create(builder, loc, to, value);
  int64_t fromBits = from.getIntOrFloatBitWidth();
  int64_t toBits = element.getIntOrFloatBitWidth();
  if (isa<IntegerType>(from)) {
    if (fromBits > toBits)
      return arith::TruncIOp::create(builder, loc, to, value);
    if (from.isInteger(1))
      return arith::ExtUIOp::create(builder, loc, to, value);
    return arith::ExtSIOp::create(builder, loc, to, value);
  }
  // f16 and bf16 meet in f32, also on their way from and to f64.
  Type f32 = builder.getF32Type();
  if (from != f32 && element != f32 && (fromBits < 32 || toBits < 32))
    return convertNumber(builder, loc, convertNumber(builder, loc, value, f32),
                         element);
  if (fromBits < toBits)
    return arith::ExtFOp::create(builder, loc, to, value);
  return arith::TruncFOp::create(builder, loc, to, value);
}

/// The formula of an activation in f32 or f64.
static Value activate(const Numbers &f, Operation *op, Value x) {
  auto exp = [&](Value y) { return math::ExpOp::create(f.builder, f.loc, y); };
  auto relu = [&] {
    return arith::MaximumFOp::create(f.builder, f.loc, x, f.number(0));
  };
  if (isa<SiluOp>(op))
    return f.div(x, f.add(exp(f.negate(x)), 1));
  if (isa<SigmoidOp>(op))
    return f.div(f.number(1), f.add(exp(f.negate(x)), 1));
  if (isa<Relu2Op>(op))
    return f.mul(relu(), relu());
  if (isa<SoftplusOp>(op)) // max(x, 0) + log(1 + exp(-|x|)): no overflow
    return f.add(relu(), math::Log1pOp::create(f.builder, f.loc,
                                               exp(f.negate(f.abs(x)))));
  Value half = f.mul(x, 0.5), bell;
  if (cast<GeluOp>(op).getForm() == GeluForm::Exact) {
    bell = math::ErfOp::create(f.builder, f.loc, f.mul(x, 0.70710678118654752));
  } else {
    Value cube = f.mul(f.mul(x, x), f.mul(x, 0.044715));
    bell = math::TanhOp::create(f.builder, f.loc,
                                f.mul(f.add(x, cube), 0.79788456080286536));
  }
  return f.mul(half, f.add(bell, 1));
}

static bool isActivation(Operation *op) {
  return isa<SiluOp, SigmoidOp, Relu2Op, SoftplusOp, GeluOp>(op);
}

/// What an instruction or VectorMath.h computes.
static bool isFunction(Operation *op) {
  return isa<math::AbsFOp, math::AbsIOp, math::Atan2Op, math::CbrtOp,
             math::CeilOp, math::CopySignOp, math::CosOp, math::ErfOp,
             math::ErfcOp, math::Exp2Op, math::ExpM1Op, math::ExpOp,
             math::FPowIOp, math::FloorOp, math::FmaOp, math::Log10Op,
             math::Log1pOp, math::Log2Op, math::LogOp, math::PowFOp,
             math::RoundEvenOp, math::RoundOp, math::RsqrtOp, math::SinOp,
             math::SqrtOp, math::TanhOp, math::TruncOp>(op);
}

bool worksOnVectors(Operation *op) {
  if (isActivation(op) || isa<arith::ConstantOp>(op) || isFunction(op))
    return true;
  return isa_and_nonnull<arith::ArithDialect>(op->getDialect()) &&
         OpTrait::hasElementwiseMappableTraits(op);
}

bool mayTrap(Operation *op) {
  return isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
             arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>(op);
}

/// The nearest integer of those that exist, towards 0; NaN becomes 0.
static Value toInteger(OpBuilder &builder, Location loc, Operation *op, Value x,
                       int64_t lanes) {
  bool isSigned = isa<arith::FPToSIOp>(op);
  Type integer = getElementTypeOrSelf(op->getResult(0).getType());
  int64_t bits = integer.getIntOrFloatBitWidth();
  Type type = getElementTypeOrSelf(x.getType());
  if (!type.isF64())
    type = builder.getF32Type();
  x = convertNumber(builder, loc, x, type);
  auto number = [&](const APInt &value) -> Value {
    auto vector = VectorType::get({lanes}, integer);
    return arith::ConstantOp::create(builder, loc,
                                     DenseElementsAttr::get(vector, value));
  };
  auto compare = [&](arith::CmpFPredicate predicate, double limit) -> Value {
    return arith::CmpFOp::create(
        builder, loc, predicate, x,
        splatConstant(builder, loc, type, limit, lanes));
  };
  double limit = std::ldexp(1.0, static_cast<int>(bits - isSigned));
  Value above = compare(arith::CmpFPredicate::OGE, limit);
  Value below = compare(arith::CmpFPredicate::OLT, isSigned ? -limit : 0);
  Value outside =
      arith::OrIOp::create(builder, loc, compare(arith::CmpFPredicate::UNO, 0),
                           arith::OrIOp::create(builder, loc, above, below));
  Value inside = arith::SelectOp::create(
      builder, loc, outside, splatConstant(builder, loc, type, 0, lanes), x);
  auto vector = VectorType::get({lanes}, integer);
  Value result =
      isSigned ? Value(arith::FPToSIOp::create(builder, loc, vector, inside))
               : Value(arith::FPToUIOp::create(builder, loc, vector, inside));
  APInt most =
      isSigned ? APInt::getSignedMaxValue(bits) : APInt::getMaxValue(bits);
  result = arith::SelectOp::create(builder, loc, above, number(most), result);
  if (!isSigned)
    return result;
  return arith::SelectOp::create(
      builder, loc, below, number(APInt::getSignedMinValue(bits)), result);
}

void emitOnVectors(OpBuilder &builder, Location loc, Operation *op,
                   IRMapping &mapping, int64_t lanes, Divide divide) {
  if (divide && mayTrap(op)) {
    Value dividend = mapping.lookup(op->getOperand(0)),
          divisor = mapping.lookup(op->getOperand(1)), whole;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      auto at = [&](Value vector) -> Value {
        return vector::ExtractOp::create(builder, loc, vector, lane);
      };
      Value quotient = divide(op, at(dividend), at(divisor));
      whole = lane == 0 ? Value(vector::BroadcastOp::create(
                              builder, loc, dividend.getType(), quotient))
                        : Value(vector::InsertOp::create(builder, loc, quotient,
                                                         whole, lane));
    }
    mapping.map(op->getResult(0), whole);
    return;
  }
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    TypedAttr value = constant.getValue();
    if (auto dense = dyn_cast<DenseElementsAttr>(value))
      value = cast<TypedAttr>(dense.getSplatValue<Attribute>());
    Type type = VectorType::get({lanes}, value.getType());
    mapping.map(op->getResult(0),
                arith::ConstantOp::create(
                    builder, loc,
                    DenseElementsAttr::get(cast<ShapedType>(type),
                                           ArrayRef<Attribute>{value})));
    return;
  }
  if (isa<arith::FPToSIOp, arith::FPToUIOp>(op)) {
    Value x = mapping.lookup(op->getOperand(0));
    mapping.map(op->getResult(0), toInteger(builder, loc, op, x, lanes));
    return;
  }
  if (isActivation(op)) {
    Value x = mapping.lookup(op->getOperand(0));
    Type type = getElementTypeOrSelf(x.getType());
    Type wide = type.isF64() ? type : builder.getF32Type();
    x = convertNumber(builder, loc, x, wide);
    Value y = activate(Numbers(builder, loc, x), op, x);
    mapping.map(op->getResult(0), convertNumber(builder, loc, y, type));
    return;
  }
  Operation *clone = builder.clone(*op, mapping);
  for (Value result : clone->getResults())
    result.setType(
        VectorType::get({lanes}, getElementTypeOrSelf(result.getType())));
}

SmallVector<Value> emitBlockOnVectors(OpBuilder &builder, Location loc,
                                      Block &block, ValueRange arguments,
                                      int64_t lanes, const IRMapping &scalars,
                                      Divide divide) {
  IRMapping mapping;
  mapping.map(block.getArguments(), arguments);
  auto spread = [&](Value value) {
    if (!mapping.contains(value))
      mapping.map(value,
                  vector::BroadcastOp::create(
                      builder, loc, VectorType::get({lanes}, value.getType()),
                      scalars.lookup(value)));
  };
  for (Operation &op : block.without_terminator()) {
    llvm::for_each(op.getOperands(), spread);
    emitOnVectors(builder, loc, &op, mapping, lanes, divide);
  }
  SmallVector<Value> yielded;
  for (Value value : block.getTerminator()->getOperands()) {
    spread(value);
    yielded.push_back(mapping.lookup(value));
  }
  return yielded;
}

} // namespace moe::cpu
