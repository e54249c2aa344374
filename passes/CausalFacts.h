// What is known of a value's dependence on tokens, and how facts are put
// together.
#ifndef MOE_PASSES_CAUSALFACTS_H
#define MOE_PASSES_CAUSALFACTS_H

#include "dialect/MoeDialect.h"
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

/// The facts of all values seen so far.
class CausalFacts {
protected:
  Fact get(mlir::Value value) const;
  void set(mlir::Operation *op, Fact fact);
  /// A fact of all tokens; the first reason counts, so an operand's comes
  /// first.
  Fact all(mlir::Operation *op, const llvm::Twine &reason,
           const RowSet *rows = nullptr);
  /// Whether nothing that an op reads depends on tokens.
  bool isConstant(mlir::Operation *op) const;
  /// Either of two values: the results of a branch, or of a loop and its start.
  Fact join(mlir::Operation *op, Fact a, Fact b);
  /// Row r of the result from row r of `aligned` and from all of `whole`.
  Fact rowWise(mlir::Operation *op, mlir::ValueRange aligned,
               mlir::ValueRange whole = {});
  const RowSet *newRows(RowSet rows) { return &rowSets.emplace_back(rows); }
  const RowSet *pairsOf(unsigned support, const RowSet *rows);
  /// Of a routing with a set of pairs of its own.
  Fact newSupport(Fact fact);

  mlir::DenseMap<mlir::Value, Fact> facts;
  std::deque<Blame> blames;
  unsigned supports = 0;

private:
  std::deque<RowSet> rowSets;
  std::map<std::pair<unsigned, const RowSet *>, const RowSet *> pairs;
};

} // namespace moe

#endif // MOE_PASSES_CAUSALFACTS_H
