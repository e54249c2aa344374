// --moe-fold-transposes: a linalg operation reads a transposed tensor through
// its own indexing map.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "passes/Passes.h"

using namespace mlir;

namespace moe {
#define GEN_PASS_DEF_FOLDTRANSPOSES
#include "passes/Passes.h.inc"
} // namespace moe

static bool isTransposed(Value value) {
  return value.getDefiningOp<linalg::TransposeOp>() != nullptr;
}

/// Dimension d of the transposed tensor is dimension permutation[d] of the
/// source.
static AffineMap throughTranspose(AffineMap map, linalg::TransposeOp op) {
  SmallVector<AffineExpr> results(map.getNumResults());
  for (auto [index, from] : llvm::zip(map.getResults(), op.getPermutation()))
    results[from] = index;
  return AffineMap::get(map.getNumDims(), map.getNumSymbols(), results,
                        map.getContext());
}

namespace {
class FoldTransposes : public moe::impl::FoldTransposesBase<FoldTransposes> {
public:
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> readers;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (!isa<linalg::TransposeOp>(op) && op.hasPureTensorSemantics() &&
          llvm::any_of(op.getDpsInputs(), isTransposed))
        readers.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : readers)
      fold(op, rewriter);
  }

private:
  static void eraseUnused(linalg::TransposeOp op) {
    Operation *init = op.getInit().getDefiningOp();
    if (!op->use_empty())
      return;
    op.erase();
    if (init && isOpTriviallyDead(init))
      init->erase();
  }

  static void fold(linalg::LinalgOp op, IRRewriter &rewriter) {
    rewriter.setInsertionPoint(op);
    auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
    if (!generic) {
      FailureOr<linalg::GenericOp> made = generalizeNamedOp(rewriter, op);
      if (failed(made))
        return;
      generic = *made;
    }
    SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
    for (OpOperand *input : generic.getDpsInputOperands())
      while (auto transpose =
                 input->get().getDefiningOp<linalg::TransposeOp>()) {
        AffineMap &map = maps[input->getOperandNumber()];
        map = throughTranspose(map, transpose);
        input->set(transpose.getInput());
        eraseUnused(transpose);
      }
    generic.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  }
};
} // namespace
