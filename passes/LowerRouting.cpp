// --moe-lower-routing: a routing becomes two tensors (weights, ids) and one
// plan for each support.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/DialectConversion.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_LOWERROUTING
#include "passes/Passes.h.inc"
} // namespace moe

/// [T, k] of f32 or i32, for a routing of top k.
static RankedTensorType slotsOf(RoutingType routing, Type element) {
  return RankedTensorType::get({ShapedType::kDynamic, routing.getChoices()},
                               element);
}

/// weights and ids of a routing operand.
static Value weightsOf(ValueRange routing) { return routing[0]; }
static Value idsOf(ValueRange routing) { return routing[1]; }

/// The plan of a routing, beside its ids, so that equal plans merge wherever
/// they are used.
static grouped::PlanOp createPlan(OpBuilder &builder, Location loc, Value ids,
                                  int64_t experts) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(ids);
  Type i32 = builder.getI32Type();
  auto rows = RankedTensorType::get({ShapedType::kDynamic}, i32);
  return grouped::PlanOp::create(builder, loc,
                                 RankedTensorType::get({experts + 1}, i32),
                                 rows, rows, ids.getType(), ids, experts);
}

/// [a, n] with columns of one element more: [a, n, 1, ..., 1], or [a, 1, n] if
/// `before`.
static Value splitColumns(OpBuilder &builder, Location loc, Value value,
                          int64_t ones, bool before = false) {
  SmallVector<int64_t> shape(tensorOf(value).getShape());
  shape.insert(before ? shape.end() - 1 : shape.end(), ones, 1);
  return SplitOp::create(builder, loc, tensorOf(value).clone(shape), value);
}

/// moe.map over tensors of one shape, the result like the first.
static Value
createMap(OpBuilder &builder, Location loc, ValueRange inputs,
          llvm::function_ref<Value(ValueRange scalars)> expression) {
  auto map =
      MapOp::create(builder, loc, TypeRange{inputs.front().getType()}, inputs);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&map.getBody());
  for (Value input : inputs)
    body->addArgument(getElementTypeOrSelf(input.getType()), loc);
  moe::YieldOp::create(builder, loc, expression(body->getArguments()));
  return map.getResult(0);
}

static Value f32Constant(OpBuilder &builder, Location loc,
                         const APFloat &value) {
  return arith::ConstantOp::create(
      builder, loc, builder.getF32FloatAttr(value.convertToDouble()));
}

namespace {
struct LowerRoute : OpConversionPattern<RouteOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RouteOp op, OneToNOpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!op.isPlainTop())
      return failure();
    RoutingType type = op.getRouting().getType();
    auto top = grouped::TopKOp::create(
        rewriter, op.getLoc(), slotsOf(type, rewriter.getF32Type()),
        slotsOf(type, rewriter.getI32Type()), op.getWeights(), op.getChosenBy(),
        op.getTop());
    rewriter.replaceOpWithMultiple(
        op, {SmallVector<Value>{top.getChosen(), top.getIds()}});
    return success();
  }
};

// Every slot of a top-k routing is filled, so a row's sum or softmax needs no
// mask.
struct LowerNormalize : OpConversionPattern<NormalizeOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(NormalizeOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value weights = weightsOf(adaptor.getRouting());
    Value result =
        op.getNorm() == Norm::Softmax
            ? SoftmaxOp::create(rewriter, loc, weights, IntegerAttr())
                  .getResult()
            : divide(op, weights, rewriter);
    rewriter.replaceOpWithMultiple(
        op, {SmallVector<Value>{result, idsOf(adaptor.getRouting())}});
    return success();
  }

