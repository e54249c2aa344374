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

int64_t countersInMemory(const Schedule &schedule) {
  return schedule.counters() + (schedule.packs() ? 1 : 0);
}

Workspace layOutWorkspace(Frame &f) {
  Workspace result;
  Value end = f.mul(f.nodes, countersInMemory(f.schedule) * kAlignment);
  SmallVector<Value> places;
  auto alignedRows = [&](Extent rows, int64_t rowBytes, int64_t more = 0) {
    Value bytes = f.add(f.mul(f.extent(rows), rowBytes), more);
    Value lines = f.div(f.add(bytes, kAlignment - 1), f.constant(kAlignment));
    return f.mul(lines, kAlignment);
  };
  for (const Place &place : f.schedule.places()) {
    places.push_back(end);
    end = f.add(end, alignedRows(place.rows, place.rowBytes, place.moreBytes));
  }
  result.scratchBytes = f.constant(0);
  for (auto [number, storage] : llvm::enumerate(f.schedule.storages())) {
    if (storage.kind == Storage::Kind::Scratch) {
      result.scratchOffsets[number] = result.scratchBytes;
      result.scratchBytes =
          f.add(result.scratchBytes, aligned(storage.rowBytes()));
    } else if (storage.kind == Storage::Kind::Private) {
      result.scratchOffsets[number] = result.scratchBytes;
      Extent rows = f.schedule.extents().bound(storage.rows);
      result.scratchBytes =
          f.add(result.scratchBytes, alignedRows(rows, storage.rowBytes()));
    } else if (storage.kind == Storage::Kind::Workspace) {
      result.offsets[number] = places[storage.place];
    }
  }
  result.scratch = end;
  result.bytes = f.add(end, f.mul(f.threads, result.scratchBytes));
  return result;
}

} // namespace moe::cpu
