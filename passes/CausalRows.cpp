// What ops on rows make of facts: moe, tensor, linalg and scalar arithmetic
// (see Causality.h).
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Causality.h"
#include "passes/Rewriting.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

constexpr const char *kMixesRows = "mixes all rows";

/// The number of rows of a tensor; it depends on all tokens, but as a size it
/// is harmless.
Fact CausalOps::countFact(Operation *op, Value tensor) {
  Fact fact = get(tensor);
  if (fact.reach == Reach::Nothing)
    return {};
  Fact count = all(op, "counts all rows");
  count.countOf = fact.rows;
  return count;
}

/// Whether a size is the number of `rows`.
bool CausalOps::countsRows(OpFoldResult size, const RowSet *rows) const {
  auto value = dyn_cast<Value>(size);
  return value && rows && get(value).countOf == rows;
}

bool CausalOps::visitRows(Operation *op) {
  auto rowsUnless = [&](bool mixes, ValueRange aligned, ValueRange whole = {}) {
    set(op, mixes ? all(op, kMixesRows) : rowWise(op, aligned, whole));
  };
  if (isElementwise(op) || OpTrait::hasElementwiseMappableTraits(op)) {
    Fact fact = rowWise(op, op->getOperands(), capturedScalars(op));
    // One routing or another (arith.select).
    bool isRouting = isa<RoutingType>(op->getResult(0).getType());
    set(op, isRouting ? newSupport(fact) : fact);
    return true;
  }
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([&](LinearOp linear) {
        rowsUnless(linear.getInput().getType().getRank() < 2, linear.getInput(),
                   linear->getOperands().drop_front());
        return true;
      })
      .Case([&](SoftmaxOp softmax) {
        Value input = softmax.getInput();
        set(op, softmax.getReducedDimension() == 0
                    ? all(op, kMixesRows, get(input).rows)
                    : rowWise(op, input));
        return true;
      })
      .Case([&](RmsNormOp norm) {
        rowsUnless(norm.getInput().getType().getRank() < 2, norm.getInput(),
                   norm.getWeight());
        return true;
      })
      .Case([&](ReduceOp reduce) {
        rowsUnless(reduce.getDimension() == 0, reduce.getInput());
        return true;
      })
      .Case([&](SplitOp split) {
        rowsUnless(split.getInput().getType().getRank() < 2, split.getInput());
        return true;
      })
      .Case([&](GatherOp gather) {
        if (get(gather.getTable()).reach == Reach::Own ||
            get(gather.getTable()).reach == Reach::Earlier)
          set(op,
              all(op, "reads rows by number", get(gather.getIndices()).rows));
        else
          set(op, rowWise(op, gather.getIndices(), gather.getTable()));
        return true;
      })
      .Case([&](RopeOp rope) {
        set(op, rowWise(op, {rope.getInput(), rope.getPositions()},
                        rope.getFrequencies()));
        return true;
      })
      .Case([&](TokensOp count) {
        set(op, countFact(op, count.getInput()));
        return true;
      })
      .Case([&](CapacityOp capacity) {
        set(op, rowWise(op, capacity.getTokens()));
        return true;
      })
      .Case([&](SegmentSizeOp size) {
        set(op, all(op, "counts all tokens of a segment",
                    get(size.getSegments()).rows));
        return true;
      })
      .Case([&](BroadcastOp broadcast) {
        visitBroadcast(broadcast);
        return true;
      })
      .Case([&](RandomOp random) {
        visitRandom(random);
        return true;
      })
      .Case([&](AttentionOp attention) {
        visitAttention(attention);
        return true;
      })
      .Case<ZLossOp, CvSquaredOp, NoisyLoadOp>([&](Operation *) {
        set(op, all(op, "is a number of all tokens"));
        return true;
      })
      .Default(false);
}

void CausalOps::visitBroadcast(BroadcastOp op) {
  Fact like = get(op.getLike());
  auto tensor = dyn_cast<RankedTensorType>(op.getInput().getType());
  int64_t rank = cast<RankedTensorType>(op.getLike().getType()).getRank();
  bool stretched = !tensor || tensor.getRank() < rank ||
                   (rank > 0 && tensor.getDimSize(0) == 1);
  // Rows of `like` that are not known have a shape that is not known.
  if (like.reach != Reach::Nothing && !like.rows)
    return set(op, like);
  if (!stretched) {
    Fact fact = rowWise(op, op.getInput());
    if (fact.rows && like.rows && fact.rows != like.rows)
      fact = all(op, "reads rows of two kinds together", like.rows);
    return set(op, fact);
  }
  Fact fact = get(op.getInput());
  if (fact.reach != Reach::Nothing && fact.reach != Reach::All)
    fact = all(op, "uses all rows for each row");
  if (fact.reach == Reach::Nothing && like.rows)
    fact.reach = Reach::Own;
  set(op, {.reach = fact.reach, .rows = like.rows, .blame = fact.blame});
}

