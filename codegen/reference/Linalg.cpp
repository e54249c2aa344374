// What linalg computes on tensors: every structured operation runs its region
// once for each point of its loops.
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "codegen/reference/Interpreter.h"

using namespace mlir;

namespace moe::reference {

/// An index expression at one point of the loops.
static int64_t evaluate(AffineExpr expression, ArrayRef<int64_t> point) {
  if (auto dimension = dyn_cast<AffineDimExpr>(expression))
    return point[dimension.getPosition()];
  if (auto constant = dyn_cast<AffineConstantExpr>(expression))
    return constant.getValue();
  auto binary = dyn_cast<AffineBinaryOpExpr>(expression);
  if (!binary)
    fail("has an indexing map with symbols");
  int64_t a = evaluate(binary.getLHS(), point),
          b = evaluate(binary.getRHS(), point);
  switch (expression.getKind()) {
  case AffineExprKind::Add:
    return a + b;
  case AffineExprKind::Mul:
    return a * b;
  default: // a division in an indexing map: no operation of the examples has
           // one
    fail("has an indexing map with a division");
  }
}

/// The number of iterations of every loop: the size of a dimension that the
/// loop alone indexes.
static Shape loopSizes(linalg::LinalgOp op, Frame &frame) {
  Shape sizes(op.getNumLoops(), -1);
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [d, expression] : llvm::enumerate(map.getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expression)) {
        int64_t &size = sizes[loop.getPosition()],
                found = frame.tensor(operand.get()).shape[d];
        if (size >= 0 && size != found)
          fail("loop " + Twine(loop.getPosition()) + " has sizes " +
               Twine(size) + " and " + Twine(found));
        size = found;
      }
  }
  for (auto [loop, size] : llvm::enumerate(sizes))
    if (size < 0)
      fail("has no operand that gives the size of loop " + Twine(loop));
  return sizes;
}

static void structured(linalg::LinalgOp op, Frame &frame) {
  SmallVector<std::shared_ptr<const Tensor>> inputs; // null: a scalar
  SmallVector<Tensor> results;
  for (OpOperand *operand : op.getDpsInputOperands())
    inputs.push_back(isa<RankedTensorType>(operand->get().getType())
                         ? frame.share(operand->get())
                         : nullptr);
  for (OpOperand &operand : op.getDpsInitsMutable())
    results.push_back(frame.tensor(operand.get()));

  SmallVector<Value> arguments;
  auto positionOf = [&](OpOperand *operand, const Tensor &tensor,
                        ArrayRef<int64_t> point) {
    Shape index;
    for (AffineExpr expression :
         op.getMatchingIndexingMap(operand).getResults())
      index.push_back(evaluate(expression, point));
    return tensor.flat(index);
  };
  forEachIndex(loopSizes(op, frame), [&](ArrayRef<int64_t> point) {
    arguments.clear();
    for (auto [operand, input] : llvm::zip(op.getDpsInputOperands(), inputs))
      arguments.push_back(
          input ? toValue(input->at(positionOf(operand, *input, point)))
                : frame.get(operand->get()));
    SmallVector<int64_t> positions;
    for (auto [operand, result] : llvm::zip(op.getDpsInitsMutable(), results)) {
      positions.push_back(positionOf(&operand, result, point));
      arguments.push_back(toValue(result.at(positions.back())));
    }
    frame.iterations.emplace_back(point);
    SmallVector<Value> yielded = frame.run(op->getRegion(0), arguments);
    frame.iterations.pop_back();
    for (auto [result, position, value] :
         llvm::zip(results, positions, yielded))
      result.set(position, result.isFloat() ? Scalar(std::get<double>(value))
                                            : Scalar(std::get<int64_t>(value)));
  });
  for (auto [result, tensor] : llvm::zip(op->getResults(), results))
    frame.set(result, std::move(tensor));
}

static void index(linalg::IndexOp op, Frame &frame) {
  frame.set(op.getResult(), Value(frame.iterations.back()[op.getDim()]));
}

template <typename Op> static void named(Op op, Frame &frame) {
  structured(cast<linalg::LinalgOp>(op.getOperation()), frame);
}

template <typename... Ops> static void addNamed(OpTable &table) {
  (table.add<Ops>(named<Ops>), ...);
}

void addLinalgOps(OpTable &table) {
  table.add<linalg::IndexOp>(index);
  addNamed<linalg::GenericOp, linalg::MapOp, linalg::ReduceOp,
           linalg::TransposeOp, linalg::BroadcastOp, linalg::FillOp,
           linalg::CopyOp, linalg::MatmulOp, linalg::BatchMatmulOp,
           linalg::MatvecOp, linalg::VecmatOp, linalg::DotOp,
           linalg::ElementwiseOp, linalg::AddOp, linalg::SubOp, linalg::MulOp,
           linalg::DivOp, linalg::ExpOp>(table);
}

} // namespace moe::reference
