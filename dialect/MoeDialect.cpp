// Registration of the moe dialect; parsing, printing and verifying its types.
#include "dialect/MoeDialect.h"
#include "dialect/Regions.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;

#include "dialect/MoeDialect.cpp.inc"
#include "dialect/MoeEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/MoeTypes.cpp.inc"

void MoeDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/MoeTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/MoeOps.cpp.inc"
      >();
  addInterfaces<OneBlockInliner, ConstantsStay>();
}

// !moe.routing<E, top k> | <E, take> | <E, any>
Type RoutingType::parse(AsmParser &parser) {
  int64_t experts = 0, choices = 0;
  StringRef keyword;
  SMLoc begin = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseInteger(experts) || parser.parseComma())
    return {};
  SMLoc keywordLoc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return {};
  std::optional<RoutingShape> shape = symbolizeRoutingShape(keyword);
  if (!shape) {
    parser.emitError(keywordLoc) << "unknown routing shape '" << keyword
                                 << "', expected top, take or any";
    return {};
  }
  if (*shape == RoutingShape::Top && parser.parseInteger(choices))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<RoutingType>(begin, parser.getContext(), experts,
                                        *shape, choices);
}

void RoutingType::print(AsmPrinter &printer) const {
  printer << "<" << getExperts() << ", " << stringifyRoutingShape(getShape());
  if (getShape() == RoutingShape::Top)
    printer << " " << getChoices();
  printer << ">";
}

LogicalResult
RoutingType::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                    int64_t experts, RoutingShape shape, int64_t choices) {
  if (experts < 1) // (C1)
    return emitError() << "a routing needs at least 1 expert, found "
                       << experts;
  // (C2)
  if (shape == RoutingShape::Top && (choices < 1 || choices > experts))
    return emitError() << "a routing of " << experts
                       << " experts cannot hold top " << choices;
  return success();
}
