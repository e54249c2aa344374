// Verifying what reads a routing: as a matrix, as pairs, as sums and losses;
// capacities and random numbers.
#include "dialect/MoeChecks.h"
#include "dialect/MoeDialect.h"
#include <cmath>

using namespace mlir;
using namespace moe;

static constexpr int64_t dynamic = ShapedType::kDynamic;

LogicalResult ToMatrixOp::verify() {
  int64_t experts = getRouting().getType().getExperts();
  RankedTensorType result = getResult().getType();
  if (result.getShape() != ArrayRef<int64_t>{dynamic, experts}) // (C1)
    return emitOpError("result is ")
           << result << ", expected ? tokens by " << experts << " experts";
  return success();
}

LogicalResult PairsOp::verify() {
  for (Type type : getResultTypes())
    if (cast<RankedTensorType>(type).getShape() !=
        ArrayRef<int64_t>{dynamic}) // (C1)
      return emitOpError("result is ") << type << ", expected [?]";
  return success();
}

LogicalResult ImportanceOp::verify() {
  int64_t experts = getRouting().getType().getExperts();
  if (!mayHaveShape(getResult(), {experts})) // (C1)
    return emitOpError("result is ")
           << getResult().getType() << ", expected one value for each of the "
           << experts << " experts";
  return success();
}

LogicalResult TokensOp::verify() {
  if (getInput().getType().getRank() < 1) // (C1)
    return emitOpError("input has rank 0, expected rows");
  return success();
}

LogicalResult SegmentSizeOp::verify() {
  return verifySegments(*this, getSegments()); // (C1)
}

LogicalResult CapacityOp::verify() {
  CapacityFormula formula = getFormula();
  using Formula = CapacityFormula;
  auto takes = [&](std::initializer_list<Formula> formulas,
                   std::optional<uint64_t> number,
                   StringRef name) -> LogicalResult {
    bool expected = llvm::is_contained(formulas, formula);
    if (expected == number.has_value())
      return success();
    return emitOpError("by ") << stringifyCapacityFormula(formula)
                              << (expected ? " needs " : " takes no ") << name;
  };
  if (failed(takes({Formula::MegaBlocks, Formula::DeepSpeed, Formula::Megatron,
                    Formula::Tutel, Formula::VMoE},
                   getChoices(), "choices"))) // (C1)
    return failure();
  if (failed(takes({Formula::Mesh, Formula::Flaxformer, Formula::DeepSpeed},
                   getMinimum(), "minimum"))) // (C2)
    return failure();
  if (failed(takes({Formula::VMoE, Formula::VMoEExpertChoice}, getMultiple(),
                   "multiple"))) // (C3)
    return failure();
  double factor = getFactor().convertToDouble();
  if (!std::isfinite(factor) || factor < 0) // (C4)
    return emitOpError("factor is ")
           << factor << ", expected a finite number of at least 0";
  auto atLeast = [&](std::optional<int64_t> number, int64_t least,
                     StringRef name) -> LogicalResult {
    if (number.value_or(least) >= least)
      return success();
    return emitOpError() << name << " is " << *number << ", expected at least "
                         << least;
  };
  return failure(failed(atLeast(getExperts(), 1, "experts")) || // (C5)
                 failed(atLeast(getChoices(), 1, "choices")) ||
                 failed(atLeast(getMultiple(), 1, "multiple")) ||
                 failed(atLeast(getMinimum(), 0, "minimum")));
}

LogicalResult BalanceLossOp::verify() {
  RoutingType routing = getRouting().getType();
  if (!mayHaveShape(getProbabilities(),
                    {dynamic, routing.getExperts()})) // (C1)
    return emitOpError("probabilities are ")
           << getProbabilities().getType() << ", expected tokens by "
           << routing.getExperts() << " experts";
  if (failed(verifySegments(*this, getSegments()))) // (C2)
    return failure();
  bool slots =
      getCounting() == Counting::First || getScale() == BalanceScale::One;
  if (slots && routing.getShape() != RoutingShape::Top) // (C3)
    return emitOpError("counting ")
           << stringifyCounting(getCounting()) << " scale "
           << stringifyBalanceScale(getScale())
           << " needs a routing with slots, found " << routing;
  return success();
}

LogicalResult ZLossOp::verify() {
  if (getLogits().getType().getRank() != 2) // (C1)
    return emitOpError("logits are ")
           << getLogits().getType() << ", expected tokens by experts";
  return success();
}

LogicalResult CvSquaredOp::verify() {
  if (getValues().getType().getRank() != 1) // (C1)
    return emitOpError("values are ")
           << getValues().getType() << ", expected rank 1";
  double plus = getPlus().convertToDouble();
  if (!std::isfinite(plus) || plus < 0) // (C2)
    return emitOpError("plus is ")
           << plus << ", expected a finite number of at least 0";
  return success();
}

LogicalResult NoisyLoadOp::verify() {
  RankedTensorType clean = getClean().getType();
  if (clean.getRank() != 2 || clean.isDynamicDim(1)) // (C1)
    return emitOpError("logits are ")
           << clean << ", expected tokens by a static number of experts";
  int64_t experts = clean.getDimSize(1);
  if (failed(verifyTop(*this, getTop(), experts))) // (C2)
    return failure();
  if (!mayHaveShape(getResult(), {experts})) // (C3)
    return emitOpError("result is ")
           << getResult().getType() << ", expected one value for each of the "
           << experts << " experts";
  return success();
}

LogicalResult RandomOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location>,
                                         ValueRange operands, DictionaryAttr,
                                         OpaqueProperties, RegionRange,
                                         SmallVectorImpl<Type> &types) {
  auto like = dyn_cast<RankedTensorType>(operands[0].getType());
  if (!like)
    return failure();
  types.push_back(broadcastType(Float32Type::get(context), like));
  return success();
}

LogicalResult RandomOp::verify() {
  int64_t stream = getStream();
  if (stream < 0 || stream >> 32) // (C1)
    return emitOpError("stream is ")
           << stream << ", expected a number in 0 ... 2^32 - 1";
  return success();
}
