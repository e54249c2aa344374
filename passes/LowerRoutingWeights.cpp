// Arithmetic on the weights of slots: normalize, scale, weights, indices,
// with_weights; one routing or another. An empty slot keeps weight 0.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/LowerRouting.h"
#include "passes/Rewriting.h"
#include "passes/RoutingSlots.h"

#include <limits>

using namespace mlir;
using namespace moe;

namespace {
struct LowerNormalize : OpConversionPattern<NormalizeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(NormalizeOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value weights = weightsOf(adaptor.getRouting()),
          ids = idsOf(adaptor.getRouting());
    Value result =
        op.getNorm() == Norm::Softmax
            ? SoftmaxOp::create(
                  rewriter, loc,
                  fillEmpty(rewriter, loc, weights, ids,
                            -std::numeric_limits<double>::infinity()),
                  IntegerAttr())
                  .getResult()
            : divide(op, weights, rewriter);
    // A row without pairs, or with sum 0, is NaN in its empty slots so far.
    result = fillEmpty(rewriter, loc, result, ids);
    rewriter.replaceOpWithMultiple(op, {SmallVector<Value>{result, ids}});
    return success();
  }

private:
  /// x^p of x >= 0. An error of p grows with the logarithm of x, so it is f64
  /// where f32 does not have p.
  static Value power(OpBuilder &builder, Location loc, Value x, double p) {
    if (static_cast<double>(static_cast<float>(p)) == p)
      return math::PowFOp::create(builder, loc, x,
                                  f32Constant(builder, loc, p));
    Value logarithm = math::LogOp::create(
        builder, loc, castFloat(builder, loc, x, builder.getF64Type()));
    Value factor =
        arith::ConstantOp::create(builder, loc, builder.getF64FloatAttr(p));
    Value wide = math::ExpOp::create(
        builder, loc, arith::MulFOp::create(builder, loc, logarithm, factor));
    return castFloat(builder, loc, wide, builder.getF32Type());
  }

  /// w / (sum + plus), w / max(sum, at_least), or w / (sum |w|^p)^(1/p)
  static Value divide(NormalizeOp op, Value weights, OpBuilder &builder) {
    Location loc = op.getLoc();
    Type f32 = builder.getF32Type();
    auto constant = [&](const APFloat &value) {
      return f32Constant(builder, loc, value.convertToDouble());
    };
    Value terms = weights;
    double p = op.getP() ? op.getP()->convertToDouble() : 0;
    if (op.getNorm() == Norm::Lp)
      terms = createMap(builder, loc, weights, f32, [&](ValueRange w) -> Value {
        Value size = math::AbsFOp::create(builder, loc, w[0]);
        if (p == 1)
          return size;
        return power(builder, loc, size, p);
      });
    // [T, k] as [T, 1, k], so that the sum is a column [T, 1].
    Value split = splitColumns(builder, loc, terms, 1, /*before=*/true);
    auto column =
        tensorOf(weights).clone(ArrayRef<int64_t>{ShapedType::kDynamic, 1});
    Value sum =
        ReduceOp::create(builder, loc, column, Reduction::Sum, split, 2);
    Value divisor = BroadcastOp::create(builder, loc, sum, weights);
    return createMap(builder, loc, {weights, divisor}, f32,
                     [&](ValueRange scalars) -> Value {
                       Value by = scalars[1];
                       if (op.getPlus())
                         by = arith::AddFOp::create(builder, loc, by,
                                                    constant(*op.getPlus()));
                       if (op.getAtLeast())
                         by = arith::MaximumFOp::create(
                             builder, loc, by, constant(*op.getAtLeast()));
                       if (op.getNorm() == Norm::Lp && p != 1)
                         by = power(builder, loc, by, 1 / p);
                       return arith::DivFOp::create(builder, loc, scalars[0],
                                                    by);
                     });
  }
};

struct LowerScale : OpConversionPattern<ScaleOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ScaleOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value weights = weightsOf(adaptor.getRouting()),
          ids = idsOf(adaptor.getRouting());
    Value result;
    if (std::optional<APFloat> constant = op.getConstant()) {
      result = createMap(
          rewriter, loc, weights, rewriter.getF32Type(),
          [&](ValueRange w) -> Value {
            return arith::MulFOp::create(
                rewriter, loc, w[0],
                f32Constant(rewriter, loc, constant->convertToDouble()));
          });
    } else {
      Value factor = op.getFactor();
      bool perExpert = isa<RankedTensorType>(factor.getType());
      if (perExpert && isFull(ids)) // a gather can be fused
        factor =
            GatherOp::create(rewriter, loc, weights.getType(), factor, ids);
      else if (perExpert)
        factor = grouped::PickOp::create(rewriter, loc, weights.getType(),
                                         factor, ids);
      else
        factor = BroadcastOp::create(rewriter, loc, factor, weights);
      result = arith::MulFOp::create(rewriter, loc, weights, factor);
      if (!perExpert) // 0 * infinity
        result = fillEmpty(rewriter, loc, result, ids);
    }
    rewriter.replaceOpWithMultiple(op, {SmallVector<Value>{result, ids}});
    return success();
  }
};

struct LowerWithWeights : OpConversionPattern<WithWeightsOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(WithWeightsOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Value ids = idsOf(adaptor.getRouting());
    Value weights = fillEmpty(rewriter, op.getLoc(), op.getWeights(), ids);
    rewriter.replaceOpWithMultiple(op, {SmallVector<Value>{weights, ids}});
    return success();
  }
};

struct LowerWeights : OpConversionPattern<WeightsOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(WeightsOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, weightsOf(adaptor.getRouting()));
    return success();
  }
};

struct LowerIndices : OpConversionPattern<IndicesOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(IndicesOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, idsOf(adaptor.getRouting()));
    return success();
  }
};

// What an scf.if becomes whose branches only say which routing it is.
struct LowerSelect : OpConversionPattern<arith::SelectOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(arith::SelectOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!isa<RoutingType>(op.getType()))
      return rewriter.notifyMatchFailure(op, "selects no routing");
    SmallVector<Value> slots;
    for (auto [yes, no] :
         llvm::zip(adaptor.getTrueValue(), adaptor.getFalseValue()))
      slots.push_back(arith::SelectOp::create(rewriter, op.getLoc(),
                                              op.getCondition(), yes, no));
    rewriter.replaceOpWithMultiple(op, {slots});
    return success();
  }
};
} // namespace

void moe::populateRoutingWeights(TypeConverter &converter,
                                 RewritePatternSet &patterns) {
  patterns.add<LowerNormalize, LowerScale, LowerWithWeights, LowerWeights,
               LowerIndices, LowerSelect>(converter, patterns.getContext());
}
