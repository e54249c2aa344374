// Inputs that meet in one row-wise operation must have equally many rows, so
// their symbols are united.

#include "codegen/cpu/Extents.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace moe::cpu {

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool isTensor(Value value) {
  return isa<RankedTensorType>(value.getType());
}

int64_t rowElements(RankedTensorType type) {
  int64_t elements = 1;
  for (int64_t size : type.getShape().drop_front(type.getRank() > 0))
    elements *= size;
  return elements;
}

Extent Extents::resolve(Extent extent) const {
  if (extent.kind != Extent::Kind::Input)
    return extent;
  while (parents[extent.id] != extent.id)
    extent.id = parents[extent.id];
  if (!numbers.empty())
    extent.id = numbers[extent.id];
  return extent;
}

Extent Extents::of(Value tensor) const {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type || type.getRank() == 0)
    return Extent{};
  if (!type.isDynamicDim(0))
    return Extent{Extent::Kind::Constant, type.getDimSize(0)};
  return resolve(known.at(tensor));
}

unsigned Extents::planNumber(grouped::PlanOp plan) const {
  return llvm::find(plans, plan) - plans.begin();
}

LogicalResult Extents::unify(Operation *op, Value a, Value b) {
  Extent left = of(a), right = of(b);
  if (left == right)
    return success();
  if (left.kind == Extent::Kind::Input && right.kind == left.kind &&
      left.factor == right.factor) {
    parents[std::max(left.id, right.id)] = std::min(left.id, right.id);
    return success();
  }
  return op->emitOpError("uses tensors whose numbers of rows have nothing to "
                         "do with each other");
}

/// The rows that a size counts: dimension 0 of some tensor.
std::optional<Extent> Extents::rowsOfSize(Value size) const {
  if (auto tokens = size.getDefiningOp<TokensOp>())
    return of(tokens.getInput());
  auto dim = size.getDefiningOp<tensor::DimOp>();
  if (!dim || dim.getConstantIndex() != 0)
    return std::nullopt;
  return of(dim.getSource());
}

/// Operands that one loop walks have equally many rows.
LogicalResult Extents::visitLinalg(linalg::LinalgOp op) {
  SmallVector<Value> leaders(op.getNumLoops());
  SmallVector<bool> fixed(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isTensor(operand.get()))
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [d, index] : llvm::enumerate(map.getResults())) {
      bool rows = typeOf(operand.get()).isDynamicDim(d);
      auto loop = dyn_cast<AffineDimExpr>(index);
      if (!loop && rows)
        return op.emitOpError("computes with the numbers of rows");
      if (!loop)
        continue;
      Value &leader = leaders[loop.getPosition()];
      if (rows && leader && failed(unify(op, leader, operand.get())))
        return failure();
      if (rows)
        leader = operand.get();
      else
        fixed[loop.getPosition()] = true;
    }
  }
  for (auto [leader, isFixed] : llvm::zip(leaders, fixed))
    if (leader && isFixed)
      return op.emitOpError("walks rows along with a fixed number of others");
  for (OpOperand &init : op.getDpsInitsMutable())
    if (typeOf(init.get()).getRank() && typeOf(init.get()).isDynamicDim(0))
      set(op.getTiedOpResult(&init), of(init.get()));
  return success();
}

/// expand_shape, collapse_shape, extract_slice, transpose, cast, split.
LogicalResult Extents::visitReshape(Operation *op) {
  Value source = op->getOperand(0), result = op->getResult(0);
  bool countsRows = typeOf(source).getRank() && typeOf(source).isDynamicDim(0);
  auto cut = dyn_cast<tensor::ExtractSliceOp>(op);
  bool fixed = (cut && !cut.isDynamicSize(0)) ||
               (isa<tensor::CastOp>(op) && typeOf(result).getRank() &&
                !typeOf(result).isDynamicDim(0));
  if (countsRows && fixed)
    return op->emitOpError("takes a fixed number of the rows of ")
           << typeOf(source) << ", which may have fewer";
  if (!typeOf(result).getRank() || !typeOf(result).isDynamicDim(0))
    return success();
  Extent rows = of(source);
  ArrayRef<int64_t> from = typeOf(source).getShape();
  ArrayRef<int64_t> to = typeOf(result).getShape();
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    for (int64_t d : llvm::drop_begin(collapse.getReassociationIndices()[0]))
      rows.factor *= from[d];
  } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    for (int64_t d : llvm::drop_begin(expand.getReassociationIndices()[0])) {
      if (rows.factor % to[d] != 0)
        return op->emitOpError("splits rows into ")
               << to[d] << ", which does not divide their number";
      rows.factor /= to[d];
    }
  } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    if (!slice.isDynamicSize(0) || slice.isDynamicOffset(0) ||
        slice.getStaticOffset(0) != 0 || slice.isDynamicStride(0) ||
        slice.getStaticStride(0) != 1 ||
        rowsOfSize(slice.getDynamicSize(0)) != rows)
      return op->emitOpError(
          "cuts out a number of rows known only at run time");
  }
  set(result, rows);
  return success();
}

