// Calls, control flow and experts of the causality analysis (see Causality.h).
#include "passes/Causality.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace moe;

static bool keepsSupport(Operation *op) {
  return isa<NormalizeOp, ScaleOp, WithWeightsOp>(op);
}

SmallVector<Fact> Causality::resultsOf(func::FuncOp entry) {
  tokens = newRows({RowSet::Tokens, nullptr, 0});
  SmallVector<Fact> arguments;
  for (BlockArgument argument : entry.getArguments()) {
    auto tensor = dyn_cast<RankedTensorType>(argument.getType());
    Fact &fact = arguments.emplace_back();
    if (isa<RoutingType>(argument.getType())) {
      fact = {.reach = Reach::Own, .rows = tokens, .support = ++supports};
    } else if (tensor && tensor.getNumDynamicDims() == 1 &&
               tensor.isDynamicDim(0)) {
      fact = {.reach = Reach::Own, .rows = tokens, .argument = argument};
    } else if (tensor && !tensor.hasStaticShape()) {
      fact.reach = Reach::All;
      fact.blame = &blames.emplace_back(
          argument.getLoc(), ("argument " + Twine(argument.getArgNumber()) +
                              " has tokens in another dimension than the first")
                                 .str());
    }
  }
  return call(entry, arguments);
}

bool Causality::isByToken(Type type, const Fact &fact) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return isa<RoutingType>(type) || fact.rows ||
         (tensor && !tensor.hasStaticShape());
}

Fact Causality::asOutput(func::FuncOp entry, const Fact &fact) {
  if (fact.reach == Reach::Nothing || fact.reach == Reach::All ||
      fact.rows == tokens)
    return fact;
  Fact pairs{.reach = Reach::All, .rows = fact.rows};
  pairs.blame =
      &blames.emplace_back(entry.getBody().front().getTerminator()->getLoc(),
                           "a result has rows that are not tokens");
  return pairs;
}

SmallVector<Fact> Causality::call(func::FuncOp function, Facts arguments) {
  if (!active.insert(function).second)
    return SmallVector<Fact>(function.getNumResults(),
                             all(function, "calls itself"));
  auto done = llvm::scope_exit([&] { active.erase(function); });
  if (!function.getBody().hasOneBlock())
    return SmallVector<Fact>(function.getNumResults(),
                             all(function, "is not one block of operations"));
  return run(function.getBody().front(), arguments);
}

SmallVector<Fact> Causality::run(Block &block, Facts arguments) {
  for (auto [argument, fact] : llvm::zip(block.getArguments(), arguments))
    facts[argument] = fact;
  for (Operation &op : block.without_terminator())
    visit(&op);
  return llvm::map_to_vector(block.getTerminator()->getOperands(),
                             [&](Value value) { return get(value); });
}

void Causality::visit(Operation *op) {
  if (auto call = dyn_cast<func::CallOp>(op))
    return visitCall(call);
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return visitFor(loop);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return visitIf(branch);
  if (auto expert = dyn_cast<ExpertOp>(op))
    return visitExpert(expert);
  if (isConstant(op) && isMemoryEffectFree(op)) {
    set(op, {});
    for (Value result : op->getResults())
      if (isa<RoutingType>(result.getType()))
        facts[result].support =
            keepsSupport(op) ? get(op->getOperand(0)).support : ++supports;
    return;
  }
  if (!visitRouting(op) && !visitRows(op) && !visitTensor(op))
    set(op, all(op, "is not known to keep rows apart"));
}

void Causality::visitCall(func::CallOp callOp) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
      callOp, callOp.getCalleeAttr());
  if (!callee || callee.isExternal())
    return set(callOp, all(callOp, "calls a function without a body"));
  SmallVector<Fact> arguments = llvm::map_to_vector(
      callOp.getOperands(), [&](Value value) { return get(value); });
  for (auto [result, fact] :
       llvm::zip(callOp.getResults(), call(callee, arguments)))
    facts[result] = fact;
}

