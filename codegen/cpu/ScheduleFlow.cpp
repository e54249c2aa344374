// Loops and branches over phases: a region is a sequence of phases of its own,
// and what it yields is written to where the next iteration or the code behind
// it reads.

#include "codegen/cpu/Scalars.h"
#include "codegen/cpu/Scheduler.h"

using namespace mlir;

namespace moe::cpu {

/// A storage for each tensor that a flow hands on; nothing for numbers.
SmallVector<unsigned> Scheduler::addCarried(ValueRange values) {
  SmallVector<unsigned> storages;
  for (Value value : values) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type) {
      storages.push_back(~0u);
      continue;
    }
    Storage storage;
    storage.element = type.getElementType();
    storage.rows = extents.of(value);
    storage.rowStride = rowElements(type);
    storages.push_back(addStorage(storage));
    kept.push_back(storages.back());
  }
  return storages;
}

/// Says that tensors lie in these storages.
void Scheduler::hold(ValueRange values, ArrayRef<unsigned> storages) {
  for (auto [value, storage] : llvm::zip_equal(values, storages))
    if (isa<RankedTensorType>(value.getType()))
      result.layouts[value] = denseLayout(value, storage);
}

FailureOr<unsigned> Scheduler::visitRegion(Region &region, ValueRange yielded,
                                           ArrayRef<unsigned> storages) {
  unsigned outside = sequence, inside = result.sequences.size();
  auto copied = copiedRows;
  auto quantized = quantizedRows;
  sequence = inside;
  result.sequences.emplace_back();
  records.emplace_back();
  Block &block = region.front();
  Operation *terminator = block.getTerminator();
  aim(block, yielded, storages);
  for (Operation &op : block.without_terminator())
    if (failed(visit(&op)))
      return failure();
  if (failed(deliver(terminator, yielded, storages)))
    return failure();
  for (Value number : terminator->getOperands()) {
    if (isa<RankedTensorType>(number.getType()))
      continue;
    Step step;
    step.kind = Step::Kind::Number;
    step.value = number;
    addStep(std::move(step), Phase::Kind::Numbers, Extent{}, sourcesOf(number),
            {});
  }
  copiedRows = std::move(copied);
  quantizedRows = std::move(quantized);
  sequence = outside;
  return inside;
}

LogicalResult Scheduler::visitFor(scf::ForOp op, Phase &phase) {
  SmallVector<unsigned> now = addCarried(op.getRegionIterArgs());
  SmallVector<unsigned> next = addCarried(op.getRegionIterArgs());
  hold(op.getRegionIterArgs(), now);
  hold(op.getResults(), now);
  if (failed(deliver(op, op.getInitArgs(), now)))
    return failure();
  FailureOr<unsigned> body =
      visitRegion(op.getRegion(), op.getYieldedValues(), next);
  if (failed(body))
    return failure();
  phase.bodies = {*body};
  for (auto [a, b] : llvm::zip_equal(now, next))
    if (a != ~0u) {
      phase.carried.push_back({a, b});
      swapped.insert(a);
    }
  return success();
}

LogicalResult Scheduler::visitWhile(scf::WhileOp op, Phase &phase) {
  SmallVector<unsigned> before = addCarried(op.getBeforeArguments());
  SmallVector<unsigned> after = addCarried(op.getAfterArguments());
  hold(op.getBeforeArguments(), before);
  hold(op.getAfterArguments(), after);
  hold(op.getResults(), after);
  if (failed(deliver(op, op.getInits(), before)))
    return failure();
  FailureOr<unsigned> test =
      visitRegion(op.getBefore(), op.getConditionOp().getArgs(), after);
  if (failed(test))
    return failure();
  FailureOr<unsigned> body =
      visitRegion(op.getAfter(), op.getYieldOp().getOperands(), before);
  if (failed(body))
    return failure();
  phase.bodies = {*test, *body};
  return success();
}

LogicalResult Scheduler::visitIf(scf::IfOp op, Phase &phase) {
  SmallVector<unsigned> storages = addCarried(op.getResults());
  hold(op.getResults(), storages);
  for (Region *region : {&op.getThenRegion(), &op.getElseRegion()}) {
    if (region->empty())
      continue;
    FailureOr<unsigned> body = visitRegion(
        *region, region->front().getTerminator()->getOperands(), storages);
    if (failed(body))
      return failure();
    phase.bodies.push_back(*body);
  }
  return success();
}

LogicalResult Scheduler::visitFlow(Operation *op) {
  if (failed(requireReads(op)))
    return failure();
  SmallVector<Access> accesses;
  forEachRead(op, extents, [&](Value value, Reach) {
    accesses.push_back({madeAt(result.layout(value).storage), Reach::Whole});
  });
  stopWaiting(accesses, nullptr, 0);
  unsigned firstKept = kept.size();
  Phase phase;
  phase.kind = Phase::Kind::Flow;
  LogicalResult ready = success();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    ready = visitFor(loop, phase);
  else if (auto loop = dyn_cast<scf::WhileOp>(op))
    ready = visitWhile(loop, phase);
  else
    ready = visitIf(cast<scf::IfOp>(op), phase);
  if (failed(ready))
    return failure();

  Step step;
  step.op = op;
  phase.steps.push_back(step);
  unsigned number = result.sequences[sequence].size();
  result.sequences[sequence].push_back(phase);
  for (unsigned storage : ArrayRef(kept).drop_front(firstKept)) {
    records[sequence].reads.push_back(
        {storage, producerOf(storage), number, Reach::Whole});
    write(storage, number);
  }
  for (const Access &access : accesses)
    records[sequence].reads.push_back(
        {access.storage, producerOf(access.storage), number, Reach::Whole});
  for (Value value : op->getResults())
    if (!isa<RankedTensorType>(value.getType())) {
      Storage storage;
      storage.kind = Storage::Kind::Number;
      result.layouts[value].storage = addStorage(storage);
      write(result.layouts[value].storage, number);
    }
  return success();
}

} // namespace moe::cpu