LogicalResult Extents::visitMatmul(grouped::MatmulOp op) {
  Value rows = op.getTokens() ? Value(op.getTokens()) : Value(op.getInput());
  for (Value extra : op.getExtras())
    if (typeOf(extra).getRank() == 2 && typeOf(extra).isDynamicDim(0))
      if (failed(unify(op, rows, extra)))
        return failure();
  if (op.isCombined() && failed(unify(op, rows, op.getCombineSlots())))
    return failure();
  if (op.getCombineWeights() &&
      failed(unify(op, op.getCombineRows(), op.getCombineWeights())))
    return failure();
  for (Value result : op.getResults())
    set(result, of(op.isCombined() ? Value(op.getCombineRows()) : rows));
  return success();
}

LogicalResult Extents::visitLoop(grouped::LoopOp op) {
  auto plan = op.getOffsets().getDefiningOp<grouped::PlanOp>();
  if (!plan)
    return op->emitOpError("loops over groups that no plan made");
  Extent grouped{Extent::Kind::Grouped, 1, planNumber(plan)};
  for (Value rows : op.getRows())
    if (!(of(rows) == grouped))
      return op->emitOpError(
          "takes rows that are not in the order of its plan");
  Extent group{Extent::Kind::Group, 1, loops++};
  for (Region &body : op.getBodies()) {
    for (BlockArgument argument :
         body.getArguments().take_front(op.getRows().size()))
      set(argument, group);
    for (Operation &inner : body.front().without_terminator())
      if (failed(visit(&inner)))
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
  if (auto matmul = dyn_cast<grouped::MatmulOp>(op))
    return visitMatmul(matmul);
  if (auto loop = dyn_cast<grouped::LoopOp>(op))
    return visitLoop(loop);
  if (auto structured = dyn_cast<linalg::LinalgOp>(op);
      structured && !isa<linalg::TransposeOp>(op))
    return visitLinalg(structured);
  if (isa<tensor::EmptyOp, tensor::SplatOp>(op)) {
    RankedTensorType type = typeOf(op->getResult(0));
    if (type.getRank() == 0 || !type.isDynamicDim(0))
      return success();
    // One dimension is dynamic, so the last operand is its size.
    std::optional<Extent> rows = rowsOfSize(op->getOperands().back());
    if (!rows)
      return op->emitOpError("makes a tensor whose number of rows is unknown");
    set(op->getResult(0), *rows);
    return success();
  }
  if (auto concat = dyn_cast<tensor::ConcatOp>(op);
      concat && concat.getDim() == 0) {
    if (!concat.getResultType().isDynamicDim(0))
      return success();
    return op->emitOpError(
        "puts together numbers of rows that are known only at run time");
  }
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
    if (!insert.getDestType().getRank() ||
        !insert.getDestType().isDynamicDim(0))
      return success();
    if (failed(unify(op, insert.getDest(), insert.getSource())))
      return failure();
    set(insert.getResult(), of(insert.getDest()));
    return success();
  }
  if (auto plan = dyn_cast<grouped::PlanOp>(op)) {
    Extent filled{Extent::Kind::Grouped, 1,
                  static_cast<unsigned>(plans.size())};
    plans.push_back(plan);
    set(plan.getTokens(), filled);
    set(plan.getSlots(), filled);
    set(plan.getRows(), of(plan.getIds()));
    return success();
  }

  // All others: the rows of every result are those of the operand `leader`.
  Value leader;
  if (auto gather = dyn_cast<moe::GatherOp>(op)) {
    leader = gather.getIndices();
  } else if (auto combine = dyn_cast<grouped::CombineOp>(op)) {
    leader = combine.getRows();
    if (combine.getWeights() && failed(unify(op, leader, combine.getWeights())))
      return failure();
  } else if (auto pick = dyn_cast<grouped::PickOp>(op)) {
    leader = pick.getIds();
    if (typeOf(pick.getValues()).getRank() == 2 &&
        failed(unify(op, leader, pick.getValues())))
      return failure();
  } else if (auto linear = dyn_cast<moe::LinearOp>(op)) {
    leader = linear.getInput();
  } else if (auto norm = dyn_cast<moe::RmsNormOp>(op)) {
    leader = norm.getInput();
  } else if (auto broadcast = dyn_cast<moe::BroadcastOp>(op)) {
    leader = broadcast.getLike();
    auto input = dyn_cast<RankedTensorType>(broadcast.getInput().getType());
    if (input && input.getRank() == typeOf(leader).getRank() &&
        input.getRank() > 0 && input.isDynamicDim(0) &&
        failed(unify(op, broadcast.getInput(), leader)))
      return failure();
  } else if (auto reduce = dyn_cast<moe::ReduceOp>(op)) {
    leader = reduce.getInput();
  } else if (auto attention = dyn_cast<moe::AttentionOp>(op)) {
    leader = attention.getQuery();
    for (Value numbers :
         {attention.getQuerySegments(), attention.getQueryPositions()})
      if (numbers && failed(unify(op, leader, numbers)))
        return failure();
    for (Value other : {attention.getValue(), attention.getKeySegments(),
                        attention.getKeyPositions()})
      if (other && failed(unify(op, attention.getKey(), other)))
        return failure();
  } else if (auto rope = dyn_cast<moe::RopeOp>(op)) {
    leader = rope.getInput();
    if (failed(unify(op, leader, rope.getPositions())))
      return failure();
  } else {
    for (Value operand : op->getOperands()) {
      if (!isTensor(operand))
        continue;
      if (leader && failed(unify(op, leader, operand)))
        return failure();
      if (!leader)
        leader = operand;
    }
  }
  for (Value result : op->getResults()) {
    if (!isTensor(result) || typeOf(result).getRank() == 0 ||
        !typeOf(result).isDynamicDim(0))
      continue;
    if (!leader)
      return op->emitOpError("makes a tensor whose number of rows is unknown");
    set(result, of(leader));
  }
  return success();
}

