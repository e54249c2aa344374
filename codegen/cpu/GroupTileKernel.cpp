// Tiles of weights with scales of groups: the integer sums of a group of 32
// inputs are scaled and added to f32 sums, which stay in registers.

#include "codegen/cpu/TileKernel.h"

#include "codegen/cpu/Dot.h"
#include "codegen/cpu/PackedGroup.h"
#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {

class GroupTileEmitter : IndexBuilder {
public:
  GroupTileEmitter(OpBuilder &builder, Location loc, const PackedLayout &layout,
                   Value a, ValueRange rows, Value packed, ValueRange panels)
      : IndexBuilder{builder, loc}, layout(layout), a(a), rows(rows),
        packed(packed), panels(panels), lanes(layout.level.lanes),
        pairing(layout.pairing()) {}

  SmallVector<Value> emit(const Prefetch &prefetch, const KPart *part);

private:
  VectorType vectorOf(int64_t count, Type element) {
    return VectorType::get({count}, element);
  }
  /// Bytes as the factors of a dot product.
  Value factors(Value entries) {
    if (layout.level.int8Dot)
      return entries;
    auto type = cast<VectorType>(entries.getType());
    return arith::ExtSIOp::create(builder, loc,
                                  type.clone(builder.getI16Type()), entries);
  }
  std::pair<Value, Value> unpack(Value bytes, Value zeroPoints);
  void emitVector(Value start, Value k, int64_t vector,
                  MutableArrayRef<Value> sums, bool ahead);
  void emitPrefetch(Value start, int64_t begin, int64_t end);

  const PackedLayout &layout;
  Value a;
  ValueRange rows;
  Value packed;
  ValueRange panels;
  const int64_t lanes, pairing;
};

} // namespace

/// The entries in the low and in the high halves of bytes. `zeroPoints`: null
/// for 8.
std::pair<Value, Value> GroupTileEmitter::unpack(Value bytes,
                                                 Value zeroPoints) {
  auto type = cast<VectorType>(bytes.getType());
  // Shifts exist for 16 bits and more: what comes from the neighbour is masked.
  auto wide = vectorOf(type.getDimSize(0) / 2, builder.getI16Type());
  auto splat = [&](VectorType type, int64_t value) -> Value {
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(
            type, builder.getIntegerAttr(type.getElementType(), value)));
  };
  auto centre = [&](Value nibbles) -> Value {
    Value low = arith::AndIOp::create(builder, loc, nibbles, splat(type, 0x0f));
    return factors(arith::SubIOp::create(
        builder, loc, low, zeroPoints ? zeroPoints : splat(type, 8)));
  };
  Value shifted = arith::ShRUIOp::create(
      builder, loc, vector::BitCastOp::create(builder, loc, wide, bytes),
      splat(wide, 4));
  return {centre(bytes),
          centre(vector::BitCastOp::create(builder, loc, type, shifted))};
}

/// Asks for the cache lines that begin in bytes [begin, end) of the group at
/// `start`, so far ahead that they arrive in time.
void GroupTileEmitter::emitPrefetch(Value start, int64_t begin, int64_t end) {
  constexpr int64_t kLine = 64;
  for (int64_t line = llvm::divideCeil(begin, kLine) * kLine; line < end;
       line += kLine)
    memref::PrefetchOp::create(
        builder, loc, packed, add(start, layout.level.groupsAhead.bytes + line),
        /*isWrite=*/false, layout.level.groupsAhead.locality,
        /*isDataCache=*/true);
}

