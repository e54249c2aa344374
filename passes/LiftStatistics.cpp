// Results per expert that mix its rows, such as a mean: a loop of the ops that
// make them, over what the others made for all rows.
#include "passes/Lifting.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

void Lifting::keep(Operation *op) {
  for (Value result : op->getResults())
    known[result] = {LiftKind::Kept, {}};
}

/// Finds what the loop needs to make a value.
LogicalResult Lifting::collect(Value value) {
  switch (info(value).kind) {
  case LiftKind::Shared:
    return success();
  case LiftKind::Each:
    keptEach.insert(value);
    return success(tensorOf(over(value)).hasStaticShape());
  case LiftKind::Rows:
    if (info(value).of == plan) {
      keptRows.insert(value);
      return success();
    }
    break;
  case LiftKind::Numbers:
  case LiftKind::Slots:
  case LiftKind::Count:
  case LiftKind::Kept:
    break;
  }
  Operation *op = value.getDefiningOp();
  if (isa<LinearOp, grouped::LoopOp>(op))
    return failure(); // too much to do twice, or in a loop
  SmallVector<Value> operands(op->getOperands());
  llvm::append_range(operands, capturedScalars(op));
  for (Value operand : operands)
    if (failed(collect(operand)))
      return failure();
  kept.insert(op);
  return success();
}

LogicalResult Lifting::liftStatistics(ValueRange yielded) {
  SmallVector<Value> values;
  SmallVector<Type> types;
  for (Value value : yielded) {
    if (!is(value, LiftKind::Kept))
      continue;
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || !type.hasStaticShape() || failed(collect(value)))
      return failure();
    SmallVector<int64_t> shape(type.getShape());
    shape.insert(shape.begin(), numExperts());
    types.push_back(type.clone(shape));
    values.push_back(value);
  }
  if (values.empty())
    return success();
  SmallVector<Value> rows, each;
  for (Value value : keptRows)
    rows.push_back(over(value));
  for (Value value : keptEach)
    each.push_back(over(value));
  Location loc = loop.getLoc();
  auto statistics = grouped::LoopOp::create(
      builder, loc, types, plan.getOffsets(), rows, each, loop.getBoundsAttr(),
      builder.getDenseI64ArrayAttr(static_cast<int64_t>(each.size())), 1);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&statistics.getBodies().front());
  IRMapping inside = mapping;
  for (Value value : llvm::concat<const Value>(keptRows, keptEach))
    inside.map(value, body->addArgument(value.getType(), loc));
  for (Operation *op : kept)
    builder.clone(*op, inside);
  SmallVector<Value> results;
  for (auto [value, result] : llvm::zip(values, statistics.getResults())) {
    results.push_back(inside.lookup(value));
    set(value, result, LiftKind::Each);
  }
  grouped::YieldOp::create(builder, loc, ValueRange{}, results);
  return success();
}
