// Parsing and verifying the operations that make a routing.
#include "dialect/MoeChecks.h"
#include "dialect/MoeDialect.h"
#include <cmath>

using namespace mlir;
using namespace moe;

static bool hasThreshold(Selection selection) {
  return selection == Selection::GreaterThan ||
         selection == Selection::AtLeast || selection == Selection::TopP;
}

/// groups n keep m score max | groups n keep m score sum j
static ParseResult parseGroups(OpAsmParser &parser, OperationState &state) {
  int64_t groups = 0, keep = 0, best = 1;
  if (failed(parser.parseOptionalKeyword("groups")))
    return success();
  if (parser.parseInteger(groups) || parser.parseKeyword("keep") ||
      parser.parseInteger(keep) || parser.parseKeyword("score"))
    return failure();
  if (failed(parser.parseOptionalKeyword("max")) &&
      (parser.parseKeyword("sum", ", expected max or sum") ||
       parser.parseInteger(best)))
    return failure();
  Builder &builder = parser.getBuilder();
  state.addAttribute("groups", builder.getI64IntegerAttr(groups));
  state.addAttribute("keep", builder.getI64IntegerAttr(keep));
  state.addAttribute("best", builder.getI64IntegerAttr(best));
  return success();
}

// moe.route %w [by %key] [groups n keep m score max|sum j] SELECTION : T
// [, capacity type [, segments type]] -> R
ParseResult RouteOp::parse(OpAsmParser &parser, OperationState &state) {
  using Operand = OpAsmParser::UnresolvedOperand;
  Operand weights, key, capacity, segments, threshold;
  Builder &builder = parser.getBuilder();
  if (parser.parseOperand(weights))
    return failure();
  bool hasKey = succeeded(parser.parseOptionalKeyword("by"));
  if ((hasKey && parser.parseOperand(key)) || parseGroups(parser, state))
    return failure();

  StringRef keyword;
  SMLoc keywordLoc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<Selection> selection = symbolizeSelection(keyword);
  if (!selection)
    return parser.emitError(keywordLoc)
           << "unknown selection '" << keyword
           << "', expected top, take, greater_than, at_least, top_p, nonzero "
              "or all";
  if (*selection != Selection::Top)
    state.addAttribute(getSelectionAttrName(state.name),
                       SelectionAttr::get(parser.getContext(), *selection));
  bool hasSegments = false, hasValue = false;
  if (*selection == Selection::Top) {
    int64_t top = 0;
    if (parser.parseInteger(top))
      return failure();
    state.addAttribute(getTopAttrName(state.name),
                       builder.getI64IntegerAttr(top));
  } else if (*selection == Selection::Take) {
    if (parser.parseOperand(capacity))
      return failure();
    hasSegments = succeeded(parser.parseOptionalKeyword("segments"));
    if (hasSegments && parser.parseOperand(segments))
      return failure();
  } else if (hasThreshold(*selection)) {
    OptionalParseResult value = parser.parseOptionalOperand(threshold);
    hasValue = value.has_value();
    double constant = 0;
    if (hasValue ? failed(*value) : failed(parser.parseFloat(constant)))
      return failure();
    if (!hasValue)
      state.addAttribute(getConstantAttrName(state.name),
                         builder.getF64FloatAttr(constant));
  }

  Type type, capacityType, segmentsType, routing;
  if (parser.parseOptionalAttrDict(state.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperand(weights, type, state.operands) ||
      (hasKey && parser.resolveOperand(key, type, state.operands)))
    return failure();
  if (*selection == Selection::Take &&
      (parser.parseComma() || parser.parseType(capacityType) ||
       parser.resolveOperand(capacity, capacityType, state.operands)))
    return failure();
  if (hasSegments &&
      (parser.parseComma() || parser.parseType(segmentsType) ||
       parser.resolveOperand(segments, segmentsType, state.operands)))
    return failure();
  if (hasValue &&
      parser.resolveOperand(threshold, builder.getF32Type(), state.operands))
    return failure();
  if (parser.parseArrow() || parser.parseType(routing))
    return failure();
  state.addTypes(routing);
  llvm::copy(
      ArrayRef<int32_t>(
          {1, hasKey, *selection == Selection::Take, hasSegments, hasValue}),
      state.getOrAddProperties<Properties>().operandSegmentSizes.begin());
  return success();
}

void RouteOp::print(OpAsmPrinter &printer) {
  printer << " " << getWeights();
  if (getKey())
    printer << " by " << getKey();
  if (getGroups() && getKeep() && getBest()) {
    printer << " groups " << *getGroups() << " keep " << *getKeep()
            << " score ";
    if (*getBest() == 1)
      printer << "max";
    else
      printer << "sum " << *getBest();
  }
  printer << " " << stringifySelection(getSelection());
  if (getSelection() == Selection::Top)
    printer << " " << static_cast<int64_t>(getTop());
  if (getCapacity())
    printer << " " << getCapacity();
  if (getSegments())
    printer << " segments " << getSegments();
  if (getThreshold())
    printer << " " << getThreshold();
  if (getConstantAttr()) {
    printer << " ";
    printer.printAttributeWithoutType(getConstantAttr());
  }
  printer.printOptionalAttrDict((*this)->getAttrs(),
                                {getSelectionAttrName(), getTopAttrName(),
                                 getConstantAttrName(), getGroupsAttrName(),
                                 getKeepAttrName(), getBestAttrName(),
                                 "operandSegmentSizes"});
  printer << " : " << getWeights().getType();
  if (getCapacity())
    printer << ", " << getCapacity().getType();
  if (getSegments())
    printer << ", " << getSegments().getType();
  printer << " -> " << getRouting().getType();
}

static RoutingShape shapeOf(Selection selection) {
  switch (selection) {
  case Selection::Top:
    return RoutingShape::Top;
  case Selection::Take:
    return RoutingShape::Take;
  case Selection::GreaterThan:
  case Selection::AtLeast:
  case Selection::TopP:
  case Selection::Nonzero:
  case Selection::All:
    return RoutingShape::Any;
  }
  llvm_unreachable("a selection without a shape");
}

LogicalResult RouteOp::verify() {
  if (failed(verifyScores(*this, getWeights(), getKey(), "key is")))
    return failure(); // (C1), (C2)
  int64_t experts = getWeights().getType().getDimSize(1), top = getTop();
  Selection selection = getSelection();
  if (selection == Selection::Top) { // (C3)
    if (failed(verifyTop(*this, top, experts)))
      return failure();
  } else if (top != 0) {
    return emitOpError() << stringifySelection(selection)
                         << " chooses no fixed number, found top " << top;
  }
  RoutingType routing = getRouting().getType();
  RoutingShape shape = shapeOf(selection);
  // (C4)
  if (routing.getExperts() != experts || routing.getShape() != shape ||
      (shape == RoutingShape::Top && routing.getChoices() != top))
    return emitOpError("result is ")
           << routing << ", expected "
           << RoutingType::get(getContext(), experts, shape, top);
  Groups groups = {getGroups(), getKeep(), getBest(), experts, top};
  if (selection == Selection::Take && !groups.absent()) // (C5)
    return emitOpError("takes tokens, which no groups of experts restrict");
  if (failed(verifyGroupCounts(*this, groups))) // (C6), (C7), (C8)
    return failure();
  // (C9)
  if ((selection == Selection::Take) != static_cast<bool>(getCapacity()))
    return emitOpError() << stringifySelection(selection)
                         << (getCapacity() ? " has no capacity"
                                           : " needs a capacity");
  if (getSegments() && !getCapacity())
    return emitOpError() << stringifySelection(selection)
                         << " has no segments, only take";
  if (getCapacity() &&
      (failed(verifyCapacity(*this, getCapacity(), getSegments())) || // (C10)
       failed(verifyNotDropless(*this, getCapacity()))))              // (C11)
    return failure();
  // (C12)
  int thresholds =
      static_cast<bool>(getThreshold()) + getConstant().has_value();
  if (thresholds != (hasThreshold(selection) ? 1 : 0))
    return emitOpError() << stringifySelection(selection) << " has "
                         << thresholds << " thresholds, expected "
                         << (hasThreshold(selection) ? 1 : 0);
  double constant = getConstant().value_or(APFloat(1.0)).convertToDouble();
  if (!std::isfinite(constant) || // (C13)
      (selection == Selection::TopP && (constant <= 0 || constant > 1)))
    return emitOpError() << stringifySelection(selection) << " "
                         << getConstantAttr().getValue().convertToDouble()
                         << (selection == Selection::TopP
                                 ? ", expected a number in (0, 1]"
                                 : ", expected a finite number");
  return success();
}

// Keeping every group restricts nothing.
OpFoldResult RouteOp::fold(FoldAdaptor) {
  if (!getGroups() || getGroups() != getKeep())
    return {};
  removeGroupsAttr();
  removeKeepAttr();
  removeBestAttr();
  return getResult();
}

LogicalResult LookupOp::verify() {
  RoutingType routing = getRouting().getType();
  if (!mayHaveShape(getIds(), {ShapedType::kDynamic})) // (C1)
    return emitOpError("looks up ")
           << getIds().getType() << ", expected one id per token";
  RankedTensorType table = getTable().getType();
  if (table.getRank() != 2) // (C2)
    return emitOpError("table has rank ") << table.getRank() << ", expected 2";
  if (getScores() && !mayHaveShape(getScores(), {ShapedType::kDynamic,
                                                 routing.getExperts()})) // (C3)
    return emitOpError("scores are ")
           << getScores().getType() << ", expected tokens by "
           << routing.getExperts() << " experts";
  if (routing.getShape() != RoutingShape::Top ||
      routing.getChoices() != table.getDimSize(1)) // (C4)
    return emitOpError("makes ")
           << routing << " of a table with rows " << table;
  return success();
}

LogicalResult FromIndicesOp::verify() {
  RoutingType routing = getRouting().getType();
  for (Value slots : {Value(getIds()), Value(getWeights())})
    if (routing.getShape() != RoutingShape::Top ||
        !mayHaveShape(slots,
                      {ShapedType::kDynamic, routing.getChoices()})) // (C1)
      return emitOpError("makes ") << routing << " of " << slots.getType();
  return success();
}

// The ids and weights of a routing make that routing.
OpFoldResult FromIndicesOp::fold(FoldAdaptor) {
  auto ids = getIds().getDefiningOp<IndicesOp>();
  auto weights = getWeights().getDefiningOp<WeightsOp>();
  if (!ids || !weights || ids.getRouting() != weights.getRouting() ||
      ids.getRouting().getType() != getRouting().getType())
    return {};
  return ids.getRouting();
}

LogicalResult AssignOp::verify() {
  if (failed(verifyScores(*this, getWeights(), getScores(), "scores are")))
    return failure();                               // (C1), (C2)
  if (failed(verifySegments(*this, getSegments()))) // (C3)
    return failure();
  double over = getOver().convertToDouble(),
         atLeast = getAtLeast().convertToDouble();
  for (double number : {over, atLeast})
    if (!std::isfinite(number) || number <= 0) // (C4)
      return emitOpError("has an epsilon of range over ")
             << over << " at least " << atLeast
             << ", expected finite numbers of more than 0";
  if (int64_t rounds = getRounds(); rounds < 1) // (C5)
    return emitOpError("bids for ") << rounds << " rounds, expected 1 or more";
  RoutingType expected = RoutingType::get(
      getContext(), getWeights().getType().getDimSize(1), RoutingShape::Top, 1);
  if (getRouting().getType() != expected) // (C6)
    return emitOpError("result is ")
           << getRouting().getType() << ", expected " << expected;
  return success();
}
