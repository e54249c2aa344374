// See PackedLayout.h.

#include "codegen/cpu/PackedLayout.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace moe::cpu {

int64_t PackedLayout::vectors() const {
  int64_t wanted = hasTiles() ? 2 : level.panelVectors;
  return std::max<int64_t>(1, wanted / weights) * weights;
}

int64_t PackedLayout::panels() const {
  return llvm::divideCeil(outputs, panelColumns());
}

int64_t PackedLayout::maxRows() const {
  if (!hasGroups())
    return level.maxRows(vectors());
  // A third of the registers of sums is free beside them. A row has f32 sums
  // and one vector of i32 sums; 7 registers hold weights and constants.
  return std::max<int64_t>(1,
                           (level.accumulators * 4 / 3 - 7) / (vectors() + 1));
}

int64_t PackedLayout::pairing() const {
  if (isQuantized())
    return level.int8Dot ? 4 : 2;
  return element.isBF16() ? 2 : 1;
}

int64_t PackedLayout::steps() const {
  int64_t used = llvm::divideCeil(inputs, pairing());
  return hasTiles() ? llvm::alignTo(used, kTileSteps) : used;
}

int64_t PackedLayout::stepBytes() const {
  return vectors() * level.lanes * pairing() *
         (element.getIntOrFloatBitWidth() / 8);
}

int64_t PackedLayout::scalesOffset() const { return steps() * stepBytes(); }

int64_t PackedLayout::sumsOffset() const {
  return hasGroups() ? groups() * groupBytes() : scalesOffset() + 4 * columns();
}

int64_t PackedLayout::panelBytes() const {
  if (!isQuantized())
    return scalesOffset();
  return sumsOffset() + (level.int8Dot ? 4 * columns() : 0);
}

MemRefType PackedLayout::viewType() const {
  // Scales and sums fill whole steps.
  return MemRefType::get({experts * panels(), panelBytes() / stepBytes(),
                          vectors(), level.lanes * pairing()},
                         element);
}

} // namespace moe::cpu
