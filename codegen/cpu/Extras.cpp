// The storages that an operation needs besides its results.

#include "codegen/cpu/MatrixTiles.h"
#include "codegen/cpu/Rows.h"
#include "codegen/cpu/Scheduler.h"

using namespace mlir;

namespace moe::cpu {

unsigned Scheduler::addWork(Type element, Extent rows, int64_t columns) {
  Storage storage;
  storage.element = element;
  storage.rows = columns == 0 ? Extent{Extent::Kind::Constant, 0} : rows;
  storage.rowStride = columns;
  return addStorage(storage);
}

/// Sums are f32 also where results are narrower.
void Scheduler::addSums(grouped::MatmulOp op, Step &step,
                        SmallVectorImpl<unsigned> &writes) {
  for (Value value : op->getResults()) {
    Layout layout = result.layouts[value];
    Storage sums = result.allStorages[layout.storage];
    if (!sums.element.isF32()) {
      sums.kind = Storage::Kind::Workspace;
      sums.element = Float32Type::get(op->getContext());
      // A task takes a few lines of every row.
      sums.rowStride = paddedStride(sums.rowStride, 4);
      layout.storage = addStorage(sums);
      writes.push_back(layout.storage);
    }
    step.extra.push_back(layout.storage);
  }
}

/// One for all products of a thread: each fills it before reading.
void Scheduler::addRowPanel(grouped::MatmulOp op) {
  PackedLayout packed = packedLayout(op.getWeights().getType(), level);
  if (!hasMatrixForm(packed, op.getInput().getType()))
    return;
  if (!result.panel)
    result.panel = addScratch(IntegerType::get(op->getContext(), 8), 0);
  int64_t &bytes = result.allStorages[*result.panel].rowStride;
  bytes = std::max(bytes, MatrixRows::of(packed).bytes());
}

void Scheduler::addExtras(Step &step, SmallVectorImpl<unsigned> &writes) {
  Operation *op = step.op;
  Type i32 = IntegerType::get(op->getContext(), 32),
       i64 = IntegerType::get(op->getContext(), 64);
  Extent one;
  auto add = [&](Type element, Extent rows, int64_t columns) {
    step.extra.push_back(addWork(element, rows, columns));
    writes.push_back(step.extra.back());
  };
  auto addPrivate = [&](Type element, Extent rows, int64_t columns) {
    step.extra.push_back(addWork(element, rows, columns));
    result.allStorages[step.extra.back()].kind = Storage::Kind::Private;
  };
  auto addWords = [&](Extent rows, int64_t columns) {
    add(i64, rows, columns);
    add(i64, rows, columns);
  };
  for (ScratchRow row : scratchRows(op))
    step.extra.push_back(addScratch(row.element, row.columns));
  if (auto plan = dyn_cast<grouped::PlanOp>(op)) {
    add(i32, one, static_cast<int64_t>(plan.getExperts()) + 1);
    result.filled[op] = step.extra.back();
  } else if (auto matmul = dyn_cast<grouped::MatmulOp>(op)) {
    if (matmul.isCombined())
      addSums(matmul, step, writes);
    addRowPanel(matmul);
  } else if (auto limit = dyn_cast<grouped::LimitOp>(op)) {
    Extent rows = extents.of(limit.getIds());
    bool bySegment = static_cast<bool>(limit.getSegments());
    addWords(rows, sortsPairs(limit) ? limit.getIds().getType().getDimSize(1)
                   : bySegment || limit.getPriority() ? 1
                                                      : 0);
    add(i32, rows, bySegment);
    add(i32, bySegment ? rows : one, static_cast<int64_t>(limit.getExperts()));
    add(i32, rows, limit.getPlace().has_value());
  } else if (auto take = dyn_cast<grouped::TakeOp>(op)) {
    Extent rows = extents.of(take.getKey());
    bool bySegment = static_cast<bool>(take.getSegments());
    addPrivate(i64, rows, 1);
    addPrivate(i64, rows, 1);
    addPrivate(i32, rows, bySegment);
    add(i32, rows, bySegment);
    add(i64, bySegment ? rows : one, take.getKey().getType().getDimSize(1));
    add(i64, one, 1);
  } else if (auto assign = dyn_cast<grouped::AssignOp>(op)) {
    Type f32 = Float32Type::get(op->getContext());
    Extent rows = extents.of(assign.getScores());
    bool bySegment = static_cast<bool>(assign.getSegments());
    int64_t experts = assign.getScores().getType().getDimSize(1);
    addPrivate(i64, rows, 1);
    addPrivate(i64, rows, 1);
    add(i32, rows, bySegment);
    add(i32, rows, bySegment ? 2 : 0);
    for (int matrix = 0; matrix < 3; ++matrix)
      add(f32, rows, experts);
    add(f32, rows, 1);
    add(i32, rows, 1);
    add(i32, rows, 1);
    add(f32, one, 2);
    add(i64, one, 4);
  } else if (auto loss = dyn_cast<grouped::BalanceLossOp>(op)) {
    Type f64 = Float64Type::get(op->getContext());
    int64_t experts = loss.getProbabilities().getType().getDimSize(1);
    addWords(extents.of(loss.getIds()), static_cast<bool>(loss.getSegments()));
    add(f64, one, experts);
    add(f64, one, experts);
  } else if (auto size = dyn_cast<SegmentSizeOp>(op)) {
    addWords(extents.of(size.getSegments()), 1);
  }
}

} // namespace moe::cpu
