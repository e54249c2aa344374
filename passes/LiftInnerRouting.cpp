// A routing inside an expert over the rows of all experts: its plan has a group
// for each inner expert of each expert.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lifting.h"
#include "passes/Rewriting.h"
#include "passes/RoutingSlots.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

bool Lifting::isOfRouting(Operation *op) const {
  return isa<grouped::PlanOp, grouped::LoopOp, grouped::PickOp,
             grouped::LimitOp, grouped::TakeOp, grouped::AssignOp>(op) ||
         llvm::any_of(op->getOperands(), [&](Value value) {
           return is(value, LiftKind::Numbers) || is(value, LiftKind::Slots);
         });
}

Value Lifting::flatIds(Value ids, int64_t inner) {
  Value lifted = over(ids);
  if (Value known = flat.lookup(lifted))
    return known;
  Location loc = ids.getLoc();
  Type i32 = builder.getI32Type();
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getI32IntegerAttr(value));
  };
  auto column = RankedTensorType::get({ShapedType::kDynamic, 1}, i32);
  Value expert = tensor::ExpandShapeOp::create(
      builder, loc, column, expertOfRow(info(ids).of),
      ArrayRef<ReassociationIndices>{{0, 1}});
  Value ofSlot = BroadcastOp::create(builder, loc, expert, lifted);
  return flat[lifted] = createMap(
             builder, loc, {lifted, ofSlot}, i32,
             [&](ValueRange scalars) -> Value {
               Value isInner = arith::CmpIOp::create(
                   builder, loc, arith::CmpIPredicate::ult, scalars[0],
                   constant(inner));
               Value first = arith::MulIOp::create(builder, loc, scalars[1],
                                                   constant(inner));
               Value id =
                   arith::AddIOp::create(builder, loc, first, scalars[0]);
               // Empty stays negative, and an error stays above all ids.
               Value other = arith::OrIOp::create(builder, loc, scalars[0],
                                                  constant(1 << 30));
               return arith::SelectOp::create(builder, loc, isInner, id, other);
             });
}

LogicalResult Lifting::liftPlan(grouped::PlanOp op) {
  if (!is(op.getIds(), LiftKind::Rows))
    return failure();
  auto inner = static_cast<int64_t>(op.getExperts());
  int64_t total = numExperts() * inner;
  Value ids = flatIds(op.getIds(), inner);
  RankedTensorType offsets = tensorOf(op.getOffsets());
  auto all = grouped::PlanOp::create(
      builder, op.getLoc(), offsets.clone(ArrayRef<int64_t>{total + 1}),
      op.getTokens().getType(), op.getSlots().getType(), op.getRows().getType(),
      ids, total);
  all->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  if (auto loads = op->getAttrOfType<DenseI64ArrayAttr>("moe.loads")) {
    SmallVector<int64_t> where(loads.asArrayRef());
    where.front() *= numExperts();
    all->setAttr("moe.loads", builder.getDenseI64ArrayAttr(where));
  }
  rowsBefore[all] = info(op.getIds()).of;
  for (auto [from, to] : llvm::zip(op->getResults(), all->getResults()))
    set(from, to, LiftKind::Numbers, all);
  return success();
}

/// [T, k, ...] as [T * k, ...].
LogicalResult Lifting::liftFlat(tensor::CollapseShapeOp op) {
  if (!is(op.getSrc(), LiftKind::Rows) ||
      op.getReassociationIndices().front().size() != 2)
    return failure();
  return clone(op, {LiftKind::Slots, info(op.getSrc()).of});
}