private:
  /// w / (sum + plus), w / max(sum, at_least), or w / (sum |w|^p)^(1/p)
  static Value divide(NormalizeOp op, Value weights, OpBuilder &builder) {
    Location loc = op.getLoc();
    Value terms = weights;
    double p = op.getP() ? op.getP()->convertToDouble() : 0;
    if (op.getNorm() == Norm::Lp)
      terms = createMap(builder, loc, weights, [&](ValueRange w) -> Value {
        Value size = math::AbsFOp::create(builder, loc, w[0]);
        if (p == 1)
          return size;
        return math::PowFOp::create(builder, loc, size,
                                    f32Constant(builder, loc, APFloat(p)));
      });
    // [T, k] as [T, 1, k], so that the sum is a column [T, 1].
    Value split = splitColumns(builder, loc, terms, 1, /*before=*/true);
    auto column =
        tensorOf(weights).clone(ArrayRef<int64_t>{ShapedType::kDynamic, 1});
    Value sum =
        ReduceOp::create(builder, loc, column, Reduction::Sum, split, 2);
    Value divisor = BroadcastOp::create(builder, loc, sum, weights);
    return createMap(
        builder, loc, {weights, divisor}, [&](ValueRange scalars) -> Value {
          Value by = scalars[1];
          if (op.getPlus())
            by = arith::AddFOp::create(
                builder, loc, by, f32Constant(builder, loc, *op.getPlus()));
          if (op.getAtLeast())
            by = arith::MaximumFOp::create(
                builder, loc, by, f32Constant(builder, loc, *op.getAtLeast()));
          if (op.getNorm() == Norm::Lp && p != 1)
            by = math::PowFOp::create(
                builder, loc, by, f32Constant(builder, loc, APFloat(1 / p)));
          return arith::DivFOp::create(builder, loc, scalars[0], by);
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
      result = createMap(rewriter, loc, weights, [&](ValueRange w) -> Value {
        return arith::MulFOp::create(rewriter, loc, w[0],
                                     f32Constant(rewriter, loc, *constant));
      });
    } else {
      Value factor = op.getFactor();
      if (isa<RankedTensorType>(factor.getType())) // one per expert
        factor =
            GatherOp::create(rewriter, loc, weights.getType(), factor, ids);
      else
        factor = BroadcastOp::create(rewriter, loc, factor, weights);
      result = arith::MulFOp::create(rewriter, loc, weights, factor);
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
    rewriter.replaceOpWithMultiple(
        op, {SmallVector<Value>{op.getWeights(), idsOf(adaptor.getRouting())}});
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

// Differences of the plan's offsets.
struct LowerCounts : OpConversionPattern<CountsOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(CountsOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t experts = op.getRouting().getType().getExperts();
    Value offsets =
        createPlan(rewriter, loc, idsOf(adaptor.getRouting()), experts)
            .getOffsets();
    auto part = [&](int64_t begin) -> Value {
      OpFoldResult start = rewriter.getIndexAttr(begin),
                   size = rewriter.getIndexAttr(experts),
                   one = rewriter.getIndexAttr(1);
      return tensor::ExtractSliceOp::create(rewriter, loc, offsets, start, size,
                                            one);
    };
    Value begins = part(0), ends = part(1);
    rewriter.replaceOpWithNewOp<arith::SubIOp>(op, ends, begins);
    return success();
  }
};

struct LowerDispatch : OpConversionPattern<DispatchOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(DispatchOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    ValueRange routing = adaptor.getRouting();
    grouped::PlanOp plan = createPlan(rewriter, loc, idsOf(routing),
                                      op.getRouting().getType().getExperts());
    Value rows = GatherOp::create(rewriter, loc, op.getType(), op.getInput(),
                                  plan.getTokens());
    if (op.getWeighted()) {
      Type f32 = rewriter.getF32Type();
      // [T, k] as [T·k, 1, ..., 1], of which slots choose the rows.
      Value split =
          splitColumns(rewriter, loc, weightsOf(routing),
                       std::max<int64_t>(tensorOf(rows).getRank() - 1, 1));
      SmallVector<ReassociationIndices> groups = {{0, 1}};
      for (int64_t i = 2; i < tensorOf(split).getRank(); ++i)
        groups.push_back({i});
      Value flat =
          tensor::CollapseShapeOp::create(rewriter, loc, split, groups);
      Value ofRow = GatherOp::create(rewriter, loc, flat.getType(), flat,
                                     plan.getSlots());
      Value wide = castFloat(rewriter, loc, rows, f32);
      Value product = arith::MulFOp::create(
          rewriter, loc, wide, BroadcastOp::create(rewriter, loc, ofRow, wide));
      rows =
          castFloat(rewriter, loc, product, getElementTypeOrSelf(op.getType()));
    }
    rewriter.replaceOp(op, rows);
    return success();
  }
};

struct LowerExpert : OpConversionPattern<ExpertOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ExpertOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Value ids = idsOf(adaptor.getRouting());
    grouped::PlanOp plan = createPlan(rewriter, op.getLoc(), ids,
                                      op.getRouting().getType().getExperts());
    auto loop = grouped::LoopOp::create(
        rewriter, op.getLoc(), op.getResultTypes(), plan.getOffsets(),
        op.getRows(), op.getEach(), op.getBoundsAttr(), op.getEachCountsAttr(),
        op.getNumRanges());
    for (auto [from, to] : llvm::zip(op.getBodies(), loop.getBodies())) {
      auto yield = cast<moe::YieldOp>(from.front().getTerminator());
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPoint(yield);
      rewriter.replaceOpWithNewOp<grouped::YieldOp>(yield, yield.getRows(),
                                                    yield.getEach());
      rewriter.inlineRegionBefore(from, to, to.end());
    }
    rewriter.replaceOp(op, loop.getResults());
    return success();
  }
};

