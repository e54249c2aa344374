// --moe-hoist-params: what depends on params alone moves into prepare
// functions, which run once when weights are loaded.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_HOISTPARAMS
#include "passes/Passes.h.inc"
} // namespace moe

//===-- Conversions and packing -------------------------------------------===//

/// The conversion below the views (slices and reshapes) of a weight, or null.
static Operation *castBelowViews(Value weight) {
  while (isa_and_nonnull<tensor::ExtractSliceOp, tensor::ExpandShapeOp,
                         tensor::CollapseShapeOp>(weight.getDefiningOp()))
    weight = weight.getDefiningOp()->getOperand(0);
  Operation *op = weight.getDefiningOp();
  return isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(op) ? op : nullptr;
}

/// The same views of the conversion's source.
static Value withoutCast(OpBuilder &builder, Value weight, Operation *cast) {
  if (weight.getDefiningOp() == cast)
    return cast->getOperand(0);
  Operation *view = weight.getDefiningOp();
  Value source = withoutCast(builder, view->getOperand(0), cast);
  Operation *copy = builder.clone(*view);
  copy->setOperand(0, source);
  copy->getResult(0).setType(
      tensorOf(weight).clone(tensorOf(source).getElementType()));
  return copy->getResult(0);
}

/// Packing converts by itself: a truncf disappears into it, and an extf too,
/// with the narrow type in the packed weights.
static void foldConversions(grouped::PackOp pack) {
  OpBuilder builder(pack);
  while (true) {
    SmallVector<Operation *> casts;
    for (Value weight : pack.getWeights())
      casts.push_back(castBelowViews(weight));
    Operation *first = casts.front();
    if (!first || llvm::any_of(casts, [&](Operation *cast) {
          return !cast || cast->getName() != first->getName() ||
                 tensorOf(cast->getOperand(0)).getElementType() !=
                     tensorOf(first->getOperand(0)).getElementType();
        }))
      return;
    grouped::PackedType type = pack.getPacked().getType();
    Type from = tensorOf(first->getOperand(0)).getElementType(),
         to = tensorOf(pack.getWeights().front()).getElementType();
    if (isa<arith::TruncFOp>(first) && type.getElementType() != to)
      return; // two roundings are not one
    if (type.getElementType().isInteger() && isa<arith::TruncFOp>(first))
      return; // a rounding before quantising
    if (isa<arith::ExtFOp>(first) && type.getElementType() == to)
      pack.getPacked().setType(grouped::PackedType::get(
          type.getContext(), type.getShape(), from, type.getWeights()));
    for (auto [index, cast] : llvm::enumerate(casts))
      pack.getWeightsMutable()[index].assign(
          withoutCast(builder, pack.getWeights()[index], cast));
  }
}

//===-- Steps -------------------------------------------------------------===//

static int64_t bytesOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return 0;
  Type element = tensor.getElementType();
  unsigned bits = element.isIndex() ? IndexType::kInternalStorageBitWidth
                                    : element.getIntOrFloatBitWidth();
  return tensor.getNumElements() * llvm::divideCeil(bits, 8);
}

/// Whether the size is known: what depends on the tokens' number stays.
static bool isSized(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return !tensor || tensor.hasStaticShape();
}

/// Known without any params: constants, and the destinations of linalg ops.
static bool isGiven(Operation *op) {
  return op->hasTrait<OpTrait::ConstantLike>() ||
         (isa<tensor::EmptyOp>(op) && op->getNumOperands() == 0);
}

namespace {
/// Moves what depends on params alone out of one entry.
class Hoisting {
public:
  Hoisting(func::FuncOp entry, SymbolTable &symbols)
      : entry(entry), symbols(symbols) {
    for (BlockArgument argument : entry.getArguments())
      if (entry.getArgAttr(argument.getArgNumber(), "moe.param"))
        params.insert(argument);
  }

