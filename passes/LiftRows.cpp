// Ops on the rows of an expert over the rows of all experts.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lifting.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

/// Ops over rows in which no operand but rows (and shared scalars) has a part.
static bool worksByRow(Operation *op) {
  if (auto concat = dyn_cast<tensor::ConcatOp>(op))
    return concat.getDim() > 0;
  return isElementwise(op) ||
         isa<grouped::TopKOp, grouped::SelectOp, grouped::JoinOp,
             grouped::CheckIdsOp, grouped::MatrixOp, CapacityOp>(op);
}

/// All tensors of an element-wise op have one shape, so all of them are rows;
/// scalars are shared.
LogicalResult Lifting::liftElementwise(Operation *op) {
  for (Value value : capturedScalars(op))
    if (!is(value, LiftKind::Shared))
      return failure();
  return cloneIf(op, worksByRow(op) &&
                         llvm::all_of(op->getOperands(), [&](Value value) {
                           return isa<RankedTensorType>(value.getType())
                                      ? is(value, LiftKind::Rows)
                                      : is(value, LiftKind::Shared);
                         }));
}

LogicalResult Lifting::liftLinear(LinearOp op) {
  if (!is(op.getInput(), LiftKind::Rows) ||
      is(op.getWeight(), LiftKind::Rows) ||
      (op.getBias() && is(op.getBias(), LiftKind::Rows)))
    return failure();
  if (is(op.getWeight(), LiftKind::Shared))
    return cloneIf(op,
                   tensorOf(op.getInput()).getRank() > 1 &&
                       (!op.getBias() || is(op.getBias(), LiftKind::Shared)));
  if (tensorOf(op.getInput()).getRank() != 2 || isUnpacked(op) ||
      !tensorOf(over(op.getWeight())).hasStaticShape())
    return failure();
  // Rows of a routing inside are grouped by its experts too.
  grouped::PlanOp of = info(op.getInput()).of;
  auto groups = static_cast<int64_t>(of.getExperts());
  Value bias = op.getBias();
  if (bias)
    bias = is(bias, LiftKind::Each) ? repeated(bias, groups) : over(bias);
  Value result =
      createLinear(builder, op.getLoc(), over(op.getInput()), of.getOffsets(),
                   repeated(op.getWeight(), groups), bias, op.getInOut(),
                   op.getResult().getType().getElementType());
  result = castShape(builder, op.getLoc(), result, op.getType());
  set(op.getResult(), result, LiftKind::Rows, of);
  return success();
}

LogicalResult Lifting::liftBroadcast(BroadcastOp op) {
  RankedTensorType like = op.getLike().getType();
  auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
  int64_t rank = input ? input.getRank() : 0;
  if (!is(op.getLike(), LiftKind::Rows))
    return failure();
  if (is(op.getInput(),
         LiftKind::Rows)) // otherwise rows would be aligned with columns
    return cloneIf(op, rank == like.getRank());
  if (is(op.getInput(), LiftKind::Shared))
    return cloneIf(op, rank < like.getRank());
  if (rank != 0 && rank != like.getRank() - 1)
    return failure();
  // One per expert: every row takes its expert's.
  Location loc = op.getLoc();
  Value table = over(op.getInput());
  SmallVector<int64_t> shape(tensorOf(table).getShape());
  if (rank == 0 && like.getRank() > 1) { // a scalar: [E] as [E, 1, ..., 1]
    shape.append(like.getRank() - 1, 1);
    table = SplitOp::create(builder, loc, tensorOf(table).clone(shape), table);
  }
  shape[0] = ShapedType::kDynamic;
  grouped::PlanOp of = info(op.getLike()).of;
  Value ofRow = GatherOp::create(builder, loc, tensorOf(table).clone(shape),
                                 table, expertOfRow(of));
  if (ofRow.getType() != op.getType())
    ofRow = BroadcastOp::create(builder, loc, ofRow, over(op.getLike()));
  set(op.getResult(), ofRow, LiftKind::Rows, of);
  return success();
}

/// Queries are rows of the expert. Keys and values are the same for all, or
/// rows too: those of other experts are then another segment.
LogicalResult Lifting::liftAttention(AttentionOp op) {
  auto all = [&](ValueRange values, LiftKind kind) {
    return llvm::all_of(values,
                        [&](Value value) { return !value || is(value, kind); });
  };
  bool ofRows =
      all({op.getQuery(), op.getQuerySegments(), op.getQueryPositions()},
          LiftKind::Rows);
  Value keys[] = {op.getKey(), op.getValue(), op.getKeySegments(),
                  op.getKeyPositions()};
  if (ofRows && all(keys, LiftKind::Shared))
    return cloneIf(op, true);
  FailureOr<grouped::PlanOp> of = rowsOf(op);
  if (failed(of) || !ofRows || op.getKeySegments() ||
      !all(keys, LiftKind::Rows))
    return failure();
  Value segments = expertOfRow(*of);
  auto copy = cast<AttentionOp>(builder.clone(*op, mapping));
  copy.getQuerySegmentsMutable().assign(segments);
  copy.getKeySegmentsMutable().assign(segments);
  set(op.getResult(), copy.getResult(), LiftKind::Rows, *of);
  return success();
}