/// Rows of tokens by tokens, values of slots by slots.
LogicalResult Lifting::liftLookup(GatherOp op) {
  if (!is(op.getIndices(), LiftKind::Numbers))
    return failure();
  grouped::PlanOp made = info(op.getIndices()).of;
  Lifted table = info(op.getTable());
  if (table.of != rowsBefore.lookup(made))
    return failure();
  Value indices = over(op.getIndices());
  auto flat = op.getTable().getDefiningOp<tensor::CollapseShapeOp>();
  bool byToken = table.kind == LiftKind::Rows && indices == made.getTokens();
  bool bySlot =
      table.kind == LiftKind::Slots && indices == made.getSlots() &&
      flat.getSrcType().getDimSize(1) == made.getIds().getType().getDimSize(1);
  return byToken || bySlot ? clone(op, {LiftKind::Rows, made}) : failure();
}

/// The differences of the offsets: slices of them, and the subtraction.
LogicalResult Lifting::liftCounts(Operation *op) {
  if (!llvm::all_of(op->getOperands(),
                    [&](Value value) { return is(value, LiftKind::Numbers); }))
    return failure();
  grouped::PlanOp made = info(op->getOperand(0)).of;
  auto total = static_cast<int64_t>(made.getExperts());
  int64_t inner = total / numExperts();
  auto result = tensorOf(op->getResult(0));
  if (result.getShape() != ArrayRef<int64_t>{inner})
    return failure();
  Location loc = op->getLoc();
  auto flat = result.clone(ArrayRef<int64_t>{total});
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    if (over(slice.getSource()) != made.getOffsets() ||
        slice.getStaticStride(0) != 1 ||
        ShapedType::isDynamic(slice.getStaticOffset(0)))
      return failure();
    Value part = tensor::ExtractSliceOp::create(
        builder, loc, flat, over(slice.getSource()), slice.getMixedOffsets(),
        ArrayRef<OpFoldResult>{builder.getIndexAttr(total)},
        slice.getMixedStrides());
    set(slice.getResult(), part, LiftKind::Numbers, made);
    return success();
  }
  for (Value end : op->getOperands()) {
    auto slice = end.getDefiningOp<tensor::ExtractSliceOp>();
    if (info(end).of != made || !slice)
      return failure();
  }
  Operation *counts = builder.clone(*op, mapping);
  counts->getResult(0).setType(flat);
  auto byExpert = result.clone(ArrayRef<int64_t>{numExperts(), inner});
  set(op->getResult(0),
      tensor::ExpandShapeOp::create(builder, loc, byExpert,
                                    counts->getResult(0),
                                    ArrayRef<ReassociationIndices>{{0, 1}}),
      LiftKind::Each);
  return success();
}

LogicalResult Lifting::liftCombine(grouped::CombineOp op) {
  if (!is(op.getRows(), LiftKind::Numbers))
    return failure();
  grouped::PlanOp made = info(op.getRows()).of;
  grouped::PlanOp tokens = rowsBefore.lookup(made);
  bool byRows = over(op.getRows()) == made.getRows() &&
                isRowsOf(op.getInput(), made) &&
                (!op.getWeights() || isRowsOf(op.getWeights(), tokens));
  return byRows ? clone(op, {LiftKind::Rows, tokens}) : failure();
}

