// A step goes into the earliest phase of its kind after everything it reads;
// row steps over the same rows share a phase, and what only they use stays in a
// row of scratch.

#include "codegen/cpu/Scheduler.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Matmul.h"
#include "codegen/cpu/Scalars.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace moe::cpu {

PackedLayout packedLayout(grouped::PackedType type, const Level &level) {
  PackedLayout layout;
  layout.experts = type.getGroups();
  layout.outputs = type.getOutputs();
  layout.inputs = type.getInputs();
  layout.weights = type.getWeights();
  layout.element = type.getElementType();
  if (layout.element.isF64()) // sums are f32 anyway
    layout.element = Float32Type::get(type.getContext());
  layout.level = level;
  return layout;
}

bool Schedule::packs() const {
  return llvm::any_of(sequences, [](const std::vector<Phase> &phases) {
    return llvm::any_of(phases, [](const Phase &phase) {
      return phase.kind == Phase::Kind::Pack;
    });
  });
}

Layout Schedule::matmulInput(grouped::MatmulOp op) const {
  auto other = prepared.find(op);
  if (other == prepared.end())
    return layout(op.getInput());
  Layout result;
  result.storage = other->second.rows;
  result.strides = {storage(result.storage).rowStride, 1};
  return result;
}

Type Schedule::multipliedElement(grouped::MatmulOp op) const {
  PackedLayout packed = packedLayout(op.getWeights().getType(), *machine);
  if (chooseFamily(packed, op.getInput().getType()) == Family::Bf16Dot)
    return op.getInput().getType().getElementType();
  return Float32Type::get(op.getContext());
}

std::optional<unsigned> Schedule::matmulScales(grouped::MatmulOp op) const {
  auto other = prepared.find(op);
  return other == prepared.end() ? std::nullopt : other->second.scales;
}

/// The first phase that may do a step: behind what it reads, or together with
/// it.
unsigned Scheduler::earliest(const Work &work) const {
  const std::vector<Phase> &phases = result.sequences[sequence];
  unsigned first = 0;
  for (const Access &access : work.accesses) {
    int made = producerOf(access.storage);
    if (made < 0)
      continue;
    const Phase &producer = phases[made];
    bool sameTask =
        producer.kind == work.kind &&
        (work.kind == Phase::Kind::Serial ||
         (work.kind == Phase::Kind::Rows && producer.rows == work.rows &&
          access.reach == Reach::Row));
    first = std::max<unsigned>(first, sameTask ? made : made + 1);
  }
  return first;
}

/// Puts a step into a phase of its kind from `first` on, a new one if need be.
void Scheduler::schedule(Work work, unsigned first) {
  std::vector<Phase> &phases = result.sequences[sequence];
  bool shared =
      work.kind == Phase::Kind::Rows || work.kind == Phase::Kind::Serial;
  unsigned number = phases.size();
  for (unsigned i = first; shared && i < phases.size(); ++i)
    if (phases[i].kind == work.kind && phases[i].rows == work.rows) {
      number = i;
      break;
    }
  if (number == phases.size()) {
    phases.emplace_back();
    phases.back().kind = work.kind;
    phases.back().rows = work.rows;
  }
  for (const Access &access : work.accesses)
    records[sequence].reads.push_back(
        {access.storage, producerOf(access.storage), number, access.reach});
  for (unsigned storage : work.writes)
    write(storage, number);
  phases[number].steps.push_back(std::move(work.step));
}

/// Row steps that read nothing computed wait for their first reader, so that
/// they can share its phase and do not fill memory before.
bool Scheduler::canWait(const Work &work) const {
  return work.kind == Phase::Kind::Rows &&
         llvm::all_of(work.accesses,
                      [&](Access access) {
                        return waiting.contains(access.storage) ||
                               producerOf(access.storage) < 0;
                      }) &&
         llvm::all_of(work.writes, [&](unsigned storage) {
           return result.allStorages[storage].kind ==
                      Storage::Kind::Workspace &&
                  !llvm::is_contained(kept, storage);
         });
}

