// Walks the operations of a function once and builds its schedule; only
// Schedule.cpp, Extras.cpp and Lifetimes.cpp know it.

#ifndef MOE_CODEGEN_CPU_SCHEDULER_H
#define MOE_CODEGEN_CPU_SCHEDULER_H

#include "codegen/cpu/Matmul.h"
#include "codegen/cpu/Schedule.h"

#include <optional>

namespace moe::cpu {

class Scheduler {
public:
  Scheduler(mlir::func::FuncOp function, const Extents &extents,
            const Level &level)
      : function(function), extents(extents), level(level) {
    result.rows = &extents;
    result.machine = &level;
  }

  mlir::FailureOr<Schedule> run();

private:
  struct Access {
    unsigned storage;
    Reach reach;
  };
  /// Where steps go while the body of a grouped.loop is walked.
  struct Nest {
    std::vector<Step> *steps;
    int64_t groups;
    Extent grouped;
  };

  mlir::LogicalResult visit(mlir::Operation *op);
  mlir::LogicalResult visitView(mlir::Operation *op);
  mlir::LogicalResult visitLoop(grouped::LoopOp op, Step &step);
  mlir::LogicalResult requireContents(mlir::Operation *user, mlir::Value value);
  mlir::LogicalResult copyInput(grouped::MatmulOp op);
  bool rowsCollide(grouped::MatmulOp op) const;
  Layout copy(mlir::Value value, const Layout &from, int64_t rowStride);
  void quantizeInput(grouped::MatmulOp op);
  void copyTo(mlir::Value value, unsigned target);
  Layout place(mlir::Value value, Storage storage);
  void own(mlir::Value value);
  mlir::LogicalResult leave();
  void ownPacked(grouped::PackOp op);
  void ownConstant(mlir::Operation *op);
  unsigned addStorage(Storage storage);
  unsigned addScratch(mlir::Type element, int64_t columns);
  unsigned addWork(mlir::Type element, Extent rows, int64_t columns);
  void addSums(grouped::MatmulOp op, Step &step,
               llvm::SmallVectorImpl<unsigned> &writes);
  void addExtras(Step &step, llvm::SmallVectorImpl<unsigned> &writes);
  void addStep(Step step, Phase::Kind kind, Extent rows,
               llvm::ArrayRef<Access> accesses,
               llvm::ArrayRef<unsigned> writes);
  unsigned phaseFor(Phase::Kind kind, Extent rows,
                    llvm::ArrayRef<Access> accesses);
  void finish();
  void placeBarriers();
  void shareWorkspace();
  /// The barriers before phases between which a storage holds something.
  struct Lifetime {
    int begin, end;
  };
  std::vector<Lifetime> lifetimes() const;

  bool isReturned(mlir::Value value) const { return returned.contains(value); }
  Family familyOf(grouped::MatmulOp op) const;
  mlir::Type storedElement(mlir::Value value) const;
  int64_t storedStride(mlir::Value value, mlir::Type element) const;

  mlir::func::FuncOp function;
  const Extents &extents;
  const Level &level;
  Schedule result;
  std::optional<Nest> nest;
  llvm::DenseMap<mlir::Value, unsigned>
      returned;                     // first result that a value becomes
  llvm::SmallVector<int> producers; // phase of every storage, -1: before all
  struct Read {
    unsigned storage;
    unsigned phase;
    Reach reach;
  };
  std::vector<Read> reads;
  /// The storages [first, second) of the bodies of a loop.
  llvm::DenseMap<mlir::Operation *, std::pair<unsigned, unsigned>> inLoop;
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_SCHEDULER_H
