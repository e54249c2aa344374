// The patterns are MLIR's; the passes that apply them are ours, because MLIR
// ships some of them as patterns only.

#include "codegen/cpu/VectorMath.h"

#include "codegen/cpu/Functions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace moe::cpu {

namespace {

/// math.f on f16 or bf16 becomes truncf(math.f(extf)). LLVM has no bf16 vectors
/// that absf, copysign or fma could work on.
struct WidenMath : RewritePattern {
  explicit WidenMath(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/2, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa_and_nonnull<math::MathDialect>(op->getDialect()) ||
        op->getNumResults() != 1)
      return failure();
    auto isNarrow = [](Type type) {
      auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
      return element && element.getWidth() < 32;
    };
    auto widened = [&](Type type) -> Type {
      auto vector = dyn_cast<VectorType>(type);
      return vector ? Type(vector.clone(rewriter.getF32Type()))
                    : rewriter.getF32Type();
    };
    Type type = op->getResultTypes().front();
    if (!isNarrow(type))
      return failure();
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(isNarrow(operand.getType())
                             ? arith::ExtFOp::create(rewriter, op->getLoc(),
                                                     widened(operand.getType()),
                                                     operand)
                             : operand);
    Operation *wide =
        rewriter.create(op->getLoc(), op->getName().getIdentifier(), operands,
                        widened(type), op->getAttrs());
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, type, wide->getResult(0));
    return success();
  }
};

struct ExpandMathPass : PassWrapper<ExpandMathPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMathPass)

  StringRef getName() const override { return "ExpandMath"; }

  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, math::MathDialect,
                    vector::VectorDialect>();
  }

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    // f16 and bf16 are computed in f32.
    patterns.add<WidenMath>(&getContext());
    populateExponentials(patterns);
    populateLogarithms(patterns);
    populateTrigonometry(patterns);
    populateWideMath(patterns);
    // What MLIR computes well enough.
    populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
      return name == "math.erf" || name == "math.erfc";
    });
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

struct ExpandDot : OpRewritePattern<x86vector::DotBF16Op> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(x86vector::DotBF16Op op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<VectorType>(op.getType());
    auto bits = cast<VectorType>(type.clone(rewriter.getI32Type()));
    auto halves = [&](Value pairs) -> std::pair<Value, Value> {
      Value all = vector::BitCastOp::create(rewriter, loc, bits, pairs);
      Value low = arith::ShLIOp::create(
          rewriter, loc, all,
          arith::ConstantOp::create(
              rewriter, loc,
              DenseElementsAttr::get(bits, rewriter.getI32IntegerAttr(16))));
      Value high = arith::AndIOp::create(
          rewriter, loc, all,
          arith::ConstantOp::create(
              rewriter, loc,
              DenseElementsAttr::get(bits,
                                     rewriter.getI32IntegerAttr(
                                         static_cast<int32_t>(0xffff0000)))));
      return {vector::BitCastOp::create(rewriter, loc, type, low),
              vector::BitCastOp::create(rewriter, loc, type, high)};
    };
    auto [aLow, aHigh] = halves(op.getA());
    auto [bLow, bHigh] = halves(op.getB());
    Value sum = vector::FMAOp::create(rewriter, loc, aHigh, bHigh, op.getSrc());
    rewriter.replaceOpWithNewOp<vector::FMAOp>(op, aLow, bLow, sum);
    return success();
  }
};

struct ExpandDotPass : PassWrapper<ExpandDotPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandDotPass)

  StringRef getName() const override { return "ExpandDot"; }

  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, vector::VectorDialect>();
  }

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandDot>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> createExpandMathPass() {
  return std::make_unique<ExpandMathPass>();
}

std::unique_ptr<Pass> createExpandDotPass() {
  return std::make_unique<ExpandDotPass>();
}

} // namespace moe::cpu
