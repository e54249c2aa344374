// The functions of f32 numbers that no instruction computes, as patterns that
// write them out. VectorMath.h says how exact they are.

#ifndef MOE_CODEGEN_CPU_FUNCTIONS_H
#define MOE_CODEGEN_CPU_FUNCTIONS_H

#include "codegen/cpu/Numbers.h"

#include "mlir/IR/PatternMatch.h"

#include <array>

namespace moe::cpu {

/// Exponential.cpp: exp, exp2, expm1, tanh, rsqrt.
void populateExponentials(mlir::RewritePatternSet &patterns);
/// Logarithm.cpp: log, log2, log10, log1p, powf, fpowi, cbrt.
void populateLogarithms(mlir::RewritePatternSet &patterns);
/// Trigonometry.cpp: sin, cos, atan2.
void populateTrigonometry(mlir::RewritePatternSet &patterns);
/// WideMath.cpp: exp and log of f64; error at most 1 ulp.
void populateWideMath(mlir::RewritePatternSet &patterns);

/// Replaces Op on f32 by `body`(numbers of its type, operands...).
template <typename Op, typename Body>
void addFunction(mlir::RewritePatternSet &patterns, Body body) {
  struct Pattern : mlir::OpRewritePattern<Op> {
    Body body;
    Pattern(mlir::MLIRContext *context, Body body)
        : mlir::OpRewritePattern<Op>(context, /*benefit=*/2), body(body) {}

    mlir::LogicalResult
    matchAndRewrite(Op op, mlir::PatternRewriter &rewriter) const override {
      if (!mlir::getElementTypeOrSelf(op.getType()).isF32())
        return mlir::failure();
      Numbers numbers(rewriter, op.getLoc(), op.getResult());
      if constexpr (Op::template hasTrait<mlir::OpTrait::OneOperand>())
        rewriter.replaceOp(op, body(numbers, op->getOperand(0)));
      else
        rewriter.replaceOp(op,
                           body(numbers, op->getOperand(0), op->getOperand(1)));
      return mlir::success();
    }
  };
  patterns.add<Pattern>(patterns.getContext(), body);
}

/// `body` with f64 numbers of f32 operands; its result is rounded to f32.
template <typename Body> auto inF64(Body body) {
  return [body](const Numbers &narrow, auto... operands) {
    auto widen = [&](mlir::Value value) {
      return convertNumber(narrow.builder, narrow.loc, value,
                           narrow.builder.getF64Type());
    };
    std::array<mlir::Value, sizeof...(operands)> wide = {widen(operands)...};
    Numbers numbers(narrow.builder, narrow.loc, wide[0]);
    mlir::Value result = std::apply(
        [&](auto... values) { return body(numbers, values...); }, wide);
    return convertNumber(narrow.builder, narrow.loc, result, narrow.element);
  };
}

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_FUNCTIONS_H
