// Walks the operations of a function once and builds its schedule; known to
// Schedule.cpp, ScheduleFlow.cpp, Placement.cpp, Extras.cpp and Lifetimes.cpp.

#ifndef MOE_CODEGEN_CPU_SCHEDULER_H
#define MOE_CODEGEN_CPU_SCHEDULER_H

#include "codegen/cpu/Matmul.h"
#include "codegen/cpu/Schedule.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <memory>
#include <optional>

namespace moe::cpu {

class Scheduler {
public:
  Scheduler(mlir::func::FuncOp function, const Extents &extents,
            const Level &level)
      : function(function), extents(extents), level(level) {
    result.rows = &extents;
    result.machine = &level;
    result.sequences.emplace_back();
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
  void visitTrace(grouped::TraceOp op);
  mlir::LogicalResult visitLoop(grouped::LoopOp op, Step &step);
  mlir::LogicalResult requireContents(mlir::Operation *user, mlir::Value value);
  mlir::LogicalResult requireReads(mlir::Operation *op);
  mlir::LogicalResult visitFlow(mlir::Operation *op);
  mlir::LogicalResult visitFor(mlir::scf::ForOp op, Phase &phase);
  mlir::LogicalResult visitWhile(mlir::scf::WhileOp op, Phase &phase);
  mlir::LogicalResult visitIf(mlir::scf::IfOp op, Phase &phase);
  mlir::FailureOr<unsigned> visitRegion(mlir::Region &region,
                                        mlir::ValueRange yielded,
                                        llvm::ArrayRef<unsigned> storages);
  llvm::SmallVector<unsigned> addCarried(mlir::ValueRange values);
  void hold(mlir::ValueRange values, llvm::ArrayRef<unsigned> storages);
  void prepareInput(grouped::MatmulOp op);
  Schedule::Prepared copyInput(grouped::MatmulOp op, mlir::Type element);
  bool rowsCollide(grouped::MatmulOp op) const;
  Layout copy(mlir::Value value, const Layout &from, int64_t rowStride);
  Schedule::Prepared quantizeInput(grouped::MatmulOp op);
  void copyTo(mlir::Value value, unsigned target);
  Layout place(mlir::Value value, Storage storage);
  Layout denseLayout(mlir::Value value, unsigned storage) const;
  void own(mlir::Value value);
  void aim(mlir::Block &block, mlir::ValueRange values,
           llvm::ArrayRef<unsigned> storages);
  mlir::LogicalResult deliver(mlir::Operation *terminator,
                              mlir::ValueRange values,
                              llvm::ArrayRef<unsigned> storages);
  void deliverNumber(mlir::Value number, unsigned storage);
  void deliverRowCount(mlir::Value result, unsigned number);
  llvm::SmallVector<Access> sourcesOf(mlir::Value number) const;
  void ownPacked(grouped::PackOp op);
  void ownConstant(mlir::Operation *op);
  unsigned addStorage(Storage storage);
  unsigned addScratch(mlir::Type element, int64_t columns);
  unsigned addWork(mlir::Type element, Extent rows, int64_t columns);
  void addSums(grouped::MatmulOp op, Step &step,
               llvm::SmallVectorImpl<unsigned> &writes);
  void addRowPanel(grouped::MatmulOp op);
  void addExtras(Step &step, llvm::SmallVectorImpl<unsigned> &writes);
  void addStep(Step step, Phase::Kind kind, Extent rows,
               llvm::ArrayRef<Access> accesses,
               llvm::ArrayRef<unsigned> writes);
  /// A step with what it reads and writes.
  struct Work {
    Step step;
    Phase::Kind kind;
    Extent rows;
    llvm::SmallVector<Access> accesses;
    llvm::SmallVector<unsigned> writes;
  };
  unsigned earliest(const Work &work) const;
  void schedule(Work work, unsigned first);
  bool canWait(const Work &work) const;
  void stopWaiting(llvm::ArrayRef<Access> accesses, const Work *reader,
                   unsigned first);
  void finish();
  void placeBarriers(unsigned sequence, std::vector<bool> &local);
  void shareWorkspace();
  /// The barriers before phases between which a storage holds something.
  struct Lifetime {
    int begin, end;
  };
  class Clock;
  std::vector<Lifetime> lifetimes() const;

  Family familyOf(grouped::MatmulOp op) const;
  mlir::Type storedElement(mlir::Value value) const;
  int64_t storedStride(mlir::Value value, mlir::Type element) const;

  mlir::func::FuncOp function;
  const Extents &extents;
  const Level &level;
  Schedule result;
  std::optional<Nest> nest;
  /// The storages that values are written to, because somebody waits there.
  llvm::DenseMap<mlir::Value, unsigned> targets;
  /// Other forms of the rows of matmuls, as far as they exist here.
  llvm::DenseMap<std::pair<mlir::Value, mlir::Type>, Schedule::Prepared>
      copiedRows; // by the type of their elements
  llvm::DenseMap<mlir::Value, Schedule::Prepared> quantizedRows;

  /// Who wrote a storage last; phase -1: nobody, it is there from the start.
  struct Producer {
    unsigned sequence = 0;
    int phase = -1;
  };
  std::vector<Producer> producers;
  struct Read {
    unsigned storage;
    int made; // phase of this sequence, -1: before it
    unsigned phase;
    Reach reach;
  };
  struct Write {
    unsigned storage, phase;
  };
  /// What the phases of a sequence do.
  struct Record {
    std::vector<Read> reads;
    std::vector<Write> writes;
  };
  std::vector<Record> records{1};
  unsigned sequence = 0; // where steps go
  int producerOf(unsigned storage) const {
    const Producer &producer = producers[storage];
    return producer.sequence == sequence ? producer.phase : -1;
  }
  /// Who reads what the caller may have replaced waits for what it replaces.
  unsigned madeAt(unsigned storage) const {
    const Storage &read = result.storage(storage);
    return read.kind == Storage::Kind::Traced ? read.source : storage;
  }
  void write(unsigned storage, unsigned phase) {
    producers[storage] = {sequence, static_cast<int>(phase)};
    records[sequence].writes.push_back({storage, phase});
  }
  /// Who will write a storage once somebody wants to read it.
  llvm::DenseMap<unsigned, std::shared_ptr<Work>> waiting;
  /// Storages that outlive the phase that writes them.
  llvm::SmallVector<unsigned> kept;
  /// Storages whose memory is another one after every iteration of a loop.
  llvm::DenseSet<unsigned> swapped;
  llvm::SmallVector<grouped::TraceOp> traced;
  /// The storages [first, second) of the bodies of a loop.
  llvm::DenseMap<mlir::Operation *, std::pair<unsigned, unsigned>> inLoop;
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_SCHEDULER_H
