// Verifying the operations of the grouped dialect.
#include "dialect/GroupedDialect.h"
#include "dialect/Regions.h"

using namespace mlir;
using namespace moe;
using namespace moe::grouped;

#define GET_OP_CLASSES
#include "dialect/GroupedOps.cpp.inc"

static RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool hasShape(Value value, ArrayRef<int64_t> shape) {
  return succeeded(verifyCompatibleShape(tensorOf(value).getShape(), shape));
}

/// Whether offsets have one entry more than there are groups.
static bool isOffsetsOf(Value offsets, int64_t groups) {
  ArrayRef<int64_t> shape = tensorOf(offsets).getShape();
  return shape.size() == 1 && !ShapedType::isDynamic(shape[0]) &&
         shape[0] - 1 == groups;
}

LogicalResult TopKOp::verify() {
  RankedTensorType weights = getWeights().getType();
  int64_t top = getTop();
  if (weights.getRank() != 2 || weights.isDynamicDim(1)) // (C1)
    return emitOpError("weights are ")
           << weights << ", expected rows by a static number of experts";
  if (getKey().getType() != weights) // (C2)
    return emitOpError("key is ")
           << getKey().getType() << ", but the weights are " << weights;
  if (top < 1 || top > weights.getDimSize(1)) // (C3)
    return emitOpError("chooses top ")
           << top << " of " << weights.getDimSize(1) << " experts";
  int64_t shape[] = {weights.getDimSize(0), top};
  for (Value result : getResults())
    if (!hasShape(result, shape)) // (C4)
      return emitOpError("result is ")
             << result.getType() << ", expected " << top << " slots";
  return success();
}

LogicalResult PlanOp::verify() {
  RankedTensorType ids = getIds().getType();
  if (ids.getRank() != 2 || ids.isDynamicDim(1)) // (C1)
    return emitOpError("ids are ")
           << ids << ", expected rows by a static number of slots";
  int64_t experts = getExperts();
  if (experts < 1) // (C2)
    return emitOpError("has ") << experts << " experts, expected at least 1";
  if (!isOffsetsOf(getOffsets(), experts)) // (C3)
    return emitOpError("offsets are ")
           << getOffsets().getType() << ", expected one more than the "
           << experts << " experts";
  for (Value rows : {getTokens(), getSlots()})
    if (!hasShape(rows, {ShapedType::kDynamic})) // (C4)
      return emitOpError("maps rows with ")
             << rows.getType() << ", expected rank 1";
  if (!hasShape(getRows(), ids.getShape())) // (C5)
    return emitOpError("rows are ")
           << getRows().getType() << ", but the ids are " << ids;
  return success();
}

LogicalResult PackOp::verify() {
  PackedType packed = getPacked().getType();
  // (C1)
  if (getWeights().empty() ||
      static_cast<int64_t>(getWeights().size()) != packed.getWeights())
    return emitOpError("packs ") << getWeights().size() << " weights into "
                                 << packed << " of " << packed.getWeights();
  SmallVector<int64_t> shape = {packed.getGroups(), packed.getOutputs(),
                                packed.getInputs()};
  if (getInOut())
    std::swap(shape[1], shape[2]);
  for (Value weight : getWeights()) { // (C2)
    ArrayRef<int64_t> found = tensorOf(weight).getShape();
    bool oneGroup = shape[0] == 1 && found.size() == 2 &&
                    found == ArrayRef<int64_t>(shape).drop_front();
    if (!oneGroup && found != ArrayRef<int64_t>(shape))
      return emitOpError("packs a weight of ")
             << weight.getType() << " into " << packed;
  }
  return success();
}

