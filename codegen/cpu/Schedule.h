// Puts the operations of a function into phases and every tensor into memory.
// Phases run one after the other inside one parallel region.

#ifndef MOE_CODEGEN_CPU_SCHEDULE_H
#define MOE_CODEGEN_CPU_SCHEDULE_H

#include "codegen/cpu/Layout.h"
#include "codegen/cpu/OpKinds.h"
#include "codegen/cpu/Pack.h"

#include <vector>

namespace moe::cpu {

/// One piece of work.
struct Step {
  enum class Kind {
    Compute,  // operation `op`
    Copy,     // `value` from one place to another, made dense or converted
    Number,   // the scalar `value` to where results lie
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
  };
  Kind kind;
  Extent rows;
  std::vector<Step> steps;
  bool barrierBefore = false;
};

/// A part of the workspace that storages use one after the other.
struct Place {
  Extent rows; // factor 1
  int64_t rowBytes = 0;
};

class Schedule {
public:
  /// Fails with a diagnostic at the first operation without CPU code.
  static mlir::FailureOr<Schedule> create(mlir::func::FuncOp function,
                                          const Extents &extents,
                                          const Level &level);

  const Extents &extents() const { return *rows; }
  const Level &level() const { return *machine; }
  llvm::ArrayRef<Phase> phases() const { return allPhases; }
  llvm::ArrayRef<Storage> storages() const { return allStorages; }
  const Storage &storage(unsigned number) const { return allStorages[number]; }
  const Storage &storageOf(mlir::Value value) const {
    return allStorages[layout(value).storage];
  }
  /// Parts of the workspace; Storage::place is one of them.
  llvm::ArrayRef<Place> places() const { return allPlaces; }
  /// The most rows that an extent can have, as a constant or for an input.
  Extent bound(Extent extent) const;
  /// Where a tensor or packed value lies.
  const Layout &layout(mlir::Value value) const { return layouts.at(value); }
  /// The rows that a matmul multiplies: the input, a copy that is wider or has
  /// another distance between rows, or a quantised copy.
  Layout matmulInput(grouped::MatmulOp op) const;
  /// The scales of the quantised copy, or nothing.
  std::optional<unsigned> matmulScales(grouped::MatmulOp op) const;
  /// The list of filled groups of a plan: their number, then the groups.
  unsigned filledGroups(grouped::PlanOp plan) const { return filled.at(plan); }

private:
  friend class Scheduler;
  /// The type of the elements that a matmul (of no quantised weights) reads.
  mlir::Type multipliedElement(grouped::MatmulOp op) const;
  const Extents *rows = nullptr;
  const Level *machine = nullptr;
  std::vector<Phase> allPhases;
  std::vector<Storage> allStorages;
  std::vector<Place> allPlaces;
  llvm::DenseMap<mlir::Value, Layout> layouts;
  /// Copies of inputs by the type of their elements.
  llvm::DenseMap<std::pair<mlir::Value, mlir::Type>, unsigned> copies;
  llvm::DenseMap<mlir::Operation *, unsigned> copyOf; // that a matmul reads
  struct Quantized {
    unsigned rows, scales;
  };
  llvm::DenseMap<mlir::Value, Quantized> quantized;
  llvm::DenseMap<mlir::Operation *, unsigned> filled;
};

/// The packed layout of a type on a level.
PackedLayout packedLayout(grouped::PackedType type, const Level &level);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_SCHEDULE_H
