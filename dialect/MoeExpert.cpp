// Building, parsing, printing and verifying expert, and the terminator of its
// regions.
#include "dialect/MoeSupport.h"
#include "dialect/Regions.h"

using namespace mlir;
using namespace moe;

void ExpertOp::build(OpBuilder &, OperationState &state, TypeRange results,
                     Value routing, ValueRange rows, ValueRange each,
                     ArrayRef<int64_t> bounds, ArrayRef<int64_t> eachCounts) {
  state.addTypes(results);
  state.addOperands(routing);
  state.addOperands(rows);
  state.addOperands(each);
  Properties &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {1, static_cast<int32_t>(rows.size()),
                                    static_cast<int32_t>(each.size())};
  properties.bounds = DenseI64ArrayAttr::get(state.getContext(), bounds);
  properties.each_counts =
      DenseI64ArrayAttr::get(state.getContext(), eachCounts);
  for (size_t i = 0; i < eachCounts.size(); ++i)
    state.addRegion();
}

static Ranges rangesOf(ExpertOp op) {
  return {op,           op.getBounds(), op.getEachCounts(),
          op.getRows(), op.getEach(),   op.getRouting().getType().getExperts()};
}

OperandRange ExpertOp::getEachOf(unsigned range) {
  return rangesOf(*this).eachOf(range);
}

unsigned ExpertOp::getNumRowResults() {
  return cast<YieldOp>(getBodies().front().front().getTerminator())
      .getRows()
      .size();
}

