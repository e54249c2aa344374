// The f64 interpreter of levels 1 and 2: the specification of every operation,
// slow and plain. One small function an operation mirrors its formula;
// Interpreter finds it by the operation's name.
#ifndef MOE_CODEGEN_REFERENCE_INTERPRETER_H
#define MOE_CODEGEN_REFERENCE_INTERPRETER_H

#include "codegen/reference/Value.h"

#include "dialect/GroupedDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

#include <functional>

namespace moe::reference {

class Frame;
using OpFunction = std::function<void(mlir::Operation *, Frame &)>;

/// From the name of an operation to what it computes.
class OpTable {
public:
  template <typename Op> void add(void (*function)(Op, Frame &)) {
    functions[Op::getOperationName()] = [function](mlir::Operation *op,
                                                   Frame &frame) {
      function(mlir::cast<Op>(op), frame);
    };
  }
  const OpFunction *find(llvm::StringRef name) const;

private:
  llvm::StringMap<OpFunction> functions;
};

void addArithOps(OpTable &table);          // Arith.cpp: arith, math
void addStandardOps(OpTable &table);       // Standard.cpp: tensor, scf, func
void addLinalgOps(OpTable &table);         // Linalg.cpp
void addRowOps(OpTable &table);            // Rows.cpp
void addSelectOps(OpTable &table);         // Select.cpp
void addRoutingOps(OpTable &table);        // Routing.cpp
void addEditOps(OpTable &table);           // Edit.cpp
void addReadOps(OpTable &table);           // Read.cpp
void addLossOps(OpTable &table);           // Losses.cpp
void addRandomOps(OpTable &table);         // Random.cpp
void addAttentionOps(OpTable &table);      // Attention.cpp
void addMoveOps(OpTable &table);           // Move.cpp
void addGroupedOps(OpTable &table);        // Grouped.cpp
void addGroupedRoutingOps(OpTable &table); // GroupedRouting.cpp

/// The tensor of the checkpoint that `moe.param` names, as stored. `name` is
/// relative to the scope that the entry function got and keeps its placeholders
/// ("experts.{expert}.w1.weight"). May throw; the exception leaves run().
using ParamProvider =
    std::function<Tensor(llvm::StringRef name, mlir::RankedTensorType type)>;

/// What the caller of a function gives in place of a traced tensor, if
/// anything.
using TraceHook =
    std::function<std::optional<Tensor>(grouped::TraceOp op, const Tensor &)>;

struct Options {
  /// Round to the type in the text at every truncf and at the results of the
  /// entry function.
  bool round = false;
  /// Null, or called for every grouped.trace.
  TraceHook trace = nullptr;
};

/// How a routing filled its slots, summed over all executions.
struct Load {
  mlir::Operation *maker;
  std::vector<mlir::Operation *> callers; // by which calls it was reached
  int64_t choices;                        // slots of a token
  std::vector<int64_t> counts;            // tokens per expert
  int64_t slots = 0;
  bool isUsed = false;
};

class Interpreter {
public:
  Interpreter(mlir::ModuleOp module, ParamProvider params,
              Options options = {});

  /// Runs an entry function. `inputs` are its arguments without scopes, params
  /// ({moe.param}) and results of prepare steps ({moe.step}): the interpreter
  /// makes those itself. Reports an error of the program as a diagnostic.
  mlir::FailureOr<llvm::SmallVector<Value>> run(mlir::func::FuncOp function,
                                                llvm::ArrayRef<Value> inputs);

  /// Which arguments of a function are inputs.
  static llvm::SmallVector<unsigned> inputsOf(mlir::func::FuncOp function);

  /// The loads of all routings by which rows are moved, or whose pairs are
  /// counted or listed: those that get a grouped.plan. In the order of the ops
  /// that made their pairs.
  llvm::SmallVector<Load> loads() const;

