// Quantises columns one at a time: the largest weight first, then the entries.
// Weights that are contiguous along K go sixteen at a time.

#include "codegen/cpu/PackQuantized.h"

#include "codegen/cpu/Indices.h"
#include "codegen/cpu/Quantize.h"
#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {

constexpr int64_t kBlock = 16;

class QuantizedPacker : IndexBuilder {
public:
  QuantizedPacker(OpBuilder &builder, Location loc, const PackedLayout &layout,
                  ValueRange sources, bool inOut, Value packed)
      : IndexBuilder{builder, loc}, layout(layout), sources(sources),
        inOut(inOut), packed(packed) {
    if (!layout.hasGroups())
      view = memref::ViewOp::create(builder, loc, layout.viewType(), packed,
                                    constant(0), ValueRange{});
  }

  void emitPanels(Value begin, Value end);

private:
  /// One column of one weight: where it comes from and goes to.
  struct Column {
    Value source, expert, number;
    Value panel, vector, lane;
  };

  VectorType blockOf(Type element) {
    return VectorType::get({kBlock}, element);
  }
  using IndexBuilder::loop;
  /// body(number, carried) for [0, count) in steps of `step`; returns what is
  /// carried out.
  SmallVector<Value>
  loop(int64_t count, int64_t step, ValueRange initial,
       llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body);
  void loop(int64_t count, llvm::function_ref<void(Value)> body) {
    loop(count, 1, {}, [&](Value i, ValueRange) -> SmallVector<Value> {
      body(i);
      return {};
    });
  }

  bool isContiguous(const Column &column) {
    return !inOut &&
           cast<MemRefType>(column.source.getType()).isLastDimUnitStride();
  }
  SmallVector<Value> index(const Column &column, Value k);
  Value loadOne(const Column &column, Value k);
  Value loadBlock(const Column &column, Value k, int64_t count);
  Value largest(const Column &column);
  Value storeEntries(const Column &column, Value inverse);
  Value storeBlocks(const Column &column, Value inverse);
  void storeTrailer(const Column &column, int64_t offset, Value number);
  Value entriesOf(const Column &column, Value k, int64_t count);
  /// Of a format with groups and without zero points.
  double largestEntry() const {
    return layout.hasNibbles() ? kLargestNibble : kLargestEntry;
  }
  /// `zeroPoint`: an f32, or null for formats without.
  struct GroupScale {
    Value scale, inverse, zeroPoint;
  };
  GroupScale symmetricRangeOf(ValueRange parts);
  GroupScale rangeOf(ValueRange parts);
  void emitGroups(const Column &column);
  Value emitGroup(const Column &column, Value group, int64_t count);
  void emitColumn(const Column &column);
  void emitNothing(const Column &column);
  Value zero() {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  }

  const PackedLayout &layout;
  ValueRange sources;
  bool inOut;
  Value packed, view;
};

} // namespace

SmallVector<Value> QuantizedPacker::loop(
    int64_t count, int64_t step, ValueRange initial,
    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = scf::ForOp::create(
      builder, loc, constant(0), constant(count), constant(step), initial,
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        scf::YieldOp::create(builder, loc, body(i, carried));
      });
  return SmallVector<Value>(op.getResults());
}

SmallVector<Value> QuantizedPacker::index(const Column &column, Value k) {
  SmallVector<Value> result;
  if (cast<MemRefType>(column.source.getType()).getRank() == 3)
    result.push_back(column.expert);
  if (inOut)
    result.append({k, column.number});
  else
    result.append({column.number, k});
  return result;
}

Value QuantizedPacker::loadOne(const Column &column, Value k) {
  Value weight =
      memref::LoadOp::create(builder, loc, column.source, index(column, k));
  return convertFloat(builder, loc, weight, builder.getF32Type());
}

/// `count` weights from k on, 0 in the other lanes.
Value QuantizedPacker::loadBlock(const Column &column, Value k, int64_t count) {
  Type element = cast<MemRefType>(column.source.getType()).getElementType();
  Value weights = loadLanes(builder, loc, blockOf(element), column.source,
                            index(column, k), count);
  return convertFloat(builder, loc, weights, builder.getF32Type());
}

