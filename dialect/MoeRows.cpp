// Parsing and verifying the row operations.
#include "dialect/MoeDialect.h"
#include "dialect/Regions.h"
#include <cmath>

using namespace mlir;
using namespace moe;

RankedTensorType moe::broadcastType(Type input, RankedTensorType like) {
  return RankedTensorType::get(like.getShape(), getElementTypeOrSelf(input));
}

RankedTensorType moe::withDynamicRows(RankedTensorType tensor) {
  SmallVector<int64_t> shape(tensor.getShape());
  if (!shape.empty())
    shape[0] = ShapedType::kDynamic;
  return RankedTensorType::get(shape, tensor.getElementType());
}

/// Two sizes that could be the same at run time.
static bool mayBeEqual(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b;
}

LogicalResult LinearOp::verify() {
  RankedTensorType input = getInput().getType(), weight = getWeight().getType(),
                   result = getResult().getType();
  if (input.getRank() < 1) // (C1)
    return emitOpError("input has rank 0, expected at least 1");
  if (weight.getRank() != 2)
    return emitOpError("weight has rank ")
           << weight.getRank() << ", expected 2";
  if (!mayBeEqual(input.getShape().back(), getInputWidth())) // (C2)
    return emitOpError("input has ")
           << input.getShape().back() << " columns, but the weight " << weight
           << " takes " << getInputWidth();
  if (getBias()) { // (C3)
    RankedTensorType bias = getBias().getType();
    if (bias.getRank() != 1 ||
        !mayBeEqual(bias.getDimSize(0), getOutputWidth()))
      return emitOpError("bias is ")
             << bias << ", expected one value for each of the "
             << getOutputWidth() << " outputs";
  }
  // (C4)
  if (result.getRank() != input.getRank() ||
      !mayBeEqual(result.getShape().back(), getOutputWidth()) ||
      failed(verifyCompatibleShape(result.getShape().drop_back(),
                                   input.getShape().drop_back())))
    return emitOpError("result is ")
           << result << ", expected the input " << input << " with "
           << getOutputWidth() << " columns";
  return success();
}

LogicalResult SoftmaxOp::verify() {
  int64_t rank = getInput().getType().getRank(),
          dimension = getReducedDimension();
  if (dimension < 0 || dimension >= rank) // (C1)
    return emitOpError("runs over dimension ")
           << dimension << " of a tensor of rank " << rank;
  return success();
}

LogicalResult RmsNormOp::verify() {
  RankedTensorType input = getInput().getType(), weight = getWeight().getType();
  if (input.getRank() < 1) // (C1)
    return emitOpError("input has rank 0, expected at least 1");
  // (C2)
  if (weight.getRank() != 1 ||
      !mayBeEqual(weight.getDimSize(0), input.getShape().back()))
    return emitOpError("weight is ")
           << weight << ", expected one value for each of the "
           << input.getShape().back() << " columns";
  double eps = getEps().convertToDouble();
  if (!std::isfinite(eps) || eps < 0) // (C3)
    return emitOpError("eps is ")
           << eps << ", expected a finite number of at least 0";
  return success();
}

// moe.map (%a = %x, %b = %y) : (tensor<?x8xf32>, tensor<?x8xf32>) ->
// tensor<?x8xf32> { ... moe.yield %v : f32 }
ParseResult MapOp::parse(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  if (parser.parseAssignmentList(arguments, operands))
    return failure();
  FunctionType type;
  SMLoc typeLoc;
  if (parser.parseOptionalAttrDict(state.attributes) || parser.parseColon() ||
      parser.getCurrentLocation(&typeLoc) || parser.parseType(type))
    return failure();
  if (type.getNumInputs() != operands.size())
    return parser.emitError(typeLoc)
           << "has " << operands.size() << " inputs, but the type lists "
           << type.getNumInputs();
  for (auto [argument, input] : llvm::zip(arguments, type.getInputs()))
    argument.type = getElementTypeOrSelf(input);
  state.addTypes(type.getResults());
  return failure(parser.resolveOperands(operands, type.getInputs(), typeLoc,
                                        state.operands) ||
                 parser.parseRegion(*state.addRegion(), arguments));
}

