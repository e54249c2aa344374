// Following routings and rows backwards through the ops that keep pairs and
// rows in place.
#include "dialect/MoeSupport.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace moe;

Value moe::supportOf(Value routing) {
  SmallPtrSet<Operation *, 8>
      visited; // dominance is verified later: there may be cycles
  for (Operation *op = routing.getDefiningOp(); op && visited.insert(op).second;
       op = routing.getDefiningOp()) {
    if (!isa<NormalizeOp, ScaleOp, WithWeightsOp>(op))
      break;
    routing = op->getOperand(0);
  }
  return routing;
}

/// The operation that chooses the pairs of a support, unless it is not in
/// sight.
static Operation *makerOf(Value support) {
  Operation *op = support.getDefiningOp();
  return isa_and_present<RouteOp, LookupOp, FromIndicesOp, AssignOp, KeepOp,
                         JoinOp, LimitOp>(op)
             ? op
             : nullptr;
}

static bool surelyDiffer(Value a, Value b) {
  Value first = supportOf(a), second = supportOf(b);
  if (first == second)
    return false;
  if (first.getType() != second.getType())
    return true;
  Operation *firstMaker = makerOf(first), *secondMaker = makerOf(second);
  return firstMaker && secondMaker &&
         !OperationEquivalence::isEquivalentTo(
             firstMaker, secondMaker, OperationEquivalence::IgnoreLocations);
}

/// The operands of an op whose row r makes row r of the result, as far as that
/// is known.
static OperandRange sameRows(Operation *op) {
  if (op->hasTrait<OpTrait::Elementwise>() || isa<MapOp>(op))
    return op->getOperands();
  if (isa<LinearOp, RmsNormOp, SoftmaxOp, SplitOp>(op))
    return op->getOperands().take_front(1);
  return op->getOperands().take_front(0);
}

/// The dispatches and experts that rows come from, through ops that keep row r
/// in place.
static SmallVector<Operation *> movesOf(Value rows) {
  SmallVector<Operation *> moves;
  SmallVector<Value> open = {rows};
  SmallPtrSet<Operation *, 16> visited;
  while (!open.empty()) {
    Operation *op = open.pop_back_val().getDefiningOp();
    if (!op || !visited.insert(op).second)
      continue;
    if (isa<DispatchOp, ExpertOp>(op))
      moves.push_back(op);
    else
      llvm::append_range(open, sameRows(op));
  }
  return moves;
}

static Value routingOf(Operation *move) {
  if (auto dispatch = dyn_cast<DispatchOp>(move))
    return dispatch.getRouting();
  return cast<ExpertOp>(move).getRouting();
}

bool moe::moveOfOtherSupport(Value rows, Value routing) {
  return llvm::any_of(movesOf(rows), [&](Operation *move) {
    return surelyDiffer(routingOf(move), routing);
  });
}

/// All values in sight with the rows of one of `open`.
static SmallPtrSet<Value, 16> withSameRows(SmallVector<Value> open) {
  SmallPtrSet<Value, 16> values;
  while (!open.empty()) {
    Value value = open.pop_back_val();
    auto type = dyn_cast<RankedTensorType>(value.getType());
    // Of rank 1, a split makes other rows.
    if (!type || type.getRank() < 2 || !type.isDynamicDim(0) ||
        !values.insert(value).second)
      continue;
    if (Operation *op = value.getDefiningOp())
      llvm::append_range(open, sameRows(op));
  }
  return values;
}

/// What a routing was made from, by token.
static SmallVector<Value> tokensOf(Value routing) {
  SmallPtrSet<Operation *, 8> visited;
  for (Operation *op = routing.getDefiningOp(); op && visited.insert(op).second;
       op = op->getOperand(0).getDefiningOp()) {
    if (isa<RouteOp, LookupOp, FromIndicesOp, AssignOp>(op))
      return SmallVector<Value>(op->getOperands());
    if (!isa<NormalizeOp, ScaleOp, WithWeightsOp, KeepOp, LimitOp, JoinOp>(op))
      break;
  }
  return {};
}

bool moe::areTokensOf(Value rows, Value routing) {
  SmallPtrSet<Value, 16> tokens = withSameRows(tokensOf(routing));
  return llvm::any_of(withSameRows({rows}),
                      [&](Value value) { return tokens.contains(value); });
}

bool moe::comesFromWeighted(Value rows) {
  SmallVector<Operation *> open = movesOf(rows);
  SmallPtrSet<Operation *, 8> visited;
  while (!open.empty()) {
    Operation *move = open.pop_back_val();
    if (!visited.insert(move).second)
      continue;
    if (auto dispatch = dyn_cast<DispatchOp>(move);
        dispatch && dispatch.getWeighted())
      return true;
    if (auto expert = dyn_cast<ExpertOp>(move))
      for (Value row : expert.getRows())
        open.append(movesOf(row));
  }
  return false;
}
