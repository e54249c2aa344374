// See OpKinds.h.

#include "codegen/cpu/OpKinds.h"

#include "codegen/cpu/Attention.h"
#include "codegen/cpu/Linalg.h"
#include "codegen/cpu/Ranking.h"
#include "codegen/cpu/Scalars.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace moe::cpu {

static bool isStored(Value value) {
  return isa<RankedTensorType, grouped::PackedType>(value.getType());
}

/// Packed products and most functions exist in f32 alone; in f64 there are exp,
/// log, what is one instruction, and plain sums and products.
static bool needsWideMath(Operation *op) {
  if (isa<BroadcastOp, GatherOp, LinearOp, MapOp, RandomOp, ReduceOp, SigmoidOp,
          SiluOp, SoftmaxOp, SplitOp, TokensOp, grouped::CombineOp,
          grouped::LoopOp, grouped::TopKOp, grouped::SelectOp, grouped::PickOp,
          grouped::BalanceLossOp, grouped::LimitOp, grouped::TakeOp,
          grouped::AssignOp, math::AbsFOp, math::CeilOp, math::CopySignOp,
          math::ExpOp, math::FloorOp, math::FmaOp, math::LogOp,
          math::RoundEvenOp, math::SqrtOp, math::TruncOp>(op) ||
      !isa_and_nonnull<MoeDialect, grouped::GroupedDialect, math::MathDialect>(
          op->getDialect()))
    return false;
  auto isWide = [](Type type) { return getElementTypeOrSelf(type).isF64(); };
  return llvm::any_of(op->getOperandTypes(), isWide) ||
         llvm::any_of(op->getResultTypes(), isWide);
}

static bool bodyWorks(Block &body) {
  return llvm::all_of(body.without_terminator(), [](Operation &op) {
    return worksOnVectors(&op) && !needsWideMath(&op);
  });
}

/// Offsets may be known at run time only, and the number of rows.
static bool isSupportedSlice(OffsetSizeAndStrideOpInterface op,
                             const llvm::SmallBitVector &dropped) {
  return !ShapedType::isDynamicShape(op.getStaticStrides()) &&
         !ShapedType::isDynamicShape(op.getStaticSizes().drop_front()) &&
         !(dropped[0] && op.isDynamicSize(0));
}

static OpKind kindOfExtract(tensor::ExtractSliceOp op) {
  if (!isSupportedSlice(op, op.getDroppedDims()))
    return OpKind::Unsupported;
  return ShapedType::isDynamicShape(op.getStaticOffsets()) ? OpKind::Row
                                                           : OpKind::View;
}

static bool takesAllRows(OffsetSizeAndStrideOpInterface op,
                         const llvm::SmallBitVector &dropped) {
  return !dropped[0] && !op.isDynamicOffset(0) && op.getStaticOffset(0) == 0 &&
         op.getStaticStride(0) == 1;
}
bool keepsRows(tensor::ExtractSliceOp op, const Extents &extents) {
  return takesAllRows(op, op.getDroppedDims()) &&
         extents.of(op.getSource()) == extents.of(op.getResult());
}
bool keepsRows(tensor::InsertSliceOp op, const Extents &extents) {
  return takesAllRows(op, op.getDroppedDims()) &&
         extents.of(op.getSource()) == extents.of(op.getResult());
}

static OpKind kindOfGenerate(tensor::GenerateOp op) {
  Block &body = op.getBody().front();
  bool numbers = llvm::all_of(body.without_terminator(), [](Operation &in) {
    return kindOf(&in) == OpKind::Scalar;
  });
  return numbers && body.getNumArguments() > 0 ? OpKind::Row
                                               : OpKind::Unsupported;
}

/// Whether tensors and numbers are all that goes through it.
static bool flows(Operation *op) {
  auto isHandedOn = [](Type type) {
    return isa<RankedTensorType>(type) || type.isIntOrIndexOrFloat();
  };
  return llvm::all_of(op->getOperandTypes(), isHandedOn) &&
         llvm::all_of(op->getResultTypes(), isHandedOn);
}

static bool isInLoop(Operation *op) {
  return op->getParentOfType<grouped::LoopOp>() != nullptr;
}

/// Columns are worth dividing among threads if they are several cache lines.
static OpKind overRows(Operation *op, RankedTensorType input) {
  return rowElements(input) < 32 || isInLoop(op) ? OpKind::Serial
                                                 : OpKind::Team;
}

