// What makes a routing: choices by scores, tables, given experts, auctions.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/LowerRouting.h"
#include "passes/Rewriting.h"
#include "passes/RoutingSlots.h"

using namespace mlir;
using namespace moe;

/// A routing's two tensors are what `op` returns.
static void replaceBySlots(ConversionPatternRewriter &rewriter, Operation *op,
                           Value weights, Value ids) {
  rewriter.replaceOpWithMultiple(op, {SmallVector<Value>{weights, ids}});
}

namespace {
struct LowerRoute : OpConversionPattern<RouteOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(RouteOp op, OneToNOpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type weights = slotsOf(op.getRouting().getType(), rewriter.getF32Type()),
         ids = slotsOf(op.getRouting().getType(), rewriter.getI32Type());
    Operation *chosen;
    if (op.isPlainTop())
      chosen =
          grouped::TopKOp::create(rewriter, loc, weights, ids, op.getWeights(),
                                  op.getChosenBy(), op.getTop());
    else if (op.getSelection() == Selection::Take)
      chosen = grouped::TakeOp::create(rewriter, loc, weights, ids,
                                       op.getWeights(), op.getChosenBy(),
                                       op.getCapacity(), op.getSegments());
    else
      chosen = grouped::SelectOp::create(
          rewriter, loc, weights, ids, op.getWeights(), op.getChosenBy(),
          op.getThreshold(), op.getSelection(),
          op.getSelection() == Selection::Top ? op.getTopAttr() : IntegerAttr(),
          op.getConstantAttr(), op.getGroupsAttr(), op.getKeepAttr(),
          op.getBestAttr());
    replaceBySlots(rewriter, op, chosen->getResult(0), chosen->getResult(1));
    return success();
  }
};

// Rows of the table; a weight is the score of the slot's expert, or 1.
struct LowerLookup : OpConversionPattern<LookupOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(LookupOp op, OneToNOpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    RoutingType type = op.getRouting().getType();
    Type f32 = rewriter.getF32Type(), i32 = rewriter.getI32Type();
    Value table = grouped::CheckIdsOp::create(
        rewriter, loc, tensorOf(op.getTable()).clone(i32), op.getTable(),
        type.getExperts());
    Value ids =
        GatherOp::create(rewriter, loc, slotsOf(type, i32), table, op.getIds());
    Value weights;
    if (Value scores = op.getScores()) {
      Type picked = slotsOf(type, tensorOf(scores).getElementType());
      weights = castFloat(
          rewriter, loc,
          grouped::PickOp::create(rewriter, loc, picked, scores, ids), f32);
    } else {
      weights = createMap(rewriter, loc, ids, f32, [&](ValueRange slot) {
        return whereFilled(rewriter, loc, slot[0],
                           f32Constant(rewriter, loc, 1),
                           f32Constant(rewriter, loc, 0));
      });
    }
    replaceBySlots(rewriter, op, weights, ids);
    return success();
  }
};

struct LowerFromIndices : OpConversionPattern<FromIndicesOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(FromIndicesOp op, OneToNOpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    RoutingType type = op.getRouting().getType();
    Value ids = grouped::CheckIdsOp::create(
        rewriter, op.getLoc(), slotsOf(type, rewriter.getI32Type()),
        op.getIds(), type.getExperts());
    Value weights = castFloat(rewriter, op.getLoc(), op.getWeights(),
                              rewriter.getF32Type());
    replaceBySlots(rewriter, op, fillEmpty(rewriter, op.getLoc(), weights, ids),
                   ids);
    return success();
  }
};

struct LowerAssign : OpConversionPattern<moe::AssignOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(moe::AssignOp op, OneToNOpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    RoutingType type = op.getRouting().getType();
    auto assign = grouped::AssignOp::create(
        rewriter, op.getLoc(), slotsOf(type, rewriter.getF32Type()),
        slotsOf(type, rewriter.getI32Type()), op.getWeights(), op.getScores(),
        op.getSegments(), op.getOverAttr(), op.getAtLeastAttr(),
        op.getRoundsAttr());
    replaceBySlots(rewriter, op, assign.getChosen(), assign.getIds());
    return success();
  }
};
} // namespace

void moe::populateRoutingSelect(TypeConverter &converter,
                                RewritePatternSet &patterns) {
  patterns.add<LowerRoute, LowerLookup, LowerFromIndices, LowerAssign>(
      converter, patterns.getContext());
}
