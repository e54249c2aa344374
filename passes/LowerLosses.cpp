// --moe-lower-losses: losses and expected loads become reductions and maps,
// with sums over tokens in f64.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

#include <numbers>

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_LOWERLOSSES
#include "passes/Passes.h.inc"
} // namespace moe

namespace {
/// The ops that the losses are made of, at one place.
struct Writer {
  OpBuilder &builder;
  Location loc;

  Type f32() const { return builder.getF32Type(); }
  Type f64() const { return builder.getF64Type(); }
  Value number(Type type, double value) const {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getFloatAttr(type, value));
  }
  Value wide(Value value, Type element) const {
    return castFloat(builder, loc, value, element);
  }
  Value add(Value a, Value b) const {
    return arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) const {
    return arith::SubFOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) const {
    return arith::MulFOp::create(builder, loc, a, b);
  }
  Value div(Value a, Value b) const {
    return arith::DivFOp::create(builder, loc, a, b);
  }
  Value map(ValueRange inputs, Type element,
            llvm::function_ref<Value(ValueRange)> expression) const {
    return createMap(builder, loc, inputs, element, expression);
  }
  /// The sum over dimension 0.
  Value sum(Value rows) const {
    RankedTensorType type = tensorOf(rows);
    return ReduceOp::create(builder, loc,
                            RankedTensorType::get(type.getShape().drop_front(),
                                                  type.getElementType()),
                            Reduction::Sum, rows, 0);
  }
  /// The number of values [n] as tensor<f64>, at least 1.
  Value count(Value values) const {
    if (tensorOf(values).hasStaticShape())
      return arith::ConstantOp::create(
          builder, loc,
          DenseElementsAttr::get(RankedTensorType::get({}, f64()),
                                 static_cast<double>(std::max<int64_t>(
                                     tensorOf(values).getNumElements(), 1))));
    Value ones =
        map(values, f64(), [&](ValueRange) { return number(f64(), 1); });
    return map(sum(ones), f64(), [&](ValueRange n) -> Value {
      return arith::MaximumFOp::create(builder, loc, n[0], number(f64(), 1));
    });
  }
  /// The sum of the values [n] over `count`, as tensor<f64>.
  Value mean(Value values, Value count) const {
    return map({sum(values), count}, f64(),
               [&](ValueRange s) { return div(s[0], s[1]); });
  }
  /// Column `i` of [T, n], stretched to the shape of `like`.
  Value column(Value rows, int64_t i, Value like) const {
    OpFoldResult zero = builder.getIndexAttr(0), one = builder.getIndexAttr(1);
    SmallVector<OpFoldResult> sizes = {
        tensor::getMixedSize(builder, loc, rows, 0), one};
    auto type = tensorOf(rows).clone(
        ArrayRef<int64_t>{tensorOf(rows).getDimSize(0), 1});
    Value cut = tensor::ExtractSliceOp::create(builder, loc, type, rows,
                                               {zero, builder.getIndexAttr(i)},
                                               sizes, {one, one});
    return BroadcastOp::create(builder, loc, cut, like);
  }
};

struct LowerZLoss : OpRewritePattern<ZLossOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ZLossOp op,
                                PatternRewriter &rewriter) const override {
    if (tensorOf(op.getLogits()).isDynamicDim(1))
      return rewriter.notifyMatchFailure(
          op, "moe.split needs a static number of columns");
    Writer w{rewriter, op.getLoc()};
    Value logits = w.wide(op.getLogits(), w.f32());
    // [T, E] as [T, 1, E], so that the maximum is a column [T, 1].
    Value split = splitColumns(rewriter, w.loc, logits, 1, /*before=*/true);
    auto column = tensorOf(logits).clone(
        ArrayRef<int64_t>{tensorOf(logits).getDimSize(0), 1});
    Value max =
        ReduceOp::create(rewriter, w.loc, column, Reduction::Max, split, 2);
    Value powers =
        w.map({logits, BroadcastOp::create(rewriter, w.loc, max, logits)},
              w.f32(), [&](ValueRange s) -> Value {
                return math::ExpOp::create(rewriter, w.loc, w.sub(s[0], s[1]));
              });
    Value sum = ReduceOp::create(
        rewriter, w.loc, column, Reduction::Sum,
        splitColumns(rewriter, w.loc, powers, 1, /*before=*/true), 2);
    Value squares = w.map({max, sum}, w.f64(), [&](ValueRange s) -> Value {
      Value log = w.add(s[0], math::LogOp::create(rewriter, w.loc, s[1]));
      Value precise = w.wide(log, w.f64());
      return w.mul(precise, precise);
    });
    Value rows = flatRows(rewriter, w.loc, squares);
    rewriter.replaceOp(op, w.wide(w.mean(rows, w.count(rows)), w.f32()));
    return success();
  }
};

