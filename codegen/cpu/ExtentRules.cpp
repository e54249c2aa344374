// What each operation says about the numbers of rows of its tensors.

#include "codegen/cpu/Extents.h"
#include "codegen/cpu/OpKinds.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;

namespace moe::cpu {

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool isTensor(Value value) {
  return isa<RankedTensorType>(value.getType());
}

/// Whether the number of rows is not in the type.
static bool isRowTensor(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() > 0 && type.isDynamicDim(0);
}

/// Operands that one loop walks have equally many rows.
LogicalResult Extents::visitLinalg(linalg::LinalgOp op) {
  SmallVector<std::optional<Extent>> lengths(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isTensor(operand.get()))
      continue;
    RankedTensorType type = typeOf(operand.get());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [d, index] : llvm::enumerate(map.getResults())) {
      auto loop = dyn_cast<AffineDimExpr>(index);
      if (!loop && type.isDynamicDim(d))
        return op.emitOpError("computes with the numbers of rows");
      if (!loop)
        continue;
      Extent here =
          d == 0 ? of(operand.get()) : Extent::constant(type.getDimSize(d));
      std::optional<Extent> &length = lengths[loop.getPosition()];
      if (length && failed(unify(op, *length, here)))
        return failure();
      length = here;
    }
  }
  for (OpOperand &init : op.getDpsInitsMutable())
    if (isRowTensor(init.get()))
      set(op.getTiedOpResult(&init), of(init.get()));
  return success();
}

/// The rows of a slice, which must exist.
FailureOr<Extent> Extents::cutRows(tensor::ExtractSliceOp op) {
  Extent rows = of(op.getSource());
  std::optional<Extent> size = op.isDynamicSize(0)
                                   ? rowsOfSize(op.getDynamicSize(0))
                                   : Extent::constant(op.getStaticSize(0));
  auto refuse = [&] {
    return op->emitOpError("cuts out a number of rows known only at run time");
  };
  if (!size || op.isDynamicStride(0))
    return refuse();
  if (kindOf(op) != OpKind::View)
    return *size; // the code checks offsets that only a run knows
  int64_t begin = op.getStaticOffset(0), stride = op.getStaticStride(0);
  bool fixed = size->kind == Extent::Kind::Constant;
  if (rowsExist(rows, begin, *size, stride))
    return *size;
  if (!fixed && stride != 1)
    return refuse();
  RowCheck exist{RowCheck::Kind::AtLeast, rows, *size, begin, op};
  if (fixed) {
    exist.other = Extent::constant(0);
    exist.number = begin + (size->factor - 1) * stride + 1;
  }
  if (!check(exist))
    return op->emitOpError("takes a fixed number of the rows of ")
           << typeOf(op.getSource()) << ", which may have fewer";
  return *size;
}

static LogicalResult refuseInner(Operation *op, Value operand) {
  return op->emitOpError("reads a ")
         << operand.getType()
         << ": only the first dimension may be dynamic in CPU code";
}

/// expand_shape, collapse_shape, extract_slice, transpose, cast, split.
LogicalResult Extents::visitReshape(Operation *op) {
  Value source = op->getOperand(0), result = op->getResult(0);
  if (unsigned inner = innerRows(source.getType())) {
    auto collapse = dyn_cast<tensor::CollapseShapeOp>(op);
    if (!collapse || collapse.getReassociationIndices()[0].back() != inner)
      return refuseInner(op, source);
    Extent rows = size(source, inner);
    for (unsigned d = 0; d < inner; ++d)
      rows = rows.multiplied(typeOf(source).getDimSize(d));
    set(result, rows);
    return success();
  }
  if (!isRowTensor(source) && !isRowTensor(result))
    return success();
  Extent rows = of(source);
  ArrayRef<int64_t> from = typeOf(source).getShape();
  ArrayRef<int64_t> to = typeOf(result).getShape();
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    if (to.empty()) // one element
      return unify(op, rows, Extent::constant(1));
    ReassociationIndices first = collapse.getReassociationIndices()[0];
    for (int64_t d : llvm::drop_begin(first))
      rows = rows.multiplied(from[d]);
  } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    if (from.empty()) {
      rows = Extent::constant(1);
    } else {
      ReassociationIndices first = expand.getReassociationIndices()[0];
      for (int64_t d : llvm::drop_begin(first))
        if (failed(divide(op, rows, to[d])))
          return failure();
    }
  } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    FailureOr<Extent> cut = cutRows(slice);
    if (failed(cut))
      return failure();
    if (slice.getDroppedDims()[0])
      return success();
    rows = *cut;
  }
  if (!isRowTensor(result))
    return to.empty() ? success() : unify(op, rows, of(result));
  set(result, rows);
  return success();
}

