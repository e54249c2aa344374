// When a storage holds something: what lives between different barriers may
// share memory, so a chain of layers needs no more than its largest layer.

#include "codegen/cpu/Scheduler.h"

#include <limits>
#include <tuple>

using namespace mlir;

namespace moe::cpu {

/// Decides which barriers are needed and which tensors need only a row.
void Scheduler::placeBarriers() {
  std::vector<bool> local(result.allStorages.size(), true);
  std::vector<int> newest(result.allPhases.size(), -1);
  for (const Read &read : reads) {
    int made = producers[read.storage];
    if (made != static_cast<int>(read.phase)) {
      newest[read.phase] = std::max(newest[read.phase], made);
      local[read.storage] = false;
    } else if (read.reach != Reach::Row ||
               result.allPhases[made].kind != Phase::Kind::Rows) {
      local[read.storage] = false;
    }
  }
  int lastBarrier = 0;
  for (auto [number, phase] : llvm::enumerate(result.allPhases)) {
    phase.barrierBefore = newest[number] >= lastBarrier;
    if (phase.barrierBefore)
      lastBarrier = number;
  }
  for (auto [number, storage] : llvm::enumerate(result.allStorages))
    if (storage.kind == Storage::Kind::Workspace && local[number] &&
        producers[number] >= 0 &&
        result.allPhases[producers[number]].kind == Phase::Kind::Rows)
      storage.kind = Storage::Kind::Scratch;
}

std::vector<Scheduler::Lifetime> Scheduler::lifetimes() const {
  constexpr int never = std::numeric_limits<int>::max();
  std::vector<Lifetime> result(producers.size(), {never, -1});
  int barriers = 0;
  std::vector<int> barriersBefore;
  for (const Phase &phase : this->result.allPhases)
    barriersBefore.push_back(barriers += phase.barrierBefore);
  auto touch = [&](unsigned storage, unsigned phase) {
    Lifetime &life = result[storage];
    life.begin = std::min(life.begin, barriersBefore[phase]);
    life.end = std::max(life.end, barriersBefore[phase]);
  };
  for (auto [storage, phase] : llvm::enumerate(producers))
    if (phase >= 0)
      touch(storage, phase);
  for (const Read &read : reads)
    touch(read.storage, read.phase);
  for (auto [number, phase] : llvm::enumerate(this->result.allPhases)) {
    // The number of grouped rows is read from the offsets of their plan.
    auto countRows = [&, number = number](Extent rows) {
      if (rows.kind == Extent::Kind::Grouped)
        touch(this->result.layout(extents.plan(rows).getOffsets()).storage,
              number);
    };
    auto countRowsOf = [&](Value value) {
      if (isa<RankedTensorType>(value.getType()))
        countRows(extents.of(value));
    };
    countRows(phase.rows);
    for (const Step &step : phase.steps) {
      if (step.kind != Step::Kind::Compute) {
        countRowsOf(step.value);
        continue;
      }
      step.op->walk([&](Operation *op) {
        llvm::for_each(op->getOperands(), countRowsOf);
        llvm::for_each(op->getResults(), countRowsOf);
      });
      auto [first, last] = inLoop.lookup(step.op);
      for (unsigned storage = first; storage < last; ++storage)
        touch(storage, number);
    }
  }
  for (Lifetime &life : result)
    if (life.end < 0) // nobody says when
      life = {0, never};
  return result;
}

/// Large storages choose first, so that a place never grows: each takes the
/// first place whose other users live at other times. Sizes compare only if the
/// same input makes them grow.
void Scheduler::shareWorkspace() {
  std::vector<Lifetime> lives = lifetimes();
  struct Wish {
    Place place;
    unsigned storage;
  };
  SmallVector<Wish> wishes;
  for (auto [number, storage] : llvm::enumerate(result.allStorages)) {
    if (storage.kind != Storage::Kind::Workspace)
      continue;
    Place place{result.bound(storage.rows), storage.rowBytes()};
    place.rowBytes *= place.rows.factor * storage.copies;
    place.rowBytes = (place.rowBytes - 1) / place.rows.divisor + 1;
    place.rows.factor = place.rows.divisor = 1;
    wishes.push_back({place, static_cast<unsigned>(number)});
  }
  auto rank = [&](const Wish &wish) {
    return std::tuple(-wish.place.rowBytes, lives[wish.storage].begin,
                      wish.storage);
  };
  llvm::sort(wishes,
             [&](const Wish &a, const Wish &b) { return rank(a) < rank(b); });
  SmallVector<SmallVector<Lifetime>> users;
  for (const Wish &wish : wishes) {
    Lifetime life = lives[wish.storage];
    auto isFree = [&](size_t place) {
      return llvm::none_of(users[place], [&](Lifetime other) {
        return life.begin <= other.end && other.begin <= life.end;
      });
    };
    size_t place = 0;
    while (place < users.size() &&
           !(result.allPlaces[place].rows == wish.place.rows && isFree(place)))
      ++place;
    if (place == users.size()) {
      result.allPlaces.push_back(wish.place);
      users.emplace_back();
    }
    users[place].push_back(life);
    result.allStorages[wish.storage].place = place;
  }
}

void Scheduler::finish() {
  placeBarriers();
  shareWorkspace();
}

} // namespace moe::cpu