/// Schedules what waits for a reader of these storages. `reader`: the work that
/// reads, or null; `first`: its first phase.
void Scheduler::stopWaiting(ArrayRef<Access> accesses, const Work *reader,
                            unsigned first) {
  for (const Access &access : accesses) {
    auto found = waiting.find(access.storage);
    if (found == waiting.end())
      continue;
    Work work = *found->second;
    for (unsigned storage : work.writes)
      waiting.erase(storage);
    unsigned from = first;
    bool together = reader && reader->kind == Phase::Kind::Rows &&
                    reader->rows == work.rows && access.reach == Reach::Row;
    if (!together) { // the last one before
      from = 0;
      for (auto [i, phase] : llvm::enumerate(result.sequences[sequence]))
        if (phase.kind == Phase::Kind::Rows && phase.rows == work.rows)
          from = i;
    }
    stopWaiting(work.accesses, &work, from);
    from = std::max(from, earliest(work));
    schedule(std::move(work), from);
  }
}

void Scheduler::addStep(Step step, Phase::Kind kind, Extent rows,
                        ArrayRef<Access> accesses, ArrayRef<unsigned> writes) {
  if (nest) {
    nest->steps->push_back(std::move(step));
    return;
  }
  if (kind != Phase::Kind::Rows)
    rows = Extent{};
  Work work{std::move(step), kind, rows, SmallVector<Access>(accesses),
            SmallVector<unsigned>(writes)};
  for (Access &access : work.accesses)
    access.storage = madeAt(access.storage);
  if (canWait(work)) {
    auto shared = std::make_shared<Work>(std::move(work));
    for (unsigned storage : writes)
      waiting[storage] = shared;
    return;
  }
  unsigned first = earliest(work);
  stopWaiting(work.accesses, &work, first);
  first = std::max(first, earliest(work));
  schedule(std::move(work), first);
}

LogicalResult Scheduler::requireContents(Operation *user, Value value) {
  if (result.layouts.contains(value))
    return success();
  return user->emitOpError("reads a tensor without contents");
}

/// All that `op` reads has contents.
LogicalResult Scheduler::requireReads(Operation *op) {
  LogicalResult ready = success();
  forEachRead(op, extents, [&](Value value, Reach) {
    if (succeeded(ready))
      ready = requireContents(op, value);
  });
  return ready;
}

LogicalResult Scheduler::visitLoop(grouped::LoopOp op, Step &step) {
  auto plan = op.getOffsets().getDefiningOp<grouped::PlanOp>();
  for (auto [number, body] : llvm::enumerate(op.getBodies())) {
    step.bodies.emplace_back();
    std::vector<Step> steps;
    nest = Nest{&steps, static_cast<int64_t>(plan.getExperts()),
                extents.of(plan.getTokens())};
    auto arguments = body.getArguments();
    for (auto [argument, operand] : llvm::zip(arguments, op.getRows())) {
      Layout layout = result.layouts[operand]; // a new entry may move the old
      result.layouts[argument] = layout;
    }
    int64_t begin = op.getBounds()[number];
    auto each = arguments.drop_front(op.getRows().size());
    for (auto [argument, operand] :
         llvm::zip_equal(each, op.getEachOf(number))) {
      Layout layout = result.layouts[operand];
      layout.groupRows = Extent{};
      layout.groupStride = layout.strides.front();
      layout.offset -= begin * layout.groupStride;
      layout.strides.erase(layout.strides.begin());
      result.layouts[argument] = layout;
    }
    for (Operation &inner : body.front().without_terminator()) {
      if (isa<grouped::LoopOp, grouped::PlanOp, grouped::MatmulOp,
              grouped::PackOp, grouped::LimitOp, grouped::TakeOp,
              grouped::AssignOp, grouped::BalanceLossOp, SegmentSizeOp,
              scf::ForOp, scf::WhileOp, scf::IfOp>(inner))
        return inner.emitOpError("inside a loop over groups is not supported "
                                 "in CPU code");
      if (failed(visit(&inner)))
        return failure();
    }
    // What the body yields is copied to where the results lie.
    for (auto [value, out] : llvm::zip_equal(
             body.front().getTerminator()->getOperands(), op.getResults())) {
      if (failed(requireContents(op, value)))
        return failure();
      Step copy;
      copy.kind = Step::Kind::Copy;
      copy.value = value;
      copy.from = result.layouts[value];
      copy.to = result.layouts[out];
      if (out.getResultNumber() >= op.getNumRowResults()) {
        copy.to.groupRows = Extent{};
        copy.to.groupStride = copy.to.strides.front();
        copy.to.strides.erase(copy.to.strides.begin());
      }
      steps.push_back(copy);
    }
    step.bodies.back() = std::move(steps);
    nest.reset();
  }
  return success();
}

