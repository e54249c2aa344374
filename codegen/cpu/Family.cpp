// The choice of a family, see Family.h.

#include "codegen/cpu/Family.h"

using namespace mlir;

namespace moe::cpu {

Family chooseFamily(const PackedLayout &layout, Type a) {
  if (layout.isQuantized())
    return layout.level.int8Dot ? Family::Int8Dot : Family::Int16Dot;
  Type rows = getElementTypeOrSelf(a);
  bool dot = layout.level.bf16Dot && rows.isBF16() && layout.element.isBF16();
  return dot ? Family::Bf16Dot : Family::Fma;
}

} // namespace moe::cpu
