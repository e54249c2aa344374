// Parsing and verifying the operations that edit and read the weights of a
// routing.
#include "dialect/MoeDialect.h"
#include <cmath>

using namespace mlir;
using namespace moe;

/// Weights and what they are chosen by have one type, so only one is written.
static ParseResult parseScoreTypes(OpAsmParser &parser, Type &weights,
                                   Type &scores) {
  if (parser.parseType(weights))
    return failure();
  scores = weights;
  return success();
}
static void printScoreTypes(OpAsmPrinter &printer, Operation *, Type weights,
                            Type) {
  printer << weights;
}

#define GET_OP_CLASSES
#include "dialect/MoeOps.cpp.inc"

LogicalResult NormalizeOp::verify() {
  if ((getNorm() == Norm::Lp) != getP().has_value()) // (C1)
    return emitOpError("by ")
           << stringifyNorm(getNorm())
           << (getP() ? " takes no exponent" : " needs an exponent: lp 2.0");
  if (double p = getP().value_or(APFloat(1.0)).convertToDouble();
      !std::isfinite(p) || p <= 0) // (C2)
    return emitOpError("by lp has exponent ")
           << p << ", expected a finite number of more than 0";
  // (C3)
  if ((getPlus() || getAtLeast()) && getNorm() != Norm::Sum)
    return emitOpError("by ")
           << stringifyNorm(getNorm())
           << " takes neither plus nor at_least, only a sum does";
  if (getPlus() && getAtLeast())
    return emitOpError("has both plus and at_least, expected one of them");
  for (std::optional<APFloat> guard : {getPlus(), getAtLeast()}) // (C4)
    if (double e = guard.value_or(APFloat(0.0)).convertToDouble();
        !std::isfinite(e) || e < 0)
      return emitOpError("by sum is guarded with ")
             << e << ", expected a finite number of at least 0";
  return success();
}

// moe.scale %r by 2.5 : !r  |  moe.scale %r by %f : !r, f32  |  moe.scale %r by
// %v : !r, tensor<16xf32>
ParseResult ScaleOp::parse(OpAsmParser &parser, OperationState &state) {
  OpAsmParser::UnresolvedOperand routing, factor;
  Type routingType, factorType;
  if (parser.parseOperand(routing) || parser.parseKeyword("by"))
    return failure();
  OptionalParseResult value = parser.parseOptionalOperand(factor);
  if (value.has_value() && failed(*value))
    return failure();
  if (!value.has_value()) {
    double constant = 0;
    if (parser.parseFloat(constant))
      return failure();
    state.addAttribute(getConstantAttrName(state.name),
                       parser.getBuilder().getF64FloatAttr(constant));
  }
  if (parser.parseOptionalAttrDict(state.attributes) ||
      parser.parseColonType(routingType) ||
      parser.resolveOperand(routing, routingType, state.operands))
    return failure();
  if (value.has_value() &&
      (parser.parseComma() || parser.parseType(factorType) ||
       parser.resolveOperand(factor, factorType, state.operands)))
    return failure();
  state.addTypes(routingType);
  return success();
}

void ScaleOp::print(OpAsmPrinter &printer) {
  printer << " " << getRouting() << " by ";
  if (getFactor())
    printer << getFactor();
  else
    printer.printAttributeWithoutType(getConstantAttr());
  printer.printOptionalAttrDict((*this)->getAttrs(), {getConstantAttrName()});
  printer << " : " << getRouting().getType();
  if (getFactor())
    printer << ", " << getFactor().getType();
}

LogicalResult ScaleOp::verify() {
  if (static_cast<bool>(getFactor()) == getConstant().has_value()) // (C1)
    return emitOpError("needs either a constant or a value to multiply by");
  if (getConstant() && !getConstant()->isFinite()) // (C3)
    return emitOpError("multiplies by ")
           << getConstant()->convertToDouble() << ", expected a finite number";
  if (!getFactor())
    return success();
  auto tensor = dyn_cast<RankedTensorType>(getFactor().getType());
  // (C2)
  if (tensor && (tensor.getRank() != 1 ||
                 tensor.getDimSize(0) != getRouting().getType().getExperts()))
    return emitOpError("factor is ")
           << tensor << ", expected one value for each of the "
           << getRouting().getType().getExperts() << " experts";
  return success();
}

OpFoldResult ScaleOp::fold(FoldAdaptor) {
  return getConstant() && getConstant()->isExactlyValue(1.0) ? getRouting()
                                                             : Value();
}

/// weights, indices and with_weights see a routing by token and slot, which
/// only `top k` has.
static LogicalResult verifySlots(Operation *op, RoutingType routing,
                                 RankedTensorType slots) {
  // moe.weights, moe.indices, moe.with_weights (C1)
  if (routing.getShape() != RoutingShape::Top)
    return op->emitOpError("needs a routing with slots (top k), found ")
           << routing;
  // moe.weights, moe.indices, moe.with_weights (C2)
  if (slots.getRank() != 2 || !slots.isDynamicDim(0) ||
      slots.getDimSize(1) != routing.getChoices())
    return op->emitOpError("sees ") << slots << ", expected ? tokens by "
                                    << routing.getChoices() << " slots";
  return success();
}

LogicalResult WeightsOp::verify() {
  return verifySlots(*this, getRouting().getType(), getResult().getType());
}
LogicalResult IndicesOp::verify() {
  return verifySlots(*this, getRouting().getType(), getResult().getType());
}
LogicalResult WithWeightsOp::verify() {
  return verifySlots(*this, getRouting().getType(), getWeights().getType());
}

LogicalResult CountsOp::verify() {
  int64_t experts = getRouting().getType().getExperts();
  RankedTensorType result = getResult().getType();
  if (result.getRank() != 1 || result.getDimSize(0) != experts) // (C1)
    return emitOpError("result is ")
           << result << ", expected one count for each of the " << experts
           << " experts";
  return success();
}
