// Verifying rotary positions and attention.
#include "dialect/MoeChecks.h"
#include "dialect/MoeDialect.h"
#include <cmath>

using namespace mlir;
using namespace moe;

static bool isPerRow(Value value) {
  return mayHaveShape(value, {ShapedType::kDynamic});
}

LogicalResult RopeOp::verify() {
  RankedTensorType input = getInput().getType();
  if (input.getRank() < 2 ||
      ShapedType::isDynamic(input.getShape().back())) // (C1)
    return emitOpError("input is ")
           << input << ", expected rows of a static number of columns";
  if (!isPerRow(getPositions())) // (C2)
    return emitOpError("positions are ")
           << getPositions().getType() << ", expected one per row";
  RankedTensorType frequencies = getFrequencies().getType();
  if (frequencies.getRank() != 1 || frequencies.isDynamicDim(0) ||
      2 * frequencies.getDimSize(0) > input.getShape().back()) // (C3)
    return emitOpError("frequencies are ")
           << frequencies << ", expected one for each of at most "
           << input.getShape().back() / 2 << " pairs of columns";
  return success();
}

LogicalResult RopeFrequenciesOp::verify() {
  int64_t dim = getDim();
  if (dim < 2 || dim % 2 || !mayHaveShape(getResult(), {dim / 2})) // (C1)
    return emitOpError("of dim ")
           << dim << " has result " << getResult().getType()
           << ", expected an even dim and half as many frequencies";
  auto positive = [](double number) {
    return std::isfinite(number) && number > 0;
  };
  double theta = getTheta().convertToDouble(),
         factor = getFactor().value_or(APFloat(1.0)).convertToDouble();
  if (!positive(theta) || !positive(factor)) // (C2)
    return emitOpError("has theta ")
           << theta << " and factor " << factor
           << ", expected finite numbers of more than 0";
  if (!getLow() && !getHigh() && !getOriginal())
    return success();
  if (!getFactor() || !getLow() || !getHigh() || !getOriginal()) // (C3)
    return emitOpError("needs factor, low, high and original together");
  double low = getLow()->convertToDouble(), high = getHigh()->convertToDouble();
  int64_t original = *getOriginal();
  if (!positive(low) || !positive(high) || low >= high || original < 1)
    return emitOpError("scales between ")
           << low << " and " << high << " turns of " << original
           << " positions, expected 0 < low < high and 1 position or more";
  return success();
}

LogicalResult AttentionOp::verify() {
  RankedTensorType query = getQuery().getType(), key = getKey().getType(),
                   value = getValue().getType();
  for (RankedTensorType type : {query, key, value})
    if (type.getRank() != 3) // (C1)
      return emitOpError("has rows of ")
             << type << ", expected rows by heads by columns";
  if (query.getDimSize(2) != key.getDimSize(2) ||
      failed(verifyCompatibleShape(key.getShape().drop_back(),
                                   value.getShape().drop_back()))) // (C2)
    return emitOpError("query, key and value do not fit: ")
           << query << ", " << key << ", " << value;
  int64_t heads = query.getDimSize(1), groups = key.getDimSize(1);
  if (ShapedType::isDynamic(heads) || ShapedType::isDynamic(groups) ||
      groups < 1 || heads % groups) // (C3)
    return emitOpError("has queries ")
           << query << " and keys " << key
           << ", expected the heads of the keys to divide those of the queries";
  // (C4)
  if (static_cast<bool>(getQuerySegments()) !=
          static_cast<bool>(getKeySegments()) ||
      static_cast<bool>(getQueryPositions()) !=
          static_cast<bool>(getKeyPositions()))
    return emitOpError("needs segments and positions of queries and keys both, "
                       "or of neither");
  for (Value numbers : {getQuerySegments(), getKeySegments(),
                        getQueryPositions(), getKeyPositions()})
    if (numbers && !isPerRow(numbers))
      return emitOpError("has segments or positions ")
             << numbers.getType() << ", expected one per row";
  if ((getCausal() || getWindow()) && !getQueryPositions()) // (C5)
    return emitOpError("with ")
           << (getCausal() ? "causal" : "window") << " needs positions";
  double scale = getScale().convertToDouble();
  if (!std::isfinite(scale)) // (C6)
    return emitOpError("scale is ") << scale << ", expected a finite number";
  if (int64_t window = getWindow().value_or(1); window < 1)
    return emitOpError("window is ") << window << ", expected at least 1";
  if (!mayHaveShape(getResult(),
                    {query.getDimSize(0), heads, value.getDimSize(2)})) // (C7)
    return emitOpError("result is ")
           << getResult().getType() << ", expected the rows and heads of "
           << query << " and the columns of " << value;
  return success();
}
