// Checks of shapes, segments, capacities and groups, for the verifiers of both
// levels.
#include "dialect/MoeChecks.h"
#include "dialect/MoeDialect.h"

using namespace mlir;
using namespace moe;

bool moe::mayHaveShape(Value value, ArrayRef<int64_t> shape) {
  return succeeded(verifyCompatibleShape(
      cast<RankedTensorType>(value.getType()).getShape(), shape));
}

// moe.route (C1), (C2)
// moe.assign (C1), (C2)
LogicalResult moe::verifyScores(Operation *op, Value weights, Value second,
                                StringRef name) {
  auto type = cast<RankedTensorType>(weights.getType());
  if (type.getRank() != 2)
    return op->emitOpError("weights have rank ")
           << type.getRank() << ", expected 2 (tokens by experts)";
  if (type.isDynamicDim(1))
    return op->emitOpError("weights are ")
           << type << ", expected a static number of experts";
  if (second && second.getType() != type)
    return op->emitOpError() << name << " " << second.getType()
                             << ", but the weights are " << type;
  return success();
}

LogicalResult moe::verifySegments(Operation *op, Value segments) {
  if (segments && !mayHaveShape(segments, {ShapedType::kDynamic}))
    return op->emitOpError("has segments ")
           << segments.getType() << ", expected one number per token";
  return success();
}

LogicalResult moe::verifyCapacity(Operation *op, Value capacity,
                                  Value segments) {
  if (failed(verifySegments(op, segments)))
    return failure();
  if (!isa<RankedTensorType>(capacity.getType()))
    return success();
  if (!mayHaveShape(capacity, {ShapedType::kDynamic}))
    return op->emitOpError("has a capacity of ")
           << capacity.getType() << ", expected an index or one per token";
  if (!segments)
    return op->emitOpError("has a capacity per token, but no segments");
  return success();
}

LogicalResult moe::verifyNotDropless(Operation *op, Value capacity) {
  auto formula = capacity.getDefiningOp<CapacityOp>();
  if (formula && formula.isDropless())
    return op->emitOpError("is limited by a capacity of ")
           << stringifyCapacityFormula(formula.getFormula())
           << " with factor 0, which means dropless there";
  return success();
}

LogicalResult moe::verifyTop(Operation *op, int64_t top, int64_t experts) {
  if (top < 1)
    return op->emitOpError("chooses top ") << top << ", expected at least 1";
  if (top > experts)
    return op->emitOpError("chooses top ")
           << top << " of " << experts << " experts";
  return success();
}

// moe.route (C5), (C6), (C7), (C8)
LogicalResult moe::verifyGroupCounts(Operation *op, const Groups &groups) {
  if (groups.absent())
    return success();
  if (!groups.complete())
    return op->emitOpError(
        "needs groups, how many to keep and their score, or none of them");
  int64_t count = *groups.groups, keep = *groups.keep, best = *groups.best;
  if (count < 1 || groups.experts % count)
    return op->emitOpError("cannot divide ")
           << groups.experts << " experts into " << count << " groups";
  if (keep < 1 || keep > count)
    return op->emitOpError("keeps ") << keep << " of " << count << " groups";
  int64_t size = groups.experts / count;
  if (best < 1 || best > size)
    return op->emitOpError("scores groups of ")
           << size << " experts by their best " << best;
  if (groups.top > keep * size)
    return op->emitOpError("chooses top ")
           << groups.top << ", but keeps " << keep << " groups of " << size
           << " experts";
  return success();
}