OpKind kindOf(Operation *op) {
  if (needsWideMath(op))
    return OpKind::Unsupported;
  if (isa<tensor::EmptyOp, RopeFrequenciesOp>(op))
    return OpKind::Constant;
  if (isa<TokensOp, tensor::ExtractOp>(op))
    return OpKind::Scalar;
  if (auto dim = dyn_cast<tensor::DimOp>(op))
    return dim.getConstantIndex() == 0 ? OpKind::Scalar : OpKind::Unsupported;
  if (auto capacity = dyn_cast<CapacityOp>(op))
    return isStored(capacity.getTokens()) ? OpKind::Row : OpKind::Scalar;
  if (isa<tensor::FromElementsOp, tensor::InsertOp>(op))
    return OpKind::Serial;
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    return isSupportedSlice(insert, insert.getDroppedDims())
               ? OpKind::Row
               : OpKind::Unsupported;
  if (auto generate = dyn_cast<tensor::GenerateOp>(op))
    return kindOfGenerate(generate);
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return isa<ShapedType>(constant.getType()) ? OpKind::Constant
                                               : OpKind::Scalar;
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return kindOfExtract(slice);
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp,
          linalg::TransposeOp, SplitOp, grouped::TraceOp>(op))
    return OpKind::View;
  if (auto structured = dyn_cast<linalg::LinalgOp>(op)) {
    if (!isSupportedLinalg(structured))
      return OpKind::Unsupported;
    if (sumsOverRows(structured))
      return isInLoop(op) ? OpKind::Serial : OpKind::Team;
    return rowLoop(structured) ? OpKind::Row : OpKind::Serial;
  }
  if (isa<scf::ForOp, scf::WhileOp, scf::IfOp>(op))
    return flows(op) ? OpKind::Flow : OpKind::Unsupported;
  if (isa<grouped::MatmulOp>(op))
    return bodyWorks(op->getRegion(0).front()) ? OpKind::Matmul
                                               : OpKind::Unsupported;
  if (isa<grouped::PackOp>(op))
    return OpKind::Pack;
  if (isa<grouped::LoopOp>(op))
    return OpKind::Loop;
  if (isa<grouped::TakeOp, grouped::AssignOp>(op))
    return OpKind::Team;
  if (isa<grouped::PlanOp, grouped::LimitOp, grouped::BalanceLossOp,
          SegmentSizeOp>(op))
    return OpKind::Serial;
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return reduce.getDimension() == 0
               ? overRows(op,
                          cast<RankedTensorType>(reduce.getInput().getType()))
               : OpKind::Row;
  if (auto softmax = dyn_cast<SoftmaxOp>(op))
    return softmax.getReducedDimension() == 0
               ? overRows(op,
                          cast<RankedTensorType>(softmax.getInput().getType()))
               : OpKind::Row;
  if (isa<LinearOp, RmsNormOp>(op)) { // a vector is one row
    auto input = cast<RankedTensorType>(op->getOperand(0).getType());
    return input.getRank() > 1 ? OpKind::Row : OpKind::Serial;
  }
  if (isa<AttentionOp, BroadcastOp, GatherOp, RandomOp, RopeOp,
          grouped::CombineOp, grouped::TopKOp, grouped::SelectOp,
          grouped::JoinOp, grouped::CheckIdsOp, grouped::PickOp,
          grouped::MatrixOp, tensor::ConcatOp, tensor::SplatOp>(op))
    return OpKind::Row;
  if (auto map = dyn_cast<MapOp>(op))
    return bodyWorks(map.getBody().front()) ? OpKind::Row : OpKind::Unsupported;
  bool stored = llvm::any_of(op->getOperands(), isStored) ||
                llvm::any_of(op->getResults(), isStored);
  if (!stored)
    return op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
                   (!isa<MoeDialect>(op->getDialect()) || worksOnVectors(op))
               ? OpKind::Scalar
               : OpKind::Unsupported;
  return worksOnVectors(op) ? OpKind::Row : OpKind::Unsupported;
}

SmallVector<ScratchRow> scratchRows(Operation *op) {
  ScratchRow words{IntegerType::get(op->getContext(), 64), 0};
  if (auto topK = dyn_cast<grouped::TopKOp>(op)) {
    RankedTensorType key = topK.getKey().getType();
    if (static_cast<int64_t>(topK.getTop()) > kMostRounds)
      words.columns = key.getDimSize(1);
    return {{Ranking::rankType(key.getElementType()), key.getDimSize(1)},
            words,
            words};
  }
  if (auto attention = dyn_cast<AttentionOp>(op))
    return {{Float32Type::get(op->getContext()), attentionScratch(attention)},
            {IndexType::get(op->getContext()), kAttentionBlock}};
  auto select = dyn_cast<grouped::SelectOp>(op);
  if (!select)
    return {};
  RankedTensorType key = select.getKey().getType();
  int64_t experts = key.getDimSize(1);
  ScratchRow ranks{Ranking::rankType(key.getElementType()), experts};
  auto isMany = [](std::optional<uint64_t> count) {
    return static_cast<int64_t>(count.value_or(0)) > kMostRounds;
  };
  bool isTopP = select.getSelection() == Selection::TopP;
  if (isMany(select.getTop()) || isMany(select.getBest()) ||
      isMany(select.getKeep()) || (isTopP && experts > kFewExperts))
    words.columns = experts;
  if (select.getGroups())
    return {ranks,
            words,
            words,
            ranks,
            {words.element, static_cast<int64_t>(*select.getGroups())}};
  if (select.getSelection() == Selection::Top || isTopP)
    return {ranks, words, words};
  return {}; // comparisons alone
}

