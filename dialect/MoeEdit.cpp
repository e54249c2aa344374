// Parsing, verifying and folding the edits of a routing's pairs.
#include "dialect/MoeChecks.h"
#include "dialect/MoeDialect.h"

using namespace mlir;
using namespace moe;

static bool hasSlots(RoutingType routing) {
  return routing.getShape() == RoutingShape::Top;
}

LogicalResult KeepOp::verify() {
  RoutingType routing = getRouting().getType();
  int64_t experts = routing.getExperts(), dynamic = ShapedType::kDynamic;
  RankedTensorType mask = getMask().getType();
  bool fits =
      mask.getRank() > 0 && !ShapedType::isDynamic(mask.getShape().back());
  if (!fits || !(mayHaveShape(getMask(), {experts}) || // (C1)
                 mayHaveShape(getMask(), {dynamic, experts}) ||
                 (hasSlots(routing) &&
                  mayHaveShape(getMask(), {dynamic, routing.getChoices()}))))
    return emitOpError("mask is ")
           << mask << ", expected one value per slot, expert or pair of "
           << routing;
  return success();
}

OpFoldResult KeepOp::fold(FoldAdaptor adaptor) {
  auto mask = dyn_cast_if_present<DenseElementsAttr>(adaptor.getMask());
  return mask && mask.isSplat() && mask.getSplatValue<bool>() ? getRouting()
                                                              : Value();
}

LogicalResult JoinOp::verify() {
  RoutingType first = getFirst().getType(), second = getSecond().getType(),
              result = getResult().getType();
  if (first.getExperts() != second.getExperts() ||
      first.getExperts() != result.getExperts()) // (C1)
    return emitOpError("joins ") << first << " and " << second << " to "
                                 << result << ", expected the same experts";
  if (result.getShape() == RoutingShape::Any)
    return success();
  if (!hasSlots(result) || !hasSlots(first) || !hasSlots(second)) // (C2)
    return emitOpError("joins ") << first << " and " << second << " to "
                                 << result << ", expected any";
  if (result.getChoices() != first.getChoices() + second.getChoices())
    return emitOpError("joins top ")
           << first.getChoices() << " and top " << second.getChoices()
           << " to top " << result.getChoices();
  return success();
}

// moe.limit %r to %c order ORDER [by %p] [place j] overflow drop|next_choice
// [segments %s] : R, capacity type[, priority type][, segments type]
ParseResult LimitOp::parse(OpAsmParser &parser, OperationState &state) {
  using Operand = OpAsmParser::UnresolvedOperand;
  Operand routing, capacity, priority, segments;
  bool hasPriority = false, hasSegments = false;
  if (parser.parseOperand(routing) || parser.parseKeyword("to") ||
      parser.parseOperand(capacity) || parser.parseKeyword("order"))
    return failure();
  Order order = Order::Value;
  OptionalParseResult value = parser.parseOptionalOperand(priority);
  hasPriority = value.has_value();
  if (hasPriority && failed(*value))
    return failure();
  if (!hasPriority) {
    StringRef keyword;
    SMLoc keywordLoc = parser.getCurrentLocation();
    if (parser.parseKeyword(&keyword))
      return failure();
    std::optional<Order> named = symbolizeOrder(keyword);
    if (!named || *named == Order::Value)
      return parser.emitError(keywordLoc)
             << "unknown order '" << keyword
             << "', expected position, choice, token_choice, weight or a value";
    order = *named;
    hasPriority = succeeded(parser.parseOptionalKeyword("by"));
    if (hasPriority && parser.parseOperand(priority))
      return failure();
  }
  state.addAttribute(getOrderAttrName(state.name),
                     OrderAttr::get(parser.getContext(), order));
  bool hasPlace = succeeded(parser.parseOptionalKeyword("place"));
  int64_t place = 0;
  if ((hasPlace && parser.parseInteger(place)) ||
      parser.parseKeyword("overflow"))
    return failure();
  if (hasPlace)
    state.addAttribute(getPlaceAttrName(state.name),
                       parser.getBuilder().getI64IntegerAttr(place));
  if (parser.parseKeyword(hasPlace ? "next_choice" : "drop",
                          hasPlace ? " after place" : " without place"))
    return failure();
  hasSegments = succeeded(parser.parseOptionalKeyword("segments"));
  if (hasSegments && parser.parseOperand(segments))
    return failure();

  Type routingType, type;
  if (parser.parseOptionalAttrDict(state.attributes) ||
      parser.parseColonType(routingType) ||
      parser.resolveOperand(routing, routingType, state.operands))
    return failure();
  auto resolve = [&](const Operand &operand) -> ParseResult {
    return failure(parser.parseComma() || parser.parseType(type) ||
                   parser.resolveOperand(operand, type, state.operands));
  };
  if (resolve(capacity) || (hasPriority && resolve(priority)) ||
      (hasSegments && resolve(segments)))
    return failure();
  state.addTypes(routingType);
  llvm::copy(
      ArrayRef<int32_t>({1, 1, hasPriority, hasSegments}),
      state.getOrAddProperties<Properties>().operandSegmentSizes.begin());
  return success();
}