/// What is put in has as many rows as the text says; the code checks that they
/// are there.
LogicalResult Extents::visitInsert(tensor::InsertSliceOp op) {
  if (!op.getDroppedDims()[0] && op.isDynamicSize(0)) {
    std::optional<Extent> size = rowsOfSize(op.getDynamicSize(0));
    if (size && failed(unify(op, *size, of(op.getSource()))))
      return failure();
  }
  if (isRowTensor(op.getDest()))
    set(op.getResult(), of(op.getDest()));
  return success();
}

LogicalResult Extents::visitConcat(tensor::ConcatOp op) {
  Extent rows = Extent::constant(0);
  for (Value input : op.getInputs()) {
    std::optional<Extent> all = rows.plus(of(input));
    if (!all || of(input).kind == Extent::Kind::Group)
      return op->emitOpError("puts together numbers of rows that have nothing "
                             "to do with each other");
    rows = *all;
  }
  if (!isRowTensor(op.getResult()))
    return unify(op, rows, of(op.getResult()));
  set(op.getResult(), rows);
  return success();
}

/// Rows that are split into equal parts.
LogicalResult Extents::divide(Operation *op, Extent &rows, int64_t parts) {
  std::optional<Extent> divided = rows.divided(parts);
  bool whole = divided && divided->multiplied(parts) == rows;
  if (!divided || (!whole && (rows.kind != Extent::Kind::Input || !rows.exact ||
                              !check({RowCheck::Kind::Multiple, rows,
                                      Extent::constant(0), parts, op}))))
    return op->emitOpError("splits rows into ")
           << parts << ", which does not divide their number";
  rows = *divided;
  rows.exact |= !whole;
  return success();
}

/// The rows that a plan's tokens or slots count; nothing for other indices,
/// which the code checks one by one.
std::optional<Extent> Extents::rowsBehind(Value indices) const {
  auto plan = indices.getDefiningOp<grouped::PlanOp>();
  if (!plan)
    return std::nullopt;
  Extent rows = of(plan.getIds());
  if (indices == plan.getSlots())
    rows = rows.multiplied(plan.getIds().getType().getDimSize(1));
  return rows;
}

/// The rows of a plan's groups, if the plan made these offsets or rows, also in
/// another order or shape.
std::optional<Extent> Extents::groupedRows(Value made) const {
  Value first = made;
  while (
      isa_and_nonnull<GatherOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp,
                      tensor::CastOp>(first.getDefiningOp()))
    first = first.getDefiningOp()->getOperand(0);
  auto plan = first.getDefiningOp<grouped::PlanOp>();
  if (!plan || (first != plan.getRows() && made != plan.getOffsets()))
    return std::nullopt;
  return Extent{Extent::Kind::Grouped, 1, planNumber(plan)};
}

/// Rows of groups are those that their plan dispatches, and no others.
LogicalResult Extents::expectRowsOf(Operation *op, Extent grouped, Value rows) {
  Extent found = of(rows);
  if (found == grouped)
    return success();
  return op->emitOpError("takes a ")
         << rows.getType() << " with "
         << (found.kind == Extent::Kind::Grouped ? "the rows of other groups"
                                                 : text(found))
         << " as the rows of its groups, expected what 'moe.dispatch' makes by "
            "its routing";
}

LogicalResult Extents::visitMatmul(grouped::MatmulOp op) {
  Value rows = op.getTokens() ? Value(op.getTokens()) : Value(op.getInput());
  auto inOrder = [&](Value made, Value ofRows) -> LogicalResult {
    if (!made)
      return success();
    std::optional<Extent> grouped = groupedRows(made);
    if (!grouped)
      return op.emitOpError("multiplies rows of groups that no plan made");
    return expectRowsOf(op, *grouped, ofRows);
  };
  if (failed(inOrder(op.getOffsets(), rows)) ||
      failed(inOrder(op.getCombineRows(), rows)))
    return failure();
  if (op.getTokens()) {
    std::optional<Extent> tokens = rowsBehind(op.getTokens());
    if (!tokens)
      return op.emitOpError("multiplies rows that no plan chose");
    if (failed(unify(op, *tokens, of(op.getInput()))))
      return failure();
  }
  for (Value extra : op.getExtras())
    if (typeOf(extra).getRank() == 2 && isRowTensor(extra))
      if (failed(unify(op, rows, extra)))
        return failure();
  if (op.isCombined() && failed(unify(op, rows, op.getCombineSlots())))
    return failure();
  if (op.getCombineWeights() &&
      failed(unify(op, op.getCombineRows(), op.getCombineWeights())))
    return failure();
  Value leader = op.isCombined() ? Value(op.getCombineRows()) : rows;
  for (Value result : op.getResults())
    if (failed(follow(op, result, leader)))
      return failure();
  return success();
}

