// Sizes depend on the inputs' sizes alone: grouped rows are counted by their
// bound, all slots of all tokens.

#include "codegen/cpu/Workspace.h"

#include "runtime/Abi.h"

using namespace mlir;

namespace moe::cpu {

static constexpr int64_t kAlignment = MOERT_ALIGNMENT;

static int64_t aligned(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// The most rows that an extent can have.
static Value bound(Frame &f, Extent rows) {
  if (rows.kind != Extent::Kind::Grouped)
    return f.extent(rows);
  grouped::PlanOp plan = f.schedule.extents().plan(rows);
  Value tokens = bound(f, f.schedule.extents().of(plan.getIds()));
  int64_t choices = plan.getIds().getType().getDimSize(1);
  return f.mul(tokens, choices * rows.factor);
}

Workspace layOutWorkspace(Frame &f) {
  Workspace result;
  int64_t counters = f.schedule.phases().size() * kAlignment;
  Value end = f.constant(counters);
  for (auto [number, storage] : llvm::enumerate(f.schedule.storages())) {
    int64_t rowBytes = storage.rowStride;
    if (storage.element)
      rowBytes *= elementBytes(storage.element);
    if (storage.kind == Storage::Kind::Scratch) {
      result.scratchOffsets[number] = result.scratchBytes;
      result.scratchBytes += aligned(rowBytes);
    } else if (storage.kind == Storage::Kind::Workspace) {
      result.offsets[number] = end;
      Value bytes = f.mul(bound(f, storage.rows), rowBytes * storage.copies);
      Value lines = f.div(f.add(bytes, kAlignment - 1), f.constant(kAlignment));
      end = f.add(end, f.mul(lines, kAlignment));
    }
  }
  result.scratch = end;
  result.bytes = f.add(end, f.mul(f.threads, result.scratchBytes));
  return result;
}

} // namespace moe::cpu