void CausalOps::visitRandom(RandomOp op) {
  Fact seed = get(op.getSeed()), like = get(op.getLike());
  if (seed.reach != Reach::Nothing ||
      (like.reach != Reach::Nothing && !like.rows))
    return set(op, seed.reach != Reach::Nothing ? seed : like);
  Reach reach = like.rows ? like.rows->numbering() : Reach::Nothing;
  set(op, reach == Reach::All
              ? all(op, "numbers rows in the order of dispatch", like.rows)
              : Fact{.reach = reach, .rows = like.rows});
}

/// Causal attention sees keys up to the query's position. Positions grow with
/// the row in every segment of the entry's arguments, so these are keys of
/// earlier tokens, whether rows are all tokens or the chosen ones.
void CausalOps::visitAttention(AttentionOp op) {
  const RowSet *queries = get(op.getQuery()).rows;
  Fact query = rowWise(op, op.getQuery()),
       keys = rowWise(op, {op.getKey(), op.getValue()});
  auto withRows = [&](Fact &fact, Value positions, Value segments) {
    for (Value value : {positions, segments})
      if (value && fact.reach != Reach::All &&
          (fact.rows != get(value).rows || get(value).reach == Reach::All))
        fact = all(op, "reads rows of two kinds together", queries);
  };
  auto sameArgument = [&](Value a, Value b) {
    return !a || (get(a).argument && get(a).argument == get(b).argument);
  };
  if (!op.getCausal())
    return set(op, all(op, "sees later rows", queries));
  if (!sameArgument(op.getQueryPositions(), op.getKeyPositions()) ||
      !sameArgument(op.getQuerySegments(), op.getKeySegments()))
    return set(op, all(op,
                       "compares positions or segments that are not one "
                       "argument of the function",
                       queries));
  withRows(query, op.getQueryPositions(), op.getQuerySegments());
  withRows(keys, op.getKeyPositions(), op.getKeySegments());
  Fact fact = query.reach == Reach::All ? query : keys;
  fact.rows = queries;
  fact.reach = std::max(fact.reach, Reach::Earlier);
  set(op, fact);
}

//===-- tensor and linalg -------------------------------------------------===//

/// Whether dimension 0 is one dimension on both sides of a reshape, besides
/// sizes of 1.
static bool keepsRows(RankedTensorType expanded,
                      ArrayRef<ReassociationIndices> groups) {
  return !groups.empty() &&
         llvm::all_of(llvm::drop_begin(groups.front()),
                      [&](int64_t d) { return expanded.getDimSize(d) == 1; });
}

