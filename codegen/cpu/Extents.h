// How many rows every tensor of an entry has: a constant, or a multiple of a
// size that is known at run time only.

#ifndef MOE_CODEGEN_CPU_EXTENTS_H
#define MOE_CODEGEN_CPU_EXTENTS_H

#include "dialect/GroupedDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace moe::cpu {

/// The size of dimension 0 of a tensor: floor(factor * n / divisor) * times +
/// more, where `kind` says what n is.
struct Extent {
  enum class Kind {
    Constant, // 1, and factor is all there is
    Input,    // dimension 0 of inputs; `id` is its symbol
    Grouped,  // the filled slots of plan number `id`: at most slots of its ids
    Group,    // the rows of one group, inside a grouped.loop
  };
  Kind kind = Kind::Constant;
  int64_t factor = 1;
  unsigned id = 0;
  int64_t divisor = 1;
  bool exact = true; // divisor divides factor * n: calls are checked
  int64_t times = 1; // 1 if exact
  int64_t more = 0;

  bool operator==(const Extent &other) const = default;
  static Extent constant(int64_t rows) { return {Kind::Constant, rows}; }

  /// So many times the rows.
  Extent multiplied(int64_t by) const;
  /// So many more rows.
  Extent plus(int64_t rows) const;
  /// These rows and those; nothing if they depend on different sizes.
  std::optional<Extent> plus(const Extent &rows) const;
  /// A part of the rows, rounded down; nothing if no extent says that.
  std::optional<Extent> divided(int64_t by) const;
  /// In lowest terms.
  Extent reduced() const;
};

/// Whether `whole` has rows offset, offset + stride, ... for all of `part`,
/// whatever the inputs are.
bool rowsExist(Extent whole, int64_t offset, Extent part, int64_t stride);

/// What must hold of the inputs' sizes when an entry is called.
struct RowCheck {
  enum class Kind {
    Equal,    // rows = other
    AtLeast,  // rows >= other + number
    Multiple, // number divides rows
  };
  Kind kind;
  Extent rows, other;
  int64_t number = 0;
  mlir::Operation *op = nullptr; // that needs it
};

/// The extents of all tensors of one function.
class Extents {
public:
  /// Fails with a diagnostic where row counts contradict each other, or where
  /// another dimension than the first is dynamic. (Arguments may have fixed
  /// ones before it; they are collapsed before anything reads them.) Inputs
  /// with a dynamic size that can only be one number have that size from then
  /// on.
  static mlir::FailureOr<Extents> analyse(mlir::func::FuncOp function);

  /// Rows of a tensor of this function; 1 for rank 0 and for numbers.
  Extent of(mlir::Value tensor) const;
  /// Dimension `d`: the rows, a constant, or an argument's dynamic one.
  Extent size(mlir::Value tensor, unsigned d) const;
  /// The plan whose filled slots `extent` counts (kind Grouped).
  grouped::PlanOp plan(Extent extent) const { return plans[extent.id]; }
  llvm::ArrayRef<grouped::PlanOp> allPlans() const { return plans; }
  unsigned planNumber(grouped::PlanOp plan) const;
  /// The most rows that an extent can have, as a constant or as a part of an
  /// input's and some more.
  Extent bound(Extent extent) const;
  /// Symbols are numbered 0, 1, ... in the order of the inputs.
  unsigned numSymbols() const { return symbolArguments.size(); }
  /// What the code has to check, since only a call knows it.
  llvm::ArrayRef<RowCheck> checks() const { return rowChecks; }
  /// An argument, and which of its dimensions is the symbol.
  std::pair<unsigned, unsigned> argumentOf(unsigned symbol) const {
    return symbolArguments[symbol];
  }

private:
  mlir::LogicalResult visit(mlir::Operation *op);
  mlir::LogicalResult visitBody(mlir::Block &block);
  mlir::LogicalResult visitFlow(mlir::Operation *op);
  mlir::LogicalResult agree(mlir::Operation *op, mlir::ValueRange from,
                            mlir::ValueRange to);
  mlir::LogicalResult visitLeader(mlir::Operation *op);
  /// The operand that has as many rows as the results.
  mlir::FailureOr<mlir::Value> leaderOf(mlir::Operation *op);
  mlir::LogicalResult unify(mlir::Operation *op, mlir::Value a, mlir::Value b) {
    return unify(op, of(a), of(b));
  }
  mlir::LogicalResult unify(mlir::Operation *op, Extent a, Extent b);
  /// As it stands in a message.
  std::string text(Extent rows) const;
  bool bind(Extent rows, int64_t size);
  bool check(const RowCheck &wanted);
  std::optional<Extent> rowsOfSize(mlir::Value size) const;
  mlir::LogicalResult visitInsert(mlir::tensor::InsertSliceOp op);
  mlir::LogicalResult visitConcat(mlir::tensor::ConcatOp op);
  std::optional<Extent> rowsBehind(mlir::Value indices) const;
  std::optional<Extent> groupedRows(mlir::Value made) const;
  mlir::LogicalResult addArgument(mlir::BlockArgument argument);
  mlir::LogicalResult visitLinalg(mlir::linalg::LinalgOp op);
  mlir::LogicalResult visitReshape(mlir::Operation *op);
  mlir::FailureOr<Extent> cutRows(mlir::tensor::ExtractSliceOp op);
  mlir::LogicalResult divide(mlir::Operation *op, Extent &rows, int64_t parts);
  mlir::LogicalResult follow(mlir::Operation *op, mlir::Value result,
                             mlir::Value leader);
  mlir::LogicalResult alignBroadcast(BroadcastOp op);
  mlir::LogicalResult expectRowsOf(mlir::Operation *op, Extent grouped,
                                   mlir::Value rows);
  mlir::LogicalResult visitMatmul(grouped::MatmulOp op);
  mlir::LogicalResult visitLoop(grouped::LoopOp op);
  mlir::LogicalResult finish(mlir::func::FuncOp function);
  mlir::LogicalResult finishChecks();
  Extent resolve(Extent extent) const;
  void set(mlir::Value tensor, Extent extent) { known[tensor] = extent; }

  llvm::DenseMap<mlir::Value, Extent> known;
  llvm::SmallVector<unsigned> parents;             // union-find over inputs
  llvm::SmallVector<unsigned> dynamicArguments;    // the arguments of inputs
  llvm::SmallVector<std::optional<int64_t>> sizes; // of roots that are bound
  llvm::SmallVector<unsigned> numbers; // of the roots, after analysis
  llvm::SmallVector<std::pair<unsigned, unsigned>> symbolArguments;
  llvm::SmallVector<grouped::PlanOp> plans;
  llvm::SmallVector<RowCheck> rowChecks;
  unsigned loops = 0;
  unsigned flows = 0; // around the operation that is visited
};

/// Static elements of one row: the product of all dimensions but the first.
int64_t rowElements(mlir::RankedTensorType type);

/// The number of an argument's dynamic dimension if fixed ones stand before it,
/// otherwise 0.
unsigned innerRows(mlir::Type type);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_EXTENTS_H
