// Panels of weights with scales of groups as tiles of bf16: two inputs of a
// column side by side in 32 bits, which is what tdpbf16ps wants, from the bytes
// that hold four of them, or eight of 4 bits.

#include "codegen/cpu/MatrixTiles.h"

#include "codegen/cpu/PackedGroup.h"
#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <bit>

using namespace mlir;

namespace moe::cpu {

namespace {

class GroupUnpacker : IndexBuilder {
public:
  GroupUnpacker(OpBuilder &builder, Location loc, const PackedLayout &layout,
                Value packed, Value view)
      : IndexBuilder{builder, loc}, layout(layout), packed(packed), view(view),
        lanes(layout.level.lanes),
        floats(VectorType::get({lanes}, builder.getF32Type())),
        integers(floats.clone(builder.getI32Type())) {}

  /// The vector `vector` of the group that begins at byte `start`, to the steps
  /// from `step` on.
  void emit(Value start, int64_t vector, Value step);

private:
  Value splat(VectorType type, int64_t value) {
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(
            type, builder.getIntegerAttr(type.getElementType(), value)));
  }
  Value shiftRight(Value bits, int64_t by) {
    return arith::ShRUIOp::create(builder, loc, bits, splat(integers, by));
  }
  Value nibble(Value words, int64_t shift);
  Value byte(Value words, int64_t shift);
  Value pair(Value first, Value second);

  const PackedLayout &layout;
  Value packed, view;
  const int64_t lanes;
  VectorType floats, integers;
  Value scales;
  /// Of 4 bits: a weight is (128 + entry) * scales + least, exactly.
  Value least;
};

} // namespace

/// The weight of the half byte `shift` bits up in every lane. In the bits of
/// the f32 128 those from 16 up count ones, so no conversion is needed.
Value GroupUnpacker::nibble(Value words, int64_t shift) {
  constexpr int64_t kOnes = 16;
  Value there = words;
  if (shift > kOnes)
    there = shiftRight(words, shift - kOnes);
  else if (shift < kOnes)
    there = arith::ShLIOp::create(builder, loc, words,
                                  splat(integers, kOnes - shift));
  Value entry =
      arith::AndIOp::create(builder, loc, there, splat(integers, 15 << kOnes));
  entry = arith::OrIOp::create(builder, loc, entry,
                               splat(integers, std::bit_cast<int32_t>(128.0f)));
  Value value = vector::FMAOp::create(
      builder, loc, arith::BitcastOp::create(builder, loc, floats, entry),
      scales, least);
  return convertFloat(builder, loc, value, builder.getBF16Type());
}

/// The weight of the byte `shift` bits up in every lane.
Value GroupUnpacker::byte(Value words, int64_t shift) {
  Value entry =
      arith::ShLIOp::create(builder, loc, words, splat(integers, 24 - shift));
  entry = arith::ShRSIOp::create(builder, loc, entry, splat(integers, 24));
  Value value = arith::MulFOp::create(
      builder, loc, arith::SIToFPOp::create(builder, loc, floats, entry),
      scales);
  return convertFloat(builder, loc, value, builder.getBF16Type());
}

Value GroupUnpacker::pair(Value first, Value second) {
  auto bits = [&](Value value) -> Value {
    value = vector::BitCastOp::create(
        builder, loc, integers.clone(builder.getI16Type()), value);
    return arith::ExtUIOp::create(builder, loc, integers, value);
  };
  Value high =
      arith::ShLIOp::create(builder, loc, bits(second), splat(integers, 16));
  Value both = arith::OrIOp::create(builder, loc, bits(first), high);
  return vector::BitCastOp::create(
      builder, loc, VectorType::get({2 * lanes}, builder.getBF16Type()), both);
}

void GroupUnpacker::emit(Value start, int64_t vector, Value step) {
  constexpr int64_t kHalf = PackedLayout::kGroup / 2;
  int64_t pairing = layout.pairing();
  assert(pairing == 4 && "levels with tiles have dot products of four bytes");
  PackedGroup group{*this, layout, packed, start, vector};
  scales = group.scales();
  auto store = [&](Value first, Value second, int64_t k) {
    vector::StoreOp::create(builder, loc, pair(first, second), view,
                            ValueRange{constant(0), add(step, k / 2),
                                       constant(vector), constant(0)});
  };
  auto wordsOf = [&](int64_t k) -> Value {
    return vector::BitCastOp::create(builder, loc, integers, group.entries(k));
  };
  if (!layout.hasNibbles()) {
    for (int64_t k = 0; k < PackedLayout::kGroup; k += pairing) {
      Value words = wordsOf(k);
      for (int64_t i = 0; i < pairing; i += 2)
        store(byte(words, 8 * i), byte(words, 8 * (i + 1)), k + i);
    }
    return;
  }
  Value zero = splat(integers, 8);
  if (layout.hasZeroPoints())
    zero = arith::ExtUIOp::create(builder, loc, integers, group.zeroPoints());
  zero = arith::AddIOp::create(builder, loc, zero, splat(integers, 128));
  least = arith::NegFOp::create(
      builder, loc,
      arith::MulFOp::create(builder, loc,
                            arith::SIToFPOp::create(builder, loc, floats, zero),
                            scales));
  for (int64_t k = 0; k < kHalf; k += pairing) {
    Value words = wordsOf(k);
    for (int64_t half : {0, 1})
      for (int64_t i = 0; i < pairing; i += 2)
        store(nibble(words, 8 * i + 4 * half),
              nibble(words, 8 * (i + 1) + 4 * half), half * kHalf + k + i);
  }
}

void emitUnpackPanel(OpBuilder &builder, Location loc,
                     const PackedLayout &layout, Value packed, Value panel,
                     Value begin, Value end, Value view) {
  constexpr int64_t kSteps = PackedLayout::kTileSteps;
  static_assert(PackedLayout::kGroup == 2 * kSteps);
  IndexBuilder b{builder, loc};
  b.loop(begin, end, kSteps, [&](Value step) {
    Value start = b.add(b.mul(panel, layout.panelBytes()),
                        b.mul(b.div(step, kSteps), layout.groupBytes()));
    Value to = b.sub(step, begin);
    GroupUnpacker unpacker(builder, loc, layout, packed, view);
    for (int64_t vector = 0; vector < layout.vectors(); ++vector)
      unpacker.emit(start, vector, to);
  });
}

} // namespace moe::cpu