/// The loop over all groups; what one expert's inner experts share is repeated
/// for each of them.
LogicalResult Lifting::liftLoop(grouped::LoopOp op) {
  grouped::PlanOp made = info(op.getOffsets()).of;
  if (!is(op.getOffsets(), LiftKind::Numbers) ||
      over(op.getOffsets()) != made.getOffsets() ||
      op.getBodies().size() != 1 ||
      !llvm::all_of(op.getRows(),
                    [&](Value rows) { return isRowsOf(rows, made); }))
    return failure();
  auto groups = static_cast<int64_t>(made.getExperts());
  Location loc = op.getLoc();
  SmallVector<Value> rows, each, repeats;
  for (Value value : op.getRows())
    rows.push_back(over(value));
  for (Value value : op.getEach()) {
    auto type = tensorOf(value);
    if (!type.hasStaticShape())
      return failure();
    if (is(value, LiftKind::Shared)) { // [n, ...] again for every expert
      value = repeated(value, numExperts());
    } else if (is(value, LiftKind::Each)) {
      value = over(value);
    } else {
      return failure();
    }
    SmallVector<ReassociationIndices> dimensions = {{0, 1}};
    for (int64_t d = 1; d < type.getRank(); ++d)
      dimensions.push_back({d + 1});
    each.push_back(
        tensor::CollapseShapeOp::create(builder, loc, value, dimensions));
  }
  for (Value value : capturedScalars(op)) {
    if (is(value, LiftKind::Shared))
      continue;
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!is(value, LiftKind::Each) || !type || !type.hasStaticShape())
      return failure();
    each.push_back(repeated(value, groups));
    repeats.push_back(value);
  }
  SmallVector<Type> types(op.getResultTypes());
  unsigned numRows = op.getNumRowResults();
  for (Type &type : llvm::drop_begin(types, numRows)) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<int64_t> shape(tensor.getShape());
    shape.front() = groups;
    if (!tensor.hasStaticShape())
      return failure();
    type = tensor.clone(shape);
  }
  auto eachCount = static_cast<int64_t>(each.size());
  auto all =
      grouped::LoopOp::create(builder, loc, types, made.getOffsets(), rows,
                              each, builder.getDenseI64ArrayAttr({0, groups}),
                              builder.getDenseI64ArrayAttr(eachCount), 1);
  {
    Block &from = op.getBodies().front().front();
    OpBuilder::InsertionGuard guard(builder);
    Block *body = builder.createBlock(&all.getBodies().front());
    IRMapping inside = mapping;
    for (Value value : llvm::concat<const Value>(
             SmallVector<Value>(from.getArguments()), repeats))
      inside.map(value, body->addArgument(value.getType(), loc));
    for (Operation &in : from)
      builder.clone(in, inside);
  }
  for (auto [i, result] : llvm::enumerate(op.getResults())) {
    if (i < numRows) {
      set(result, all.getResult(i), LiftKind::Rows, made);
      continue;
    }
    // [E * n, ...] as [E, n, ...].
    RankedTensorType type = tensorOf(result);
    SmallVector<int64_t> shape(type.getShape());
    shape.insert(shape.begin(), numExperts());
    set(result,
        tensor::ExpandShapeOp::create(builder, loc, type.clone(shape),
                                      all.getResult(i),
                                      firstTwo(type.getRank() + 1)),
        LiftKind::Each);
  }
  innerLoops.push_back(all);
  return success();
}

/// Values by inner expert: of the row, of its expert, or the same for all.
LogicalResult Lifting::liftPick(grouped::PickOp op) {
  Value values = op.getValues();
  bool byRow = tensorOf(values).getRank() == 2;
  if (!is(op.getIds(), LiftKind::Rows))
    return failure();
  if (is(values, byRow ? LiftKind::Rows : LiftKind::Shared))
    return cloneIf(op, true);
  if (byRow || !is(values, LiftKind::Each))
    return failure();
  Location loc = op.getLoc();
  grouped::PlanOp of = info(op.getIds()).of;
  RankedTensorType table = tensorOf(over(values));
  SmallVector<int64_t> shape = {ShapedType::kDynamic, table.getDimSize(1)};
  Value ofRow = GatherOp::create(builder, loc, table.clone(shape), over(values),
                                 expertOfRow(of));
  Value picked = grouped::PickOp::create(builder, loc, op.getType(), ofRow,
                                         over(op.getIds()));
  set(op.getResult(), picked, LiftKind::Rows, of);
  return success();
}

FailureOr<Value> Lifting::capacityOver(Value capacity) {
  if (is(capacity, LiftKind::Count))
    return countOfRow(capacity);
  // Values of segments may differ from expert to expert.
  if (is(capacity, LiftKind::Shared) && isa<IndexType>(capacity.getType()))
    return over(capacity);
  return failure();
}