/// Adds one group of one vector of columns to the sums of all rows. `ahead`:
/// while asking for an equal share of a later group.
void GroupTileEmitter::emitVector(Value start, Value k, int64_t vector,
                                  MutableArrayRef<Value> sums, bool ahead) {
  Type f32 = builder.getF32Type();
  auto integers = vectorOf(lanes, builder.getI32Type());
  int64_t inputs = layout.groupEntryBytes(), bytes = lanes * pairing;
  PackedGroup group{*this, layout, packed, start, vector};
  Value none =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(integers));
  SmallVector<Value> inner(rows.size(), none);
  Value zeroPoints;
  if (layout.hasZeroPoints()) {
    Value each = group.zeroPoints();
    SmallVector<int64_t> repeat;
    for (int64_t i = 0; i < bytes; ++i)
      repeat.push_back(i / pairing);
    zeroPoints = vector::ShuffleOp::create(builder, loc, each, each, repeat);
  }
  for (int64_t i = 0; i < inputs; i += pairing) {
    // Without order LLVM loads and unpacks the whole group first and spills.
    if (layout.level.emulated)
      emitFence(builder, loc);
    else
      emitFence(builder, loc, inner);
    if (ahead) {
      int64_t parts = layout.vectors() * inputs;
      int64_t part = vector * inputs + i, size = layout.groupBytes();
      emitPrefetch(start, size * part / parts, size * (part + pairing) / parts);
    }
    Value entries = group.entries(i);
    auto multiply = [&](Value from, Value weights) {
      for (auto [row, sum] : llvm::zip_equal(rows, inner))
        sum = emitDot(
            builder, loc, layout.level, chooseFamily(layout, a.getType()), sum,
            broadcastEntries(builder, loc, a, row, from, lanes), weights);
    };
    Value from = add(k, i);
    if (!layout.hasNibbles()) {
      multiply(from, factors(entries));
      continue;
    }
    auto [low, high] = unpack(entries, zeroPoints);
    multiply(from, low);
    multiply(add(from, inputs), high);
  }
  Value scales = group.scales();
  for (auto [sum, more] : llvm::zip_equal(sums, inner))
    sum = vector::FMAOp::create(
        builder, loc,
        arith::SIToFPOp::create(builder, loc, vectorOf(lanes, f32), more),
        scales, sum);
}

SmallVector<Value> GroupTileEmitter::emit(const Prefetch &prefetch,
                                          const KPart *part) {
  int64_t vectors = layout.vectors(), height = rows.size();
  auto type = vectorOf(lanes, builder.getF32Type());
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  SmallVector<Value> starts, initial(panels.size() * height * vectors, zero);
  for (Value panel : panels)
    starts.push_back(mul(panel, layout.panelBytes()));
  static_assert(kPartUnit % PackedLayout::kGroup == 0);
  Value first = constant(0), last = constant(layout.groups());
  if (part) {
    Value group = constant(PackedLayout::kGroup);
    first = div(part->begin, group);
    last = arith::MinUIOp::create(
        builder, loc, last,
        arith::CeilDivUIOp::create(builder, loc, part->end, group));
    initial = part->sums;
  }
  auto loop = scf::ForOp::create(
      builder, loc, first, last, constant(1), initial,
      [&](OpBuilder &, Location, Value group, ValueRange carried) {
        SmallVector<Value> sums(carried);
        Value k = mul(group, PackedLayout::kGroup);
        Value offset = mul(group, layout.groupBytes());
        for (auto [panel, start] : llvm::enumerate(starts))
          for (int64_t vector = 0; vector < vectors; ++vector) {
            SmallVector<Value> own;
            auto at = [&, panel = static_cast<int64_t>(panel)](int64_t row) {
              return (panel * height + row) * vectors + vector;
            };
            for (int64_t row = 0; row < height; ++row)
              own.push_back(sums[at(row)]);
            emitVector(add(start, offset), k, vector, own,
                       prefetch.stream && layout.level.groupsAhead.bytes > 0);
            for (int64_t row = 0; row < height; ++row)
              sums[at(row)] = own[row];
          }
        scf::YieldOp::create(builder, loc, sums);
      });
  return SmallVector<Value>(loop.getResults());
}

SmallVector<Value>
emitGroupTileSums(OpBuilder &builder, Location loc, const PackedLayout &layout,
                  Value a, ValueRange rows, Value packed, ValueRange panels,
                  const Prefetch &prefetch, const KPart *part) {
  return GroupTileEmitter(builder, loc, layout, a, rows, packed, panels)
      .emit(prefetch, part);
}

} // namespace moe::cpu
