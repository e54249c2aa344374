// What an expert has one of, its weights and its number of rows, over all
// experts.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lifting.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

/// Collapsed and expanded dimensions, with that of the experts before them.
static SmallVector<ReassociationIndices>
withExperts(ArrayRef<ReassociationIndices> groups) {
  SmallVector<ReassociationIndices> result = {{0}};
  for (ReassociationIndices group : groups) {
    for (int64_t &dimension : group)
      ++dimension;
    result.push_back(std::move(group));
  }
  return result;
}

/// Ops on per-expert tensors alone: element-wise ones work on the stacked
/// tensors, views get a leading dimension.
LogicalResult Lifting::liftEach(Operation *op) {
  Location loc = op->getLoc();
  auto result = op->getNumResults() == 1
                    ? dyn_cast<RankedTensorType>(op->getResult(0).getType())
                    : RankedTensorType();
  if (!result || !result.hasStaticShape())
    return failure();
  SmallVector<int64_t> shape(result.getShape());
  shape.insert(shape.begin(), numExperts());
  RankedTensorType type = result.clone(shape);
  auto setStacked = [&](Value value) {
    set(op->getResult(0), value, LiftKind::Each);
    return success();
  };
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    SmallVector<OpFoldResult> offsets = slice.getMixedOffsets(),
                              sizes = slice.getMixedSizes(),
                              strides = slice.getMixedStrides();
    if (llvm::any_of(offsets, llvm::IsaPred<Value>))
      return failure();
    offsets.insert(offsets.begin(), builder.getIndexAttr(0));
    sizes.insert(sizes.begin(), builder.getIndexAttr(numExperts()));
    strides.insert(strides.begin(), builder.getIndexAttr(1));
    return setStacked(tensor::ExtractSliceOp::create(
        builder, loc, type, over(slice.getSource()), offsets, sizes, strides));
  }
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return setStacked(tensor::CollapseShapeOp::create(
        builder, loc, type, over(collapse.getSrc()),
        withExperts(collapse.getReassociationIndices())));
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return setStacked(tensor::ExpandShapeOp::create(
        builder, loc, type, over(expand.getSrc()),
        withExperts(expand.getReassociationIndices())));
  if (!isElementwise(op) || isa<MapOp>(op))
    return failure();
  Value like; // what shared operands are stretched to
  for (Value operand : op->getOperands())
    if (is(operand, LiftKind::Each))
      like = over(operand);
  IRMapping operands;
  for (Value operand : op->getOperands()) {
    Value value = over(operand);
    if (is(operand, LiftKind::Shared) && isa<RankedTensorType>(value.getType()))
      value = BroadcastOp::create(builder, loc, value, like);
    operands.map(operand, value);
  }
  Operation *copy = builder.clone(*op, operands);
  copy->getResult(0).setType(type);
  return setStacked(copy->getResult(0));
}

