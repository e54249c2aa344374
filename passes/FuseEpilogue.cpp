// --moe-fuse-epilogue: element-wise ops after a matmul move into its epilogue,
// on accumulators still in registers.
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_FUSEEPILOGUE
#include "passes/Passes.h.inc"
} // namespace moe

/// The constant that a scalar, or every element of a tensor, is; or null.
static TypedAttr constantOf(Value value) {
  Attribute attribute;
  if (auto broadcast = value.getDefiningOp<BroadcastOp>())
    return isa<RankedTensorType>(broadcast.getInput().getType())
               ? TypedAttr()
               : constantOf(broadcast.getInput());
  if (!matchPattern(value, m_Constant(&attribute)))
    return {};
  if (auto splat = dyn_cast<SplatElementsAttr>(attribute))
    return splat.getSplatValue<TypedAttr>();
  return isa<FloatAttr, IntegerAttr>(attribute) ? cast<TypedAttr>(attribute)
                                                : TypedAttr();
}

static bool isNarrowFloat(Type type) {
  auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
  return element && element.getWidth() <= 32;
}

/// Lanes beyond the last column hold anything, also zeros, which an integer
/// cannot be divided by.
static bool dividesIntegers(Operation *root) {
  return root
      ->walk([](Operation *op) {
        return isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp,
                   arith::RemUIOp, arith::CeilDivSIOp, arith::CeilDivUIOp,
                   arith::FloorDivSIOp>(op)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

namespace {
/// One matmul and the element-wise ops around its results.
class Epilogue {
public:
  explicit Epilogue(grouped::MatmulOp matmul)
      : matmul(matmul), plan(planOf(matmul)) {
    getForwardSlice(matmul.getOperation(), &dependent);
  }

  /// The fused matmul, or null if nothing fuses.
  grouped::MatmulOp fuse() {
    collect();
    trim();
    return fused.empty() ? grouped::MatmulOp() : rebuild();
  }

private:
  grouped::MatmulOp matmul;
  grouped::PlanOp plan;
  SetVector<Operation *> dependent; ///< ops that the matmul's results reach
  SetVector<Operation *>
      fused; ///< ops that move into the epilogue, in their order
  SmallVector<Value> extras; ///< operands `with(...)` of the rebuilt matmul

  bool isInside(Value value) {
    return value.getDefiningOp() == matmul ||
           fused.contains(value.getDefiningOp());
  }

  /// What the epilogue takes as an operand to have an element of `value`: a
  /// tensor by column, by expert and column, or by row and column; or null.
  Value extraFor(Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || !isNarrowFloat(type))
      return {};
    auto isColumn = [&](Value table) {
      auto columns = dyn_cast<RankedTensorType>(table.getType());
      return columns &&
             columns.getShape() ==
                 ArrayRef<int64_t>{
                     matmul.getWeights().getType().getOutputs()} &&
             !dependent.contains(table.getDefiningOp());
    };
    if (auto broadcast =
            value.getDefiningOp<BroadcastOp>()) // writing the stretched tensor
                                                // would cost more than it saves
      return isColumn(broadcast.getInput()) ? broadcast.getInput() : Value();
    if (dependent.contains(value.getDefiningOp()) || type.getRank() != 2)
      return {};
    auto gather = value.getDefiningOp<GatherOp>();
    if (gather && plan && isExpertOfRow(gather.getIndices(), plan) &&
        !dependent.contains(gather.getTable().getDefiningOp()) &&
        tensorOf(gather.getTable()).getShape() ==
            matmul.getWeights().getType().getShape().take_front(2))
      return gather.getTable();
    return value;
  }

  bool canFuse(Operation *op) {
    if (auto broadcast = dyn_cast<BroadcastOp>(op))
      return constantOf(op->getResult(0)) || extraFor(broadcast.getResult());
    for (Value scalar : capturedScalars(op))
      if (!constantOf(scalar))
        return false;
    return isElementwise(op) && !dividesIntegers(op) &&
           llvm::all_of(op->getOperands(), [&](Value value) {
             return isInside(value) || constantOf(value) || extraFor(value);
           });
  }

  void collect() {
    for (Operation *op = matmul->getNextNode(); op; op = op->getNextNode())
      if (llvm::any_of(op->getOperands(),
                       [&](Value value) { return isInside(value); }) &&
          canFuse(op))
        fused.insert(op);
  }

  /// Values of the matmul and the fused ops that others use: what the fused
  /// matmul has to write.
  SmallVector<Value> written() {
    SmallVector<Value> values;
    auto add = [&](Operation *op) {
      for (Value result : op->getResults())
        if (llvm::any_of(result.getUsers(), [&](Operation *user) {
              Operation *inBlock =
                  matmul->getBlock()->findAncestorOpInBlock(*user);
              return !fused.contains(inBlock);
            }))
          values.push_back(result);
    };
    add(matmul);
    llvm::for_each(fused, add);
    return values;
  }

  /// Fusing must not make the matmul write more tensors than before, and it can
  /// write only floats, wide ones only if it wrote some before.
  void trim() {
    auto isWide = [](Value value) {
      return getElementTypeOrSelf(value.getType()).isF64();
    };
    bool mayBeWide = llvm::any_of(matmul.getResults(), isWide);
    while (!fused.empty()) {
      SmallVector<Value> values = written();
      if (values.size() <= matmul.getNumResults() &&
          llvm::all_of(values, [&](Value value) {
            return isa<FloatType>(getElementTypeOrSelf(value.getType())) &&
                   (mayBeWide || !isWide(value));
          }))
        return;
      fused.pop_back();
    }
  }

  grouped::MatmulOp rebuild() {
    Location loc = matmul.getLoc();
    OpBuilder builder(matmul);
    extras.assign(matmul.getExtras().begin(), matmul.getExtras().end());
    for (Operation *op : fused)
      for (Value value : isa<BroadcastOp>(op) ? ValueRange(op->getResults())
                                              : ValueRange(op->getOperands()))
        if (Value extra = needsExtra(value);
            extra && !llvm::is_contained(extras, extra))
          extras.push_back(extra);
    SmallVector<Value> values = written();
    auto result = grouped::MatmulOp::create(
        builder, loc, TypeRange(ValueRange(values)), matmul.getInput(),
        matmul.getTokens(), matmul.getOffsets(), matmul.getWeights(), extras,
        Value(), Value(), Value());
    result.getEpilogue().takeBody(matmul.getEpilogue());
    Block &body = result.getEpilogue().front();
    int64_t numWeights = matmul.getWeights().getType().getWeights();
    while (body.getNumArguments() < numWeights + extras.size())
      body.addArgument(tensorOf(extras[body.getNumArguments() - numWeights])
                           .getElementType(),
                       loc);

    auto yield = cast<grouped::YieldOp>(body.getTerminator());
    builder.setInsertionPoint(yield);
    IRMapping scalars;
    for (auto [tensor, scalar] :
         llvm::zip(matmul.getResults(), yield.getRows()))
      scalars.map(tensor, scalar);
    auto scalarFor = [&](Value value) {
      if (scalars.contains(value))
        return;
      if (TypedAttr constant = constantOf(value)) {
        scalars.map(
            value,
            arith::ConstantOp::create(builder, loc, constant).getResult());
        return;
      }
      auto position = llvm::find(extras, extraFor(value)) - extras.begin();
      scalars.map(value, body.getArgument(numWeights + position));
    };
    for (Operation *op : fused) {
      if (isa<BroadcastOp>(op)) {
        scalarFor(op->getResult(0));
        continue;
      }
      llvm::for_each(op->getOperands(), scalarFor);
      llvm::for_each(capturedScalars(op), scalarFor);
      cloneOverScalars(builder, op, scalars);
    }
    SmallVector<Value> yields;
    for (Value value : values)
      yields.push_back(scalars.lookup(value));
    grouped::YieldOp::create(builder, loc, yields);
    yield.erase();
    for (auto [value, replacement] : llvm::zip(values, result.getResults()))
      value.replaceAllUsesExcept(
          replacement, SmallPtrSet<Operation *, 8>(fused.begin(), fused.end()));
    for (Operation *op : llvm::reverse(fused))
      op->erase();
    Block *block = matmul->getBlock();
    matmul.erase();
    sortTopologically(
        block); // operands of the epilogue may come later in the block
    return result;
  }

  Value needsExtra(Value value) {
    if (fused.contains(value.getDefiningOp()) &&
        !isa<BroadcastOp>(value.getDefiningOp()))
      return {};
    return value.getDefiningOp() == matmul || constantOf(value)
               ? Value()
               : extraFor(value);
  }
};

class FuseEpilogue : public moe::impl::FuseEpilogueBase<FuseEpilogue> {
public:
  void runOnOperation() override {
    SmallVector<grouped::MatmulOp> matmuls;
    getOperation().walk(
        [&](grouped::MatmulOp matmul) { matmuls.push_back(matmul); });
    for (grouped::MatmulOp matmul : matmuls)
      if (!matmul.isCombined())
        Epilogue(matmul).fuse();
  }
};
} // namespace