struct LowerCombine : OpConversionPattern<moe::CombineOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(moe::CombineOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ValueRange routing = adaptor.getRouting();
    grouped::PlanOp plan = createPlan(rewriter, op.getLoc(), idsOf(routing),
                                      op.getRouting().getType().getExperts());
    Value weights =
        op.getWeighting() == Weighting::Weighted ? weightsOf(routing) : Value();
    rewriter.replaceOpWithNewOp<grouped::CombineOp>(
        op, op.getType(), op.getInput(), plan.getRows(), weights);
    return success();
  }
};

class LowerRouting : public moe::impl::LowerRoutingBase<LowerRouting> {
public:
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (failed(checkTypes(function)))
      return signalPassFailure();
    TypeConverter converter;
    converter.addConversion([](Type type) { return type; });
    converter.addConversion([](RoutingType type, SmallVectorImpl<Type> &types)
                                -> std::optional<LogicalResult> {
      types.push_back(slotsOf(type, Float32Type::get(type.getContext())));
      types.push_back(slotsOf(type, IntegerType::get(type.getContext(), 32)));
      return success();
    });
    ConversionTarget target(getContext());
    target.markUnknownOpDynamicallyLegal([&](Operation *op) {
      return !isa<ExpertOp>(op) && converter.isLegal(op);
    });
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerRoute, LowerNormalize, LowerScale, LowerWithWeights,
                 LowerWeights, LowerIndices, LowerCounts, LowerDispatch,
                 LowerExpert, LowerCombine>(converter, &getContext());
    scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns,
                                                         target);
    if (failed(applyPartialConversion(function, target, std::move(patterns))))
      return signalPassFailure();

    IRRewriter rewriter(&getContext());
    DominanceInfo dominance(function);
    eliminateCommonSubExpressions(rewriter, dominance,
                                  function); // one plan for each support
    int64_t number = 0;
    function.walk([&](grouped::PlanOp plan) {
      plan->setAttr("moe.routing", rewriter.getI64IntegerAttr(number++));
    });
  }

private:
  /// A routing has no form outside of the compiler, and only top k has slots.
  static LogicalResult checkTypes(func::FuncOp function) {
    FunctionType type = function.getFunctionType();
    for (Type part :
         llvm::concat<const Type>(type.getInputs(), type.getResults()))
      if (isa<RoutingType>(part))
        return function.emitOpError("takes or returns ")
               << part
               << ", which has no form outside: use the tensors of moe.indices "
                  "and moe.weights";
    return success();
  }
};
} // namespace
