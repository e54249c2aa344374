// See Ranking.h.

#include "codegen/cpu/Ranking.h"

#include "codegen/cpu/Rows.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

IntegerType Ranking::rankType(Type key) {
  return IntegerType::get(key.getContext(), key.isF64() ? 64 : 32);
}

Ranking::Ranking(Frame &frame, Type key)
    : f(frame), element(wideType(key)), rank(rankType(key)) {}

/// `value` as a scalar or a vector, as `like` is.
Value Ranking::constant(Type like, const llvm::APInt &value) const {
  TypedAttr number = f.builder.getIntegerAttr(rank, value);
  if (auto vector = dyn_cast<VectorType>(like))
    number = DenseElementsAttr::get(cast<ShapedType>(vector.clone(rank)),
                                    ArrayRef<Attribute>{number});
  return arith::ConstantOp::create(f.builder, f.loc, number);
}

Value Ranking::excluded() const { return constant(rank, lowest()); }

Value Ranking::of(Value keys) const {
  OpBuilder &b = f.builder;
  keys = convertNumber(b, f.loc, keys, element);
  auto vector = dyn_cast<VectorType>(keys.getType());
  Type type = vector ? Type(vector.clone(rank)) : Type(rank);
  // -0 + 0 is +0, which ties with it.
  Value zero =
      splatConstant(b, f.loc, element, 0, vector ? vector.getNumElements() : 0);
  Value number = arith::AddFOp::create(b, f.loc, keys, zero);
  // Bits of a float, flipped where negative, order as signed integers.
  Value raw = arith::BitcastOp::create(b, f.loc, type, number);
  Value sign = arith::ShRSIOp::create(
      b, f.loc, raw,
      constant(type, llvm::APInt(rank.getWidth(), rank.getWidth() - 1)));
  Value flip = arith::AndIOp::create(b, f.loc, sign, constant(type, highest()));
  Value order = arith::XOrIOp::create(b, f.loc, raw, flip);
  Value nan =
      arith::CmpFOp::create(b, f.loc, arith::CmpFPredicate::UNO, keys, keys);
  return arith::SelectOp::create(b, f.loc, nan, constant(type, lowest() + 1),
                                 order);
}

void Ranking::fill(const Ref &ranks, const Ref &keys, Value from,
                   int64_t count) const {
  f.columns(count, [&](Value column, int64_t lanes) {
    f.store(ranks, column, of(f.load(keys, f.add(from, column), lanes)), lanes);
  });
}

Value Ranking::largest(const Ref &ranks, Value begin, int64_t count) const {
  Value start = constant(f.vectorOf(rank), lowest());
  Value best = f.foldColumns(
      count, start,
      [&](Value column, int64_t lanes, ValueRange so) -> SmallVector<Value> {
        Value here = f.load(ranks, f.add(begin, column), lanes);
        return {arith::MaxSIOp::create(f.builder, f.loc, so[0],
                                       f.fillLanes(here, lanes, start))};
      })[0];
  return vector::ReductionOp::create(f.builder, f.loc,
                                     vector::CombiningKind::MAXSI, best);
}

Value Ranking::take(const Ref &ranks, Value begin, int64_t count) const {
  Value place =
      firstPlace(f, ranks, begin, count, largest(ranks, begin, count));
  f.storeScalar(ranks, f.add(begin, place), excluded());
  return place;
}

Value laneNumbers(Frame &f, IntegerType type) {
  SmallVector<Attribute> numbers;
  for (int64_t i = 0; i < f.lanes; ++i)
    numbers.push_back(f.builder.getIntegerAttr(type, i));
  return arith::ConstantOp::create(
      f.builder, f.loc, DenseElementsAttr::get(f.vectorOf(type), numbers));
}

Value firstPlace(Frame &f, const Ref &ref, Value begin, int64_t count,
                 Value wanted) {
  OpBuilder &b = f.builder;
  auto whole = cast<IntegerType>(wanted.getType());
  Value none = arith::ConstantOp::create(
      b, f.loc,
      DenseElementsAttr::get(f.vectorOf(whole),
                             llvm::APInt::getSignedMaxValue(whole.getWidth())));
  Value spread =
      vector::BroadcastOp::create(b, f.loc, f.vectorOf(whole), wanted);
  Value lane = laneNumbers(f, whole);
  Value first = f.foldColumns(
      count, none,
      [&](Value column, int64_t lanes, ValueRange so) -> SmallVector<Value> {
        Value found = arith::CmpIOp::create(
            b, f.loc, arith::CmpIPredicate::eq,
            f.load(ref, f.add(begin, column), lanes), spread);
        Value base =
            vector::BroadcastOp::create(b, f.loc, f.vectorOf(whole),
                                        convertNumber(b, f.loc, column, whole));
        Value place = arith::SelectOp::create(
            b, f.loc, found, arith::AddIOp::create(b, f.loc, base, lane), none);
        return {arith::MinSIOp::create(b, f.loc, so[0],
                                       f.fillLanes(place, lanes, none))};
      })[0];
  return f.toIndex(vector::ReductionOp::create(
      b, f.loc, vector::CombiningKind::MINSI, first));
}

} // namespace moe::cpu