bool CausalOps::visitTensor(Operation *op) {
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op)) {
    visitLinalg(linalgOp);
    return true;
  }
  auto rowsIf = [&](bool keeps, ValueRange aligned, ValueRange whole = {}) {
    set(op, keeps ? rowWise(op, aligned, whole) : all(op, "moves rows"));
  };
  // A slice of columns: all rows, from the first on, wherever columns begin.
  auto isOfColumns = [&](OffsetSizeAndStrideOpInterface slice,
                         RankedTensorType type, const RowSet *rows) {
    return type.getRank() > 0 && isZeroInteger(slice.getMixedOffsets()[0]) &&
           isOneInteger(slice.getMixedStrides()[0]) &&
           countsRows(slice.getMixedSizes()[0], rows);
  };
  // Sizes, offsets and strides of the columns are the same for all rows.
  auto columns = [&](OffsetSizeAndStrideOpInterface slice) {
    SmallVector<Value> values;
    for (const SmallVector<OpFoldResult> &numbers :
         {slice.getMixedOffsets(), slice.getMixedSizes(),
          slice.getMixedStrides()})
      for (OpFoldResult number : llvm::drop_begin(numbers))
        if (auto value = dyn_cast<Value>(number))
          values.push_back(value);
    return values;
  };
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([&](tensor::CastOp cast) {
        set(op, get(cast.getSource()));
        return true;
      })
      .Case([&](tensor::EmptyOp empty) {
        SmallVector<OpFoldResult> sizes = empty.getMixedSizes();
        const RowSet *rows = nullptr;
        if (auto size = sizes.empty() ? Value() : dyn_cast<Value>(sizes[0]))
          rows = get(size).countOf;
        for (OpFoldResult size : rows ? ArrayRef(sizes).drop_front() : sizes)
          if (auto value = dyn_cast<Value>(size);
              value && get(value).reach != Reach::Nothing)
            return set(op, {.reach = Reach::All, .blame = get(value).blame}),
                   true;
        set(op, {.reach = rows ? Reach::Own : Reach::Nothing, .rows = rows});
        return true;
      })
      .Case([&](tensor::DimOp dim) {
        auto number = dim.getConstantIndex();
        auto type = dyn_cast<RankedTensorType>(dim.getSource().getType());
        if (number && type && *number < type.getRank() &&
            !type.isDynamicDim(*number))
          set(op, {});
        else if (number == 0)
          set(op, countFact(op, dim.getSource()));
        else
          set(op, all(op, "is a size that may count rows"));
        return true;
      })
      .Case([&](tensor::ExpandShapeOp expand) {
        RankedTensorType type = expand.getResultType();
        rowsIf(keepsRows(type, expand.getReassociationIndices()),
               expand.getSrc());
        return true;
      })
      .Case([&](tensor::CollapseShapeOp collapse) {
        rowsIf(keepsRows(collapse.getSrcType(),
                         collapse.getReassociationIndices()),
               collapse.getSrc());
        return true;
      })
      .Case([&](tensor::ExtractSliceOp slice) {
        rowsIf(isOfColumns(slice, slice.getSourceType(),
                           get(slice.getSource()).rows),
               slice.getSource(), columns(slice));
        return true;
      })
      .Case([&](tensor::InsertSliceOp slice) {
        const RowSet *rows = get(slice.getSource()).rows;
        rowsIf(rows && isOfColumns(slice, slice.getDestType(), rows) &&
                   slice.getSourceType().getRank() ==
                       slice.getDestType().getRank(),
               {slice.getSource(), slice.getDest()}, columns(slice));
        return true;
      })
      .Case([&](tensor::ConcatOp concat) {
        rowsIf(concat.getDim() != 0, concat.getInputs());
        return true;
      })
      .Default(false);
}

/// Row-wise when one parallel loop is the rows of every operand that has rows
/// and of every result.
void CausalOps::visitLinalg(linalg::LinalgOp op) {
  auto maps = op.getIndexingMapsArray();
  std::optional<unsigned> rowLoop;
  bool apart = true;
  auto indexesRows = [&](AffineMap map) {
    return rowLoop && map.isFunctionOfDim(*rowLoop);
  };
  SmallVector<Value> aligned, whole;
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = maps[operand.getOperandNumber()];
    bool isResult = op.isDpsInit(&operand);
    if (get(operand.get()).reach == Reach::Nothing && !isResult)
      continue;
    if (!get(operand.get()).rows && !isResult) {
      whole.push_back(operand.get());
      continue;
    }
    auto dim = dyn_cast_if_present<AffineDimExpr>(
        map.getNumResults() ? map.getResult(0) : AffineExpr());
    apart &= dim && (!rowLoop || *rowLoop == dim.getPosition()) &&
             !map.dropResult(0).isFunctionOfDim(dim.getPosition());
    if (dim)
      rowLoop = dim.getPosition();
    aligned.push_back(operand.get());
  }
  apart &= rowLoop && op.getIteratorTypesArray()[*rowLoop] ==
                          utils::IteratorType::parallel;
  if (!apart)
    return set(op, all(op, kMixesRows));
  bool numbered = false;
  for (OpOperand &operand : op->getOpOperands())
    if (get(operand.get()).reach == Reach::Nothing &&
        indexesRows(maps[operand.getOperandNumber()]))
      numbered = true;
  op->walk(
      [&](linalg::IndexOp index) { numbered |= index.getDim() == *rowLoop; });
  llvm::append_range(whole, capturedScalars(op));
  Fact fact = rowWise(op, aligned, whole);
  if (numbered && fact.rows && fact.reach != Reach::All) {
    fact.reach = std::max(fact.reach, fact.rows->numbering());
    if (fact.reach == Reach::All)
      fact = all(op, "numbers rows in the order of dispatch", fact.rows);
  }
  set(op, fact);
}
