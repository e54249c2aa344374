// Which emitter a step goes to.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/Linalg.h"

using namespace mlir;

namespace moe::cpu {

void emitRow(Frame &frame, const Step &step, Value row) {
  if (step.kind == Step::Kind::Copy)
    return emitCopyRow(frame, step, row);
  if (step.kind == Step::Kind::Quantize)
    return emitQuantizeRow(frame, step, row);
  if (isa<grouped::TopKOp>(step.op))
    return emitTopKRow(frame, step, row);
  if (isa<grouped::SelectOp>(step.op))
    return emitSelectRow(frame, step, row);
  if (auto op = dyn_cast<grouped::JoinOp>(step.op))
    return emitJoinRow(frame, op, row);
  if (auto op = dyn_cast<grouped::CheckIdsOp>(step.op))
    return emitCheckIdsRow(frame, op, row);
  if (auto op = dyn_cast<grouped::PickOp>(step.op))
    return emitPickRow(frame, op, row);
  if (auto op = dyn_cast<grouped::MatrixOp>(step.op))
    return emitMatrixRow(frame, op, row);
  if (isa<AttentionOp>(step.op))
    return emitAttentionRow(frame, step, row);
  if (auto op = dyn_cast<MapOp>(step.op))
    return emitMapRow(frame, op, row);
  if (auto op = dyn_cast<BroadcastOp>(step.op))
    return emitBroadcastRow(frame, op, row);
  if (auto op = dyn_cast<SoftmaxOp>(step.op))
    return emitSoftmaxRow(frame, op, row);
  if (auto op = dyn_cast<RmsNormOp>(step.op))
    return emitRmsNormRow(frame, op, row);
  if (auto op = dyn_cast<ReduceOp>(step.op))
    return emitReduceRow(frame, op, row);
  if (auto op = dyn_cast<GatherOp>(step.op))
    return emitGatherRow(frame, op, row);
  if (auto op = dyn_cast<grouped::CombineOp>(step.op))
    return emitCombineRow(frame, op, row);
  if (auto op = dyn_cast<LinearOp>(step.op))
    return emitLinearRow(frame, op, row);
  if (auto op = dyn_cast<RandomOp>(step.op))
    return emitRandomRow(frame, op, row);
  if (auto op = dyn_cast<RopeOp>(step.op))
    return emitRopeRow(frame, op, row);
  if (auto op = dyn_cast<CapacityOp>(step.op))
    return emitCapacityRow(frame, op, row);
  if (auto op = dyn_cast<linalg::LinalgOp>(step.op))
    return emitLinalg(frame, op, row);
  if (auto op = dyn_cast<tensor::InsertSliceOp>(step.op))
    return emitInsertSlice(frame, op, row);
  if (auto op = dyn_cast<tensor::ExtractSliceOp>(step.op))
    return emitExtractSlice(frame, op, row);
  if (auto op = dyn_cast<tensor::ConcatOp>(step.op))
    return emitConcat(frame, op, row);
  if (auto op = dyn_cast<tensor::GenerateOp>(step.op))
    return emitGenerateRow(frame, op, row);
  emitElementwiseRow(frame, step.op, row);
}

/// A number, or several, to where a tensor lies.
static void emitNumbers(Frame &f, const Ref &to, ValueRange numbers) {
  for (auto [i, number] : llvm::enumerate(numbers))
    f.storeScalar(to, f.add(f.rowAddress(to, f.constant(0)), i),
                  f.scalars.lookup(number));
}

void emitSerial(Frame &frame, const Step &step) {
  if (step.kind == Step::Kind::Number)
    return emitNumbers(frame, frame.ref(step.value, step.to), step.value);
  if (step.kind == Step::Kind::RowCount)
    return frame.storeScalar(
        frame.ref(step.to.storage, frame.builder.getIndexType()),
        frame.constant(0),
        frame.extent(frame.schedule.extents().of(step.value)));
  if (auto op = dyn_cast<tensor::FromElementsOp>(step.op))
    return emitNumbers(frame, frame.ref(op.getResult()), op.getElements());
  if (auto op = dyn_cast<SoftmaxOp>(step.op))
    return emitSoftmaxOverRows(frame, op);
  if (auto op = dyn_cast<ReduceOp>(step.op))
    return emitReduceOverRows(frame, op);
  if (auto op = dyn_cast<linalg::LinalgOp>(step.op))
    return emitLinalg(frame, op, Value());
  if (auto op = dyn_cast<tensor::InsertOp>(step.op))
    return emitInsertNumber(frame, op);
  if (auto op = dyn_cast<LinearOp>(step.op))
    return emitLinearRow(frame, op, frame.constant(0));
  if (auto op = dyn_cast<RmsNormOp>(step.op))
    return emitRmsNormRow(frame, op, frame.constant(0));
  if (isa<grouped::LimitOp>(step.op))
    return emitLimit(frame, step);
  if (isa<grouped::BalanceLossOp>(step.op))
    return emitBalanceLoss(frame, step);
  if (isa<SegmentSizeOp>(step.op))
    return emitSegmentSize(frame, step);
  emitPlan(frame, step);
}

} // namespace moe::cpu
