// See PackedGroup.h.

#include "codegen/cpu/PackedGroup.h"

#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

Value PackedGroup::bytes(OpBuilder &builder, Location loc, int64_t offset,
                         int64_t count) const {
  Value at = arith::AddIOp::create(
      builder, loc, start,
      arith::ConstantIndexOp::create(builder, loc, offset));
  return vector::LoadOp::create(
      builder, loc, VectorType::get({count}, builder.getI8Type()), packed, at);
}

Value PackedGroup::entries(OpBuilder &builder, Location loc, int64_t k) const {
  constexpr int64_t kHalf = PackedLayout::kGroup / 2;
  int64_t lanes = layout.level.lanes;
  return bytes(builder, loc, (vector * kHalf + k) * lanes,
               layout.pairing() * lanes);
}

Value PackedGroup::scales(OpBuilder &builder, Location loc) const {
  int64_t lanes = layout.level.lanes;
  Value stored = bytes(
      builder, loc, layout.groupScalesOffset() + vector * lanes * 2, 2 * lanes);
  stored = vector::BitCastOp::create(
      builder, loc, VectorType::get({lanes}, builder.getBF16Type()), stored);
  return convertFloat(builder, loc, stored, builder.getF32Type());
}

Value PackedGroup::zeroPoints(OpBuilder &builder, Location loc) const {
  int64_t lanes = layout.level.lanes;
  return bytes(builder, loc, layout.zeroPointsOffset() + vector * lanes, lanes);
}

} // namespace moe::cpu
