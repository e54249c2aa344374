// What the files Lift*.cpp make for each other while they lift a loop (see
// Lifting.h).
#include "passes/Lifting.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

FailureOr<grouped::PlanOp> Lifting::rowsOf(Operation *op) const {
  grouped::PlanOp of;
  for (Value operand : op->getOperands()) {
    if (!is(operand, LiftKind::Rows) && !is(operand, LiftKind::Count))
      continue;
    if (of && info(operand).of != of)
      return failure();
    of = info(operand).of;
  }
  return of;
}

LogicalResult Lifting::clone(Operation *op, Lifted as) {
  Operation *copy = builder.clone(*op, mapping);
  for (auto [result, value] : llvm::zip(op->getResults(), copy->getResults()))
    set(result, value, as.kind, as.of);
  return success();
}

LogicalResult Lifting::cloneIf(Operation *op, bool rowWise) {
  FailureOr<grouped::PlanOp> of = rowsOf(op);
  if (!rowWise || failed(of))
    return failure();
  return clone(op, {LiftKind::Rows, *of});
}

Value Lifting::repeated(Value value, int64_t count) {
  Location loc = value.getLoc();
  Value tensor = over(value);
  RankedTensorType type = tensorOf(tensor);
  SmallVector<int64_t> shape(type.getShape());
  auto stretched = [&](Value input) -> Value {
    Value like =
        tensor::EmptyOp::create(builder, loc, shape, type.getElementType());
    return BroadcastOp::create(builder, loc, input, like);
  };
  if (is(value, LiftKind::Shared)) {
    shape.insert(shape.begin(), count);
    return stretched(tensor);
  }
  if (count == numExperts())
    return tensor;
  // [E, ...] as [E, 1, ...], stretched to [E, n, ...], as [E * n, ...].
  shape.insert(shape.begin() + 1, 1);
  Value column = tensor::ExpandShapeOp::create(
      builder, loc, type.clone(shape), tensor, firstTwo(type.getRank() + 1));
  shape[1] = count / numExperts();
  return flatRows(builder, loc, stretched(column));
}

Value Lifting::expertOfRow(grouped::PlanOp of) {
  Value &result = experts[of];
  if (result)
    return result;
  Location loc = plan.getLoc();
  if (of == plan) {
    Value flat = flatRows(builder, loc, plan.getIds());
    return result = GatherOp::create(builder, loc, plan.getSlots().getType(),
                                     flat, plan.getSlots());
  }
  Value outer = expertOfRow(rowsBefore.lookup(of));
  return experts[of] = GatherOp::create(builder, loc, of.getTokens().getType(),
                                        outer, of.getTokens());
}

Value Lifting::countOfRow(Value count) {
  if (!mapping.contains(count))
    mapping.map(count, SegmentSizeOp::create(builder, count.getLoc(),
                                             expertOfRow(info(count).of)));
  return over(count);
}
