// Verifying the operations of the grouped dialect that choose and edit pairs.
#include "dialect/GroupedDialect.h"
#include "dialect/MoeChecks.h"

using namespace mlir;
using namespace moe;
using namespace moe::grouped;

static constexpr int64_t dynamic = ShapedType::kDynamic;

/// Whether a tensor is rows by a static number of columns.
static bool isRows(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getRank() == 2 && !type.isDynamicDim(1);
}

/// Weights and ids are the slots of one routing.
static LogicalResult verifySlots(Operation *op, Value weights, Value ids) {
  if (isRows(ids) &&
      mayHaveShape(weights, cast<RankedTensorType>(ids.getType()).getShape()))
    return success();
  return op->emitOpError("has weights ")
         << weights.getType() << " and ids " << ids.getType()
         << ", expected rows of the same slots";
}

static LogicalResult verifyExperts(Operation *op, int64_t experts) {
  if (experts < 1)
    return op->emitOpError("has ")
           << experts << " experts, expected at least 1";
  return success();
}

/// Results are the slots of a routing made here.
static LogicalResult verifyMade(Operation *op, int64_t slots) {
  for (Value result : op->getResults())
    if (!isRows(result) || !mayHaveShape(result, {dynamic, slots}))
      return op->emitOpError("result is ")
             << result.getType() << ", expected rows of " << slots << " slots";
  return success();
}

static int64_t columnsOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getDimSize(1);
}

LogicalResult SelectOp::verify() {
  if (failed(verifyScores(*this, getWeights(), getKey(), "key is"))) // (C1)
    return failure();
  int64_t experts = columnsOf(getWeights());
  int64_t top = getTop().value_or(0);
  Selection selection = getSelection();
  if (selection == Selection::Take ||
      (selection == Selection::Top) != getTop().has_value()) // (C2)
    return emitOpError("by ")
           << stringifySelection(selection) << " counts " << top
           << ", expected a count for top only, and another op for take";
  if (selection == Selection::Top && failed(verifyTop(*this, top, experts)))
    return failure();
  if (failed(verifyGroupCounts(
          *this, {getGroups(), getKeep(), getBest(), experts, top}))) // (C3)
    return failure();
  bool bounded = selection == Selection::GreaterThan ||
                 selection == Selection::AtLeast ||
                 selection == Selection::TopP;
  int bounds = getConstant().has_value() + static_cast<bool>(getThreshold());
  if (bounds != (bounded ? 1 : 0)) // (C4)
    return emitOpError("by ")
           << stringifySelection(selection) << " has " << bounds
           << " thresholds, expected " << (bounded ? 1 : 0);
  return verifyMade(*this, getTop() ? top : experts); // (C5)
}

LogicalResult TakeOp::verify() {
  if (failed(verifyScores(*this, getWeights(), getKey(), "key is"))) // (C1)
    return failure();
  if (failed(verifyCapacity(*this, getCapacity(), getSegments()))) // (C2)
    return failure();
  return verifyMade(*this, columnsOf(getWeights())); // (C3)
}

LogicalResult grouped::AssignOp::verify() {
  if (failed(verifyScores(*this, getWeights(), getScores(), // (C1)
                          "scores are")))
    return failure();
  if (failed(verifySegments(*this, getSegments()))) // (C2)
    return failure();
  return verifyMade(*this, 1); // (C3)
}

LogicalResult grouped::LimitOp::verify() {
  if (failed(verifySlots(*this, getWeights(), getIds())) ||
      failed(verifySlots(*this, getKept(), getIds())) ||
      failed(verifySlots(*this, getKept(), getKeptIds()))) // (C1)
    return failure();
  if (failed(verifyExperts(*this, getExperts()))) // (C2)
    return failure();
  Order order = getOrder();
  bool byChoice = order == Order::Choice || order == Order::TokenChoice;
  int64_t experts = getExperts(), slots = columnsOf(getIds());
  bool fits = order == Order::Value || !getPriority();
  if (getPriority() && (byChoice || order == Order::Value))
    fits = mayHaveShape(getPriority(), {dynamic}) ||
           (order == Order::Value &&
            (mayHaveShape(getPriority(), {dynamic, experts}) ||
             mayHaveShape(getPriority(), {dynamic, slots})));
  if (!fits || (order == Order::Value && !getPriority())) // (C3)
    return emitOpError("has no fitting priority for order ")
           << stringifyOrder(order);
  if (failed(verifyCapacity(*this, getCapacity(), getSegments()))) // (C4)
    return failure();
  if (int64_t place = getPlace().value_or(1);
      place < 1 || place > slots) // (C5)
    return emitOpError("places ") << place << " of " << slots << " slots";
  return success();
}

LogicalResult grouped::JoinOp::verify() {
  if (failed(verifySlots(*this, getFirst(), getFirstIds())) ||
      failed(verifySlots(*this, getSecond(), getSecondIds()))) // (C1)
    return failure();
  if (failed(verifyExperts(*this, getExperts()))) // (C2)
    return failure();
  int64_t slots = columnsOf(getFirstIds()) + columnsOf(getSecondIds());
  return verifyMade(*this, getByExpert() ? getExperts() : slots); // (C3)
}

LogicalResult CheckIdsOp::verify() {
  if (getIds().getType().getRank() != 2) // (C1)
    return emitOpError("checks ") << getIds().getType() << ", expected rank 2";
  if (failed(verifyExperts(*this, getExperts()))) // (C2)
    return failure();
  if (!mayHaveShape(getResult(), getIds().getType().getShape())) // (C3)
    return emitOpError("result is ")
           << getResult().getType() << ", but the ids are "
           << getIds().getType();
  return success();
}

LogicalResult PickOp::verify() {
  RankedTensorType values = getValues().getType(), ids = getIds().getType(),
                   result = getResult().getType();
  if ((values.getRank() != 1 && values.getRank() != 2) ||
      ShapedType::isDynamic(values.getShape().back())) // (C1)
    return emitOpError("picks from ")
           << values << ", expected a value per expert, or per row and expert";
  if (ids.getRank() != 2) // (C2)
    return emitOpError("picks at ") << ids << ", expected rows of slots";
  if (result.getElementType() != values.getElementType() ||
      !mayHaveShape(getResult(), ids.getShape())) // (C3)
    return emitOpError("result is ")
           << result << ", expected " << ids.clone(values.getElementType());
  return success();
}

LogicalResult MatrixOp::verify() {
  if (failed(verifySlots(*this, getWeights(), getIds()))) // (C1)
    return failure();
  if (!isRows(getResult())) // (C2)
    return emitOpError("result is ")
           << getResult().getType()
           << ", expected rows by a static number of experts";
  return success();
}

LogicalResult grouped::BalanceLossOp::verify() {
  if (!isRows(getProbabilities())) // (C1)
    return emitOpError("probabilities are ")
           << getProbabilities().getType()
           << ", expected rows by a static number of experts";
  if (!isRows(getIds())) // (C2)
    return emitOpError("ids are ")
           << getIds().getType() << ", expected rows of slots";
  return verifySegments(*this, getSegments()); // (C3)
}

LogicalResult TraceOp::verify() {
  if (!isRows(getInput())) // (C1)
    return emitOpError("input is ")
           << getInput().getType() << ", expected rows of slots";
  if (getRoutingAttr().getInt() < 0) // (C2)
    return emitOpError("is of routing ")
           << getRoutingAttr().getInt() << ", expected 0 or more";
  return success();
}
