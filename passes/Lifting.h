// How the region of one grouped.loop is written over the rows of all groups;
// Lift*.cpp have one kind of ops each, on what Lifting.cpp gives them.
#ifndef MOE_PASSES_LIFTING_H
#define MOE_PASSES_LIFTING_H

#include "dialect/GroupedDialect.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

namespace moe {
/// What a value of the region stands for over all experts.
enum class LiftKind {
  Shared,  ///< the same for every expert
  Each,    ///< one per expert: lifted to a tensor stacked along E
  Rows,    ///< rows of the expert: lifted to the grouped rows
  Numbers, ///< row and slot numbers of a plan in the region: other numbers when
           ///< lifted, so only what looks up rows by them can be lifted
  Slots,   ///< several values for every row, end to end: lifted to the same
  Count,   ///< the number of an expert's rows: lifted to one value per row
  Kept,    ///< made by an op that mixes rows, which stays in a loop
};

/// Writes the lifted ops before the loop, and takes them back if one op of the
/// region cannot be lifted.
class Lifting {
public:
  explicit Lifting(grouped::LoopOp loop)
      : loop(loop), plan(loop.getOffsets().getDefiningOp<grouped::PlanOp>()),
        builder(loop), begin(loop->getPrevNode()) {}

  /// Replaces the loop, or changes nothing. `inner`: loops of routings in the
  /// region, which now run over the groups of all experts.
  void run(llvm::SmallVectorImpl<grouped::LoopOp> &inner);

private:
  struct Lifted {
    LiftKind kind = LiftKind::Shared;
    /// Which rows: those of `plan`, or of a plan made from one in the region.
    grouped::PlanOp of = {};
  };

  Lifted info(mlir::Value value) const { return known.lookup(value); }
  bool is(mlir::Value value, LiftKind kind) const {
    return info(value).kind == kind;
  }
  bool isRowsOf(mlir::Value value, grouped::PlanOp of) const {
    return is(value, LiftKind::Rows) && info(value).of == of;
  }
  mlir::Value over(mlir::Value value) const {
    return mapping.lookupOrDefault(value);
  }
  void set(mlir::Value value, mlir::Value over, LiftKind kind,
           grouped::PlanOp of = {}) {
    mapping.map(value, over);
    known[value] = {kind, of};
  }
  int64_t numExperts() { return static_cast<int64_t>(plan.getExperts()); }

  // Lifting.cpp: what the files below share.
  /// The one plan whose rows all `Rows` and `Count` operands are.
  mlir::FailureOr<grouped::PlanOp> rowsOf(mlir::Operation *op) const;
  mlir::LogicalResult clone(mlir::Operation *op, Lifted as);
  mlir::LogicalResult cloneIf(mlir::Operation *op, bool rowWise);
  /// A shared value, or slices that follow each other, for `experts` experts.
  mlir::Value repeated(mlir::Value value, int64_t experts);
  /// The expert of every row of `of`.
  mlir::Value expertOfRow(grouped::PlanOp of);
  /// The number of rows of every row's expert.
  mlir::Value countOfRow(mlir::Value count);

  // LiftExperts.cpp: which op is lifted how.
  mlir::LogicalResult lift(mlir::Operation *op);
  void takeBack();

  // LiftRows.cpp
  mlir::LogicalResult liftElementwise(mlir::Operation *op);
  mlir::LogicalResult liftLinear(LinearOp op);
  mlir::LogicalResult liftBroadcast(BroadcastOp op);
  mlir::LogicalResult liftAttention(AttentionOp op);

  // LiftEach.cpp
  mlir::LogicalResult liftEach(mlir::Operation *op);
  mlir::LogicalResult liftGather(GatherOp op);
  mlir::LogicalResult liftShape(mlir::Operation *op);
  mlir::LogicalResult liftCapacity(CapacityOp op);
  /// What loop results stacked by expert become, or null.
  mlir::Value stacked(mlir::Value value);

  // LiftStatistics.cpp
  /// Leaves an op in the loop.
  void keep(mlir::Operation *op);
  /// What the region yields per expert, by a loop of what mixes rows alone.
  mlir::LogicalResult liftStatistics(mlir::ValueRange yielded);
  mlir::LogicalResult collect(mlir::Value value);

  // LiftInnerRouting.cpp
  bool isOfRouting(mlir::Operation *op) const;
  mlir::LogicalResult liftRouting(mlir::Operation *op);
  mlir::LogicalResult liftPlan(grouped::PlanOp op);
  mlir::LogicalResult liftLookup(GatherOp op);
  mlir::LogicalResult liftCombine(grouped::CombineOp op);
  mlir::LogicalResult liftLoop(grouped::LoopOp op);
  mlir::LogicalResult liftPick(grouped::PickOp op);
  mlir::LogicalResult liftLimit(grouped::LimitOp op);
  template <typename Choice> mlir::LogicalResult liftBySegment(Choice op);
  mlir::LogicalResult liftCounts(mlir::Operation *op);
  mlir::LogicalResult liftFlat(mlir::tensor::CollapseShapeOp op);
  mlir::FailureOr<mlir::Value> capacityOver(mlir::Value capacity);
  /// Numbers of all experts' inner experts: expert * inner + id.
  mlir::Value flatIds(mlir::Value ids, int64_t inner);

  grouped::LoopOp loop;
  grouped::PlanOp plan;
  mlir::OpBuilder builder;
  mlir::Operation *begin; ///< the last op before those written here
  mlir::IRMapping mapping;
  llvm::DenseMap<mlir::Value, Lifted> known; ///< all others are shared
  /// Of a plan made here: whose rows are its tokens.
  llvm::DenseMap<mlir::Operation *, grouped::PlanOp> rowsBefore;
  llvm::DenseMap<mlir::Operation *, mlir::Value> experts; ///< of rows, by plan
  llvm::DenseMap<mlir::Value, mlir::Value> flat;          ///< by lifted ids
  llvm::SmallVector<grouped::LoopOp> innerLoops;
  // Of the loop that stays: its operands, as values of the region, and its ops.
  llvm::SetVector<mlir::Value> keptRows, keptEach;
  llvm::SetVector<mlir::Operation *> kept;
};

/// Replaces a loop of several ranges by one loop for each, where its results
/// allow it.
void splitRanges(grouped::LoopOp loop);
} // namespace moe

#endif // MOE_PASSES_LIFTING_H