/// The largest |weight|; NaN if one is.
Value QuantizedPacker::largest(const Column &column) {
  if (!isContiguous(column))
    return loop(layout.inputs, 1, zero(),
                [&](Value k, ValueRange so) -> SmallVector<Value> {
                  Value size =
                      math::AbsFOp::create(builder, loc, loadOne(column, k));
                  return {arith::MaximumFOp::create(builder, loc, so[0], size)};
                })[0];
  VectorType floats = blockOf(builder.getF32Type());
  Value found =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(floats));
  auto with = [&](Value found, Value k, int64_t count) -> Value {
    Value sizes =
        math::AbsFOp::create(builder, loc, loadBlock(column, k, count));
    return arith::MaximumFOp::create(builder, loc, found, sizes);
  };
  int64_t whole = layout.inputs / kBlock * kBlock;
  if (whole > 0)
    found = loop(whole, kBlock, found,
                 [&](Value k, ValueRange so) -> SmallVector<Value> {
                   return {with(so[0], k, kBlock)};
                 })[0];
  if (whole < layout.inputs)
    found = with(found, constant(whole), layout.inputs - whole);
  return vector::ReductionOp::create(builder, loc,
                                     vector::CombiningKind::MAXIMUMF, found);
}

/// Writes all entries one by one and returns their sum.
Value QuantizedPacker::storeEntries(const Column &column, Value inverse) {
  int64_t pairing = layout.pairing();
  Value none = arith::ConstantIntOp::create(builder, loc, 0, 32);
  return loop(
      layout.steps() * pairing, 1, none,
      [&](Value k, ValueRange so) -> SmallVector<Value> {
        Value exists = is(Compare::ult, k, layout.inputs);
        auto choice = scf::IfOp::create(builder, loc, builder.getI32Type(),
                                        exists, /*withElseRegion=*/true);
        {
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPointToStart(choice.thenBlock());
          scf::YieldOp::create(
              builder, loc,
              quantize(builder, loc, loadOne(column, k), inverse));
          builder.setInsertionPointToStart(choice.elseBlock());
          scf::YieldOp::create(builder, loc, none);
        }
        Value entry = choice.getResult(0);
        Value step = div(k, pairing), place = rem(k, pairing);
        memref::StoreOp::create(
            builder, loc,
            arith::TruncIOp::create(builder, loc, builder.getI8Type(), entry),
            view,
            ValueRange{column.panel, step, column.vector,
                       add(mul(column.lane, pairing), place)});
        return {arith::AddIOp::create(builder, loc, so[0], entry)};
      })[0];
}

/// The same by blocks along K.
Value QuantizedPacker::storeBlocks(const Column &column, Value inverse) {
  int64_t pairing = layout.pairing();
  VectorType integers = blockOf(builder.getI32Type());
  Value inverses = vector::BroadcastOp::create(
      builder, loc, blockOf(builder.getF32Type()), inverse);
  auto store = [&](Value sums, Value k, int64_t count) -> Value {
    Value entries =
        quantize(builder, loc, loadBlock(column, k, count), inverses);
    Value bytes = arith::TruncIOp::create(
        builder, loc, blockOf(builder.getI8Type()), entries);
    Value first = div(k, pairing);
    int64_t steps = llvm::divideCeil(count, pairing);
    for (int64_t i = 0; i < steps; ++i) {
      Value step = vector::ExtractStridedSliceOp::create(
          builder, loc, bytes, ArrayRef<int64_t>{i * pairing},
          ArrayRef<int64_t>{pairing}, ArrayRef<int64_t>{1});
      vector::StoreOp::create(builder, loc, step, view,
                              ValueRange{column.panel, add(first, i),
                                         column.vector,
                                         mul(column.lane, pairing)});
    }
    return arith::AddIOp::create(builder, loc, sums, entries);
  };
  Value sums =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(integers));
  int64_t whole = layout.inputs / kBlock * kBlock;
  if (whole > 0)
    sums = loop(whole, kBlock, sums,
                [&](Value k, ValueRange so) -> SmallVector<Value> {
                  return {store(so[0], k, kBlock)};
                })[0];
  if (whole < layout.inputs)
    sums = store(sums, constant(whole), layout.inputs - whole);
  int64_t written = llvm::divideCeil(layout.inputs, pairing);
  if (written < layout.steps()) {
    auto type = VectorType::get({pairing}, builder.getI8Type());
    Value none =
        arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
    loop(layout.steps() - written, [&](Value i) {
      vector::StoreOp::create(builder, loc, none, view,
                              ValueRange{column.panel, add(i, written),
                                         column.vector,
                                         mul(column.lane, pairing)});
    });
  }
  return vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD,
                                     sums);
}

