// --moe-weigh-activations: the weight of a pair multiplies what the expert's
// last linear reads, and not what it gives.
#include "dialect/MoeSupport.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_WEIGHACTIVATIONS
#include "passes/Passes.h.inc"
} // namespace moe

/// The linear that yields result `index` of a range, if it may be weighed at
/// its input: without a bias, with rows of f32, read by nothing else.
static LinearOp lastLinear(Region &body, unsigned index) {
  auto yield = cast<moe::YieldOp>(body.front().getTerminator());
  auto linear = yield.getRows()[index].getDefiningOp<LinearOp>();
  if (!linear || linear->getParentRegion() != &body || linear.getBias() ||
      !linear->hasOneUse())
    return nullptr;
  RankedTensorType rows = tensorOf(linear.getInput());
  return rows.getRank() == 2 && rows.getElementType().isF32() &&
                 rows.isDynamicDim(0)
             ? linear
             : nullptr;
}

namespace {
class WeighActivations
    : public moe::impl::WeighActivationsBase<WeighActivations> {
public:
  void runOnOperation() override {
    getOperation().walk([](moe::CombineOp combine) { move(combine); });
  }

private:
  static void move(moe::CombineOp combine) {
    auto result = dyn_cast<OpResult>(combine.getInput());
    auto expert = result ? dyn_cast<ExpertOp>(result.getOwner()) : ExpertOp();
    if (combine.getWeighting() != Weighting::Weighted || !expert ||
        !result.hasOneUse() ||
        result.getResultNumber() >= expert.getNumRowResults() ||
        supportOf(expert.getRouting()) != supportOf(combine.getRouting()) ||
        !isBefore(combine.getRouting(), expert))
      return;
    SmallVector<LinearOp> linears;
    for (Region &body : expert.getBodies()) {
      linears.push_back(lastLinear(body, result.getResultNumber()));
      if (!linears.back())
        return;
    }
    weigh(expert, linears, columnOf(combine, expert));
    combine.setWeighting(Weighting::Unweighted);
  }

  /// Whether a value is there where the expert is.
  static bool isBefore(Value value, ExpertOp expert) {
    return DominanceInfo().properlyDominates(value, expert);
  }

  /// The weights of the expert's rows, as a column.
  static Value columnOf(moe::CombineOp combine, ExpertOp expert) {
    OpBuilder builder(expert);
    Location loc = combine.getLoc();
    auto idsType =
        RankedTensorType::get(ShapedType::kDynamic, builder.getI32Type());
    auto weightsType = idsType.clone(builder.getF32Type());
    Value weights = PairsOp::create(builder, loc, idsType, idsType, idsType,
                                    weightsType, combine.getRouting())
                        .getWeight();
    OpFoldResult rows = TokensOp::create(builder, loc, weights).getResult();
    auto column = weightsType.clone(ArrayRef<int64_t>{ShapedType::kDynamic, 1});
    return tensor::ExpandShapeOp::create(
        builder, loc, column, weights, ArrayRef<ReassociationIndices>{{0, 1}},
        ArrayRef<OpFoldResult>{rows, builder.getIndexAttr(1)});
  }

  static void weigh(ExpertOp expert, MutableArrayRef<LinearOp> linears,
                    Value column) {
    unsigned position = expert.getRows().size();
    expert.getRowsMutable().append(column);
    for (auto [body, linear] : llvm::zip(expert.getBodies(), linears)) {
      Value weight = body.front().insertArgument(position, column.getType(),
                                                 column.getLoc());
      OpBuilder builder(linear);
      Value rows = linear.getInput();
      Value wide = BroadcastOp::create(builder, linear.getLoc(), weight, rows);
      linear.getInputMutable().assign(
          arith::MulFOp::create(builder, linear.getLoc(), rows, wide));
    }
  }
};
} // namespace
