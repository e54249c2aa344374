// A step goes into the earliest phase of its kind after everything it reads;
// row steps over the same rows share a phase, and what only they use stays in a
// row of scratch.

#include "codegen/cpu/Scheduler.h"

#include "codegen/cpu/Matmul.h"
#include "codegen/cpu/Scalars.h"

#include "dialect/RopeFrequencies.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
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
  Value input = op.getInput();
  PackedLayout packed = packedLayout(op.getWeights().getType(), *machine);
  auto copied = [&](unsigned number) {
    Layout result;
    result.storage = number;
    result.strides = {storage(number).rowStride, 1};
    return result;
  };
  if (packed.isQuantized())
    return copied(quantized.at(input).rows);
  auto copy = copyOf.find(op);
  return copy == copyOf.end() ? layout(input) : copied(copy->second);
}

Type Schedule::multipliedElement(grouped::MatmulOp op) const {
  PackedLayout packed = packedLayout(op.getWeights().getType(), *machine);
  if (chooseFamily(packed, op.getInput().getType()) == Family::Bf16Dot)
    return op.getInput().getType().getElementType();
  return Float32Type::get(op.getContext());
}

std::optional<unsigned> Schedule::matmulScales(grouped::MatmulOp op) const {
  if (!packedLayout(op.getWeights().getType(), *machine).isQuantized())
    return std::nullopt;
  return quantized.at(op.getInput()).scales;
}

unsigned Scheduler::addStorage(Storage storage) {
  result.allStorages.push_back(storage);
  producers.push_back(-1);
  return result.allStorages.size() - 1;
}

unsigned Scheduler::addScratch(Type element, int64_t columns) {
  Storage storage;
  storage.kind = Storage::Kind::Scratch;
  storage.element = element;
  storage.rowStride = columns;
  return addStorage(storage);
}

Family Scheduler::familyOf(grouped::MatmulOp op) const {
  return chooseFamily(packedLayout(op.getWeights().getType(), level),
                      op.getInput().getType());
}

/// Rows that only f32 kernels multiply are stored as f32 at once: more
/// precision than the text asks for, and no widening later.
Type Scheduler::storedElement(Value value) const {
  Type element = cast<RankedTensorType>(value.getType()).getElementType();
  if (!element.isBF16() && !element.isF16())
    return element;
  bool multiplied = false;
  for (Operation *user : value.getUsers()) {
    auto matmul = dyn_cast<grouped::MatmulOp>(user);
    if (!matmul || matmul.getInput() != value)
      continue;
    multiplied = true;
    if (familyOf(matmul) == Family::Bf16Dot)
      return element;
  }
  return multiplied ? Type(Float32Type::get(value.getContext())) : element;
}

/// An odd number of cache lines, so that the rows of a tile do not compete for
/// one cache set.
static int64_t paddedStride(int64_t columns, int64_t bytes) {
  int64_t lines = (columns * bytes + 63) / 64;
  return (lines | 1) * 64 / bytes;
}

int64_t Scheduler::storedStride(Value value, Type element) const {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t columns = rowElements(type);
  bool multiplied = llvm::any_of(value.getUsers(), [&](Operation *user) {
    auto matmul = dyn_cast<grouped::MatmulOp>(user);
    return matmul && matmul.getInput() == value;
  });
  if (!multiplied || type.getRank() != 2 || !type.isDynamicDim(0))
    return columns;
  return paddedStride(columns, elementBytes(element));
}

/// A dense tensor in a storage of its own, which is complete but for its rows.
Layout Scheduler::place(Value value, Storage storage) {
  storage.rows = extents.of(value);
  Layout layout;
  if (nest && storage.rows.kind == Extent::Kind::Group) {
    storage.rows = nest->grouped;
  } else if (nest) {
    storage.copies = nest->groups;
    layout.groupStride = storage.rows.factor * storage.rowStride;
  }
  layout.storage = addStorage(storage);
  layout.strides =
      denseStrides(cast<RankedTensorType>(value.getType()), storage.rowStride);
  return layout;
}

