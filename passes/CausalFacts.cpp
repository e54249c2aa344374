// Facts of the causality analysis (see CausalFacts.h).
#include "passes/CausalFacts.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

static bool isTensorWithRows(Value value) {
  auto tensor = dyn_cast<RankedTensorType>(value.getType());
  return (tensor && tensor.getRank() > 0) || isa<RoutingType>(value.getType());
}

Fact CausalFacts::get(Value value) const { return facts.lookup(value); }

void CausalFacts::set(Operation *op, Fact fact) {
  for (Value result : op->getResults())
    facts[result] = fact;
}

Fact CausalFacts::all(Operation *op, const Twine &reason, const RowSet *rows) {
  Fact fact;
  fact.reach = Reach::All;
  fact.rows = rows;
  for (Value operand : op->getOperands())
    if (!fact.blame && get(operand).reach == Reach::All)
      fact.blame = get(operand).blame;
  if (!fact.blame)
    fact.blame = &blames.emplace_back(
        op->getLoc(),
        ("'" + op->getName().getStringRef() + "' " + reason).str());
  return fact;
}

bool CausalFacts::isConstant(Operation *op) const {
  SmallVector<Value> read(op->getOperands());
  llvm::append_range(read, capturedScalars(op));
  return llvm::all_of(
      read, [&](Value value) { return get(value).reach == Reach::Nothing; });
}

const RowSet *CausalFacts::pairsOf(unsigned support, const RowSet *rows) {
  const RowSet *&known = pairs[{support, rows}];
  if (!known)
    known = newRows({RowSet::Pairs, rows, support});
  return known;
}

Fact CausalFacts::join(Operation *op, Fact a, Fact b) {
  if (a.reach == Reach::All || b.reach == Reach::All || a == b) {
    Fact fact = a.reach == Reach::All ? a : b;
    if (a.countOf != b.countOf)
      fact.countOf = nullptr;
    return fact;
  }
  if (a.reach == Reach::Nothing)
    std::swap(a, b);
  bool oneIsConstant = b.reach == Reach::Nothing;
  if (!oneIsConstant && (a.rows != b.rows || a.support != b.support))
    return all(op, "gives rows of one kind or of another", a.rows);
  Fact fact{.reach = std::max(a.reach, b.reach), .rows = a.rows};
  if (oneIsConstant && a.rows)
    fact.reach = std::max(fact.reach, a.rows->numbering());
  if (oneIsConstant && (a.support || fact.reach == Reach::All))
    return all(op, "gives rows of one kind or of another", a.rows);
  fact.support = a.support;
  return fact;
}

Fact CausalFacts::rowWise(Operation *op, ValueRange aligned, ValueRange whole) {
  Fact result;
  bool numbered = false, mixed = false;
  for (Value value : aligned) {
    Fact fact = get(value);
    if (fact.reach == Reach::Nothing) {
      numbered |= isTensorWithRows(value);
      continue;
    }
    mixed |= result.rows && fact.rows && result.rows != fact.rows;
    result.rows = result.rows ? result.rows : fact.rows;
    if (result.reach < fact.reach) {
      result.reach = fact.reach;
      result.blame = fact.blame;
    }
  }
  for (Value value : whole) {
    Fact fact = get(value);
    if (fact.reach == Reach::Nothing || result.reach == Reach::All)
      continue;
    result = fact.reach == Reach::All
                 ? Fact{.reach = Reach::All,
                        .rows = result.rows,
                        .blame = fact.blame}
                 : all(op, "uses all rows for each row", result.rows);
  }
  if (result.reach == Reach::All)
    return result;
  if (mixed)
    return all(op, "reads rows of two kinds together", result.rows);
  if (numbered && result.rows) {
    result.reach = std::max(result.reach, result.rows->numbering());
    if (result.reach == Reach::All)
      return all(op, "numbers rows in the order of dispatch", result.rows);
  }
  return result;
}

Fact CausalFacts::newSupport(Fact fact) {
  fact.support = ++supports;
  return fact;
}
