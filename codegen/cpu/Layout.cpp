// See Layout.h.

#include "codegen/cpu/Layout.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace moe::cpu {

SmallVector<int64_t> denseStrides(RankedTensorType type, int64_t rowStride) {
  SmallVector<int64_t> strides(type.getRank(), 1);
  int64_t inner = innerRows(type);
  for (int64_t d = type.getRank() - 2; d >= 0; --d)
    strides[d] = d < inner ? ShapedType::kDynamic
                           : strides[d + 1] * type.getDimSize(d + 1);
  if (!strides.empty() && inner == 0)
    strides[0] = rowStride;
  return strides;
}

/// A stride times a size, either of which may be dynamic.
static int64_t times(int64_t stride, int64_t size) {
  bool known = !ShapedType::isDynamic(stride) && !ShapedType::isDynamic(size);
  return known ? stride * size : ShapedType::kDynamic;
}

bool isDense(RankedTensorType type, const Layout &layout) {
  int64_t expected = 1;
  for (int64_t d = type.getRank() - 1; d >= 0; --d) {
    if (d == 0 && type.isDynamicDim(0))
      break;
    if (type.getDimSize(d) != 1 && layout.strides[d] != expected)
      return false;
    expected = times(expected, type.getDimSize(d));
  }
  return true;
}

static Layout expand(Layout source, ArrayRef<ReassociationIndices> groups,
                     ArrayRef<int64_t> shape) {
  Layout result = source;
  result.strides.assign(shape.size(), 1);
  for (auto [d, group] : llvm::enumerate(groups)) {
    int64_t stride = source.strides[d];
    for (int64_t inner : llvm::reverse(group)) {
      result.strides[inner] = stride;
      stride = times(stride, shape[inner]);
    }
  }
  result.sameRows &= groups.empty() || groups[0].size() == 1;
  return result;
}

static FailureOr<Layout> collapse(Layout source,
                                  ArrayRef<ReassociationIndices> groups,
                                  ArrayRef<int64_t> shape) {
  Layout result = source;
  result.strides.clear();
  for (const ReassociationIndices &group : groups) {
    int64_t stride = source.strides[group.back()];
    int64_t expected = stride;
    for (int64_t inner : llvm::reverse(group)) {
      if (shape[inner] == 1)
        continue;
      if (source.strides[inner] != expected)
        return failure();
      expected = times(expected, shape[inner]);
    }
    result.strides.push_back(stride);
  }
  result.sameRows &= groups.empty() || groups[0].size() == 1;
  return result;
}

static Layout slice(tensor::ExtractSliceOp op, Layout source) {
  Layout result = source;
  result.strides.clear();
  llvm::SmallBitVector dropped = op.getDroppedDims();
  for (int64_t d = 0, rank = source.strides.size(); d < rank; ++d) {
    result.offset += op.getStaticOffset(d) * source.strides[d];
    if (!dropped[d])
      result.strides.push_back(op.getStaticStride(d) * source.strides[d]);
  }
  result.sameRows &=
      !dropped[0] && op.getStaticOffset(0) == 0 && op.getStaticStride(0) == 1;
  return result;
}

FailureOr<Layout> viewLayout(Operation *view, Layout source) {
  if (auto op = dyn_cast<tensor::ExpandShapeOp>(view))
    return expand(source, op.getReassociationIndices(),
                  op.getResultType().getShape());
  if (auto op = dyn_cast<tensor::CollapseShapeOp>(view))
    return collapse(source, op.getReassociationIndices(),
                    op.getSrcType().getShape());
  if (auto op = dyn_cast<tensor::ExtractSliceOp>(view))
    return slice(op, source);
  if (auto op = dyn_cast<linalg::TransposeOp>(view)) {
    Layout result = source;
    for (auto [d, from] : llvm::enumerate(op.getPermutation()))
      result.strides[d] = source.strides[from];
    result.sameRows &= op.getPermutation()[0] == 0;
    return result;
  }
  if (auto op = dyn_cast<SplitOp>(view)) {
    auto from = cast<RankedTensorType>(op.getInput().getType());
    auto to = cast<RankedTensorType>(op.getResult().getType());
    SmallVector<ReassociationIndices> groups;
    for (int64_t d = 0; d < from.getRank(); ++d)
      groups.push_back({d});
    for (int64_t d = from.getRank(); d < to.getRank(); ++d)
      groups.back().push_back(d);
    return expand(source, groups, to.getShape());
  }
  return source; // tensor.cast
}

int64_t paddedStride(int64_t columns, int64_t bytes) {
  int64_t lines = (columns * bytes + 63) / 64;
  return (lines | 1) * 64 / bytes;
}

int64_t Storage::rowBytes() const { return rowStride * elementBytes(element); }

int64_t elementBytes(Type element) {
  if (element.isIndex())
    return 8;
  return std::max<int64_t>(1, element.getIntOrFloatBitWidth() / 8);
}

Type memoryType(Type element) {
  if (element.isIndex())
    return IntegerType::get(element.getContext(), 64);
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  return element;
}

} // namespace moe::cpu
