// Verifying dispatch and combine; verifying and folding scope and param.
#include "dialect/MoeSupport.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace moe;

LogicalResult DispatchOp::inferReturnTypes(MLIRContext *,
                                           std::optional<Location>,
                                           ValueRange operands, DictionaryAttr,
                                           OpaqueProperties, RegionRange,
                                           SmallVectorImpl<Type> &types) {
  auto input = dyn_cast<RankedTensorType>(operands[0].getType());
  if (!input)
    return failure();
  types.push_back(withDynamicRows(input));
  return success();
}

LogicalResult DispatchOp::verify() {
  RankedTensorType input = getInput().getType();
  if (input.getRank() < 1) // (C1)
    return emitOpError("input has rank 0, expected rows of tokens");
  if (getWeighted() && !isa<FloatType>(input.getElementType())) // (C2)
    return emitOpError("weighted applies to rows of floats, found ") << input;
  return success();
}

LogicalResult CombineOp::inferReturnTypes(MLIRContext *,
                                          std::optional<Location>,
                                          ValueRange operands, DictionaryAttr,
                                          OpaqueProperties, RegionRange,
                                          SmallVectorImpl<Type> &types) {
  auto input = dyn_cast<RankedTensorType>(operands[0].getType());
  if (!input)
    return failure();
  types.push_back(withDynamicRows(input));
  return success();
}

LogicalResult CombineOp::verify() {
  if (getInput().getType().getRank() < 1) // (C1)
    return emitOpError("input has rank 0, expected rows of experts");
  if (moveOfOtherSupport(getInput(), getRouting())) // (C2)
    return emitOpError(
        "and the expert or dispatch whose rows it sums use different routings");
  if (areTokensOf(getInput(), getRouting())) // (C4)
    return emitOpError("input is ")
           << getInput().getType()
           << " by token of its routing, expected rows of 'moe.expert' or "
              "'moe.dispatch' by that routing";
  if (getWeighting() == Weighting::Weighted &&
      comesFromWeighted(getInput())) // (C3)
    return emitOpError(
        "applies the weights that 'moe.dispatch' already applied");
  return success();
}

LogicalResult ScopeOp::verify() { // (C1)
  size_t holes = getText().count("{}");
  if ((holes > 0) != static_cast<bool>(getIndex()))
    return emitOpError(holes > 0 ? "text has {} but no index: at %i"
                                 : "has an index but no {} in its text");
  if (holes > 1)
    return emitOpError("text '")
           << getText() << "' has " << holes << " {}, expected at most 1";
  if (getText().count('{') != holes || getText().count('}') != holes)
    return emitOpError("text '")
           << getText()
           << "' has braces other than {}; only 'moe.param' names dimensions";
  return success();
}

/// `text` with its {} replaced by a constant index, if that is what it has.
static std::optional<std::string> fillIn(StringRef text, Value index) {
  APInt number;
  if (!index || !matchPattern(index, m_ConstantInt(&number)) ||
      number.isNegative())
    return std::nullopt;
  auto [before, after] = text.split("{}");
  return (before + Twine(number.getSExtValue()) + after).str();
}

OpFoldResult ScopeOp::fold(FoldAdaptor) {
  if (getText().empty())
    return getScope();
  if (std::optional<std::string> text = fillIn(getText(), getIndex())) {
    setText(*text);
    getIndexMutable().clear();
    return getResult();
  }
  // A scope of a scope is one scope, unless both have an index.
  auto outer = getScope().getDefiningOp<ScopeOp>();
  if (!outer || (outer.getIndex() && getIndex()) || outer == *this)
    return {};
  std::string text = (outer.getText() + getText()).str();
  if (outer.getIndex())
    getIndexMutable().assign(outer.getIndex());
  getScopeMutable().assign(outer.getScope());
  setText(text);
  return getResult();
}

/// What the runtime takes.
static constexpr size_t kIndexDigits = 9;

LogicalResult ParamOp::verify() {
  RankedTensorType type = getResult().getType();
  if (!type.hasStaticShape()) // (C1)
    return emitOpError("is ") << type << ", expected a static shape as stored";
  int64_t stacked = 0;
  StringRef rest = getText();
  while (!rest.empty()) {
    size_t open = rest.find('{');
    if (rest.take_front(open).contains('}')) // (C2)
      return emitOpError("name '") << getText() << "' has a } without {";
    if (open == StringRef::npos)
      break;
    size_t close = rest.find('}', open);
    if (close == StringRef::npos || rest.slice(open + 1, close).contains('{'))
      return emitOpError("name '") << getText() << "' has a { without }";
    StringRef inside = rest.slice(open + 1, close);
    auto [name, begin] = inside.split(':');
    int64_t number = 0;
    if (name.empty()) // (C3)
      return emitOpError("name '")
             << getText() << "' has an unnamed {}, expected {expert}";
    if (inside.contains(':') && (begin.getAsInteger(10, number) || number < 0 ||
                                 begin.size() > kIndexDigits))
      return emitOpError("name '")
             << getText() << "' starts {" << name << "} at '" << begin
             << "', expected an index of 0 or more, in up to " << kIndexDigits
             << " digits";
    ++stacked;
    rest = rest.drop_front(close + 1);
  }
  if (stacked > type.getRank()) // (C4)
    return emitOpError("stacks ") << stacked << " dimensions, but its type "
                                  << type << " has " << type.getRank();
  return success();
}