// One kind:      moe.expert by %r rows(%t = %in) each(%g = %w) : !r, (!x, !w)
// -> !x { ... } Several kinds: moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
// range 0 to 6 each(%g = %w) : (!w) { ... } range 6 to 8 { ... }
ParseResult ExpertOp::parse(OpAsmParser &parser, OperationState &state) {
  OpAsmParser::UnresolvedOperand routing;
  SmallVector<OpAsmParser::Argument> rowArguments, eachArguments;
  SmallVector<OpAsmParser::UnresolvedOperand> rows, each;
  RoutingType routingType;
  FunctionType type;
  SMLoc typeLoc;
  if (parser.parseKeyword("by") || parser.parseOperand(routing))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("rows")) &&
      parser.parseAssignmentList(rowArguments, rows))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("each")) &&
      parser.parseAssignmentList(eachArguments, each))
    return failure();
  if (parser.parseOptionalAttrDictWithKeyword(state.attributes) ||
      parser.parseColon() || parser.parseType(routingType) ||
      parser.parseComma() || parser.getCurrentLocation(&typeLoc) ||
      parser.parseType(type))
    return failure();
  if (type.getNumInputs() != rows.size() + each.size())
    return parser.emitError(typeLoc)
           << "has " << rows.size() + each.size()
           << " inputs, but the type lists " << type.getNumInputs();
  ArrayRef<Type> rowTypes = type.getInputs().take_front(rows.size());
  SmallVector<Type> eachTypes(type.getInputs().drop_front(rows.size()));
  SmallVector<int64_t> bounds, eachCounts;

  auto parseBody = [&](ArrayRef<OpAsmParser::Argument> ofRows,
                       ArrayRef<OpAsmParser::Argument> ofRange,
                       ArrayRef<Type> ofRangeTypes) -> ParseResult {
    SmallVector<OpAsmParser::Argument> arguments(ofRows);
    for (auto [argument, rowType] : llvm::zip(arguments, rowTypes))
      argument.type = rowType;
    for (auto [argument, eachType] : llvm::zip(ofRange, ofRangeTypes)) {
      arguments.push_back(argument);
      arguments.back().type = dropFirst(eachType);
    }
    eachCounts.push_back(ofRange.size());
    return parser.parseRegion(*state.addRegion(), arguments);
  };

  SMLoc rangeLoc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalKeyword("range"))) {
    bounds = {0, routingType.getExperts()};
    if (parseBody(rowArguments, eachArguments, eachTypes))
      return failure();
  } else {
    if (!each.empty())
      return parser.emitError(rangeLoc)
             << "each(...) belongs to a range when there are several";
    do {
      int64_t begin = 0, end = 0;
      SmallVector<OpAsmParser::Argument> ofRange;
      SmallVector<Type> ofRangeTypes;
      SMLoc loc = parser.getCurrentLocation();
      if (parser.parseInteger(begin) || parser.parseKeyword("to") ||
          parser.parseInteger(end))
        return failure();
      if (begin != (bounds.empty() ? 0 : bounds.back()) || end <= begin)
        return parser.emitError(loc) << "range " << begin << " to " << end
                                     << " does not continue at expert "
                                     << (bounds.empty() ? 0 : bounds.back());
      if (bounds.empty())
        bounds.push_back(0);
      bounds.push_back(end);
      SmallVector<OpAsmParser::Argument> ofRows(rowArguments);
      if (succeeded(parser.parseOptionalKeyword("rows"))) {
        ofRows.clear();
        if (parser.parseArgumentList(ofRows, OpAsmParser::Delimiter::Paren))
          return failure();
        if (ofRows.size() != rows.size())
          return parser.emitError(loc)
                 << "range " << begin << " to " << end << " names "
                 << ofRows.size() << " row tensors, expected " << rows.size();
      }
      if (succeeded(parser.parseOptionalKeyword("each"))) {
        SmallVector<OpAsmParser::UnresolvedOperand> operands;
        SMLoc eachLoc = parser.getCurrentLocation();
        if (parser.parseAssignmentList(ofRange, operands) ||
            parser.parseColon() || parser.parseLParen() ||
            parser.parseTypeList(ofRangeTypes) || parser.parseRParen())
          return failure();
        if (ofRangeTypes.size() != operands.size())
          return parser.emitError(eachLoc)
                 << "range " << begin << " to " << end << " has "
                 << operands.size() << " tensors, but lists "
                 << ofRangeTypes.size() << " types";
        llvm::append_range(each, operands);
        llvm::append_range(eachTypes, ofRangeTypes);
      }
      if (parseBody(ofRows, ofRange, ofRangeTypes))
        return failure();
    } while (succeeded(parser.parseOptionalKeyword("range")));
  }
  if (parser.resolveOperand(routing, routingType, state.operands) ||
      parser.resolveOperands(rows, rowTypes, typeLoc, state.operands) ||
      parser.resolveOperands(each, eachTypes, typeLoc, state.operands))
    return failure();
  Properties &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {1, static_cast<int32_t>(rows.size()),
                                    static_cast<int32_t>(each.size())};
  properties.bounds = DenseI64ArrayAttr::get(state.getContext(), bounds);
  properties.each_counts =
      DenseI64ArrayAttr::get(state.getContext(), eachCounts);
  state.addTypes(type.getResults());
  return success();
}

static void printBindings(OpAsmPrinter &printer, StringRef keyword,
                          ValueRange arguments, ValueRange operands) {
  if (operands.empty())
    return;
  printer << " " << keyword << "(";
  llvm::interleaveComma(
      llvm::zip(arguments, operands), printer, [&](auto pair) {
        printer << std::get<0>(pair) << " = " << std::get<1>(pair);
      });
  printer << ")";
}