void Causality::visitFor(scf::ForOp loop) {
  for (Value bound :
       {loop.getLowerBound(), loop.getUpperBound(), loop.getStep()})
    if (get(bound).reach != Reach::Nothing) {
      // The number of rounds depends on tokens, and so does every result.
      Fact fact = get(bound);
      fact.countOf = nullptr;
      return set(loop, fact);
    }
  SmallVector<Fact> carried = llvm::map_to_vector(
      loop.getInitArgs(), [&](Value value) { return get(value); });
  for (bool stable = false; !stable;) {
    SmallVector<Fact> arguments = {Fact{}};
    llvm::append_range(arguments, carried);
    SmallVector<Fact> next = run(*loop.getBody(), arguments);
    stable = true;
    for (auto [fact, now] : llvm::zip(carried, next)) {
      Fact joined = join(loop, fact, now);
      stable &= joined == fact;
      fact = joined;
    }
  }
  for (auto [result, fact] : llvm::zip(loop.getResults(), carried))
    facts[result] = fact;
}

void Causality::visitIf(scf::IfOp branch) {
  Fact condition = get(branch.getCondition());
  if (condition.reach != Reach::Nothing)
    return set(branch, condition);
  if (branch.getNumResults() == 0)
    return;
  SmallVector<Fact> first = run(*branch.thenBlock(), {}),
                    second = run(*branch.elseBlock(), {});
  for (auto [result, a, b] : llvm::zip(branch.getResults(), first, second))
    facts[result] = join(branch, a, b);
}

void Causality::visitExpert(ExpertOp expert) {
  Fact routing = get(expert.getRouting());
  unsigned rowResults = expert.getNumRowResults();
  const RowSet *rows = nullptr; // the pairs, if not all is constant
  bool constant = false;
  for (Value value : expert.getRows()) {
    rows = rows ? rows : get(value).rows;
    constant |= get(value).reach == Reach::Nothing;
  }
  if (!rows && routing.reach != Reach::Nothing)
    rows = pairsOf(routing.support, routing.rows);
  Fact entering = rowWise(expert, expert.getRows(), expert.getEach());
  if (routing.reach == Reach::All)
    entering = routing;
  else if (entering.reach != Reach::All && rows &&
           (constant || rows->kind != RowSet::Pairs ||
            rows->support != routing.support))
    entering = all(expert, "reads rows that are not those of its routing");
  if (entering.reach == Reach::All) {
    for (auto [i, result] : llvm::enumerate(expert.getResults()))
      facts[result] = {.reach = Reach::All,
                       .rows = i < rowResults ? rows : nullptr,
                       .blame = entering.blame};
    return;
  }

  // One expert's rows stand in the order of the routing's rows.
  const RowSet *inside =
      rows ? newRows({RowSet::Expert, rows, routing.support}) : nullptr;
  SmallVector<Fact> results(expert.getNumResults());
  for (auto [range, body] : llvm::enumerate(expert.getBodies())) {
    SmallVector<Fact> arguments;
    for (Value value : expert.getRows()) {
      Fact fact = get(value);
      fact.rows = inside;
      arguments.push_back(fact);
    }
    arguments.resize(body.front().getNumArguments());
    SmallVector<Fact> yielded = run(body.front(), arguments);
    for (auto [i, fact] : llvm::enumerate(yielded)) {
      if (fact.reach != Reach::All && fact.reach != Reach::Nothing &&
          (i >= rowResults || fact.rows != inside))
        fact = all(expert, "yields rows that are not the expert's", rows);
      // A constant with as many rows as the expert has is read by number.
      if (i < rowResults && fact.reach == Reach::Nothing && rows)
        fact = inside->inOrder()
                   ? Fact{.reach = Reach::Earlier}
                   : all(expert, "numbers rows in the order of dispatch", rows);
      fact = {.reach = fact.reach,
              .rows = i < rowResults ? rows : nullptr,
              .argument = fact.argument,
              .blame = fact.blame};
      results[i] = range == 0 ? fact : join(expert, results[i], fact);
    }
  }
  for (auto [result, fact] : llvm::zip(expert.getResults(), results))
    facts[result] = fact;
}
