// Puts the operations of a function into phases and every tensor into memory.
// Phases run one after the other inside one parallel region.

#ifndef MOE_CODEGEN_CPU_SCHEDULE_H
#define MOE_CODEGEN_CPU_SCHEDULE_H

#include "codegen/cpu/Layout.h"
#include "codegen/cpu/OpKinds.h"
#include "codegen/cpu/PackedLayout.h"

#include <vector>

namespace moe::cpu {

/// One piece of work.
struct Step {
  enum class Kind {
    Compute,  // operation `op`
    Copy,     // `value` from one place to another, made dense or converted
    Number,   // the scalar `value` to where results lie
    RowCount, // the number of rows of `value` to where the caller reads it
    Quantize, // rows of `value` to entries of 8 bits and scales
  };
  Kind kind = Kind::Compute;
  mlir::Operation *op = nullptr;
  mlir::Value value;
  Layout from, to; // places of a copy or of what is quantised
  /// Storages that the operation needs besides its results: sums of a combining
  /// matmul, keys of top_k, the list of filled groups of a plan, sums and seen
  /// rows of attention, scales of quantised rows.
  llvm::SmallVector<unsigned> extra;
  /// Of a grouped.loop: the steps of every body, in order.
  std::vector<std::vector<Step>> bodies;
};

/// Steps that run between two barriers, with one way to divide them into tasks.
struct Phase {
  enum class Kind {
    Rows,   // all steps for one row, then for the next; tasks are row blocks
    Serial, // steps one after the other, on one thread
    Matmul, // one grouped.matmul
    Pack,   // one grouped.pack
    Loop,   // one grouped.loop; tasks are groups
    Team,   // one step that all threads divide among them, with barriers inside
    Flow,   // one scf.for, scf.while or scf.if; every thread takes its way
    Numbers // the numbers at the end of a region, on every thread
  };
  Kind kind;
  Extent rows;
  std::vector<Step> steps;
  bool barrierBefore = false;
  /// Of the tasks; of a loop: the first of its own, of which there are two sets
  /// of `counters`, used in turns.
  unsigned counter = 0, counters = 0;
  /// Of a flow: the sequence of each region.
  llvm::SmallVector<unsigned, 2> bodies;
  /// Of scf.for: where the tensor of an iteration lies, and where it writes the
  /// next one.
  struct Carried {
    unsigned now, next;
  };
  llvm::SmallVector<Carried> carried;
};

/// A part of the workspace that storages use one after the other.
struct Place {
  Extent rows; // factor 1
  int64_t rowBytes = 0;
  int64_t moreBytes = 0; // besides those of rows
};

class Schedule {
public:
  /// Fails with a diagnostic at the first operation without CPU code.
  static mlir::FailureOr<Schedule> create(mlir::func::FuncOp function,
                                          const Extents &extents,
                                          const Level &level);

  const Extents &extents() const { return *rows; }
  const Level &level() const { return *machine; }
  /// The phases of the function, or of a region in it.
  llvm::ArrayRef<Phase> phases(unsigned sequence = 0) const {
    return sequences[sequence];
  }
  /// Task counters of the whole function.
  unsigned counters() const { return allCounters; }
  /// Whether there are phases that pack weights.
  bool packs() const;
  llvm::ArrayRef<Storage> storages() const { return allStorages; }
  const Storage &storage(unsigned number) const { return allStorages[number]; }
  const Storage &storageOf(mlir::Value value) const {
    return allStorages[layout(value).storage];
  }
  /// Parts of the workspace; Storage::place is one of them.
  llvm::ArrayRef<Place> places() const { return allPlaces; }
  /// Where a tensor or packed value lies.
  const Layout &layout(mlir::Value value) const { return layouts.at(value); }
  /// The rows that a matmul multiplies: the input, a copy that is wider or has
  /// another distance between rows, or a quantised copy.
  Layout matmulInput(grouped::MatmulOp op) const;
  /// The scales of the quantised copy, or nothing.
  std::optional<unsigned> matmulScales(grouped::MatmulOp op) const;
  /// Where a thread gathers rows for matrix tiles, or nothing.
  std::optional<unsigned> rowPanel() const { return panel; }
  /// The list of filled groups of a plan: their number, then the groups.
  unsigned filledGroups(grouped::PlanOp plan) const { return filled.at(plan); }

private:
  friend class Scheduler;
  /// The type of the elements that a matmul (of no quantised weights) reads.
  mlir::Type multipliedElement(grouped::MatmulOp op) const;
  const Extents *rows = nullptr;
  const Level *machine = nullptr;
  void numberCounters(unsigned sequence, llvm::SmallVectorImpl<Phase *> &loops);
  std::vector<std::vector<Phase>> sequences;
  unsigned allCounters = 0;
  std::vector<Storage> allStorages;
  std::vector<Place> allPlaces;
  llvm::DenseMap<mlir::Value, Layout> layouts;
  /// Another form of the rows that a matmul multiplies.
  struct Prepared {
    unsigned rows;
    std::optional<unsigned> scales; // of quantised rows
  };
  llvm::DenseMap<mlir::Operation *, Prepared> prepared;
  llvm::DenseMap<mlir::Operation *, unsigned> filled;
  std::optional<unsigned> panel;
};

/// The packed layout of a type on a level.
PackedLayout packedLayout(grouped::PackedType type, const Level &level);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_SCHEDULE_H
