// --moe-lower-linear: a dense linear is a grouped.matmul with one group.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_LOWERLINEAR
#include "passes/Passes.h.inc"
} // namespace moe

/// [a, b, ..., K] -> [a·b·..., K], or [K] -> [1, K], for the K of a weight.
static Value flattenRows(OpBuilder &builder, Location loc, Value input,
                         int64_t width) {
  SmallVector<int64_t> shape(tensorOf(input).getShape());
  shape.back() = width;
  RankedTensorType type = tensorOf(input).clone(shape);
  input = castShape(builder, loc, input, type);
  if (type.getRank() == 2)
    return input;
  if (type.getRank() == 1)
    return SplitOp::create(
        builder, loc,
        RankedTensorType::get({1, type.getDimSize(0)}, type.getElementType()),
        input);
  SmallVector<ReassociationIndices> groups(2);
  for (int64_t i = 0; i + 1 < type.getRank(); ++i)
    groups[0].push_back(i);
  groups[1].push_back(type.getRank() - 1);
  return tensor::CollapseShapeOp::create(builder, loc, input, groups);
}

/// The inverse for the result: `type` has the leading dimensions of `input`.
static Value restoreRows(OpBuilder &builder, Location loc, Value rows,
                         RankedTensorType type, Value input) {
  if (type.getRank() == 1)
    rows = tensor::CollapseShapeOp::create(
        builder, loc, rows, ArrayRef<ReassociationIndices>{{0, 1}});
  if (type.getRank() > 2) {
    SmallVector<ReassociationIndices> groups(2);
    SmallVector<OpFoldResult> sizes;
    for (int64_t i = 0; i + 1 < type.getRank(); ++i) {
      groups[0].push_back(i);
      sizes.push_back(tensor::getMixedSize(builder, loc, input, i));
    }
    groups[1].push_back(type.getRank() - 1);
    SmallVector<int64_t> shape(tensorOf(input).getShape());
    shape.back() = tensorOf(rows).getDimSize(1);
    sizes.push_back(builder.getIndexAttr(shape.back()));
    rows = tensor::ExpandShapeOp::create(builder, loc, type.clone(shape), rows,
                                         groups, sizes);
  }
  return castShape(builder, loc, rows, type);
}

namespace {
class LowerLinear : public moe::impl::LowerLinearBase<LowerLinear> {
public:
  void runOnOperation() override {
    SmallVector<LinearOp> linears;
    getOperation().walk([&](LinearOp linear) {
      if (!linear->getParentOfType<grouped::LoopOp>() && !isUnpacked(linear) &&
          linear.getWeight().getType().hasStaticShape())
        linears.push_back(linear);
    });
    for (LinearOp linear : linears)
      lower(linear);
  }

private:
  static void lower(LinearOp linear) {
    OpBuilder builder(linear);
    Location loc = linear.getLoc();
    RankedTensorType type = linear.getResult().getType();
    Value rows =
        flattenRows(builder, loc, linear.getInput(), linear.getInputWidth());
    Value result = createLinear(builder, loc, rows, /*offsets=*/Value(),
                                linear.getWeight(), linear.getBias(),
                                linear.getInOut(), type.getElementType());
    linear.replaceAllUsesWith(
        restoreRows(builder, loc, result, type, linear.getInput()));
    linear.erase();
  }
};
} // namespace
