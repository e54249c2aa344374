// Which tokens the rows of a value depend on: an abstract interpretation of
// level 1 for --moe-check-causal. Passes.td has the argument.
#ifndef MOE_PASSES_CAUSALITY_H
#define MOE_PASSES_CAUSALITY_H

#include "dialect/MoeDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SmallPtrSet.h"
#include <deque>
#include <map>

namespace moe {

/// The tokens that row r of a value depends on, where r belongs to token t.
enum class Reach {
  Nothing, ///< none: every batch has the same value
  Own,     ///< t alone
  Earlier, ///< t and those before it
  All      ///< perhaps later ones, or their number
};

/// What the rows of a tensor are: tokens, pairs of a routing in dispatch order,
/// or the rows of one expert inside its region.
struct RowSet {
  enum Kind { Tokens, Pairs, Expert } kind;
  const RowSet *of; ///< of pairs: the routing's rows; of an expert: the pairs
  unsigned support; ///< of pairs: whose

  /// Whether rows stand in the order of tokens.
  bool inOrder() const {
    return kind == Tokens || (kind == Expert && of->of->inOrder());
  }
  /// What the number of a row depends on.
  Reach numbering() const {
    if (kind == Tokens)
      return Reach::Own;
    return inOrder() ? Reach::Earlier : Reach::All;
  }
};

/// Why a value may depend on later tokens.
struct Blame {
  mlir::Location loc;
  std::string text;
};

/// What is known of a value.
struct Fact {
  Reach reach = Reach::Nothing;
  const RowSet *rows = nullptr;    ///< null: no rows, or rows of a constant
  unsigned support = 0;            ///< of a routing: its set of pairs
  const RowSet *countOf = nullptr; ///< of a number: of which rows it is
  mlir::Value argument = {};       ///< the entry argument whose rows these are
  const Blame *blame = nullptr;    ///< of All: the first reason

  bool operator==(const Fact &) const = default;
};

/// Interprets functions over facts; calls are followed with the facts of their
/// operands.
class Causality {
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

  // Causality.cpp: facts, functions and regions.
  Fact get(mlir::Value value) const;
  void set(mlir::Operation *op, Fact fact);
  Fact all(mlir::Operation *op, const llvm::Twine &reason,
           const RowSet *rows = nullptr);
  bool isConstant(mlir::Operation *op) const;
  Fact join(mlir::Operation *op, Fact a, Fact b);
  Fact rowWise(mlir::Operation *op, mlir::ValueRange aligned,
               mlir::ValueRange whole = {});
  const RowSet *newRows(RowSet rows) { return &rowSets.emplace_back(rows); }
  const RowSet *pairsOf(unsigned support, const RowSet *rows);
  llvm::SmallVector<Fact> call(mlir::func::FuncOp function, Facts arguments);
  llvm::SmallVector<Fact> run(mlir::Block &block, Facts arguments);
  void visit(mlir::Operation *op);
  void visitCall(mlir::func::CallOp call);
  void visitFor(mlir::scf::ForOp loop);
  void visitIf(mlir::scf::IfOp branch);
  void visitExpert(ExpertOp expert);

  // CausalRows.cpp: ops on rows. They return false for ops of other kinds.
  bool visitRows(mlir::Operation *op);
  bool visitTensor(mlir::Operation *op);
  void visitBroadcast(BroadcastOp op);
  void visitRandom(RandomOp op);
  void visitAttention(AttentionOp op);
  void visitLinalg(mlir::linalg::LinalgOp op);
  Fact countFact(mlir::Operation *op, mlir::Value tensor);
  bool countsRows(mlir::OpFoldResult size, const RowSet *rows) const;

  // CausalRouting.cpp: ops that make, edit or read a routing.
  bool visitRouting(mlir::Operation *op);
  Fact newSupport(Fact fact);
  void visitRoute(RouteOp op);
  void visitLimit(LimitOp op);
  void visitPairs(PairsOp op);
  void visitDispatch(DispatchOp op);
  void visitCombine(CombineOp op);

  mlir::DenseMap<mlir::Value, Fact> facts;
  std::deque<RowSet> rowSets;
  std::deque<Blame> blames;
  std::map<std::pair<unsigned, const RowSet *>, const RowSet *> pairs;
  llvm::SmallPtrSet<mlir::Operation *, 4> active; ///< functions being called
  const RowSet *tokens = nullptr;
  unsigned supports = 0;
};

} // namespace moe

#endif // MOE_PASSES_CAUSALITY_H