LogicalResult Extents::visitLoop(grouped::LoopOp op) {
  auto plan = op.getOffsets().getDefiningOp<grouped::PlanOp>();
  if (!plan)
    return op->emitOpError("loops over groups that no plan made");
  Extent grouped{Extent::Kind::Grouped, 1, planNumber(plan)};
  for (Value rows : op.getRows())
    if (failed(expectRowsOf(op, grouped, rows)))
      return failure();
  Extent group{Extent::Kind::Group, 1, loops++};
  for (Region &body : op.getBodies()) {
    for (BlockArgument argument :
         body.getArguments().take_front(op.getRows().size()))
      set(argument, group);
    if (failed(visitBody(body.front())))
      return failure();
  }
  for (Value result : op.getResults().take_front(op.getNumRowResults()))
    set(result, grouped);
  return success();
}

LogicalResult Extents::visit(Operation *op) {
  for (Value result : op->getResults())
    if (auto type = dyn_cast<RankedTensorType>(result.getType()))
      if (llvm::any_of(type.getShape().drop_front(type.getRank() > 0),
                       ShapedType::isDynamic))
        return op->emitOpError("makes a ")
               << type
               << ": only the first dimension may be dynamic in CPU code";
  if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp,
          tensor::ExtractSliceOp, tensor::CastOp, linalg::TransposeOp,
          moe::SplitOp>(op))
    return visitReshape(op);
  for (Value operand : op->getOperands())
    if (innerRows(operand.getType()))
      return refuseInner(op, operand);
  if (auto matmul = dyn_cast<grouped::MatmulOp>(op))
    return visitMatmul(matmul);
  if (auto loop = dyn_cast<grouped::LoopOp>(op))
    return visitLoop(loop);
  if (isa<scf::ForOp, scf::WhileOp, scf::IfOp>(op))
    return visitFlow(op);
  if (auto structured = dyn_cast<linalg::LinalgOp>(op);
      structured && !isa<linalg::TransposeOp>(op))
    return visitLinalg(structured);
  if (isa<tensor::EmptyOp, tensor::SplatOp, tensor::GenerateOp>(op)) {
    if (!isRowTensor(op->getResult(0)))
      return success();
    // One dimension is dynamic, so the last operand is its size.
    std::optional<Extent> rows = rowsOfSize(op->getOperands().back());
    if (!rows)
      return op->emitOpError("makes a tensor whose number of rows is unknown");
    set(op->getResult(0), *rows);
    return success();
  }
  if (auto concat = dyn_cast<tensor::ConcatOp>(op);
      concat && concat.getDim() == 0)
    return visitConcat(concat);
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    return visitInsert(insert);
  if (auto plan = dyn_cast<grouped::PlanOp>(op)) {
    Extent filled{Extent::Kind::Grouped, 1,
                  static_cast<unsigned>(plans.size())};
    for (Value rows : {plan.getTokens(), plan.getSlots()})
      if (!isRowTensor(rows))
        return op->emitOpError("makes ")
               << rows.getType() << ", expected a dynamic number of rows";
    plans.push_back(plan);
    set(plan.getTokens(), filled);
    set(plan.getSlots(), filled);
    return follow(op, plan.getRows(), plan.getIds());
  }
  return visitLeader(op);
}

/// A result has the rows of `leader`.
LogicalResult Extents::follow(Operation *op, Value result, Value leader) {
  if (isRowTensor(result)) {
    set(result, of(leader));
    return success();
  }
  return unify(op, result, leader);
}

/// The input's dimensions are aligned with the last ones of `like`.
LogicalResult Extents::alignBroadcast(BroadcastOp op) {
  auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
  if (!input || input.getRank() == 0 || input.getDimSize(0) == 1)
    return success();
  RankedTensorType like = op.getLike().getType();
  int64_t missing = like.getRank() - input.getRank();
  return unify(op, of(op.getInput()),
               missing == 0 ? of(op.getLike())
                            : Extent::constant(like.getDimSize(missing)));
}