/// Gives a tensor memory of its own.
void Scheduler::own(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  Storage storage;
  if (!nest && isReturned(value)) {
    storage.element = type.getElementType();
    storage.rowStride = rowElements(type);
    storage.kind = Storage::Kind::Result;
    storage.number = returned[value];
  } else {
    storage.element = storedElement(value);
    storage.rowStride = storedStride(value, storage.element);
  }
  result.layouts[value] = place(value, storage);
}

void Scheduler::ownPacked(grouped::PackOp op) {
  Storage storage;
  storage.element = IntegerType::get(op.getContext(), 8);
  storage.rowStride = packedLayout(op.getPacked().getType(), level).bytes();
  if (isReturned(op.getPacked())) {
    storage.kind = Storage::Kind::Result;
    storage.number = returned[op.getPacked()];
  }
  Layout layout;
  layout.storage = addStorage(storage);
  result.layouts[op.getPacked()] = layout;
}

/// What a constant tensor holds; null: nothing (tensor.empty).
static DenseElementsAttr contents(Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return cast<DenseElementsAttr>(constant.getValue());
  auto frequencies = dyn_cast<RopeFrequenciesOp>(op);
  if (!frequencies)
    return {};
  // Angles are computed in f64.
  auto type = frequencies.getResult().getType().clone(
      Float64Type::get(op->getContext()));
  return DenseElementsAttr::get(type, ArrayRef(ropeFrequencies(frequencies)));
}

void Scheduler::ownConstant(Operation *op) {
  DenseElementsAttr elements = contents(op);
  if (!elements)
    return;
  Value value = op->getResult(0);
  auto type = cast<RankedTensorType>(value.getType());
  Storage storage;
  storage.kind = Storage::Kind::Constant;
  storage.element = elements.getElementType();
  storage.rows = extents.of(value);
  storage.rowStride = rowElements(type);
  storage.value = elements;
  Layout layout;
  layout.storage = addStorage(storage);
  layout.strides = denseStrides(type, storage.rowStride);
  result.layouts[value] = layout;
}

unsigned Scheduler::phaseFor(Phase::Kind kind, Extent rows,
                             ArrayRef<Access> accesses) {
  bool shared = kind == Phase::Kind::Rows || kind == Phase::Kind::Serial;
  unsigned earliest = 0;
  for (const Access &access : accesses) {
    int made = producers[access.storage];
    if (made < 0)
      continue;
    const Phase &producer = result.allPhases[made];
    bool sameTask = shared && producer.kind == kind &&
                    (kind == Phase::Kind::Serial ||
                     (producer.rows == rows && access.reach == Reach::Row));
    earliest = std::max<unsigned>(earliest, sameTask ? made : made + 1);
  }
  if (shared)
    for (unsigned i = earliest; i < result.allPhases.size(); ++i)
      if (result.allPhases[i].kind == kind && result.allPhases[i].rows == rows)
        return i;
  Phase phase;
  phase.kind = kind;
  phase.rows = rows;
  result.allPhases.push_back(phase);
  return result.allPhases.size() - 1;
}

void Scheduler::addStep(Step step, Phase::Kind kind, Extent rows,
                        ArrayRef<Access> accesses, ArrayRef<unsigned> writes) {
  if (nest) {
    nest->steps->push_back(std::move(step));
    return;
  }
  if (kind != Phase::Kind::Rows)
    rows = Extent{};
  unsigned phase = phaseFor(kind, rows, accesses);
  for (const Access &access : accesses)
    reads.push_back({access.storage, phase, access.reach});
  for (unsigned storage : writes)
    producers[storage] = phase;
  result.allPhases[phase].steps.push_back(std::move(step));
}

void Scheduler::copyTo(Value value, unsigned target) {
  Step step;
  step.kind = Step::Kind::Copy;
  step.value = value;
  step.from = result.layouts[value];
  step.to.storage = target;
  step.to.strides = denseStrides(cast<RankedTensorType>(value.getType()),
                                 result.allStorages[target].rowStride);
  Reach reach = step.from.sameRows ? Reach::Row : Reach::Whole;
  Access access{step.from.storage, reach};
  addStep(std::move(step), Phase::Kind::Rows, extents.of(value), access,
          target);
}

