// top_k of one row: keys become integers whose order is that of the keys, with
// NaN below all and taken ones below NaN; then k rounds of maximum and first
// place.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {
struct TopK {
  Frame &f;
  Type element; // of the keys, f32 or f64
  IntegerType whole;
  int64_t experts;

  unsigned bits() const { return whole.getWidth(); }
  Value integers(const llvm::APInt &value) const {
    return arith::ConstantOp::create(
        f.builder, f.loc, DenseElementsAttr::get(f.vectorOf(whole), value));
  }
  Value taken() const {
    return integers(llvm::APInt::getSignedMinValue(bits()));
  }

  /// Bits of a float, flipped where negative, order as signed integers.
  Value sortable(Value key) const {
    OpBuilder &b = f.builder;
    // -0 + 0 is +0, which ties with it.
    Value zero = splatConstant(b, f.loc, element, 0, f.lanes);
    Value number = arith::AddFOp::create(b, f.loc, key, zero);
    Value raw = arith::BitcastOp::create(b, f.loc, f.vectorOf(whole), number);
    Value sign = arith::ShRSIOp::create(
        b, f.loc, raw, integers(llvm::APInt(bits(), bits() - 1)));
    Value flip = arith::AndIOp::create(
        b, f.loc, sign, integers(llvm::APInt::getSignedMaxValue(bits())));
    Value order = arith::XOrIOp::create(b, f.loc, raw, flip);
    Value nan =
        arith::CmpFOp::create(b, f.loc, arith::CmpFPredicate::UNO, key, key);
    return arith::SelectOp::create(
        b, f.loc, nan, integers(llvm::APInt::getSignedMinValue(bits()) + 1),
        order);
  }

  Value largest(const Ref &keys) const {
    Value start = taken();
    Value best = f.foldColumns(
        experts, start,
        [&](Value column, int64_t lanes, ValueRange so) -> SmallVector<Value> {
          Value key = f.fillLanes(f.load(keys, column, lanes), lanes, start);
          return {arith::MaxSIOp::create(f.builder, f.loc, so[0], key)};
        })[0];
    return vector::ReductionOp::create(f.builder, f.loc,
                                       vector::CombiningKind::MAXSI, best);
  }

  /// The first column that holds `key`.
  Value firstPlace(const Ref &keys, Value key) const {
    OpBuilder &b = f.builder;
    Value none = integers(llvm::APInt::getSignedMaxValue(bits()));
    Value wanted =
        vector::BroadcastOp::create(b, f.loc, f.vectorOf(whole), key);
    SmallVector<Attribute> numbers;
    for (int64_t i = 0; i < f.lanes; ++i)
      numbers.push_back(b.getIntegerAttr(whole, i));
    Value lane = arith::ConstantOp::create(
        b, f.loc, DenseElementsAttr::get(f.vectorOf(whole), numbers));
    Value first = f.foldColumns(
        experts, none,
        [&](Value column, int64_t lanes, ValueRange so) -> SmallVector<Value> {
          Value found =
              arith::CmpIOp::create(b, f.loc, arith::CmpIPredicate::eq,
                                    f.load(keys, column, lanes), wanted);
          Value base = vector::BroadcastOp::create(
              b, f.loc, f.vectorOf(whole),
              convertNumber(b, f.loc, column, whole));
          Value place = arith::SelectOp::create(
              b, f.loc, found, arith::AddIOp::create(b, f.loc, base, lane),
              none);
          place = f.fillLanes(place, lanes, none);
          return {arith::MinSIOp::create(b, f.loc, so[0], place)};
        })[0];
    return f.toIndex(vector::ReductionOp::create(
        b, f.loc, vector::CombiningKind::MINSI, first));
  }
};
} // namespace

void emitTopKRow(Frame &f, const Step &step, Value row) {
  OpBuilder &b = f.builder;
  auto op = cast<grouped::TopKOp>(step.op);
  Ref key = f.ref(op.getKey()), weights = f.ref(op.getWeights());
  Ref chosen = f.ref(op.getChosen()), ids = f.ref(op.getIds());
  Type element = wideType(key.type);
  unsigned bits = element.getIntOrFloatBitWidth();
  TopK top{f, element, b.getIntegerType(bits), key.rowElements};
  Ref keys = f.ref(step.extra[0], top.whole);
  Value from = f.rowAddress(key, row);
  f.columns(key.rowElements, [&](Value column, int64_t lanes) {
    Value number = convertNumber(
        b, f.loc, f.load(key, f.add(from, column), lanes), element);
    f.store(keys, column, top.sortable(number), lanes);
  });
  Value firstWeight = f.rowAddress(weights, row);
  Value toChosen = f.rowAddress(chosen, row), toIds = f.rowAddress(ids, row);
  f.loop(static_cast<int64_t>(op.getTop()), [&](Value choice) {
    Value place = top.firstPlace(keys, top.largest(keys));
    f.storeScalar(ids, f.add(toIds, choice),
                  arith::IndexCastOp::create(b, f.loc, ids.type, place));
    Value weight = f.loadScalar(weights, f.add(firstWeight, place));
    f.storeScalar(chosen, f.add(toChosen, choice),
                  convertNumber(b, f.loc, weight, chosen.type));
    Value gone = arith::ConstantOp::create(
        b, f.loc,
        b.getIntegerAttr(top.whole, llvm::APInt::getSignedMinValue(bits)));
    f.storeScalar(keys, place, gone);
  });
}

} // namespace moe::cpu
