// Partial vectors as a few shorter, unmasked accesses: tails are rare, and
// short accesses exist for every element type on every level.

#include "codegen/cpu/VectorAccess.h"

#include "codegen/cpu/Indices.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <algorithm>

using namespace mlir;

namespace moe::cpu {

/// Calls `piece(first, size)` for powers of two that add up to `lanes`.
static void forEachPiece(int64_t lanes, int64_t width,
                         llvm::function_ref<void(int64_t, int64_t)> piece) {
  int64_t first = 0;
  for (int64_t size = width; size > 0; size /= 2)
    if (lanes - first >= size) {
      piece(first, size);
      first += size;
    }
}

static SmallVector<Value> advanceLast(OpBuilder &builder, Location loc,
                                      ValueRange indices, int64_t by) {
  SmallVector<Value> result(indices);
  result.back() = IndexBuilder{builder, loc}.add(result.back(), by);
  return result;
}

static int64_t floorPowerOfTwo(int64_t value) {
  int64_t power = 1;
  while (power * 2 <= value)
    power *= 2;
  return power;
}

Value loadLanes(OpBuilder &builder, Location loc, VectorType type, Value memref,
                ValueRange indices, int64_t lanes) {
  assert(lanes >= 0 && lanes <= type.getNumElements() &&
         "lanes outside vector");
  if (lanes == type.getNumElements())
    return vector::LoadOp::create(builder, loc, type, memref, indices);
  Value result =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  forEachPiece(lanes, floorPowerOfTwo(type.getNumElements()),
               [&](int64_t first, int64_t size) {
                 Value piece = vector::LoadOp::create(
                     builder, loc,
                     VectorType::get({size}, type.getElementType()), memref,
                     advanceLast(builder, loc, indices, first));
                 result = vector::InsertStridedSliceOp::create(
                     builder, loc, piece, result, ArrayRef<int64_t>{first},
                     ArrayRef<int64_t>{1});
               });
  return result;
}

void storeLanes(OpBuilder &builder, Location loc, Value vector, Value memref,
                ValueRange indices, int64_t lanes) {
  int64_t width = cast<VectorType>(vector.getType()).getNumElements();
  assert(lanes >= 0 && lanes <= width && "lanes outside vector");
  if (lanes == width) {
    vector::StoreOp::create(builder, loc, vector, memref, indices);
    return;
  }
  forEachPiece(lanes, floorPowerOfTwo(width), [&](int64_t first, int64_t size) {
    Value piece = vector::ExtractStridedSliceOp::create(
        builder, loc, vector, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{size},
        ArrayRef<int64_t>{1});
    vector::StoreOp::create(builder, loc, piece, memref,
                            advanceLast(builder, loc, indices, first));
  });
}

Value convertFloat(OpBuilder &builder, Location loc, Value value,
                   Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  auto typeOf = [&](Type scalar) -> Type {
    auto vector = dyn_cast<VectorType>(value.getType());
    return vector ? Type(vector.cloneWith(std::nullopt, scalar)) : scalar;
  };
  // f16 and bf16 meet in f32: neither contains the other.
  if (from.getIntOrFloatBitWidth() < 32)
    value = arith::ExtFOp::create(builder, loc, typeOf(builder.getF32Type()),
                                  value);
  if (element.getIntOrFloatBitWidth() < 32)
    value = arith::TruncFOp::create(builder, loc, typeOf(element), value);
  return value;
}

} // namespace moe::cpu