/// A number of 32 bits of the column, at `offset` in its panel.
void QuantizedPacker::storeTrailer(const Column &column, int64_t offset,
                                   Value number) {
  Value at = add(mul(column.panel, layout.panelBytes()), offset);
  Value place = add(mul(column.vector, layout.level.lanes), column.lane);
  Value bits = vector::FromElementsOp::create(
      builder, loc, VectorType::get({1}, number.getType()), number);
  Value bytes = vector::BitCastOp::create(
      builder, loc, VectorType::get({4}, builder.getI8Type()), bits);
  vector::StoreOp::create(builder, loc, bytes, packed, add(at, mul(place, 4)));
}

/// `count` weights from k on, wherever they lie; 0 in the other lanes.
Value QuantizedPacker::entriesOf(const Column &column, Value k, int64_t count) {
  if (isContiguous(column))
    return loadBlock(column, k, count);
  Value block = arith::ConstantOp::create(
      builder, loc, builder.getZeroAttr(blockOf(builder.getF32Type())));
  for (int64_t i = 0; i < count; ++i)
    block = vector::InsertOp::create(builder, loc, loadOne(column, add(k, i)),
                                     block, i);
  return block;
}

/// Of numbers that are quantised alike in either sign.
QuantizedPacker::GroupScale
QuantizedPacker::symmetricRangeOf(ValueRange parts) {
  Value most;
  for (Value numbers : parts) {
    Value largest = vector::ReductionOp::create(
        builder, loc, vector::CombiningKind::MAXIMUMF,
        math::AbsFOp::create(builder, loc, numbers));
    most =
        most ? arith::MaximumFOp::create(builder, loc, most, largest) : largest;
  }
  auto [scale, inverse] = groupScale(builder, loc, most, largestEntry());
  return {scale, inverse, Value()};
}

/// Of numbers from the smallest to the largest, 0 among them.
QuantizedPacker::GroupScale QuantizedPacker::rangeOf(ValueRange parts) {
  Value low = zero(), high = low;
  for (Value numbers : parts) {
    low = arith::MinimumFOp::create(
        builder, loc, low,
        vector::ReductionOp::create(builder, loc,
                                    vector::CombiningKind::MINIMUMF, numbers));
    high = arith::MaximumFOp::create(
        builder, loc, high,
        vector::ReductionOp::create(builder, loc,
                                    vector::CombiningKind::MAXIMUMF, numbers));
  }
  auto [scale, inverse] =
      groupScale(builder, loc, arith::SubFOp::create(builder, loc, high, low),
                 kNibbleSteps);
  return {scale, inverse, zeroPoint(builder, loc, low, inverse)};
}