LogicalResult Scheduler::visit(Operation *op) {
  OpKind kind = kindOf(op);
  switch (kind) {
  case OpKind::Unsupported:
    return op->emitOpError("cannot be compiled for the CPU");
  case OpKind::Scalar:
    return success();
  case OpKind::Constant:
    ownConstant(op);
    return success();
  case OpKind::View:
    return visitView(op);
  case OpKind::Flow:
    return visitFlow(op);
  case OpKind::Row:
  case OpKind::Serial:
  case OpKind::Team:
  case OpKind::Matmul:
  case OpKind::Pack:
  case OpKind::Loop:
    break;
  }

  if (failed(requireReads(op)))
    return failure();
  auto matmul = dyn_cast<grouped::MatmulOp>(op);
  if (matmul)
    prepareInput(matmul);

  Step step;
  step.op = op;
  if (auto pack = dyn_cast<grouped::PackOp>(op))
    ownPacked(pack);
  else
    for (Value value : op->getResults())
      own(value);
  SmallVector<unsigned> writes;
  for (Value value : op->getResults())
    writes.push_back(result.layouts[value].storage);

  addExtras(step, writes);

  SmallVector<Access> accesses;
  forEachRead(op, extents, [&](Value value, Reach reach) {
    const Layout &layout = result.layouts[value];
    if (!layout.sameRows)
      reach = Reach::Whole;
    accesses.push_back({layout.storage, reach});
  });
  if (matmul) {
    accesses.push_back({result.matmulInput(matmul).storage, Reach::Whole});
    if (std::optional<unsigned> scales = result.matmulScales(matmul))
      accesses.push_back({*scales, Reach::Whole});
    if (matmul.getOffsets())
      if (auto plan = matmul.getOffsets().getDefiningOp<grouped::PlanOp>())
        accesses.push_back({result.filled[plan], Reach::Whole});
  }
  if (auto loop = dyn_cast<grouped::LoopOp>(op)) {
    unsigned first = result.allStorages.size();
    if (failed(visitLoop(loop, step)))
      return failure();
    inLoop[op] = {first, result.allStorages.size()};
  }

  switch (kind) {
  case OpKind::Serial:
    addStep(std::move(step), Phase::Kind::Serial, Extent{}, accesses, writes);
    break;
  case OpKind::Team:
    addStep(std::move(step), Phase::Kind::Team, Extent{}, accesses, writes);
    break;
  case OpKind::Matmul:
    addStep(std::move(step), Phase::Kind::Matmul, Extent{}, accesses, writes);
    break;
  case OpKind::Pack:
    addStep(std::move(step), Phase::Kind::Pack, Extent{}, accesses, writes);
    break;
  case OpKind::Loop:
    addStep(std::move(step), Phase::Kind::Loop, Extent{}, accesses, writes);
    break;
  default: // Row; the others returned above
    addStep(std::move(step), Phase::Kind::Rows, extents.of(rowsOf(op)),
            accesses, writes);
  }
  return success();
}

/// Lets operations of a block write straight to where their values go.
void Scheduler::aim(Block &block, ValueRange values,
                    ArrayRef<unsigned> storages) {
  for (auto [value, storage] : llvm::zip_equal(values, storages)) {
    Operation *op = value.getDefiningOp();
    if (!op || op->getBlock() != &block)
      continue;
    OpKind kind = kindOf(op);
    if (kind != OpKind::View && kind != OpKind::Constant &&
        kind != OpKind::Scalar && kind != OpKind::Flow)
      targets.try_emplace(value, storage);
  }
}