/// A dense copy of a tensor that lies at `from`.
Layout Scheduler::copy(Value value, const Layout &from, int64_t rowStride) {
  Storage storage;
  storage.element = storedElement(value);
  storage.rowStride = rowStride;
  Step step;
  step.kind = Step::Kind::Copy;
  step.value = value;
  step.from = from;
  step.to = place(value, storage);
  Layout to = step.to;
  Access access{from.storage, from.sameRows ? Reach::Row : Reach::Whole};
  addStep(std::move(step), Phase::Kind::Rows, extents.of(value), access,
          to.storage);
  return to;
}

/// Whether somebody reads the elements of a view by vectors.
static bool isReadDense(Value view) {
  return llvm::any_of(view.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (auto broadcast = dyn_cast<BroadcastOp>(user))
      return use.get() == broadcast.getInput();
    OpKind kind = kindOf(user);
    return kind != OpKind::View && kind != OpKind::Pack &&
           kind != OpKind::Scalar && !user->hasTrait<OpTrait::IsTerminator>();
  });
}

LogicalResult Scheduler::visitView(Operation *op) {
  Value source = op->getOperand(0), view = op->getResult(0);
  if (!result.layouts.contains(source))
    return op->emitOpError("views a tensor without contents");
  auto type = cast<RankedTensorType>(view.getType());
  Layout from = result.layouts[source];
  FailureOr<Layout> layout = viewLayout(op, from);
  if (failed(layout)) { // no strides express it
    auto dense = cast<RankedTensorType>(source.getType());
    layout = viewLayout(op, copy(source, from, rowElements(dense)));
  }
  if (!isDense(type, *layout) && isReadDense(view))
    layout = copy(view, *layout, storedStride(view, storedElement(view)));
  result.layouts[view] = *layout;
  return success();
}

LogicalResult Scheduler::requireContents(Operation *user, Value value) {
  if (result.layouts.contains(value))
    return success();
  return user->emitOpError("reads a tensor without contents");
}

/// Whether the rows of an argument lie so far apart that those of a tile
/// compete for one set of the L1 cache, and are multiplied often enough to move
/// them.
bool Scheduler::rowsCollide(grouped::MatmulOp op) const {
  const Storage &storage = result.storageOf(op.getInput());
  constexpr int64_t page = 4096; // 64 sets of 64 bytes
  return storage.kind == Storage::Kind::Argument && op.getOffsets() &&
         storage.rowBytes() % page == 0;
}

LogicalResult Scheduler::copyInput(grouped::MatmulOp op) {
  Value input = op.getInput();
  Family family = familyOf(op);
  if (family == Family::Int8Dot || family == Family::Int16Dot) {
    quantizeInput(op);
    return success();
  }
  Type element = result.multipliedElement(op);
  if (auto made = result.copies.find({input, element});
      made != result.copies.end()) {
    result.copyOf[op] = made->second;
    return success();
  }
  if (result.storageOf(input).element == element && !rowsCollide(op))
    return success();
  Storage storage;
  storage.element = element;
  storage.rows = extents.of(input);
  storage.rowStride = paddedStride(op.getInput().getType().getDimSize(1),
                                   elementBytes(element));
  unsigned target = addStorage(storage);
  result.copies[{input, element}] = result.copyOf[op] = target;
  copyTo(input, target);
  return success();
}

/// Entries of 8 bits (Int16Dot: in 16 bits) up to the last step of K, whatever
/// is beyond K, and a scale for each row.
void Scheduler::quantizeInput(grouped::MatmulOp op) {
  Value input = op.getInput();
  if (result.quantized.contains(input))
    return;
  PackedLayout packed = packedLayout(op.getWeights().getType(), level);
  Storage rows;
  rows.element = IntegerType::get(op.getContext(), level.int8Dot ? 8 : 16);
  rows.rows = extents.of(input);
  rows.rowStride =
      paddedStride(packed.rowEntries(), elementBytes(rows.element));
  Storage scales;
  scales.element = Float32Type::get(op.getContext());
  scales.rows = rows.rows;
  scales.rowStride = 1;
  Schedule::Quantized made{addStorage(rows), addStorage(scales)};
  result.quantized[input] = made;
  Step step;
  step.kind = Step::Kind::Quantize;
  step.value = input;
  step.from = result.layouts[input];
  step.to.storage = made.rows;
  step.extra = {made.scales};
  Access access{step.from.storage,
                step.from.sameRows ? Reach::Row : Reach::Whole};
  addStep(std::move(step), Phase::Kind::Rows, extents.of(input), access,
          {made.rows, made.scales});
}