FailureOr<Value> Extents::leaderOf(Operation *op) {
  auto with = [&](Value leader, Value other) -> FailureOr<Value> {
    if (other && failed(unify(op, leader, other)))
      return failure();
    return leader;
  };
  if (auto gather = dyn_cast<moe::GatherOp>(op)) {
    std::optional<Extent> rows = rowsBehind(gather.getIndices());
    if (rows && failed(unify(op, *rows, of(gather.getTable()))))
      return failure();
    return Value(gather.getIndices());
  }
  if (auto combine = dyn_cast<grouped::CombineOp>(op)) {
    std::optional<Extent> grouped = groupedRows(combine.getRows());
    if (!grouped)
      return op->emitOpError("adds rows in an order that no plan made");
    if (failed(expectRowsOf(op, *grouped, combine.getInput())))
      return failure();
    return with(combine.getRows(), combine.getWeights());
  }
  if (auto pick = dyn_cast<grouped::PickOp>(op))
    return with(pick.getIds(), pick.getValues().getType().getRank() == 2
                                   ? Value(pick.getValues())
                                   : Value());
  if (auto linear = dyn_cast<moe::LinearOp>(op))
    return Value(linear.getInput());
  if (auto norm = dyn_cast<moe::RmsNormOp>(op))
    return Value(norm.getInput());
  if (auto broadcast = dyn_cast<moe::BroadcastOp>(op)) {
    if (failed(alignBroadcast(broadcast)))
      return failure();
    return Value(broadcast.getLike());
  }
  if (auto rope = dyn_cast<moe::RopeOp>(op))
    return with(rope.getInput(), rope.getPositions());
  if (auto attention = dyn_cast<moe::AttentionOp>(op)) {
    for (Value other : {attention.getValue(), attention.getKeySegments(),
                        attention.getKeyPositions()})
      if (other && failed(unify(op, attention.getKey(), other)))
        return failure();
    if (Value segments = attention.getQuerySegments();
        segments && failed(unify(op, attention.getQuery(), segments)))
      return failure();
    return with(attention.getQuery(), attention.getQueryPositions());
  }
  Value leader;
  for (Value operand : op->getOperands()) {
    if (!isTensor(operand))
      continue;
    if (leader && failed(unify(op, leader, operand)))
      return failure();
    if (!leader)
      leader = operand;
  }
  return leader;
}

/// Operations whose results have the rows of one operand.
LogicalResult Extents::visitLeader(Operation *op) {
  FailureOr<Value> leader = leaderOf(op);
  if (failed(leader))
    return failure();
  bool sameRows = *leader && kindOf(op) == OpKind::Row;
  for (Value result : op->getResults()) {
    if (!isTensor(result) || typeOf(result).getRank() == 0)
      continue;
    auto reduce = dyn_cast<moe::ReduceOp>(op);
    if (reduce && reduce.getDimension() == 0) {
      set(result, Extent::constant(reduce.getInput().getType().getDimSize(1)));
      continue;
    }
    if (isRowTensor(result) && !*leader)
      return op->emitOpError("makes a tensor whose number of rows is unknown");
    if ((sameRows || isRowTensor(result)) &&
        failed(follow(op, result, *leader)))
      return failure();
  }
  return success();
}

/// Hands numbers of rows on; where they are known already, they must be equal.
LogicalResult Extents::agree(Operation *op, ValueRange from, ValueRange to) {
  for (auto [source, target] : llvm::zip_equal(from, to)) {
    if (!isTensor(source))
      continue;
    if (isRowTensor(target) && !known.contains(target))
      set(target, of(source));
    else if (failed(unify(op, source, target)))
      return failure();
  }
  return success();
}

/// scf.for, scf.while, scf.if.
LogicalResult Extents::visitFlow(Operation *op) {
  ++flows;
  llvm::scope_exit done([&] { --flows; });
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return success(
        succeeded(agree(op, loop.getInitArgs(), loop.getRegionIterArgs())) &&
        succeeded(visitBody(*loop.getBody())) &&
        succeeded(
            agree(op, loop.getYieldedValues(), loop.getRegionIterArgs())) &&
        succeeded(agree(op, loop.getRegionIterArgs(), loop.getResults())));
  if (auto loop = dyn_cast<scf::WhileOp>(op)) {
    ValueRange onward = loop.getConditionOp().getArgs();
    return success(
        succeeded(agree(op, loop.getInits(), loop.getBeforeArguments())) &&
        succeeded(visitBody(*loop.getBeforeBody())) &&
        succeeded(agree(op, onward, loop.getAfterArguments())) &&
        succeeded(visitBody(*loop.getAfterBody())) &&
        succeeded(agree(op, loop.getYieldOp().getOperands(),
                        loop.getBeforeArguments())) &&
        succeeded(agree(op, onward, loop.getResults())));
  }
  for (Region &region : op->getRegions())
    if (!region.empty() &&
        (failed(visitBody(region.front())) ||
         failed(agree(op, region.front().getTerminator()->getOperands(),
                      op->getResults()))))
      return failure();
  return success();
}

LogicalResult Extents::visitBody(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(visit(&op)))
      return failure();
  return success();
}
} // namespace moe::cpu
