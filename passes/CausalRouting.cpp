// What ops that make, edit, read and follow a routing make of facts (see
// Causality.h).
#include "passes/Causality.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

bool CausalOps::visitRouting(Operation *op) {
  // The same pairs with weights that depend on the row and on `whole`.
  auto sameSupport = [&](Value routing, ValueRange aligned,
                         ValueRange whole = {}) {
    SmallVector<Value> rows = {routing};
    llvm::append_range(rows, aligned);
    Fact fact = rowWise(op, rows, whole);
    fact.support = get(routing).support;
    set(op, fact);
    return true;
  };
  auto otherSupport = [&](ValueRange aligned, ValueRange whole = {}) {
    set(op, newSupport(rowWise(op, aligned, whole)));
    return true;
  };
  auto ofAllTokens = [&](const Twine &reason) {
    set(op, all(op, reason));
    return true;
  };
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([&](RouteOp route) {
        visitRoute(route);
        return true;
      })
      .Case([&](LookupOp lookup) {
        SmallVector<Value> aligned = {lookup.getIds()};
        if (lookup.getScores())
          aligned.push_back(lookup.getScores());
        return otherSupport(aligned, lookup.getTable());
      })
      .Case([&](FromIndicesOp given) {
        return otherSupport(given->getOperands());
      })
      .Case([&](AssignOp assign) {
        set(op, newSupport(all(op, "balances experts over all tokens",
                               get(assign.getScores()).rows)));
        return true;
      })
      .Case([&](NormalizeOp normalize) {
        return sameSupport(normalize.getRouting(), {});
      })
      .Case([&](ScaleOp scale) {
        return sameSupport(scale.getRouting(), {},
                           scale->getOperands().drop_front());
      })
      .Case([&](WithWeightsOp with) {
        return sameSupport(with.getRouting(), with.getWeights());
      })
      .Case([&](KeepOp keep) {
        if (keep.isPerExpert())
          return otherSupport(keep.getRouting(), keep.getMask());
        return otherSupport({keep.getRouting(), keep.getMask()});
      })
      .Case([&](JoinOp join) { return otherSupport(join->getOperands()); })
      .Case([&](LimitOp limit) {
        visitLimit(limit);
        return true;
      })
      .Case<WeightsOp, IndicesOp, ToMatrixOp>([&](Operation *) {
        set(op, rowWise(op, op->getOperands()));
        return true;
      })
      .Case([&](PairsOp pairsOp) {
        visitPairs(pairsOp);
        return true;
      })
      .Case<CountsOp, ImportanceOp, BalanceLossOp>(
          [&](Operation *) { return ofAllTokens("is a number of all tokens"); })
      .Case([&](DispatchOp dispatch) {
        visitDispatch(dispatch);
        return true;
      })
      .Case([&](moe::CombineOp combine) {
        visitCombine(combine);
        return true;
      })
      .Default(false);
}

void CausalOps::visitRoute(RouteOp op) {
  SmallVector<Value> scores = {op.getWeights()}, whole;
  if (op.getKey())
    scores.push_back(op.getKey());
  if (op.getThreshold())
    whole.push_back(op.getThreshold());
  Fact fact = rowWise(op, scores, whole);
  if (op.getSelection() == Selection::Take && fact.reach != Reach::All)
    fact = all(op, "lets experts choose among all tokens", fact.rows);
  set(op, newSupport(fact));
}

void CausalOps::visitLimit(LimitOp op) {
  SmallVector<Value> aligned = {op.getRouting()}, whole;
  bool byRow = isa<RankedTensorType>(op.getCapacity().getType());
  (byRow ? aligned : whole).push_back(op.getCapacity());
  if (op.getSegments())
    aligned.push_back(op.getSegments());
  Fact fact = rowWise(op, aligned, whole);
  RoutingType routing = op.getRouting().getType();
  bool oneSlot =
      routing.getShape() == RoutingShape::Top && routing.getChoices() == 1;
  if (fact.reach == Reach::All)
    return set(op, newSupport(fact));
  if (op.getPriority() || op.getOrder() == Order::Weight)
    fact = all(op, "prefers tokens by a value, not by their order", fact.rows);
  else if (op.getOrder() == Order::Choice && !oneSlot)
    fact = all(op, "places all first choices before second ones", fact.rows);
  else if (fact.rows && !fact.rows->inOrder())
    fact = all(op, "numbers rows in the order of dispatch", fact.rows);
  fact.reach = std::max(fact.reach, Reach::Earlier);
  set(op, newSupport(fact));
}

void CausalOps::visitPairs(PairsOp op) {
  Fact routing = get(op.getRouting());
  Fact fact = {.reach = routing.reach,
               .rows = pairsOf(routing.support, routing.rows),
               .blame = routing.blame};
  set(op, fact);
  Reach numbering = routing.rows ? routing.rows->numbering() : Reach::All;
  if (fact.reach < numbering)
    facts[op.getToken()] =
        numbering == Reach::All
            ? all(op, "numbers rows in the order of dispatch", fact.rows)
            : Fact{.reach = numbering, .rows = fact.rows};
}

void CausalOps::visitDispatch(DispatchOp op) {
  Fact fact = rowWise(op, {op.getInput(), op.getRouting()});
  fact.rows = pairsOf(get(op.getRouting()).support, fact.rows);
  fact.argument = get(op.getInput()).argument;
  set(op, fact);
}

void CausalOps::visitCombine(moe::CombineOp op) {
  Fact input = get(op.getInput()), routing = get(op.getRouting());
  const RowSet *rows = input.rows ? input.rows->of : routing.rows;
  Fact fact = input.reach == Reach::All ? input : routing;
  fact.reach = std::max(input.reach, routing.reach);
  if (fact.reach != Reach::All &&
      (!input.rows || input.rows->kind != RowSet::Pairs ||
       input.rows->support != routing.support))
    fact = all(op, "reads rows that are not those of its routing");
  set(op, {.reach = fact.reach, .rows = rows, .blame = fact.blame});
}
