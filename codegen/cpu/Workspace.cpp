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

Workspace layOutWorkspace(Frame &f) {
  Workspace result;
  int64_t counters = f.schedule.phases().size() * kAlignment;
  Value end = f.constant(counters);
  SmallVector<Value> places;
  for (const Place &place : f.schedule.places()) {
    places.push_back(end);
    Value bytes = f.mul(f.extent(place.rows), place.rowBytes);
    Value lines = f.div(f.add(bytes, kAlignment - 1), f.constant(kAlignment));
    end = f.add(end, f.mul(lines, kAlignment));
  }
  for (auto [number, storage] : llvm::enumerate(f.schedule.storages())) {
    if (storage.kind == Storage::Kind::Scratch) {
      result.scratchOffsets[number] = result.scratchBytes;
      result.scratchBytes += aligned(storage.rowBytes());
    } else if (storage.kind == Storage::Kind::Workspace) {
      result.offsets[number] = places[storage.place];
    }
  }
  result.scratch = end;
  result.bytes = f.add(end, f.mul(f.threads, result.scratchBytes));
  return result;
}

} // namespace moe::cpu
