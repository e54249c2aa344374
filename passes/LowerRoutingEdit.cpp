// What makes a new support of routings: keep, join, limit.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/LowerRouting.h"
#include "passes/Rewriting.h"
#include "passes/RoutingSlots.h"

using namespace mlir;
using namespace moe;

namespace {
// One expression over (id, weight, mask) of a slot gives both new tensors.
struct LowerKeep : OpConversionPattern<KeepOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(KeepOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value weights = weightsOf(adaptor.getRouting()),
          ids = idsOf(adaptor.getRouting());
    RoutingType type = op.getRouting().getType();
    // Slot e of a routing without slots holds expert e.
    bool perSlot = op.isPerSlot() ||
                   (!op.isPerExpert() && type.getShape() != RoutingShape::Top);
    Value mask = op.getMask();
    if (!perSlot)
      mask = grouped::PickOp::create(
          rewriter, loc, slotsOf(type, rewriter.getI1Type()), mask, ids);
    auto map = MapOp::create(rewriter, loc,
                             TypeRange{weights.getType(), ids.getType()},
                             ValueRange{weights, ids, mask});
    {
      OpBuilder::InsertionGuard guard(rewriter);
      Block *body = rewriter.createBlock(&map.getBody());
      for (Value input : map.getInputs())
        body->addArgument(getElementTypeOrSelf(input.getType()), loc);
      Value stays = body->getArgument(2);
      Value empty = arith::ConstantOp::create(rewriter, loc,
                                              rewriter.getI32IntegerAttr(-1));
      Value weight =
          arith::SelectOp::create(rewriter, loc, stays, body->getArgument(0),
                                  f32Constant(rewriter, loc, 0));
      Value id = arith::SelectOp::create(rewriter, loc, stays,
                                         body->getArgument(1), empty);
      moe::YieldOp::create(rewriter, loc, ValueRange{weight, id});
    }
    rewriter.replaceOpWithMultiple(op, {SmallVector<Value>(map->getResults())});
    return success();
  }
};

struct LowerJoin : OpConversionPattern<moe::JoinOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(moe::JoinOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ValueRange first = adaptor.getFirst(), second = adaptor.getSecond();
    RoutingType type = op.getResult().getType();
    auto join = grouped::JoinOp::create(
        rewriter, op.getLoc(), slotsOf(type, rewriter.getF32Type()),
        slotsOf(type, rewriter.getI32Type()), weightsOf(first), idsOf(first),
        weightsOf(second), idsOf(second), type.getExperts(),
        type.getShape() != RoutingShape::Top);
    rewriter.replaceOpWithMultiple(op,
                                   {SmallVector<Value>(join->getResults())});
    return success();
  }
};

struct LowerLimit : OpConversionPattern<moe::LimitOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(moe::LimitOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Value weights = weightsOf(adaptor.getRouting()),
          ids = idsOf(adaptor.getRouting());
    auto limit = grouped::LimitOp::create(
        rewriter, op.getLoc(), weights.getType(), ids.getType(), weights, ids,
        op.getCapacity(), op.getPriority(), op.getSegments(),
        op.getRouting().getType().getExperts(), op.getOrder(),
        op.getPlaceAttr());
    rewriter.replaceOpWithMultiple(op,
                                   {SmallVector<Value>(limit->getResults())});
    return success();
  }
};
} // namespace

void moe::populateRoutingEdit(TypeConverter &converter,
                              RewritePatternSet &patterns) {
  patterns.add<LowerKeep, LowerJoin, LowerLimit>(converter,
                                                 patterns.getContext());
}