struct LowerCvSquared : OpRewritePattern<CvSquaredOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CvSquaredOp op,
                                PatternRewriter &rewriter) const override {
    Writer w{rewriter, op.getLoc()};
    Value values = w.wide(op.getValues(), w.f64());
    Value count = w.count(values), mean = w.mean(values, count);
    Value squares =
        w.map({values, BroadcastOp::create(rewriter, w.loc, mean, values)},
              w.f64(), [&](ValueRange s) {
                Value distance = w.sub(s[0], s[1]);
                return w.mul(distance, distance);
              });
    Value result =
        w.map({w.mean(squares, count), mean}, w.f64(), [&](ValueRange s) {
          Value eps = w.number(w.f64(), op.getPlus().convertToDouble());
          return w.div(s[0], w.add(w.mul(s[1], s[1]), eps));
        });
    rewriter.replaceOp(op, w.wide(result, w.f32()));
    return success();
  }
};

struct LowerNoisyLoad : OpRewritePattern<NoisyLoadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(NoisyLoadOp op,
                                PatternRewriter &rewriter) const override {
    Writer w{rewriter, op.getLoc()};
    Value clean = w.wide(op.getClean(), w.f32());
    auto top = static_cast<int64_t>(op.getTop());
    Value stays; // the probability of every expert, in f64
    if (top == tensorOf(clean).getDimSize(1)) {
      stays = w.map(clean, w.f64(),
                    [&](ValueRange) { return w.number(w.f64(), 1); });
    } else {
      Value noisy = w.wide(op.getNoisy(), w.f32());
      Value largest = createLargest(rewriter, w.loc, noisy, top + 1);
      Value stddev = w.wide(op.getStddev(), w.f32());
      stays = w.map({clean, noisy, stddev, w.column(largest, top, noisy),
                     w.column(largest, top - 1, noisy)},
                    w.f64(), [&](ValueRange s) { return probability(w, s); });
    }
    rewriter.replaceOp(op, w.wide(w.sum(stays), w.f32()));
    return success();
  }

private:
  /// The `count` largest numbers of every row, in order.
  static Value createLargest(OpBuilder &builder, Location loc, Value rows,
                             int64_t count) {
    auto chosen = tensorOf(rows).clone(
        ArrayRef<int64_t>{tensorOf(rows).getDimSize(0), count});
    return grouped::TopKOp::create(builder, loc, chosen,
                                   chosen.clone(builder.getI32Type()), rows,
                                   rows, count)
        .getChosen();
  }
  /// Of clean, noisy, stddev, the value that the chosen must exceed and the one
  /// that the others must.
  static Value probability(const Writer &w, ValueRange s) {
    Value inside = arith::CmpFOp::create(w.builder, w.loc,
                                         arith::CmpFPredicate::OGT, s[1], s[3]);
    Value threshold =
        arith::SelectOp::create(w.builder, w.loc, inside, s[3], s[4]);
    Value deviation = w.add(
        w.mul(w.wide(s[2], w.f64()), w.number(w.f64(), std::numbers::sqrt2)),
        w.number(w.f64(), 1e-20));
    Value distance = w.div(w.wide(w.sub(s[0], threshold), w.f64()), deviation);
    Value erf =
        math::ErfOp::create(w.builder, w.loc, w.wide(distance, w.f32()));
    Value precise = w.wide(erf, w.f64());
    return w.mul(w.add(precise, w.number(w.f64(), 1)), w.number(w.f64(), 0.5));
  }
};

class LowerLosses : public moe::impl::LowerLossesBase<LowerLosses> {
public:
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerZLoss, LowerCvSquared, LowerNoisyLoad>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
