// The published capacities, as codegen/reference/Read.cpp evaluates them: the
// same operations in the same order, so every rounding is the same.

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Rows.h"
#include "codegen/cpu/Scalars.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <limits>

using namespace mlir;

namespace moe::cpu {

namespace {
/// Arithmetic on f64 and i64.
struct CapacityEmitter {
  Frame &f;
  OpBuilder &b = f.builder;

  Value number(double value) {
    return splatConstant(b, f.loc, b.getF64Type(), value, 0);
  }
  Value integer(int64_t value) {
    return arith::ConstantIntOp::create(b, f.loc, value, 64);
  }
  Value mul(Value a, Value c) { return arith::MulFOp::create(b, f.loc, a, c); }
  Value div(Value a, Value c) { return arith::DivFOp::create(b, f.loc, a, c); }
  Value ceil(Value a) { return math::CeilOp::create(b, f.loc, a); }
  Value round(Value a) { return math::RoundEvenOp::create(b, f.loc, a); }
  Value max(Value a, int64_t least) {
    return arith::MaxSIOp::create(b, f.loc, a, integer(least));
  }
  Value compare(arith::CmpFPredicate predicate, Value a, Value c) {
    return arith::CmpFOp::create(b, f.loc, predicate, a, c);
  }
  Value select(Value condition, Value a, Value c) {
    return arith::SelectOp::create(b, f.loc, condition, a, c);
  }

  /// Between -2^62 and 2^62.
  Value toInteger(Value value) {
    Value high = number(0x1p62), low = number(-0x1p62);
    value =
        select(compare(arith::CmpFPredicate::OLT, value, high), value, high);
    value = select(compare(arith::CmpFPredicate::OGT, value, low), value, low);
    return arith::FPToSIOp::create(b, f.loc, b.getI64Type(), value);
  }

  Value timesChoices(Value value, int64_t choices) {
    int64_t most = std::numeric_limits<int64_t>::max();
    Value fits = arith::CmpIOp::create(b, f.loc, arith::CmpIPredicate::sle,
                                       value, integer(most / choices));
    Value product = arith::MulIOp::create(b, f.loc, value, integer(choices));
    return select(fits, product, integer(most));
  }

  Value atLeastOne(Value value, Value tokens, int64_t multiple) {
    Value enough = compare(arith::CmpFPredicate::OGE, value, number(1));
    Value whole = toInteger(value);
    Value few = arith::XOrIOp::create(
        b, f.loc, enough, arith::ConstantIntOp::create(b, f.loc, 1, 1));
    f.ifThen(few,
             [&] { reportError(f, MOERT_CODE_CAPACITY, {tokens, whole}); });
    if (multiple == 1)
      return whole;
    // Unsigned: the sum may pass the largest integer, the result may not.
    Value sum = arith::AddIOp::create(b, f.loc, whole, integer(multiple - 1));
    Value count = arith::DivUIOp::create(b, f.loc, sum, integer(multiple));
    Value up = arith::MulIOp::create(b, f.loc, count, integer(multiple));
    return arith::MinUIOp::create(b, f.loc, up,
                                  integer(std::numeric_limits<int64_t>::max()));
  }
};
} // namespace

Value emitCapacity(Frame &f, CapacityOp op, Value tokens) {
  CapacityEmitter e{f};
  double factor = op.getFactor().convertToDouble();
  auto choices = static_cast<int64_t>(op.getChoices().value_or(1));
  auto minimum = static_cast<int64_t>(op.getMinimum().value_or(0));
  auto multiple = static_cast<int64_t>(op.getMultiple().value_or(1));
  Value t =
      arith::SIToFPOp::create(f.builder, f.loc, f.builder.getF64Type(), tokens);
  Value experts = e.number(static_cast<double>(op.getExperts()));
  Value k = e.number(static_cast<double>(choices)), by = e.number(factor);
  switch (op.getFormula()) {
  case CapacityFormula::Mesh: {
    Value most = e.toInteger(e.div(e.mul(t, by), experts));
    return e.max(arith::MinSIOp::create(f.builder, f.loc, tokens, most),
                 minimum);
  }
  case CapacityFormula::Flaxformer:
    return e.max(e.toInteger(e.round(e.div(e.mul(by, t), experts))), minimum);
  case CapacityFormula::MegaBlocks:
    return e.toInteger(e.mul(by, e.div(e.mul(k, t), experts)));
  case CapacityFormula::DeepSpeed: {
    Type f32 = f.builder.getF32Type();
    Value each = convertNumber(f.builder, f.loc, e.div(t, experts), f32);
    Value slots = splatConstant(
        f.builder, f.loc, f32,
        static_cast<float>(factor * static_cast<double>(choices)), 0);
    Value whole = e.ceil(e.mul(each, slots));
    return e.max(e.toInteger(convertNumber(f.builder, f.loc, whole,
                                           f.builder.getF64Type())),
                 minimum);
  }
  case CapacityFormula::Megatron:
    return e.toInteger(e.ceil(e.mul(e.div(e.mul(k, t), experts), by)));
  case CapacityFormula::Tutel:
    return e.timesChoices(e.toInteger(e.mul(by, e.ceil(e.div(t, experts)))),
                          choices);
  case CapacityFormula::VMoE:
    return e.atLeastOne(e.ceil(e.div(e.mul(e.mul(k, t), by), experts)), tokens,
                        multiple);
  case CapacityFormula::VMoEExpertChoice:
    return e.atLeastOne(e.ceil(e.div(e.mul(t, by), experts)), tokens, multiple);
  case CapacityFormula::SoftMoE:
    return e.atLeastOne(e.round(e.div(e.mul(t, by), experts)), tokens,
                        multiple);
  }
  llvm_unreachable("all formulas are handled");
}

void emitCapacityRow(Frame &f, CapacityOp op, Value row) {
  OpBuilder &b = f.builder;
  Ref in = f.ref(op.getTokens()), out = f.ref(op.getResult());
  Value from = f.rowAddress(in, row), to = f.rowAddress(out, row);
  Value most = arith::ConstantIntOp::create(
      b, f.loc, std::numeric_limits<int32_t>::max(), 64);
  Value least = arith::ConstantIntOp::create(
      b, f.loc, std::numeric_limits<int32_t>::min(), 64);
  f.loop(in.rowElements, [&](Value column) {
    Value tokens = f.loadScalar(in, f.add(from, column));
    Value capacity =
        emitCapacity(f, op, convertNumber(b, f.loc, tokens, b.getI64Type()));
    capacity = arith::MinSIOp::create(b, f.loc, capacity, most);
    capacity = arith::MaxSIOp::create(b, f.loc, capacity, least);
    f.storeScalar(out, f.add(to, column),
                  convertNumber(b, f.loc, capacity, out.type));
  });
}

} // namespace moe::cpu
