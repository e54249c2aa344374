// When a storage holds something: what lives between different barriers may
// share memory, so a chain of layers needs no more than its largest layer.

#include "codegen/cpu/Scheduler.h"

#include <limits>
#include <tuple>

using namespace mlir;

namespace moe::cpu {

/// Decides which barriers are needed and which tensors need more than a row.
void Scheduler::placeBarriers(unsigned sequence, std::vector<bool> &local) {
  std::vector<Phase> &phases = result.sequences[sequence];
  std::vector<int> newest(phases.size(), -1);
  for (const Read &read : records[sequence].reads) {
    newest[read.phase] =
        std::max(newest[read.phase],
                 read.made == static_cast<int>(read.phase) ? -1 : read.made);
    if (read.made != static_cast<int>(read.phase) || read.reach != Reach::Row ||
        phases[read.phase].kind != Phase::Kind::Rows)
      local[read.storage] = false;
  }
  int lastBarrier = 0;
  for (auto [number, phase] : llvm::enumerate(phases)) {
    bool flow = phase.kind == Phase::Kind::Flow; // has one before and behind it
    phase.barrierBefore = flow || newest[number] >= lastBarrier;
    if (phase.barrierBefore)
      lastBarrier = number + flow;
  }
}

/// Counts barriers in the order of the text, and what is touched between them.
/// A body of a loop counts once: nothing but what outlives an iteration reaches
/// from one into the next, and that lives as long as the whole loop.
class Scheduler::Clock {
public:
  explicit Clock(const Scheduler &scheduler)
      : s(scheduler), lives(s.producers.size(), {never, -1}) {}

  static constexpr int never = std::numeric_limits<int>::max();

  /// Returns the storages of sequences around this one that it touches.
  llvm::SetVector<unsigned> run(unsigned sequence) {
    const std::vector<Phase> &phases = s.result.sequences[sequence];
    std::vector<llvm::SetVector<unsigned>> touched(phases.size());
    for (const Read &read : s.records[sequence].reads)
      touched[read.phase].insert(read.storage);
    for (const Write &write : s.records[sequence].writes)
      touched[write.phase].insert(write.storage);
    llvm::SetVector<unsigned> outside;
    for (auto [phase, storages] : llvm::zip_equal(phases, touched)) {
      addImplicit(phase, storages);
      now += phase.barrierBefore;
      int begin = now;
      for (unsigned body : phase.bodies) {
        storages.insert_range(run(body));
        ++now;
      }
      for (unsigned storage : storages) {
        lives[storage].begin = std::min(lives[storage].begin, begin);
        lives[storage].end = std::max(lives[storage].end, now);
        const Producer &producer = s.producers[storage];
        if (producer.phase >= 0 && producer.sequence != sequence)
          outside.insert(storage);
      }
    }
    return outside;
  }

  const Scheduler &s;
  std::vector<Lifetime> lives;

private:
  /// What a phase reads to count rows, and the storages of its inner steps.
  void addImplicit(const Phase &phase, llvm::SetVector<unsigned> &storages) {
    auto countRows = [&](Extent rows) {
      if (rows.kind == Extent::Kind::Grouped)
        storages.insert(
            s.result.layout(s.extents.plan(rows).getOffsets()).storage);
    };
    auto countRowsOf = [&](Value value) {
      if (isa<RankedTensorType>(value.getType()))
        countRows(s.extents.of(value));
    };
    countRows(phase.rows);
    for (const Step &step : phase.steps) {
      if (step.kind != Step::Kind::Compute) {
        countRowsOf(step.value);
        continue;
      }
      if (phase.kind == Phase::Kind::Flow)
        continue; // its bodies speak for themselves
      step.op->walk([&](Operation *op) {
        llvm::for_each(op->getOperands(), countRowsOf);
        llvm::for_each(op->getResults(), countRowsOf);
      });
      auto [first, last] = s.inLoop.lookup(step.op);
      for (unsigned storage = first; storage < last; ++storage)
        storages.insert(storage);
    }
  }

  int now = 0;
};

std::vector<Scheduler::Lifetime> Scheduler::lifetimes() const {
  Clock clock(*this);
  clock.run(0);
  for (Lifetime &life : clock.lives)
    if (life.end < 0) // nobody says when
      life = {0, Clock::never};
  return std::move(clock.lives);
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
    Extent most = extents.bound(storage.rows);
    int64_t bytes = storage.rowBytes() * storage.copies;
    Place place;
    place.rows = {most.kind, 1, most.id};
    place.rowBytes = llvm::divideCeil(bytes * most.factor, most.divisor);
    place.moreBytes = bytes * most.more;
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
    int64_t &more = result.allPlaces[place].moreBytes;
    more = std::max(more, wish.place.moreBytes);
    users[place].push_back(life);
    result.allStorages[wish.storage].place = place;
  }
}

/// Loops have counters of their own, which they clear.
void Schedule::numberCounters(unsigned sequence,
                              SmallVectorImpl<Phase *> &loops) {
  for (Phase &phase : sequences[sequence]) {
    if (phase.kind != Phase::Kind::Flow) {
      phase.counter = allCounters++;
    } else if (isa<scf::IfOp>(phase.steps.front().op)) {
      for (unsigned body : phase.bodies)
        numberCounters(body, loops);
    } else {
      loops.push_back(&phase);
    }
  }
}

void Scheduler::finish() {
  std::vector<bool> local(result.allStorages.size(), true);
  for (unsigned storage : kept)
    local[storage] = false;
  for (unsigned i = 0; i < result.sequences.size(); ++i)
    placeBarriers(i, local);
  for (auto [number, storage] : llvm::enumerate(result.allStorages)) {
    const Producer &producer = producers[number];
    if (storage.kind == Storage::Kind::Workspace && local[number] &&
        producer.phase >= 0 &&
        result.sequences[producer.sequence][producer.phase].kind ==
            Phase::Kind::Rows)
      storage.kind = Storage::Kind::Scratch;
  }
  shareWorkspace();
  SmallVector<Phase *> loops;
  result.numberCounters(0, loops);
  while (!loops.empty()) {
    Phase *loop = loops.pop_back_val();
    loop->counter = result.allCounters;
    for (unsigned body : loop->bodies)
      result.numberCounters(body, loops);
    loop->counters = result.allCounters - loop->counter;
    result.allCounters += loop->counters; // the other set
  }
}

} // namespace moe::cpu
