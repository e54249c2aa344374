// Which tokens the rows of a value depend on: an abstract interpretation of
// level 1 for --moe-check-causal. Passes.td has the argument.
#ifndef MOE_PASSES_CAUSALITY_H
#define MOE_PASSES_CAUSALITY_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/CausalFacts.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace moe {

/// What single ops make of facts. The functions return false for ops of other
/// kinds.
class CausalOps : protected CausalFacts {
protected:
  bool visitRows(mlir::Operation *op);
  bool visitTensor(mlir::Operation *op);
  bool visitRouting(mlir::Operation *op);

private:
  // CausalRows.cpp: ops on rows.
  void visitBroadcast(BroadcastOp op);
  void visitRandom(RandomOp op);
  void visitAttention(AttentionOp op);
  void visitLinalg(mlir::linalg::LinalgOp op);
  Fact countFact(mlir::Operation *op, mlir::Value tensor);
  bool countsRows(mlir::OpFoldResult size, const RowSet *rows) const;

  // CausalRouting.cpp: ops that make, edit or read a routing.
  void visitRoute(RouteOp op);
  void visitLimit(LimitOp op);
  void visitPairs(PairsOp op);
  void visitDispatch(DispatchOp op);
  void visitCombine(CombineOp op);
};

/// Interprets functions over facts; calls are followed with the facts of their
/// operands.
class Causality : CausalOps {
public:
  /// Facts of the results of an entry, whose arguments with a dynamic dimension
  /// 0 have a row per token.
  llvm::SmallVector<Fact> resultsOf(mlir::func::FuncOp entry);
  /// Whether a result is about tokens: a routing, rows, or a tensor of a size
  /// that is not static. Others are numbers of the whole batch.
  static bool isByToken(mlir::Type type, const Fact &fact);
  /// The fact of a result by token, or a reason against it.
  Fact asOutput(mlir::func::FuncOp entry, const Fact &fact);

private:
  using Facts = llvm::ArrayRef<Fact>;

  llvm::SmallVector<Fact> call(mlir::func::FuncOp function, Facts arguments);
  llvm::SmallVector<Fact> run(mlir::Block &block, Facts arguments);
  void visit(mlir::Operation *op);
  void visitCall(mlir::func::CallOp call);
  void visitFor(mlir::scf::ForOp loop);
  void visitIf(mlir::scf::IfOp branch);
  void visitExpert(ExpertOp expert);

  llvm::SmallPtrSet<mlir::Operation *, 4> active; ///< functions being called
  const RowSet *tokens = nullptr;
};

} // namespace moe

#endif // MOE_PASSES_CAUSALITY_H