  LogicalResult run() {
    leaveFlows();
    for (grouped::PackOp pack :
         llvm::make_early_inc_range(entry.getOps<grouped::PackOp>()))
      foldConversions(pack);
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(entry.front())))
      if (isOpTriviallyDead(&op)) // conversions that packing took over
        op.erase();
    for (Operation &op : entry.front().without_terminator())
      visit(&op);
    // A root is what the rest of the entry needs.
    SmallVector<Value> roots;
    for (Operation &op : entry.front().without_terminator())
      if (hoistable.contains(&op))
        for (Value result : op.getResults())
          if (!result.getType().isIntOrIndexOrFloat() && // numbers stay
              llvm::any_of(result.getUsers(),
                           [&](Operation *user) { return stays(user); }))
            roots.push_back(result);
    int64_t first = firstStep();
    for (auto [i, root] : llvm::enumerate(roots))
      createStep(root, first + i);
    for (auto [i, root] : llvm::enumerate(roots)) {
      Builder builder(entry.getContext());
      auto attributes = builder.getDictionaryAttr(
          {builder.getNamedAttr("moe.step",
                                builder.getI64IntegerAttr(first + i)),
           builder.getNamedAttr("moe.result", builder.getI64IntegerAttr(0))});
      if (failed(entry.insertArgument(entry.getNumArguments(), root.getType(),
                                      attributes, root.getLoc())))
        return failure();
      root.replaceAllUsesWith(entry.getArguments().back());
    }
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(entry.front())))
      if (hoistable.contains(&op) && op.use_empty())
        op.erase();
    return sortArguments();
  }

