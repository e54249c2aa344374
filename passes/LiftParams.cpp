// --moe-lift-params: names of the checkpoint become arguments of the entry;
// scopes disappear.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_LIFTPARAMS
#include "passes/Passes.h.inc"
} // namespace moe

static std::optional<APInt> constantInteger(Value value) {
  APInt constant;
  if (!matchPattern(value, m_ConstantInt(&constant)))
    return std::nullopt;
  return constant;
}

static std::optional<int64_t> constantIndex(Value value) {
  if (std::optional<APInt> constant = constantInteger(value))
    return constant->getSExtValue();
  return std::nullopt;
}

/// Writes the body once per iteration, with the induction variable as a
/// constant.
static void unroll(scf::ForOp loop, APInt index, const APInt &end,
                   const APInt &step) {
  OpBuilder builder(loop);
  SmallVector<Value> carried(loop.getInitArgs());
  bool overflow = false;
  auto isBelowEnd = [&] {
    return loop.getUnsignedCmp() ? index.ult(end) : index.slt(end);
  };
  while (!overflow && isBelowEnd()) {
    IRMapping mapping;
    Value number = arith::ConstantOp::create(
        builder, loop.getLoc(),
        builder.getIntegerAttr(loop.getInductionVar().getType(), index));
    index = loop.getUnsignedCmp() ? index.uadd_ov(step, overflow)
                                  : index.sadd_ov(step, overflow);
    mapping.map(loop.getInductionVar(), number);
    mapping.map(loop.getRegionIterArgs(), carried);
    for (Operation &op : loop.getBody()->without_terminator()) {
      Operation *copy = builder.clone(op, mapping);
      SmallVector<Value> folded;
      // %i + 1 has to be a constant too.
      if (succeeded(builder.tryFold(copy, folded)) && !folded.empty() &&
          !llvm::equal(folded, copy->getResults())) {
        mapping.map(op.getResults(), folded);
        copy->erase();
      }
    }
    for (auto [value, yielded] :
         llvm::zip(carried, loop.getBody()->getTerminator()->getOperands()))
      value = mapping.lookupOrDefault(yielded);
  }
  loop.replaceAllUsesWith(carried);
  loop.erase();
}

/// Unrolls the loops around scopes whose index is not a constant, outermost
/// first.
static LogicalResult unrollScopes(func::FuncOp function) {
  while (true) {
    ScopeOp found;
    function.walk([&](ScopeOp scope) {
      bool open = scope.getIndex() && !constantIndex(scope.getIndex());
      if (open)
        found = scope;
      return open ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (!found)
      return success();
    scf::ForOp loop;
    for (auto outer = found->getParentOfType<scf::ForOp>(); outer;
         outer = outer->getParentOfType<scf::ForOp>())
      loop = outer;
    if (!loop)
      return found.emitOpError("has an index that is neither a constant nor "
                               "computed from the variable of an scf.for");
    std::optional<APInt> begin = constantInteger(loop.getLowerBound()),
                         end = constantInteger(loop.getUpperBound()),
                         step = constantInteger(loop.getStep());
    if (!begin || !end || !step)
      return found.emitOpError(
          "is in an scf.for whose bounds are not constants");
    if (loop.getUnsignedCmp() ? step->isZero() : !step->isStrictlyPositive())
      return found.emitOpError("is in an scf.for of step ")
             << step->getSExtValue() << ", expected at least 1";
    unroll(loop, *begin, *end, *step);
  }
}

/// The text that a scope stands for: what was appended on the way from the
/// entry's argument.
static FailureOr<std::string> prefixOf(Value scope, Operation *user) {
  if (auto argument = dyn_cast<BlockArgument>(scope);
      argument && isa<func::FuncOp>(argument.getOwner()->getParentOp()))
    return std::string();
  auto op = scope.getDefiningOp<ScopeOp>();
  if (!op)
    return user->emitOpError(
        "uses a scope that control flow merged, so its names are not known");
  FailureOr<std::string> prefix = prefixOf(op.getScope(), op);
  if (failed(prefix))
    return failure();
  std::string text = op.getText().str();
  if (op.getIndex())
    text.replace(text.find("{}"), 2,
                 std::to_string(*constantIndex(op.getIndex())));
  return *prefix + text;
}

namespace {
class LiftParams : public moe::impl::LiftParamsBase<LiftParams> {
public:
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal() && failed(lift(function)))
        return signalPassFailure();
  }

private:
  LogicalResult lift(func::FuncOp function) {
    BitVector scopes(function.getNumArguments());
    for (BlockArgument argument : function.getArguments())
      if (isa<ScopeType>(argument.getType()))
        scopes.set(argument.getArgNumber());
    if (scopes.count() > 1)
      return function.emitOpError("takes ")
             << scopes.count() << " scopes, expected at most one";
    if (failed(checkUses(function)) || failed(unrollScopes(function)))
      return failure();

    llvm::MapVector<StringRef, BlockArgument> arguments;
    WalkResult walk = function.walk([&](ParamOp param) {
      FailureOr<std::string> prefix = prefixOf(param.getScope(), param);
      if (failed(prefix))
        return WalkResult::interrupt();
      StringAttr name =
          StringAttr::get(&getContext(), *prefix + param.getText());
      Type type = param.getType();
      BlockArgument &argument = arguments[name];
      if (!argument) {
        auto attributes = DictionaryAttr::get(
            &getContext(), NamedAttribute("moe.param", name));
        if (failed(function.insertArgument(function.getNumArguments(), type,
                                           attributes, param.getLoc())))
          return WalkResult::interrupt();
        argument = function.getArguments().back();
      } else if (argument.getType() != type) {
        param.emitOpError("'")
            << name.getValue() << "' is " << type << " here, but "
            << argument.getType() << " elsewhere";
        return WalkResult::interrupt();
      }
      param.replaceAllUsesWith(static_cast<Value>(argument));
      param.erase();
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      return failure();
    // Inner scopes use outer ones, so the last goes first.
    SmallVector<ScopeOp> unused;
    function.walk([&](ScopeOp scope) { unused.push_back(scope); });
    for (ScopeOp scope : llvm::reverse(unused))
      scope.erase();
    scopes.resize(function.getNumArguments());
    return function.eraseArguments(scopes);
  }

  /// After inlining, only scope and param may look at a scope.
  static LogicalResult checkUses(func::FuncOp function) {
    WalkResult walk = function.walk([&](Operation *op) {
      if (isa<ScopeOp, ParamOp>(op) ||
          llvm::none_of(op->getOperandTypes(), llvm::IsaPred<ScopeType>))
        return WalkResult::advance();
      if (auto call = dyn_cast<func::CallOp>(op))
        call.emitOpError("passes a scope to @")
            << call.getCallee() << ", which was not inlined: is it recursive?";
      else
        op->emitOpError("merges or returns a scope; only moe.scope and "
                        "moe.param may use one");
      return WalkResult::interrupt();
    });
    return failure(walk.wasInterrupted());
  }
};
} // namespace