  // For the functions of operations:
  llvm::SmallVector<Value> call(mlir::func::FuncOp function,
                                llvm::ArrayRef<Value> arguments,
                                mlir::Operation *caller = nullptr);
  mlir::func::FuncOp lookup(mlir::Operation *from, mlir::SymbolRefAttr name);
  Value param(llvm::StringRef name, mlir::RankedTensorType type);
  /// Gives a routing that `maker` made a support of its own.
  void addSupport(mlir::Operation *maker, Routing &routing);
  /// Adds the pairs of a routing to its load, once for each support.
  void countPairs(const Routing &routing);
  void countPlan(mlir::Operation *plan, int64_t choices, int64_t slots,
                 llvm::ArrayRef<int64_t> counts);
  const Options &getOptions() const { return options; }

private:
  friend class Frame;
  const OpFunction &functionOf(mlir::Operation *op);
  Value constantArgument(mlir::func::FuncOp function, unsigned argument);

  mlir::ModuleOp module;
  ParamProvider provider;
  Options options;
  OpTable table;
  mlir::SymbolTableCollection symbols;
  llvm::DenseMap<mlir::OperationName, const OpFunction *> found;
  llvm::StringMap<Value> params;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<Value>>
      steps; // results of prepare functions
  size_t loadOf(mlir::Operation *maker, int64_t experts, int64_t choices);

  std::vector<Load> allLoads;
  std::vector<mlir::Operation *> callers; // null for the entry
};

/// The values of one call of a function.
class Frame {
public:
  explicit Frame(Interpreter &interpreter) : interpreter(interpreter) {}

  const Value &get(mlir::Value value) const;
  double number(mlir::Value value) const {
    return std::get<double>(get(value));
  }
  int64_t integer(mlir::Value value) const {
    return std::get<int64_t>(get(value));
  }
  const Tensor &tensor(mlir::Value value) const {
    return *std::get<std::shared_ptr<const Tensor>>(get(value));
  }
  const Routing &routing(mlir::Value value) const {
    return *std::get<std::shared_ptr<const Routing>>(get(value));
  }
  /// A routing that moves rows, or whose pairs are counted or listed.
  const Routing &counted(mlir::Value value) const {
    interpreter.countPairs(routing(value));
    return routing(value);
  }
  std::shared_ptr<const Tensor> share(mlir::Value value) const {
    return std::get<std::shared_ptr<const Tensor>>(get(value));
  }

  /// Throws Error if the value does not have the type written for `result`.
  void set(mlir::Value result, Value value);
  void set(mlir::Value result, Tensor tensor) {
    set(result, toValue(std::move(tensor)));
  }
  void set(mlir::Value result, Routing routing) {
    set(result, toValue(std::move(routing)));
  }
  /// The same for a routing whose pairs the operation made.
  void setMade(mlir::Value result, Routing routing) {
    interpreter.addSupport(result.getDefiningOp(), routing);
    set(result, std::move(routing));
  }

  /// Runs a region of one block and returns the operands of its terminator.
  /// Regions see the values around them.
  llvm::SmallVector<Value> run(mlir::Region &region,
                               llvm::ArrayRef<Value> arguments);

  Interpreter &interpreter;
  /// Iterations of the linalg operations around the current one, innermost
  /// last: what linalg.index reads.
  llvm::SmallVector<Shape> iterations;

private:
  void execute(mlir::Operation *op);
  llvm::DenseMap<mlir::Value, Value> values;
};

/// Positions of the k largest elements, largest first: ties to the lower
/// position, NaN below -inf.
std::vector<int64_t> largest(llvm::ArrayRef<double> keys, int64_t k);

/// A double rounded to the nearest value of a float type, ties to even.
double roundTo(mlir::FloatType type, double value);

/// The low bits of an integer as the type holds them: sign-extended, booleans 0
/// or 1, index unchanged.
int64_t wrapTo(mlir::Type type, int64_t value);

/// For expert and loop: runs regions[r] for every group bounds[r] ...
/// bounds[r+1]-1 with that group's rows offsets[g] ... offsets[g+1]-1 of each
/// `rows` tensor and slice g - bounds[r] of each tensor of `eachOf(r)`. Returns
/// row results (numRowResults of them, all groups one after the other), then
/// per-group results stacked.
llvm::SmallVector<Value>
runGroups(Frame &frame, llvm::ArrayRef<int64_t> offsets, mlir::ValueRange rows,
          llvm::function_ref<mlir::ValueRange(unsigned)> eachOf,
          llvm::ArrayRef<int64_t> bounds,
          mlir::MutableArrayRef<mlir::Region> regions, unsigned numRowResults);

} // namespace moe::reference

#endif // MOE_CODEGEN_REFERENCE_INTERPRETER_H
