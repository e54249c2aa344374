// Where tensors lie: storages of their own, views, and the copies that readers
// need.

#include "codegen/cpu/Scheduler.h"

#include "dialect/RopeFrequencies.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace moe::cpu {

unsigned Scheduler::addStorage(Storage storage) {
  result.allStorages.push_back(storage);
  producers.emplace_back();
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
    layout.groupRows = extents.bound(storage.rows);
    layout.groupStride = storage.rowStride;
  }
  layout.storage = addStorage(storage);
  layout.strides =
      denseStrides(cast<RankedTensorType>(value.getType()), storage.rowStride);
  return layout;
}

/// A dense tensor that fills a storage.
Layout Scheduler::denseLayout(Value value, unsigned storage) const {
  Layout layout;
  layout.storage = storage;
  layout.strides = denseStrides(cast<RankedTensorType>(value.getType()),
                                result.allStorages[storage].rowStride);
  return layout;
}

/// Gives a tensor memory of its own.
void Scheduler::own(Value value) {
  if (auto target = targets.find(value); target != targets.end()) {
    result.layouts[value] = denseLayout(value, target->second);
    return;
  }
  Storage storage;
  storage.element = storedElement(value);
  storage.rowStride = storedStride(value, storage.element);
  result.layouts[value] = place(value, storage);
}

void Scheduler::ownPacked(grouped::PackOp op) {
  Storage storage;
  storage.element = IntegerType::get(op.getContext(), 8);
  storage.rowStride = packedLayout(op.getPacked().getType(), level).bytes();
  Layout layout;
  auto target = targets.find(op.getPacked());
  layout.storage =
      target == targets.end() ? addStorage(storage) : target->second;
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

void Scheduler::copyTo(Value value, unsigned target) {
  Step step;
  step.kind = Step::Kind::Copy;
  step.value = value;
  step.from = result.layouts[value];
  step.to = denseLayout(value, target);
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
           kind != OpKind::Scalar && kind != OpKind::Flow &&
           !user->hasTrait<OpTrait::IsTerminator>();
  });
}

LogicalResult Scheduler::visitView(Operation *op) {
  Value source = op->getOperand(0), view = op->getResult(0);
  if (!result.layouts.contains(source))
    return op->emitOpError("views a tensor without contents");
  if (auto trace = dyn_cast<grouped::TraceOp>(op)) {
    visitTrace(trace);
    return success();
  }
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

/// Recording and replacing are a matter of addresses, chosen when the function
/// is entered: what is recorded is made where the caller wants it, and what is
/// replaced is read from where the caller has it. Nothing is copied, except
/// what has no dense memory of its own, or another one than at the entry.
void Scheduler::visitTrace(grouped::TraceOp op) {
  Value input = op.getInput();
  RankedTensorType type = op.getInput().getType();
  Layout from = result.layouts[input];
  if (!llvm::is_contained(traced, op)) {
    result.layouts[op.getResult()] = from;
    return;
  }
  const Storage &made = result.storage(from.storage);
  bool whole = from.offset == 0 && from.sameRows &&
               made.rowStride == rowElements(type) && isDense(type, from) &&
               made.rows == extents.of(input) &&
               made.element == type.getElementType();
  if (!whole || made.recordedBy >= 0 || made.kind == Storage::Kind::Constant ||
      made.kind == Storage::Kind::Traced || swapped.contains(from.storage))
    from = copy(input, from, rowElements(type));
  unsigned number = llvm::find(traced, op) - traced.begin();
  Storage used = result.storage(from.storage);
  result.allStorages[from.storage].recordedBy = static_cast<int>(number);
  kept.push_back(from.storage);
  stopWaiting(Access{from.storage, Reach::Whole}, nullptr, 0);
  used.kind = Storage::Kind::Traced;
  used.number = number;
  used.source = from.storage;
  Layout layout = from;
  layout.storage = addStorage(used);
  result.layouts[op.getResult()] = layout;
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

/// Gives a matmul its rows in the form that its kernel multiplies.
void Scheduler::prepareInput(grouped::MatmulOp op) {
  Value input = op.getInput();
  Family family = familyOf(op);
  if (family == Family::Int8Dot || family == Family::Int16Dot) {
    auto [made, fresh] = quantizedRows.try_emplace(input);
    if (fresh)
      made->second = quantizeInput(op);
    result.prepared[op] = made->second;
    return;
  }
  Type element = result.multipliedElement(op);
  auto made = copiedRows.find({input, element});
  if (made == copiedRows.end()) {
    if (result.storageOf(input).element == element && !rowsCollide(op))
      return;
    made =
        copiedRows.try_emplace({input, element}, copyInput(op, element)).first;
  }
  result.prepared[op] = made->second;
}

Schedule::Prepared Scheduler::copyInput(grouped::MatmulOp op, Type element) {
  Storage storage;
  storage.element = element;
  storage.rows = extents.of(op.getInput());
  storage.rowStride = paddedStride(op.getInput().getType().getDimSize(1),
                                   elementBytes(element));
  unsigned target = addStorage(storage);
  copyTo(op.getInput(), target);
  return {target, std::nullopt};
}

/// Entries of 8 bits (Int16Dot: in 16 bits) up to the last step of K, whatever
/// is beyond K, and a scale for each row.
Schedule::Prepared Scheduler::quantizeInput(grouped::MatmulOp op) {
  Value input = op.getInput();
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
  unsigned made = addStorage(rows), scale = addStorage(scales);
  Step step;
  step.kind = Step::Kind::Quantize;
  step.value = input;
  step.from = result.layouts[input];
  step.to.storage = made;
  step.extra = {scale};
  Access access{step.from.storage,
                step.from.sameRows ? Reach::Row : Reach::Whole};
  addStep(std::move(step), Phase::Kind::Rows, extents.of(input), access,
          {made, scale});
  return {made, scale};
}

} // namespace moe::cpu
