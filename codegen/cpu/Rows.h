// Emits the work of one row of a Row step, and of a whole Serial step.

#ifndef MOE_CODEGEN_CPU_ROWS_H
#define MOE_CODEGEN_CPU_ROWS_H

#include "codegen/cpu/Team.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace moe::cpu {

/// Everything that `step` does for one row.
void emitRow(Frame &frame, const Step &step, mlir::Value row);

/// A step of kind Serial: the plan, what runs over dimension 0, and numbers.
void emitSerial(Frame &frame, const Step &step);

// The parts of emitRow, by file.

// Capacity.cpp.
void emitCapacityRow(Frame &frame, CapacityOp op, mlir::Value row);

// RowMath.cpp: element by element.
void emitElementwiseRow(Frame &frame, mlir::Operation *op, mlir::Value row);
void emitMapRow(Frame &frame, MapOp op, mlir::Value row);
void emitBroadcastRow(Frame &frame, BroadcastOp op, mlir::Value row);

// RowReduce.cpp: over a dimension.
void emitSoftmaxRow(Frame &frame, SoftmaxOp op, mlir::Value row);
void emitRmsNormRow(Frame &frame, RmsNormOp op, mlir::Value row);
void emitReduceRow(Frame &frame, ReduceOp op, mlir::Value row);
// Columns are divided among a team, or all this thread's.
void emitSoftmaxOverRows(Frame &frame, SoftmaxOp op,
                         const Team *team = nullptr);
void emitReduceOverRows(Frame &frame, ReduceOp op, const Team *team = nullptr);

// Slices.cpp.
void emitExtractSlice(Frame &frame, mlir::tensor::ExtractSliceOp op,
                      mlir::Value row);
void emitInsertSlice(Frame &frame, mlir::tensor::InsertSliceOp op,
                     mlir::Value row);
void emitConcat(Frame &frame, mlir::tensor::ConcatOp op, mlir::Value row);
void emitGenerateRow(Frame &frame, mlir::tensor::GenerateOp op,
                     mlir::Value row);
void emitInsertNumber(Frame &frame, mlir::tensor::InsertOp op);
/// Dimensions from `d` on of `shape`, with any strides.
void copyStrided(Frame &frame, const Ref &in, const Ref &out,
                 llvm::ArrayRef<int64_t> shape, size_t d, mlir::Value from,
                 mlir::Value to);

// RowMove.cpp: from other rows.
void emitCopyRow(Frame &frame, const Step &step, mlir::Value row);
void emitQuantizeRow(Frame &frame, const Step &step, mlir::Value row);
void emitGatherRow(Frame &frame, GatherOp op, mlir::Value row);
void emitCombineRow(Frame &frame, grouped::CombineOp op, mlir::Value row);
void emitLinearRow(Frame &frame, LinearOp op, mlir::Value row);

// Attention.cpp: over the rows of others.
void emitAttentionRow(Frame &frame, const Step &step, mlir::Value row);

// Random.cpp: by the numbers of the elements.
void emitRandomRow(Frame &frame, RandomOp op, mlir::Value row);

// Rope.cpp: pairs of columns turn by angles.
void emitRopeRow(Frame &frame, RopeOp op, mlir::Value row);

// RowSelect.cpp: the choice of experts.
void emitTopKRow(Frame &frame, const Step &step, mlir::Value row);
void emitSelectRow(Frame &frame, const Step &step, mlir::Value row);

// RowSlots.cpp: weights and ids of slots.
void emitJoinRow(Frame &frame, grouped::JoinOp op, mlir::Value row);
void emitCheckIdsRow(Frame &frame, grouped::CheckIdsOp op, mlir::Value row);
void emitPickRow(Frame &frame, grouped::PickOp op, mlir::Value row);
void emitMatrixRow(Frame &frame, grouped::MatrixOp op, mlir::Value row);

// Of whole routings: Plan.cpp, Limit.cpp, BalanceLoss.cpp, Segments.cpp.
void emitPlan(Frame &frame, const Step &step);
void emitLimit(Frame &frame, const Step &step);
void emitBalanceLoss(Frame &frame, const Step &step);
void emitSegmentSize(Frame &frame, const Step &step);

/// Whether the order of a limit is one of pairs, not of rows.
bool sortsPairs(grouped::LimitOp op);

/// f64 for f64, otherwise f32 (floats); i64 for integers.
mlir::Type wideType(mlir::Type element);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_ROWS_H