/// A group of which `count` inputs exist. Returns scale * sum of its entries.
/// The zero point of 4 bits is 8, and stored only if the format has others.
Value QuantizedPacker::emitGroup(const Column &column, Value group,
                                 int64_t count) {
  int64_t pairing = layout.pairing(), half = PackedLayout::kGroup / 2;
  Type i32 = builder.getI32Type();
  Value k = mul(group, PackedLayout::kGroup);
  SmallVector<Value> halves = {
      entriesOf(column, k, std::min(count, half)),
      entriesOf(column, add(k, half), std::max<int64_t>(count - half, 0))};
  GroupScale range =
      layout.hasZeroPoints() ? rangeOf(halves) : symmetricRangeOf(halves);
  Value scale = range.scale;
  auto spread = [&](Value number) -> Value {
    return vector::BroadcastOp::create(builder, loc,
                                       blockOf(builder.getF32Type()), number);
  };
  Value inverses = spread(range.inverse), low, high;
  if (range.zeroPoint) {
    low = spread(arith::NegFOp::create(builder, loc, range.zeroPoint));
    high = spread(arith::SubFOp::create(
        builder, loc,
        arith::ConstantOp::create(builder, loc,
                                  builder.getF32FloatAttr(kNibbleSteps)),
        range.zeroPoint));
  }
  auto splat = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(blockOf(i32), builder.getI32IntegerAttr(value)));
  };
  Value first = add(mul(column.panel, layout.panelBytes()),
                    mul(group, layout.groupBytes()));
  Value place = add(mul(column.vector, layout.level.lanes), column.lane);
  /// Half a group's bytes, the first one that of input `from`.
  auto store = [&](Value entries, int64_t from) {
    Value bytes = arith::TruncIOp::create(
        builder, loc, blockOf(builder.getI8Type()), entries);
    int64_t lanes = layout.level.lanes;
    for (int64_t i = 0; i < half; i += pairing) {
      Value step = vector::ExtractStridedSliceOp::create(
          builder, loc, bytes, ArrayRef<int64_t>{i}, ArrayRef<int64_t>{pairing},
          ArrayRef<int64_t>{1});
      vector::StoreOp::create(
          builder, loc, step, packed,
          add(add(first, (from + i) * lanes),
              add(mul(column.vector, layout.groupEntryBytes() * lanes),
                  mul(column.lane, pairing))));
    }
  };
  Value zeroPoint, sum, nibbles;
  if (range.zeroPoint)
    zeroPoint = arith::FPToSIOp::create(builder, loc, i32, range.zeroPoint);
  for (auto [number, numbers] : llvm::enumerate(halves)) {
    Value entries =
        range.zeroPoint
            ? quantize(builder, loc, numbers, inverses, low, high)
            : quantize(builder, loc, numbers, inverses, largestEntry());
    Value part = vector::ReductionOp::create(
        builder, loc, vector::CombiningKind::ADD, entries);
    sum = sum ? arith::AddIOp::create(builder, loc, sum, part) : part;
    if (!layout.hasNibbles()) {
      store(entries, static_cast<int64_t>(number) * half);
      continue;
    }
    entries = arith::AddIOp::create(
        builder, loc, entries,
        zeroPoint
            ? vector::BroadcastOp::create(builder, loc, blockOf(i32), zeroPoint)
                  .getResult()
            : splat(8));
    if (number == 0)
      nibbles = entries;
    else
      nibbles = arith::OrIOp::create(
          builder, loc, nibbles,
          arith::ShLIOp::create(builder, loc, entries, splat(4)));
  }
  if (layout.hasNibbles())
    store(nibbles, 0);
  Value narrow = convertFloat(builder, loc, scale, builder.getBF16Type());
  Value bits = vector::FromElementsOp::create(
      builder, loc, VectorType::get({1}, builder.getBF16Type()), narrow);
  vector::StoreOp::create(
      builder, loc,
      vector::BitCastOp::create(
          builder, loc, VectorType::get({2}, builder.getI8Type()), bits),
      packed, add(add(first, layout.groupScalesOffset()), mul(place, 2)));
  if (zeroPoint)
    memref::StoreOp::create(
        builder, loc,
        arith::TruncIOp::create(builder, loc, builder.getI8Type(), zeroPoint),
        packed, add(add(first, layout.zeroPointsOffset()), place));
  return arith::MulFOp::create(
      builder, loc, scale,
      arith::SIToFPOp::create(builder, loc, builder.getF32Type(), sum));
}