/// With numbers of all inner experts, a pair meets those of its own inner
/// expert alone, in the same order as among the expert's rows.
LogicalResult Lifting::liftLimit(grouped::LimitOp op) {
  Value priority = op.getPriority(), segments = op.getSegments();
  FailureOr<grouped::PlanOp> of = rowsOf(op);
  FailureOr<Value> capacity = capacityOver(op.getCapacity());
  bool counted = is(op.getCapacity(), LiftKind::Count);
  if (failed(of) || failed(capacity) || !is(op.getWeights(), LiftKind::Rows) ||
      !is(op.getIds(), LiftKind::Rows) ||
      (priority && !is(priority, LiftKind::Rows)) ||
      (segments && (counted || !is(segments, LiftKind::Rows))))
    return failure();
  Location loc = op.getLoc();
  if (segments)
    segments = over(segments);
  else if (counted)
    segments = expertOfRow(*of);
  auto inner = static_cast<int64_t>(op.getExperts());
  RankedTensorType slots = op.getWeights().getType();
  if (priority) {
    RankedTensorType type = tensorOf(priority);
    priority = over(priority);
    if (type.getRank() == 2 && type.getDimSize(1) != slots.getDimSize(1))
      priority = grouped::PickOp::create(builder, loc,
                                         slots.clone(type.getElementType()),
                                         priority, over(op.getIds()));
  }
  auto limit = grouped::LimitOp::create(
      builder, loc, op.getKept().getType(), op.getKeptIds().getType(),
      over(op.getWeights()), flatIds(op.getIds(), inner), *capacity, priority,
      segments, numExperts() * inner, op.getOrder(), op.getPlaceAttr());
  Value ids = createMap(
      builder, loc, limit.getKeptIds(), builder.getI32Type(),
      [&](ValueRange id) -> Value {
        Value count = arith::ConstantOp::create(
            builder, loc, builder.getI32IntegerAttr(inner));
        return whereFilled(builder, loc, id[0],
                           arith::RemUIOp::create(builder, loc, id[0], count),
                           id[0]);
      });
  flat[ids] = limit.getKeptIds();
  set(op.getKept(), limit.getKept(), LiftKind::Rows, *of);
  set(op.getKeptIds(), ids, LiftKind::Rows, *of);
  return success();
}

/// Inner experts that choose among an expert's rows: its rows are a segment.
template <typename Choice> LogicalResult Lifting::liftBySegment(Choice op) {
  FailureOr<grouped::PlanOp> of = rowsOf(op);
  if (failed(of) || op.getSegments() ||
      !llvm::all_of(op->getOperands().take_front(2),
                    [&](Value scores) { return is(scores, LiftKind::Rows); }))
    return failure();
  if constexpr (std::is_same_v<Choice, grouped::TakeOp>)
    if (failed(capacityOver(op.getCapacity())))
      return failure();
  Value segments = expertOfRow(*of);
  auto all = cast<Choice>(builder.clone(*op, mapping));
  all.getSegmentsMutable().assign(segments);
  for (auto [from, to] : llvm::zip(op->getResults(), all->getResults()))
    set(from, to, LiftKind::Rows, *of);
  return success();
}

// After the templates that it instantiates.
LogicalResult Lifting::liftRouting(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<grouped::PlanOp>([&](auto plan) { return liftPlan(plan); })
      .Case<grouped::LoopOp>([&](auto inner) { return liftLoop(inner); })
      .Case<grouped::PickOp>([&](auto pick) { return liftPick(pick); })
      .Case<grouped::LimitOp>([&](auto limit) { return liftLimit(limit); })
      .Case<grouped::TakeOp, grouped::AssignOp>(
          [&](auto choice) { return liftBySegment(choice); })
      .Case<grouped::CombineOp>(
          [&](auto combine) { return liftCombine(combine); })
      .Case<GatherOp>([&](auto gather) { return liftLookup(gather); })
      .Case<tensor::ExtractSliceOp, arith::SubIOp>(
          [&](auto part) { return liftCounts(part); })
      .Default([](Operation *) { return failure(); });
}