/// Whether a type can be described outside of the artefact (moert_dtype).
static bool hasForm(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (!isa<RankedTensorType>(type) && !type.isIntOrIndexOrFloat())
    return false;
  if (auto number = dyn_cast<IntegerType>(element))
    return number.isUnsigned()
               ? number.getWidth() == 8
               : number.isSignless() &&
                     llvm::is_contained({1, 8, 32, 64}, number.getWidth());
  return element.isIndex() || element.isF64() || element.isF32() ||
         element.isF16() || element.isBF16();
}

static constexpr StringLiteral forms =
    ": entries take and return numbers and tensors of f64, f32, f16, bf16, i1, "
    "i8, ui8, i32, i64 and index";

LogicalResult Extents::finish(func::FuncOp function) {
  SmallVector<unsigned> roots(parents.size());
  SmallVector<unsigned> arguments;
  unsigned seen = 0;
  for (BlockArgument argument : function.getArguments()) {
    auto found = known.find(argument);
    if (found == known.end())
      continue;
    Extent extent = resolve(found->second);
    if (extent.id == found->second.id) {
      roots[extent.id] = seen++;
      arguments.push_back(argument.getArgNumber());
    }
  }
  numbers = std::move(roots);
  symbolArguments = std::move(arguments);
  auto leave = cast<func::ReturnOp>(function.front().getTerminator());
  for (auto [i, value] : llvm::enumerate(leave.getOperands())) {
    if (isa<grouped::PackedType>(value.getType()))
      continue;
    if (!hasForm(value.getType()))
      return leave.emitOpError("returns ")
             << value.getType() << " as result " << i << forms;
    Extent rows = of(value);
    bool input = rows.kind == Extent::Kind::Input && rows.factor == 1;
    if (rows.kind != Extent::Kind::Constant && !input)
      return leave.emitOpError("returns result ")
             << i << " with a number of rows that no input has";
  }
  return success();
}

LogicalResult Extents::addArgument(BlockArgument argument) {
  if (isa<grouped::PackedType>(argument.getType()))
    return success();
  Operation *function = argument.getOwner()->getParentOp();
  auto refuse = [&] {
    return function->emitOpError("argument ")
           << argument.getArgNumber() << " is " << argument.getType();
  };
  if (!hasForm(argument.getType()))
    return refuse() << forms;
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type || type.getRank() == 0)
    return success();
  if (llvm::any_of(type.getShape().drop_front(), ShapedType::isDynamic))
    return refuse() << ": only the first dimension may be dynamic in CPU code";
  if (!type.isDynamicDim(0))
    return success();
  unsigned id = parents.size();
  parents.push_back(id);
  set(argument, Extent{Extent::Kind::Input, 1, id});
  return success();
}

FailureOr<Extents> Extents::analyse(func::FuncOp function) {
  Extents extents;
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitOpError("has several blocks: control flow is not "
                                "supported in CPU code");
  for (BlockArgument argument : function.getArguments())
    if (failed(extents.addArgument(argument)))
      return failure();
  for (Operation &op : function.front().without_terminator())
    if (failed(extents.visit(&op)))
      return failure();
  if (failed(extents.finish(function)))
    return failure();
  return extents;
}

} // namespace moe::cpu
