// Registration of the grouped dialect; parsing and printing its type.
#include "dialect/GroupedDialect.h"
#include "dialect/Regions.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::grouped;

#include "dialect/GroupedDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/GroupedTypes.cpp.inc"

void GroupedDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/GroupedTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/GroupedOps.cpp.inc"
      >();
  addInterfaces<OneBlockInliner, ConstantsStay>();
}

// !grouped.packed<8x256x128xbf16, 2>
Type PackedType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  int64_t weights = 0;
  SMLoc begin = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(element) || parser.parseComma() ||
      parser.parseInteger(weights) || parser.parseGreater())
    return {};
  return parser.getChecked<PackedType>(begin, parser.getContext(), shape,
                                       element, weights);
}

LogicalResult
PackedType::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                   ArrayRef<int64_t> shape, Type element, int64_t weights) {
  if (shape.size() != 3) // (C1)
    return emitError() << "packed weights have 3 dimensions (groups, outputs, "
                          "inputs), found "
                       << shape.size();
  for (int64_t size : shape)
    if (size < 1)
      return emitError() << "packed weights have a dimension of " << size
                         << ", expected at least 1";
  if (!element.isF64() && !element.isF32() && !element.isF16() &&
      !element.isBF16() && !element.isSignlessInteger(8) &&
      !element.isSignedInteger(8) && !element.isSignlessInteger(4) &&
      !element.isUnsignedInteger(4)) // (C2)
    return emitError() << "packed weights hold " << element
                       << ", expected f64, f32, f16, bf16, i8, si8, i4 or ui4";
  if (weights < 1) // (C3)
    return emitError() << "packed weights need at least 1 weight, found "
                       << weights;
  return success();
}

void PackedType::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printDimensionList(getShape());
  printer << "x" << getElementType() << ", " << getWeights() << ">";
}