void LimitOp::print(OpAsmPrinter &printer) {
  printer << " " << getRouting() << " to " << getCapacity() << " order ";
  if (getOrder() != Order::Value)
    printer << stringifyOrder(getOrder()) << (getPriority() ? " by " : "");
  if (getPriority())
    printer << getPriority();
  if (getPlace())
    printer << " place " << *getPlace();
  printer << " overflow " << (getPlace() ? "next_choice" : "drop");
  if (getSegments())
    printer << " segments " << getSegments();
  printer.printOptionalAttrDict(
      (*this)->getAttrs(),
      {getOrderAttrName(), getPlaceAttrName(), "operandSegmentSizes"});
  printer << " : " << getRouting().getType() << ", " << getCapacity().getType();
  if (getPriority())
    printer << ", " << getPriority().getType();
  if (getSegments())
    printer << ", " << getSegments().getType();
}

LogicalResult LimitOp::verify() {
  RoutingType routing = getRouting().getType();
  Order order = getOrder();
  bool byChoice = order == Order::Choice || order == Order::TokenChoice;
  if (byChoice && !hasSlots(routing)) // (C1)
    return emitOpError("in order ")
           << stringifyOrder(order) << " needs a routing with slots, found "
           << routing;
  if (order == Order::Value && !getPriority()) // (C2)
    return emitOpError("in order of a value needs that value");
  if (getPriority() && !byChoice && order != Order::Value)
    return emitOpError("in order ")
           << stringifyOrder(order) << " has no priority";
  int64_t dynamic = ShapedType::kDynamic;
  if (getPriority() && !mayHaveShape(getPriority(), {dynamic}) && // (C3)
      (byChoice ||
       !(mayHaveShape(getPriority(), {dynamic, routing.getExperts()}) ||
         (hasSlots(routing) &&
          mayHaveShape(getPriority(), {dynamic, routing.getChoices()})))))
    return emitOpError("priority is ")
           << getPriority().getType() << ", expected one value per "
           << (byChoice ? "token" : "token, slot or pair");
  if (failed(verifyCapacity(*this, getCapacity(), getSegments()))) // (C4)
    return failure();
  if (failed(verifyNotDropless(*this, getCapacity()))) // (C5)
    return failure();
  if (!getPlace())
    return success();
  if (!hasSlots(routing) || order == Order::Position) // (C6)
    return emitOpError("places next choices of ")
           << routing << " in order " << stringifyOrder(order)
           << ", expected a routing with slots, and another order than "
              "position";
  int64_t place = *getPlace();
  if (place < 1 || place > routing.getChoices()) // (C7)
    return emitOpError("places ")
           << place << " of " << routing.getChoices() << " choices";
  return success();
}

// Placing all choices is to drop what finds no place.
OpFoldResult LimitOp::fold(FoldAdaptor) {
  RoutingType routing = getRouting().getType();
  if (!getPlace() || static_cast<int64_t>(*getPlace()) != routing.getChoices())
    return {};
  removePlaceAttr();
  return getResult();
}