/// Copies the tensors there that no operation has written there.
LogicalResult Scheduler::deliver(Operation *terminator, ValueRange values,
                                 ArrayRef<unsigned> storages) {
  for (auto [number, value] : llvm::enumerate(values)) {
    auto direct = targets.find(value);
    if ((direct != targets.end() && direct->second == storages[number]) ||
        !isa<RankedTensorType>(value.getType()))
      continue;
    if (!result.layouts.contains(value))
      return terminator->emitOpError("returns result ")
             << number << " without contents";
    copyTo(value, storages[number]);
  }
  return success();
}

/// A number for the caller.
void Scheduler::deliverNumber(Value number, unsigned storage) {
  Step step;
  step.kind = Step::Kind::Number;
  step.value = number;
  step.to.storage = storage;
  addStep(std::move(step), Phase::Kind::Serial, Extent{}, sourcesOf(number),
          storage);
}

/// How many rows a result has got, for the caller.
void Scheduler::deliverRowCount(Value value, unsigned number) {
  Storage storage;
  storage.kind = Storage::Kind::RowCount;
  storage.number = number;
  storage.element = IndexType::get(function.getContext());
  storage.rowStride = 1;
  Step step;
  step.kind = Step::Kind::RowCount;
  step.value = value;
  step.to.storage = addStorage(storage);
  Value offsets = extents.plan(extents.of(value)).getOffsets();
  Access access{result.layout(offsets).storage, Reach::Whole};
  unsigned target = step.to.storage;
  addStep(std::move(step), Phase::Kind::Serial, Extent{}, access, target);
}

SmallVector<Scheduler::Access> Scheduler::sourcesOf(Value number) const {
  SmallVector<Access> sources;
  forEachSource(number, extents, [&](Value source) {
    sources.push_back({result.layout(source).storage, Reach::Whole});
  });
  return sources;
}

FailureOr<Schedule> Scheduler::run() {
  traced = tracedTensors(function, extents);
  for (BlockArgument argument : function.getArguments()) {
    Storage storage;
    storage.kind = Storage::Kind::Argument;
    storage.number = argument.getArgNumber();
    Layout layout;
    if (auto type = dyn_cast<RankedTensorType>(argument.getType())) {
      storage.element = type.getElementType();
      storage.rows = extents.of(argument);
      storage.rowStride = innerRows(type) ? 0 : rowElements(type);
      layout.strides = denseStrides(type, storage.rowStride);
    } else if (isa<grouped::PackedType>(argument.getType())) {
      storage.element = IntegerType::get(function.getContext(), 8);
    } else { // a number
      storage.element = argument.getType();
    }
    layout.storage = addStorage(storage);
    result.layouts[argument] = layout;
  }
  Block &body = function.front();
  ValueRange values = body.getTerminator()->getOperands();
  SmallVector<unsigned> storages;
  for (auto [number, value] : llvm::enumerate(values)) {
    Storage storage;
    storage.kind = Storage::Kind::Result;
    storage.number = number;
    storage.element = IntegerType::get(function.getContext(), 8); // packed
    storage.rowStride = 1;
    if (!isa<grouped::PackedType>(value.getType())) {
      storage.element = getElementTypeOrSelf(value.getType());
      storage.rows = extents.of(value);
    }
    if (auto type = dyn_cast<RankedTensorType>(value.getType()))
      storage.rowStride = rowElements(type);
    storages.push_back(addStorage(storage));
  }
  aim(body, values, storages);
  for (Operation &op : body.without_terminator())
    if (failed(visit(&op)))
      return failure();
  if (failed(deliver(body.getTerminator(), values, storages)))
    return failure();
  for (auto [value, storage] : llvm::zip_equal(values, storages))
    if (value.getType().isIntOrIndexOrFloat())
      deliverNumber(value, storage);
  for (auto [number, value] : llvm::enumerate(values))
    if (extents.of(value).kind == Extent::Kind::Grouped)
      deliverRowCount(value, number);
  finish();
  return std::move(result);
}

FailureOr<Schedule> Schedule::create(func::FuncOp function,
                                     const Extents &extents,
                                     const Level &level) {
  return Scheduler(function, extents, level).run();
}

} // namespace moe::cpu
