// --moe-fold-scale: constant factors of weights meet in one `scale`, or cancel.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Passes.h"

#include <cmath>

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_FOLDSCALE
#include "passes/Passes.h.inc"
} // namespace moe

static std::optional<double> constantOf(ScaleOp scale) {
  if (!scale || !scale.getConstant())
    return std::nullopt;
  return scale.getConstant()->convertToDouble();
}

/// Whether a factor of a weight is a normal f32 number or 0, so that it loses
/// nothing there.
static bool isFactor(double value) {
  auto narrow = static_cast<float>(value);
  return value == 0 || std::isnormal(narrow);
}

/// The one number that a scalar or tensor holds, if it is a constant.
static std::optional<double> constantOf(Value value) {
  FloatAttr scalar;
  DenseFPElementsAttr tensor;
  if (matchPattern(value, m_Constant(&scalar)))
    return scalar.getValueAsDouble();
  if (matchPattern(value, m_Constant(&tensor)) && tensor.isSplat())
    return FloatAttr::get(tensor.getElementType(),
                          tensor.getSplatValue<APFloat>())
        .getValueAsDouble();
  if (auto broadcast = value.getDefiningOp<BroadcastOp>())
    return constantOf(broadcast.getInput());
  return std::nullopt;
}

/// x of x * c, and c.
static std::pair<Value, std::optional<double>> productOf(Value a, Value b) {
  if (std::optional<double> factor = constantOf(b))
    return {a, factor};
  return {b, constantOf(a)};
}

/// The tensor that `op` multiplies by a constant (which may be within a map).
static std::pair<Value, std::optional<double>> productOf(Operation *op) {
  if (auto product = dyn_cast<arith::MulFOp>(op))
    return productOf(product.getLhs(), product.getRhs());
  auto map = dyn_cast<MapOp>(op);
  if (!map || map.getInputs().size() != 1 || map.getNumResults() != 1)
    return {};
  Block &body = map.getBody().front();
  auto product =
      body.getTerminator()->getOperand(0).getDefiningOp<arith::MulFOp>();
  if (!product)
    return {};
  auto [scalar, factor] = productOf(product.getLhs(), product.getRhs());
  return {scalar == body.getArgument(0) ? map.getInputs()[0] : Value(), factor};
}

/// Whether nothing but `product` needs the sum; a broadcast reads its shape.
static bool isOnlyReader(Operation *product, Value sum) {
  return llvm::all_of(sum.getUsers(), [&](Operation *user) {
    auto broadcast = dyn_cast<BroadcastOp>(user);
    return user == product ||
           (broadcast && broadcast.getInput() != sum &&
            llvm::all_of(broadcast->getUsers(),
                         [&](Operation *reader) { return reader == product; }));
  });
}

namespace {
/// (w a) b = w (a b)
struct MergeScales : OpRewritePattern<ScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScaleOp outer,
                                PatternRewriter &rewriter) const override {
    auto inner = outer.getRouting().getDefiningOp<ScaleOp>();
    std::optional<double> a = constantOf(inner), b = constantOf(outer);
    if (!a || !b)
      return rewriter.notifyMatchFailure(outer, "not two constant factors");
    if (!isFactor(*a * *b))
      return rewriter.notifyMatchFailure(outer, "the product is no f32 factor");
    rewriter.modifyOpInPlace(outer, [&] {
      outer.getRoutingMutable().assign(inner.getRouting());
      outer.setConstantAttr(rewriter.getF64FloatAttr(*a * *b));
    });
    return success();
  }
};

/// c w / sum of c w = w / sum of w
struct CancelScale : OpRewritePattern<NormalizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(NormalizeOp normalize,
                                PatternRewriter &rewriter) const override {
    auto scale = normalize.getRouting().getDefiningOp<ScaleOp>();
    std::optional<double> factor = constantOf(scale);
    if (!factor || *factor == 0 || !isFactor(*factor))
      return rewriter.notifyMatchFailure(normalize, "no factor that cancels");
    if (normalize.getNorm() == Norm::Softmax || normalize.getPlus() ||
        normalize.getAtLeast() ||
        (normalize.getNorm() == Norm::Lp && *factor < 0))
      return rewriter.notifyMatchFailure(normalize,
                                         "depends on the factor of weights");
    rewriter.modifyOpInPlace(normalize, [&] {
      normalize.getRoutingMutable().assign(scale.getRouting());
    });
    return success();
  }
};

/// c (sum of w f) = sum of (c w) f
template <typename Product>
struct ScaleBeforeCombine : OpRewritePattern<Product> {
  using OpRewritePattern<Product>::OpRewritePattern;
  LogicalResult matchAndRewrite(Product product,
                                PatternRewriter &rewriter) const override {
    std::pair<Value, std::optional<double>> parts = productOf(product);
    Value sum = parts.first;
    std::optional<double> factor = parts.second;
    auto combine = dyn_cast_if_present<moe::CombineOp>(sum ? sum.getDefiningOp()
                                                           : nullptr);
    if (!combine || combine.getWeighting() != Weighting::Weighted || !factor ||
        !isFactor(*factor))
      return rewriter.notifyMatchFailure(product,
                                         "no factor of a weighted combine");
    if (combine->getParentOp() != product->getParentOp() ||
        !isOnlyReader(product, sum))
      return rewriter.notifyMatchFailure(product,
                                         "the combine is needed elsewhere");
    // Weights are f32: rows of f64 would lose digits.
    if (getElementTypeOrSelf(sum.getType()).isF64() ||
        sum.getType() != product->getResult(0).getType())
      return rewriter.notifyMatchFailure(product,
                                         "the product has another type");
    Value scaled =
        ScaleOp::create(rewriter, product.getLoc(), combine.getRouting(),
                        Value(), rewriter.getF64FloatAttr(*factor));
    rewriter.replaceOpWithNewOp<moe::CombineOp>(product, combine.getInput(),
                                                scaled, combine.getWeighting());
    return success();
  }
};

class FoldScale : public moe::impl::FoldScaleBase<FoldScale> {
public:
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MergeScales, CancelScale, ScaleBeforeCombine<arith::MulFOp>,
                 ScaleBeforeCombine<MapOp>>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