void ExpertOp::print(OpAsmPrinter &printer) {
  bool ranges = getNumRanges() > 1;
  size_t numRows = getRows().size();
  printer << " by " << getRouting();
  printBindings(printer, "rows",
                getBodies().front().getArguments().take_front(numRows),
                getRows());
  if (!ranges)
    printBindings(printer, "each",
                  getBodies().front().getArguments().drop_front(numRows),
                  getEach());
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getOperandSegmentSizeAttr(), getBoundsAttrName(),
                            getEachCountsAttrName()});
  printer << " : " << getRouting().getType() << ", ";
  SmallVector<Type> inputs(getRows().getTypes());
  if (!ranges)
    llvm::append_range(inputs, getEach().getTypes());
  printer.printFunctionalType(inputs, getResultTypes());
  for (unsigned i = 0; i < getNumRanges(); ++i) {
    Region &body = getBodies()[i];
    if (ranges) {
      printer.printNewline();
      printer << "    range " << getRangeBegin(i) << " to " << getRangeEnd(i);
      if (i > 0 && numRows > 0) {
        printer << " rows(";
        llvm::interleaveComma(body.getArguments().take_front(numRows), printer);
        printer << ")";
      }
      printBindings(printer, "each", body.getArguments().drop_front(numRows),
                    getEachOf(i));
      if (!getEachOf(i).empty()) {
        printer << " : (";
        llvm::interleaveComma(getEachOf(i).getTypes(), printer);
        printer << ")";
      }
    }
    printer << " ";
    printer.printRegion(body, /*printEntryBlockArgs=*/false);
  }
}

LogicalResult ExpertOp::verify() {
  if (failed(verifyRanges(rangesOf(*this)))) // (C1), (C2), (C3), (C4)
    return failure();
  for (auto [number, row] : llvm::enumerate(getRows())) {
    if (moveOfOtherSupport(row, getRouting())) // (C9)
      return emitOpError("and the dispatch of its rows use different routings");
    if (areTokensOf(row, getRouting())) // (C10)
      return emitOpError("rows tensor ")
             << number << " is " << row.getType()
             << " by token of its routing, expected rows of a 'moe.dispatch' "
                "by that routing";
  }
  return success();
}

LogicalResult ExpertOp::verifyRegions() {
  return verifyRangeRegions<YieldOp>(rangesOf(*this)); // (C5), (C6), (C7), (C8)
}

// moe.yield %y : !x   or   moe.yield rows(%y : !x) each(%s : !s)
ParseResult YieldOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::UnresolvedOperand> rows, each;
  SmallVector<Type> rowTypes, eachTypes;
  SMLoc loc = parser.getCurrentLocation();
  auto parseGroup =
      [&](SmallVectorImpl<OpAsmParser::UnresolvedOperand> &operands,
          SmallVectorImpl<Type> &types) -> ParseResult {
    return failure(parser.parseLParen() || parser.parseOperandList(operands) ||
                   parser.parseColonTypeList(types) || parser.parseRParen());
  };
  if (succeeded(parser.parseOptionalKeyword("rows"))) {
    if (parseGroup(rows, rowTypes))
      return failure();
    if (succeeded(parser.parseOptionalKeyword("each")) &&
        parseGroup(each, eachTypes))
      return failure();
  } else if (succeeded(parser.parseOptionalKeyword("each"))) {
    if (parseGroup(each, eachTypes))
      return failure();
  } else if (parser.parseOperandList(rows) ||
             (!rows.empty() && parser.parseColonTypeList(rowTypes))) {
    return failure();
  }
  Properties &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {static_cast<int32_t>(rows.size()),
                                    static_cast<int32_t>(each.size())};
  return failure(parser.parseOptionalAttrDict(state.attributes) ||
                 parser.resolveOperands(rows, rowTypes, loc, state.operands) ||
                 parser.resolveOperands(each, eachTypes, loc, state.operands));
}

void YieldOp::print(OpAsmPrinter &printer) {
  auto printGroup = [&](StringRef keyword, OperandRange operands) {
    printer << " " << keyword << "(" << operands << " : " << operands.getTypes()
            << ")";
  };
  if (!getEach().empty()) {
    if (!getRows().empty())
      printGroup("rows", getRows());
    printGroup("each", getEach());
  } else if (!getRows().empty()) {
    printer << " " << getRows() << " : " << getRows().getTypes();
  }
  printer.printOptionalAttrDict((*this)->getAttrs(),
                                {getOperandSegmentSizeAttr()});
}