Value rowsOf(Operation *op) { return op->getResult(0); }

void forEachRead(Operation *op, const Extents &extents,
                 llvm::function_ref<void(Value, Reach)> visit) {
  for (Value scalar : scalarsOf(op))
    forEachSource(scalar, extents,
                  [&](Value tensor) { visit(tensor, Reach::Whole); });
  if (isa<grouped::LoopOp, scf::ForOp, scf::WhileOp, scf::IfOp>(op)) {
    llvm::SetVector<Value> used(op->operand_begin(), op->operand_end());
    getUsedValuesDefinedAbove(op->getRegions(), used);
    for (Value value : used)
      if (isStored(value))
        visit(value, Reach::Whole);
    return;
  }
  if (auto transpose = dyn_cast<linalg::TransposeOp>(op))
    return visit(transpose.getInput(), Reach::Whole);
  if (auto structured = dyn_cast<linalg::LinalgOp>(op)) {
    std::optional<unsigned> rows = rowLoop(structured);
    for (OpOperand &operand : op->getOpOperands())
      if (isStored(operand.get()) &&
          (!structured.isDpsInit(&operand) || readsInit(structured, operand)))
        visit(operand.get(), rows && walksRows(structured, operand, *rows)
                                 ? Reach::Row
                                 : Reach::Whole);
    return;
  }
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    for (Value value : {attention.getQuery(), attention.getQuerySegments(),
                        attention.getQueryPositions()})
      if (value)
        visit(value, Reach::Row);
    for (Value value :
         {attention.getKey(), attention.getValue(), attention.getKeySegments(),
          attention.getKeyPositions()})
      if (value)
        visit(value, Reach::Whole);
    return;
  }
  if (auto generate = dyn_cast<tensor::GenerateOp>(op))
    return forEachSource(
        generate.getBody().front().getTerminator()->getOperand(0), extents,
        [&](Value tensor) { visit(tensor, Reach::Whole); });
  Reach reach = kindOf(op) == OpKind::Row ? Reach::Row : Reach::Whole;
  for (OpOperand &operand : op->getOpOperands()) {
    Value value = operand.get();
    if (!isStored(value))
      continue;
    if (isa<tensor::InsertSliceOp>(op) &&
        value.getDefiningOp<tensor::EmptyOp>())
      continue; // holds nothing that could stay
    if (isa<RandomOp>(op))
      continue; // only its shape
    Reach here = reach;
    if (auto gather = dyn_cast<GatherOp>(op))
      here = value == gather.getTable() ? Reach::Whole : reach;
    else if (auto combine = dyn_cast<grouped::CombineOp>(op))
      here = operand.getOperandNumber() == 0 ? Reach::Whole : reach;
    else if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
      here = operand.getOperandNumber() > 0 || keepsRows(insert, extents)
                 ? reach
                 : Reach::Whole;
    else if (auto concat = dyn_cast<tensor::ConcatOp>(op))
      here = concat.getDim() == 0 ? Reach::Whole : reach;
    else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
      here = keepsRows(slice, extents) ? reach : Reach::Whole;
    else if (auto pick = dyn_cast<grouped::PickOp>(op))
      here = pick.getValues().getType().getRank() == 1 &&
                     operand.getOperandNumber() == 0
                 ? Reach::Whole
                 : reach;
    else if (isa<LinearOp, RmsNormOp>(op))
      here = operand.getOperandNumber() == 0 ? reach : Reach::Whole;
    else if (auto rope = dyn_cast<RopeOp>(op))
      here = value == rope.getFrequencies() ? Reach::Whole : reach;
    else if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
      if (operand.getOperandNumber() == 1)
        continue; // only its shape
      auto like = broadcast.getLike().getType();
      auto input = cast<RankedTensorType>(value.getType());
      bool rows = input.getRank() == like.getRank() && input.getRank() > 0 &&
                  extents.of(value) == extents.of(broadcast.getLike());
      here = rows ? reach : Reach::Whole;
    }
    visit(value, here);
  }
}

} // namespace moe::cpu