void MapOp::print(OpAsmPrinter &printer) {
  printer << " (";
  llvm::interleaveComma(llvm::zip(getBody().getArguments(), getInputs()),
                        printer, [&](auto pair) {
                          printer << std::get<0>(pair) << " = "
                                  << std::get<1>(pair);
                        });
  printer << ")";
  printer.printOptionalAttrDict((*this)->getAttrs());
  printer << " : ";
  printer.printFunctionalType(*this);
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult MapOp::verify() {
  if (getInputs().empty()) // (C1)
    return emitOpError("needs at least one input to take its shape from");
  auto shape = cast<RankedTensorType>(getInputs().front().getType()).getShape();
  // (C2)
  for (Type type : llvm::concat<const Type>(getInputs().getTypes(),
                                            getResults().getTypes()))
    if (failed(verifyCompatibleShape(shape,
                                     cast<RankedTensorType>(type).getShape())))
      return emitOpError("mixes shapes: ")
             << getInputs().front().getType() << " and " << type;
  return success();
}

LogicalResult MapOp::verifyRegions() { // (C3), (C4), (C5)
  SmallVector<Type> elements;
  for (Type type : getInputs().getTypes())
    elements.push_back(getElementTypeOrSelf(type));
  return verifyScalarRegion<YieldOp>(*this, getBody(), elements);
}

LogicalResult BroadcastOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location>,
                                            ValueRange operands, DictionaryAttr,
                                            OpaqueProperties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  auto like = dyn_cast<RankedTensorType>(operands[1].getType());
  if (!like)
    return failure();
  types.push_back(broadcastType(operands[0].getType(), like));
  return success();
}

LogicalResult BroadcastOp::verify() {
  auto input = dyn_cast<RankedTensorType>(getInput().getType());
  if (!input)
    return success();
  RankedTensorType like = getLike().getType();
  bool fits = input.getRank() <= like.getRank(); // (C1), (C2)
  bool crossed = false; // would fit for one number of rows, and mean a mistake
  for (int64_t i = 1; fits && i <= input.getRank(); ++i) {
    int64_t size = input.getDimSize(input.getRank() - i),
            wanted = like.getDimSize(like.getRank() - i);
    fits = size == 1 || mayBeEqual(size, wanted);
    crossed |= ShapedType::isDynamic(size) && !ShapedType::isDynamic(wanted) &&
               !like.hasStaticShape();
  }
  if (!fits)
    return emitOpError("cannot stretch ") << input << " to " << like;
  if (crossed)
    return emitOpError("lays the rows of ")
           << input << " along a fixed dimension of " << like
           << "; one value per row is a column [?, 1], which "
              "tensor.expand_shape makes";
  return success();
}

// Equal types have equal shapes: a dynamic dimension is never stretched.
OpFoldResult BroadcastOp::fold(FoldAdaptor) {
  return getInput().getType() == getResult().getType() ? getInput() : Value();
}

LogicalResult ReduceOp::verify() {
  RankedTensorType input = getInput().getType(), result = getResult().getType();
  int64_t dimension = getDimension();
  if (dimension < 0 || dimension >= input.getRank()) // (C1)
    return emitOpError("runs over dimension ")
           << dimension << " of a tensor of rank " << input.getRank();
  SmallVector<int64_t> shape(input.getShape());
  shape.erase(shape.begin() + dimension);
  // (C2)
  if (result.getElementType() != input.getElementType() ||
      failed(verifyCompatibleShape(shape, result.getShape())))
    return emitOpError("result is ")
           << result << ", expected "
           << RankedTensorType::get(shape, input.getElementType());
  return success();
}

LogicalResult SplitOp::verify() {
  RankedTensorType input = getInput().getType(), result = getResult().getType();
  if (input.getRank() < 1) // (C1)
    return emitOpError("input has rank 0, expected at least 1");
  // (C2)
  if (input.getElementType() != result.getElementType() ||
      result.getRank() < input.getRank())
    return emitOpError("cannot split ") << input << " into " << result;
  // (C3)
  ArrayRef<int64_t> kept = input.getShape().drop_back();
  int64_t product = 1;
  for (int64_t size : result.getShape().drop_front(kept.size()))
    product = ShapedType::isDynamic(size) || ShapedType::isDynamic(product)
                  ? ShapedType::kDynamic
                  : product * size;
  if (failed(verifyCompatibleShape(
          kept, result.getShape().take_front(kept.size()))) ||
      ShapedType::isDynamic(product) || product != input.getShape().back())
    return emitOpError("splits ") << input.getShape().back() << " columns of "
                                  << input << " into " << result;
  return success();
}

OpFoldResult SplitOp::fold(FoldAdaptor) {
  return getInput().getType() == getResult().getType() ? getInput() : Value();
}

LogicalResult GatherOp::verify() {
  RankedTensorType table = getTable().getType(),
                   indices = getIndices().getType(),
                   result = getResult().getType();
  if (table.getRank() < 1) // (C1)
    return emitOpError("table has rank 0, expected at least 1");
  SmallVector<int64_t> shape(indices.getShape());
  llvm::append_range(shape, table.getShape().drop_front());
  // (C2)
  if (result.getElementType() != table.getElementType() ||
      failed(verifyCompatibleShape(shape, result.getShape())))
    return emitOpError("result is ")
           << result << ", expected "
           << RankedTensorType::get(shape, table.getElementType());
  return success();
}
