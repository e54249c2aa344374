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
    else if (op->hasTrait<OpTrait::Elementwise>() || isa<MapOp>(op))
      llvm::append_range(open, op->getOperands());
    else if (isa<LinearOp, RmsNormOp, SoftmaxOp, SplitOp>(op))
      open.push_back(op->getOperand(0));
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
