// See PackedGroup.h.

#include "codegen/cpu/PackedGroup.h"

#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

Value PackedGroup::bytes(int64_t offset, int64_t count) const {
  return vector::LoadOp::create(builder, loc,
                                VectorType::get({count}, builder.getI8Type()),
                                packed, add(start, offset));
}

Value PackedGroup::entries(int64_t k) const {
  int64_t lanes = layout.level.lanes;
  return bytes((vector * layout.groupEntryBytes() + k) * lanes,
               layout.pairing() * lanes);
}

Value PackedGroup::scales() const {
  int64_t lanes = layout.level.lanes;
  Value stored =
      bytes(layout.groupScalesOffset() + vector * lanes * 2, 2 * lanes);
  stored = vector::BitCastOp::create(
      builder, loc, VectorType::get({lanes}, builder.getBF16Type()), stored);
  return convertFloat(builder, loc, stored, builder.getF32Type());
}

Value PackedGroup::zeroPoints() const {
  int64_t lanes = layout.level.lanes;
  return bytes(layout.zeroPointsOffset() + vector * lanes, lanes);
}

} // namespace moe::cpu