void QuantizedPacker::emitGroups(const Column &column) {
  int64_t whole = layout.inputs / PackedLayout::kGroup;
  Value sum = zero();
  if (whole > 0)
    sum = loop(whole, 1, sum,
               [&](Value group, ValueRange so) -> SmallVector<Value> {
                 Value more = emitGroup(column, group, PackedLayout::kGroup);
                 return {arith::AddFOp::create(builder, loc, so[0], more)};
               })[0];
  if (int64_t rest = layout.inputs % PackedLayout::kGroup)
    sum = arith::AddFOp::create(builder, loc, sum,
                                emitGroup(column, constant(whole), rest));
  if (layout.level.int8Dot)
    storeTrailer(
        column, layout.sumsOffset(),
        arith::MulFOp::create(builder, loc, sum,
                              arith::ConstantOp::create(
                                  builder, loc, builder.getF32FloatAttr(128))));
}

void QuantizedPacker::emitColumn(const Column &column) {
  if (layout.hasGroups())
    return emitGroups(column);
  Value most = largest(column);
  Value inverse = inverseScale(builder, loc, most);
  Value sum = isContiguous(column) ? storeBlocks(column, inverse)
                                   : storeEntries(column, inverse);
  storeTrailer(column, layout.scalesOffset(), scaleOf(builder, loc, most));
  if (layout.level.int8Dot)
    storeTrailer(column, layout.sumsOffset(),
                 arith::MulIOp::create(
                     builder, loc, sum,
                     arith::ConstantIntOp::create(builder, loc, 128, 32)));
}

/// A column beyond the last: zeros.
void QuantizedPacker::emitNothing(const Column &column) {
  int64_t pairing = layout.pairing();
  Value none = arith::ConstantIntOp::create(builder, loc, 0, 8);
  if (layout.hasGroups()) {
    // Whatever the entries are: their scales are 0.
    Value first = mul(column.panel, layout.panelBytes());
    Value place = add(mul(column.vector, layout.level.lanes), column.lane);
    loop(layout.groups(), [&](Value group) {
      Value start = add(first, mul(group, layout.groupBytes()));
      for (int64_t i = 0; i < 2; ++i)
        memref::StoreOp::create(
            builder, loc, none, packed,
            add(add(start, layout.groupScalesOffset() + i), mul(place, 2)));
    });
    if (layout.level.int8Dot)
      storeTrailer(column, layout.sumsOffset(), zero());
    return;
  }
  loop(layout.steps(), [&](Value step) {
    for (int64_t entry = 0; entry < pairing; ++entry)
      memref::StoreOp::create(
          builder, loc, none, view,
          ValueRange{column.panel, step, column.vector,
                     add(mul(column.lane, pairing), entry)});
  });
  storeTrailer(column, layout.scalesOffset(), zero());
  if (layout.level.int8Dot)
    storeTrailer(column, layout.sumsOffset(), zero());
}

void QuantizedPacker::emitPanels(Value begin, Value end) {
  int64_t panels = layout.panels(), perWeight = layout.vectorsPerWeight();
  loop(begin, end, 1, [&](Value panel) {
    Value expert = div(panel, panels);
    Value first = mul(rem(panel, panels), layout.panelColumns());
    for (auto [w, source] : llvm::enumerate(sources))
      loop(perWeight, [&, w = w, source = source](Value j) {
        loop(layout.level.lanes, [&](Value lane) {
          Value number = add(add(first, mul(j, layout.level.lanes)), lane);
          Column column{source, expert, number, panel, add(j, w * perWeight),
                        lane};
          Value exists = is(Compare::ult, number, layout.outputs);
          auto choice = scf::IfOp::create(builder, loc, exists,
                                          /*withElseRegion=*/true);
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPointToStart(choice.thenBlock());
          emitColumn(column);
          builder.setInsertionPointToStart(choice.elseBlock());
          emitNothing(column);
        });
      });
  });
}

void emitQuantizedPack(OpBuilder &builder, Location loc,
                       const PackedLayout &layout, ValueRange sources,
                       bool inOut, Value packed, Value begin, Value end) {
  QuantizedPacker(builder, loc, layout, sources, inOut, packed)
      .emitPanels(begin, end);
}

} // namespace moe::cpu
