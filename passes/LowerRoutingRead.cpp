// What reads a routing: counts, matrix, pairs, importance, the balance loss.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/LowerRouting.h"
#include "passes/Rewriting.h"
#include "passes/RoutingSlots.h"

using namespace mlir;
using namespace moe;

/// [T, E] of a routing of this type.
static Value createMatrix(OpBuilder &builder, Location loc, RoutingType type,
                          ValueRange routing) {
  if (type.getShape() != RoutingShape::Top) // slot e holds expert e
    return weightsOf(routing);
  auto matrix = RankedTensorType::get({ShapedType::kDynamic, type.getExperts()},
                                      builder.getF32Type());
  return grouped::MatrixOp::create(builder, loc, matrix, weightsOf(routing),
                                   idsOf(routing));
}

namespace {
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

struct LowerToMatrix : OpConversionPattern<ToMatrixOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ToMatrixOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, createMatrix(rewriter, op.getLoc(),
                                        op.getRouting().getType(),
                                        adaptor.getRouting()));
    return success();
  }
};

struct LowerImportance : OpConversionPattern<ImportanceOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(ImportanceOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Value matrix = createMatrix(
        rewriter, op.getLoc(), op.getRouting().getType(), adaptor.getRouting());
    rewriter.replaceOpWithNewOp<ReduceOp>(op, op.getType(), Reduction::Sum,
                                          matrix, 0);
    return success();
  }
};

// Rows of the plan, by flat slot t * slots + j.
struct LowerPairs : OpConversionPattern<PairsOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(PairsOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    ValueRange routing = adaptor.getRouting();
    int64_t slots = tensorOf(idsOf(routing)).getDimSize(1);
    grouped::PlanOp plan = createPlan(rewriter, loc, idsOf(routing),
                                      op.getRouting().getType().getExperts());
    auto ofRow = [&](Value value) -> Value {
      Value flat = flatRows(rewriter, loc, value);
      return GatherOp::create(rewriter, loc, flat.getType(), flat,
                              plan.getSlots());
    };
    Value slot = createMap(
        rewriter, loc, Value(plan.getSlots()), rewriter.getI32Type(),
        [&](ValueRange flat) -> Value {
          Value count = arith::ConstantOp::create(
              rewriter, loc, rewriter.getI32IntegerAttr(slots));
          return arith::RemUIOp::create(rewriter, loc, flat[0], count);
        });
    rewriter.replaceOp(op, {ofRow(idsOf(routing)), plan.getTokens(), slot,
                            ofRow(weightsOf(routing))});
    return success();
  }
};

struct LowerBalanceLoss : OpConversionPattern<moe::BalanceLossOp> {
  using OpConversionPattern::OpConversionPattern;
  LogicalResult
  matchAndRewrite(moe::BalanceLossOp op, OneToNOpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<grouped::BalanceLossOp>(
        op, op.getType(), op.getProbabilities(), idsOf(adaptor.getRouting()),
        op.getSegments(), op.getCounting(), op.getScale());
    return success();
  }
};
} // namespace

void moe::populateRoutingRead(TypeConverter &converter,
                              RewritePatternSet &patterns) {
  patterns.add<LowerCounts, LowerToMatrix, LowerImportance, LowerPairs,
               LowerBalanceLoss>(converter, patterns.getContext());
}