LogicalResult MatmulOp::verify() {
  PackedType weights = getWeights().getType();
  RankedTensorType input = getInput().getType();
  if (input.getRank() != 2 ||
      input.getDimSize(1) != weights.getInputs()) // (C1)
    return emitOpError("input is ") << input << ", but the weights take "
                                    << weights.getInputs() << " columns";
  if (getTokens() && getTokens().getType().getRank() != 1) // (C2)
    return emitOpError("gathers rows by ")
           << getTokens().getType() << ", expected rank 1";
  if (getOffsets() && !isOffsetsOf(getOffsets(), weights.getGroups())) // (C3)
    return emitOpError("offsets are ")
           << getOffsets().getType() << ", expected one more than the "
           << weights.getGroups() << " groups of the weights";
  if (!getOffsets() && weights.getGroups() != 1)
    return emitOpError("has weights of ")
           << weights.getGroups() << " groups, but no offsets";
  int64_t rows =
      getTokens() ? getTokens().getType().getDimSize(0) : input.getDimSize(0);
  for (Value extra : getExtras()) { // (C4)
    bool column =
        hasShape(extra, {weights.getOutputs()}) ||
        (tensorOf(extra).hasStaticShape() &&
         hasShape(extra, {weights.getGroups(), weights.getOutputs()}));
    if (!column && !hasShape(extra, {rows, weights.getOutputs()}))
      return emitOpError("operand of the epilogue is ")
             << extra.getType() << ", expected one value for each of "
             << weights.getOutputs() << " columns, by group or by row";
  }
  // (C5)
  if (static_cast<bool>(getCombineRows()) !=
          static_cast<bool>(getCombineSlots()) ||
      (getCombineWeights() && !getCombineRows()))
    return emitOpError(
        "combines with rows and slots, scaled or not, or not at all");
  if (isCombined()) { // (C6)
    RankedTensorType slotRows = getCombineRows().getType();
    if (slotRows.getRank() != 2)
      return emitOpError("combine rows are ")
             << slotRows << ", expected tokens by slots";
    if (getCombineSlots().getType().getRank() != 1)
      return emitOpError("combine slots are ")
             << getCombineSlots().getType() << ", expected rank 1";
    if (getCombineWeights() &&
        failed(verifyCompatibleShapes(slotRows, getCombineWeights().getType())))
      return emitOpError("combine weights are ")
             << getCombineWeights().getType() << ", but the rows are "
             << slotRows;
  }
  int64_t resultRows =
      isCombined() ? getCombineRows().getType().getDimSize(0) : rows;
  for (Value result : getResults())
    if (!hasShape(result, {resultRows, weights.getOutputs()})) // (C7)
      return emitOpError("result is ")
             << result.getType() << ", expected rows of "
             << weights.getOutputs() << " columns";
  return success();
}

LogicalResult MatmulOp::verifyRegions() { // (C8), (C9), (C10)
  SmallVector<Type> arguments(getWeights().getType().getWeights(),
                              Float32Type::get(getContext()));
  for (Value extra : getExtras())
    arguments.push_back(tensorOf(extra).getElementType());
  return verifyScalarRegion<grouped::YieldOp>(*this, getEpilogue(), arguments);
}

LogicalResult grouped::CombineOp::verify() {
  if (getRows().getType().getRank() != 2) // (C1)
    return emitOpError("rows are ")
           << getRows().getType() << ", expected tokens by slots";
  // (C2)
  if (getWeights() && failed(verifyCompatibleShapes(getRows().getType(),
                                                    getWeights().getType())))
    return emitOpError("weights are ")
           << getWeights().getType() << ", but the slots are "
           << getRows().getType();
  SmallVector<int64_t> shape(getInput().getType().getShape());
  if (shape.empty()) // (C3)
    return emitOpError("input has rank 0, expected grouped rows");
  shape[0] = getRows().getType().getDimSize(0);
  if (!hasShape(getResult(), shape)) // (C4)
    return emitOpError("result is ")
           << getResult().getType() << ", expected the columns of "
           << getInput().getType();
  return success();
}

static Ranges rangesOf(LoopOp op) {
  return {op,
          op.getBounds(),
          op.getEachCounts(),
          op.getRows(),
          op.getEach(),
          op.getBounds().empty() ? 0 : op.getBounds().back()};
}

OperandRange LoopOp::getEachOf(unsigned range) {
  return rangesOf(*this).eachOf(range);
}

unsigned LoopOp::getNumRowResults() {
  return cast<grouped::YieldOp>(getBodies().front().front().getTerminator())
      .getRows()
      .size();
}

LogicalResult LoopOp::verify() {
  if (failed(verifyRanges(rangesOf(*this)))) // (C1), (C2), (C3), (C4)
    return failure();
  if (!isOffsetsOf(getOffsets(), getBounds().back())) // (C9)
    return emitOpError("offsets are ")
           << getOffsets().getType() << ", expected one more than the "
           << getBounds().back() << " groups";
  return success();
}

LogicalResult LoopOp::verifyRegions() {
  return verifyRangeRegions<grouped::YieldOp>(
      rangesOf(*this)); // (C5), (C6), (C7), (C8)
}
