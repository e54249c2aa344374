// Dispatch, experts and combine by the plan of a routing's ids.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/LowerRouting.h"
#include "passes/Rewriting.h"
#include "passes/RoutingSlots.h"

using namespace mlir;
using namespace moe;

namespace {
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
      Value flat = flatRows(rewriter, loc, split);
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

} // namespace

void moe::populateRoutingMove(TypeConverter &converter,
                              RewritePatternSet &patterns) {
  patterns.add<LowerDispatch, LowerExpert, LowerCombine>(converter,
                                                         patterns.getContext());
}