LogicalResult Scheduler::visitLoop(grouped::LoopOp op, Step &step) {
  auto plan = op.getOffsets().getDefiningOp<grouped::PlanOp>();
  for (auto [number, body] : llvm::enumerate(op.getBodies())) {
    step.bodies.emplace_back();
    std::vector<Step> steps;
    nest = Nest{&steps, static_cast<int64_t>(plan.getExperts()),
                extents.of(plan.getTokens())};
    auto arguments = body.getArguments();
    for (auto [argument, operand] : llvm::zip(arguments, op.getRows()))
      result.layouts[argument] = result.layouts[operand];
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
              grouped::AssignOp, grouped::BalanceLossOp, SegmentSizeOp>(inner))
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
  if (matmul && failed(copyInput(matmul)))
    return failure();

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

/// Brings to the results what no operation has put there.
LogicalResult Scheduler::leave() {
  Operation *last = function.front().getTerminator();
  for (auto [number, value] : llvm::enumerate(last->getOperands())) {
    auto direct = returned.find(value);
    if (direct != returned.end() && direct->second == number)
      continue;
    Storage storage;
    storage.kind = Storage::Kind::Result;
    storage.number = number;
    storage.element = getElementTypeOrSelf(value.getType());
    storage.rows = extents.of(value);
    storage.rowStride = 1;
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type) {
      Step step;
      step.kind = Step::Kind::Number;
      step.value = value;
      step.to.storage = addStorage(storage);
      SmallVector<Access> sources;
      forEachSource(value, extents, [&](Value tensor) {
        sources.push_back({result.layouts[tensor].storage, Reach::Whole});
      });
      unsigned target = step.to.storage;
      addStep(std::move(step), Phase::Kind::Serial, Extent{}, sources, target);
      continue;
    }
    if (!result.layouts.contains(value))
      return last->emitOpError("returns result ")
             << number << " without contents";
    storage.rowStride = rowElements(type);
    copyTo(value, addStorage(storage));
  }
  return success();
}

FailureOr<Schedule> Scheduler::run() {
  for (BlockArgument argument : function.getArguments()) {
    Storage storage;
    storage.kind = Storage::Kind::Argument;
    storage.number = argument.getArgNumber();
    Layout layout;
    if (auto type = dyn_cast<RankedTensorType>(argument.getType())) {
      storage.element = type.getElementType();
      storage.rows = extents.of(argument);
      storage.rowStride = rowElements(type);
      layout.strides = denseStrides(type, storage.rowStride);
    } else if (isa<grouped::PackedType>(argument.getType())) {
      storage.element = IntegerType::get(function.getContext(), 8);
    } else { // a number
      storage.element = argument.getType();
    }
    layout.storage = addStorage(storage);
    result.layouts[argument] = layout;
  }
  Operation *last = function.front().getTerminator();
  for (auto [number, value] : llvm::enumerate(last->getOperands())) {
    Operation *op = value.getDefiningOp();
    if (!op)
      continue;
    OpKind kind = kindOf(op);
    if (kind != OpKind::View && kind != OpKind::Constant &&
        kind != OpKind::Scalar)
      returned.try_emplace(value, number);
  }
  for (Operation &op : function.front().without_terminator())
    if (failed(visit(&op)))
      return failure();
  if (failed(leave()))
    return failure();
  finish();
  return std::move(result);
}

FailureOr<Schedule> Schedule::create(func::FuncOp function,
                                     const Extents &extents,
                                     const Level &level) {
  return Scheduler(function, extents, level).run();
}

} // namespace moe::cpu