/// Row i of expert e's table is row e * n + i of all tables end to end; a
/// number that no table has is none here either.
LogicalResult Lifting::liftGather(GatherOp op) {
  if (!is(op.getIndices(), LiftKind::Rows) ||
      tensorOf(op.getTable()).getRank() == 0)
    return failure();
  Location loc = op.getLoc();
  grouped::PlanOp of = info(op.getIndices()).of;
  RankedTensorType table = tensorOf(op.getTable());
  Value all = flatRows(builder, loc, over(op.getTable()));
  Type i64 = builder.getI64Type();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getI64IntegerAttr(value));
  };
  Value rows, size; // of one table, and of all
  if (table.isDynamicDim(0)) {
    size = arith::IndexCastOp::create(builder, loc, i64,
                                      TokensOp::create(builder, loc, all));
    rows = arith::DivUIOp::create(builder, loc, size, constant(numExperts()));
  } else {
    rows = constant(table.getDimSize(0));
    size = constant(table.getDimSize(0) * numExperts());
  }
  Value indices = over(op.getIndices()), expert = expertOfRow(of);
  RankedTensorType type = tensorOf(indices);
  if (type.getRank() > 1) {
    SmallVector<int64_t> shape(type.getRank(), 1);
    SmallVector<ReassociationIndices> column(1);
    for (int64_t d = 0; d < type.getRank(); ++d)
      column.front().push_back(d);
    shape.front() = ShapedType::kDynamic;
    expert = tensor::ExpandShapeOp::create(
        builder, loc, tensorOf(expert).clone(shape), expert, column);
    expert = BroadcastOp::create(builder, loc, expert, indices);
  }
  auto wide = [&](Value value) -> Value {
    return value.getType() == i64
               ? value
               : arith::ExtSIOp::create(builder, loc, i64, value);
  };
  Value at = createMap(
      builder, loc, {indices, expert}, i64, [&](ValueRange scalars) -> Value {
        Value row = wide(scalars[0]);
        Value first =
            arith::MulIOp::create(builder, loc, wide(scalars[1]), rows);
        Value inside = arith::CmpIOp::create(
            builder, loc, arith::CmpIPredicate::ult, row, rows);
        return arith::SelectOp::create(
            builder, loc, inside,
            arith::AddIOp::create(builder, loc, first, row), size);
      });
  set(op.getResult(), GatherOp::create(builder, loc, op.getType(), all, at),
      LiftKind::Rows, of);
  return success();
}

/// The number of an expert's rows, and tensors that have as many.
LogicalResult Lifting::liftShape(Operation *op) {
  FailureOr<grouped::PlanOp> of = rowsOf(op);
  if (failed(of) || op->getNumResults() != 1)
    return failure();
  if (isa<TokensOp, tensor::DimOp>(op)) {
    auto dim = dyn_cast<tensor::DimOp>(op);
    if (!is(op->getOperand(0), LiftKind::Rows) ||
        (dim && dim.getConstantIndex() != 0))
      return failure();
    known[op->getResult(0)] = {LiftKind::Count, *of};
    return success();
  }
  if (auto capacity = dyn_cast<CapacityOp>(op))
    return liftCapacity(capacity);
  auto result = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!result || !result.getRank() || !result.isDynamicDim(0) ||
      !llvm::all_of(op->getOperands(), [&](Value value) {
        return is(value, LiftKind::Count) ||
               (isa<RankedTensorType>(value.getType())
                    ? is(value, LiftKind::Rows)
                    : is(value, LiftKind::Shared));
      }))
    return failure();
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    bool allRows = slice.isDynamicSize(0) && !slice.getDroppedDims()[0] &&
                   slice.getStaticOffset(0) == 0 &&
                   slice.getStaticStride(0) == 1;
    if (!allRows)
      return failure();
  } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    ReassociationIndices first = expand.getReassociationIndices().front();
    for (int64_t d : llvm::drop_begin(first))
      if (result.getDimSize(d) != 1)
        return failure();
  } else if (!isa<tensor::EmptyOp, tensor::SplatOp>(op)) {
    return failure();
  }
  // All rows of the plan instead of one expert's.
  IRMapping operands = mapping;
  for (Value operand : op->getOperands())
    if (is(operand, LiftKind::Count))
      operands.map(operand,
                   TokensOp::create(builder, op->getLoc(), (*of).getSlots()));
  set(op->getResult(0), builder.clone(*op, operands)->getResult(0),
      LiftKind::Rows, *of);
  return success();
}

/// Of the number of an expert's rows, per row.
LogicalResult Lifting::liftCapacity(CapacityOp op) {
  Value tokens = countOfRow(op.getTokens());
  Operation *copy = builder.clone(*op, mapping);
  copy->getResult(0).setType(tokens.getType());
  set(op.getResult(), copy->getResult(0), LiftKind::Count,
      info(op.getTokens()).of);
  return success();
}

Value Lifting::stacked(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  bool known = is(value, LiftKind::Each) || is(value, LiftKind::Shared);
  return known && type && type.hasStaticShape() ? repeated(value, numExperts())
                                                : Value();
}