private:
  /// One more than the steps that the entry has already.
  int64_t firstStep() {
    int64_t first = 0;
    for (unsigned i = 0; i < entry.getNumArguments(); ++i)
      if (auto step = entry.getArgAttrOfType<IntegerAttr>(i, "moe.step"))
        first = std::max(first, step.getInt() + 1);
    return first;
  }

  /// What depends on params alone is the same in every iteration and branch.
  void leaveFlows() {
    DenseSet<Operation *> moved;
    auto isFixed = [&](Value value) {
      Operation *made = value.getDefiningOp();
      return params.contains(value) || (made && moved.contains(made));
    };
    entry.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa<scf::ForOp, scf::WhileOp, scf::IfOp, func::FuncOp>(op))
        return WalkResult::advance();
      SmallVector<Value> operands(op->getOperands());
      llvm::append_range(operands, capturedScalars(op));
      Block &body = entry.front();
      if (isPure(op) && llvm::all_of(op->getResultTypes(), isSized) &&
          (isGiven(op) ||
           (!operands.empty() && llvm::all_of(operands, isFixed)))) {
        Operation *place = body.findAncestorOpInBlock(*op);
        if (!place) // in another block of a function that has several
          return WalkResult::skip();
        moved.insert(op);
        if (place != op)
          op->moveBefore(place);
      }
      return WalkResult::skip(); // regions of others see their arguments
    });
  }

  func::FuncOp entry;
  SymbolTable &symbols;
  DenseSet<Value> params; ///< tensors of the checkpoint
  SetVector<Operation *>
      preparable; ///< ops that depend on params and constants alone
  SetVector<Operation *>
      hoistable; ///< those worth doing at load: packing and what it needs, and
                 ///< ops that do not enlarge

  void visit(Operation *op) {
    SmallVector<Value> operands(op->getOperands());
    llvm::append_range(operands, capturedScalars(op));
    if (!isPure(op) || operands.empty() ||
        !llvm::all_of(op->getOperandTypes(), isSized) ||
        !llvm::all_of(op->getResultTypes(), isSized) ||
        !llvm::all_of(operands, [&](Value value) {
          Operation *made = value.getDefiningOp();
          return params.contains(value) ||
                 (made && (preparable.contains(made) || isGiven(made)));
        }))
      return;
    preparable.insert(op);
    if (isa<grouped::PackOp>(op)) {
      hoistAll(op);
      return;
    }
    int64_t before = 0, after = 0;
    bool hoistedBefore = true;
    for (Value operand : operands) {
      before += bytesOf(operand.getType());
      Operation *made = operand.getDefiningOp();
      hoistedBefore &= !made || hoistable.contains(made) || isGiven(made);
    }
    for (Type type : op->getResultTypes())
      after += bytesOf(type);
    if (hoistedBefore && after <= before)
      hoistable.insert(op);
  }

  /// Packing needs all that it is made from, whatever its size.
  void hoistAll(Operation *op) {
    hoistable.insert(op);
    for (Value operand : op->getOperands())
      if (Operation *made = operand.getDefiningOp();
          made && preparable.contains(made))
        hoistAll(made);
  }

  /// Whether a user of a hoistable value stays in the entry.
  bool stays(Operation *user) {
    return !hoistable.contains(entry.front().findAncestorOpInBlock(*user));
  }

  /// `@F_prepare<step>`: the root and what it is made from, of its params.
  void createStep(Value root, int64_t step) {
    OpBuilder builder(entry.getContext());
    SetVector<Operation *> ops;
    SetVector<Value> inputs;
    gather(root, ops, inputs);
    auto function = func::FuncOp::create(
        root.getLoc(), (entry.getName() + "_prepare" + Twine(step)).str(),
        builder.getFunctionType(TypeRange(inputs.getArrayRef()),
                                root.getType()));
    symbols.insert(function, entry->getIterator()); // a name that is free
    function->setAttr("moe.prepare_of", builder.getStringAttr(entry.getName()));
    function->setAttr("moe.step", builder.getI64IntegerAttr(step));
    Block *body = function.addEntryBlock();
    IRMapping mapping;
    for (auto [index, input] : llvm::enumerate(inputs)) {
      mapping.map(input, body->getArgument(index));
      function.setArgAttr(
          index, "moe.param",
          entry.getArgAttr(cast<BlockArgument>(input).getArgNumber(),
                           "moe.param"));
    }
    builder.setInsertionPointToStart(body);
    for (Operation &op : entry.front())
      if (ops.contains(&op))
        builder.clone(op, mapping);
    markSpread(root, mapping.lookup(root));
    func::ReturnOp::create(builder, root.getLoc(), mapping.lookup(root));
  }

  /// Packed weights of which every task takes some columns of all experts
  /// (moe.by_panel): where the weights lie should follow the columns.
  static void markSpread(Value root, Value packed) {
    auto pack = packed.getDefiningOp<grouped::PackOp>();
    if (pack && pack.getPacked().getType().getGroups() > 1 &&
        llvm::all_of(root.getUsers(), [](Operation *user) {
          auto matmul = dyn_cast<grouped::MatmulOp>(user);
          return matmul && (matmul.isCombined() || !matmul.getOffsets());
        }))
      pack->setAttr("moe.by_panel", UnitAttr::get(pack.getContext()));
  }

  static void gather(Value value, SetVector<Operation *> &ops,
                     SetVector<Value> &inputs) {
    Operation *op = value.getDefiningOp();
    if (!op) {
      inputs.insert(value);
      return;
    }
    if (!ops.insert(op))
      return;
    for (Value operand : op->getOperands())
      gather(operand, ops, inputs);
    for (Value operand : capturedScalars(op))
      gather(operand, ops, inputs);
  }

  /// Inputs first, then params that the entry itself uses, then what steps
  /// make; params of steps alone disappear.
  LogicalResult sortArguments() {
    SmallVector<BlockArgument> moved;
    for (BlockArgument argument : entry.getArguments())
      if (params.contains(argument) && !argument.use_empty())
        moved.push_back(argument);
    unsigned position = 0; // behind the last input
    for (BlockArgument argument : entry.getArguments())
      if (!params.contains(argument) &&
          !entry.getArgAttr(argument.getArgNumber(), "moe.step"))
        position = argument.getArgNumber() + 1;
    for (BlockArgument param : moved) {
      DictionaryAttr attributes = entry.getArgAttrDict(param.getArgNumber());
      if (failed(entry.insertArgument(position, param.getType(), attributes,
                                      param.getLoc())))
        return failure();
      param.replaceAllUsesWith(entry.getArgument(position++));
    }
    BitVector erased(entry.getNumArguments());
    for (BlockArgument argument : entry.getArguments())
      if (params.contains(argument))
        erased.set(argument.getArgNumber());
    return entry.eraseArguments(erased);
  }
};

class HoistParams : public moe::impl::HoistParamsBase<HoistParams> {
public:
  void runOnOperation() override {
    SmallVector<func::FuncOp> entries;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (isEntry(function))
        entries.push_back(function);
    SymbolTable symbols(getOperation());
    for (func::FuncOp entry : entries)
      if (failed(Hoisting(entry, symbols).run()))
        return signalPassFailure();
  }
};
} // namespace
