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

Extent Schedule::bound(Extent extent) const {
  if (extent.kind != Extent::Kind::Grouped)
    return extent;
  grouped::PlanOp plan = rows->plan(extent);
  Extent result = bound(rows->of(plan.getIds()));
  result.factor *= plan.getIds().getType().getDimSize(1) * extent.factor;
  return result;
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

unsigned Scheduler::phaseFor(Phase::Kind kind, Extent rows,
                             ArrayRef<Access> accesses) {
  bool shared = kind == Phase::Kind::Rows || kind == Phase::Kind::Serial;
  unsigned earliest = 0;
  std::vector<Phase> &phases = result.sequences[sequence];
  for (const Access &access : accesses) {
    int made = producerOf(access.storage);
    if (made < 0)
      continue;
    const Phase &producer = phases[made];
    bool sameTask = shared && producer.kind == kind &&
                    (kind == Phase::Kind::Serial ||
                     (producer.rows == rows && access.reach == Reach::Row));
    earliest = std::max<unsigned>(earliest, sameTask ? made : made + 1);
  }
  if (shared)
    for (unsigned i = earliest; i < phases.size(); ++i)
      if (phases[i].kind == kind && phases[i].rows == rows)
        return i;
  Phase phase;
  phase.kind = kind;
  phase.rows = rows;
  phases.push_back(phase);
  return phases.size() - 1;
}

void Scheduler::addStep(Step step, Phase::Kind kind, Extent rows,
                        ArrayRef<Access> accesses, ArrayRef<unsigned> writes) {
  if (nest) {
    nest->steps->push_back(std::move(step));
    return;
  }
  if (kind != Phase::Kind::Rows)
    rows = Extent{};
  SmallVector<Access> made(accesses);
  for (Access &access : made)
    access.storage = madeAt(access.storage);
  unsigned phase = phaseFor(kind, rows, made);
  for (const Access &access : made)
    records[sequence].reads.push_back(
        {access.storage, producerOf(access.storage), phase, access.reach});
  for (unsigned storage : writes)
    write(storage, phase);
  result.sequences[sequence][phase].steps.push_back(std::move(step));
}

LogicalResult Scheduler::requireContents(Operation *user, Value value) {
  if (result.layouts.contains(value))
    return success();
  return user->emitOpError("reads a tensor without contents");
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

  LogicalResult ready = success();
  forEachRead(op, extents, [&](Value value, Reach) {
    if (succeeded(ready))
      ready = requireContents(op, value);
  });
  if (failed(ready))
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
  finish();
  return std::move(result);
}

FailureOr<Schedule> Schedule::create(func::FuncOp function,
                                     const Extents &extents,
                                     const Level &level) {
  return Scheduler(function, extents, level).run();
}

} // namespace moe::cpu
