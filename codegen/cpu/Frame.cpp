// See Frame.h.

#include "codegen/cpu/Frame.h"

#include "codegen/cpu/Nodes.h"
#include "codegen/cpu/VectorAccess.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

Value Frame::min(Value a, Value b) {
  return arith::MinSIOp::create(builder, loc, a, b);
}
Value Frame::max(Value a, Value b) {
  return arith::MaxSIOp::create(builder, loc, a, b);
}
Value Frame::toIndex(Value integer) {
  return convertNumber(builder, loc, integer, builder.getIndexType());
}
Value Frame::less(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, a, b);
}
VectorType Frame::vectorOf(Type element) {
  return VectorType::get({lanes}, element);
}

Ref Frame::ref(Value tensor, const Layout &layout) {
  const Storage &storage = schedule.storage(layout.storage);
  Ref ref;
  ref.layout = layout;
  ref.scratch = storage.kind == Storage::Kind::Scratch;
  if (storage.value && storage.value.isSplat())
    ref.splat = storage.value.getSplatValue<Attribute>();
  ref.memref = memrefs[layout.storage]; // none where a splat is enough
  if (auto type = dyn_cast<RankedTensorType>(tensor.getType())) {
    ref.type = type.getElementType();
    ref.rowElements = rowElements(type);
    ref.groupRows = schedule.extents().of(tensor).kind == Extent::Kind::Group;
  } else {
    ref.type = storage.element;
  }
  return ref;
}

Ref Frame::ref(Value tensor) { return ref(tensor, schedule.layout(tensor)); }

Ref Frame::ref(unsigned storage, Type type) {
  Ref ref;
  ref.memref = memrefs[storage];
  ref.type = type;
  ref.layout.storage = storage;
  ref.layout.strides = {schedule.storage(storage).rowStride, 1};
  ref.rowElements = schedule.storage(storage).rowStride;
  ref.scratch = schedule.storage(storage).kind == Storage::Kind::Scratch;
  return ref;
}

Value Frame::rowAddress(const Ref &ref, Value row) {
  Value address = constant(ref.layout.offset);
  if (ref.layout.groupStride != 0) {
    Value rows = mul(extent(ref.layout.groupRows), group);
    address = add(address, mul(rows, ref.layout.groupStride));
  }
  if (ref.scratch || ref.layout.strides.empty())
    return address;
  return add(address, mul(row, ref.layout.strides.front()));
}

Value Frame::wholeRowAddress(const Ref &ref, Value row) {
  return rowAddress(ref, ref.groupRows ? add(row, groupBegin) : row);
}

Value Frame::load(const Ref &ref, Value address, int64_t count, int64_t width) {
  width = width == 0 ? lanes : width;
  if (ref.splat) {
    Type element = cast<TypedAttr>(ref.splat).getType();
    Value constant = arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(VectorType::get({width}, element),
                               ArrayRef<Attribute>{ref.splat}));
    return convertNumber(builder, loc, constant, ref.type);
  }
  Type element = cast<MemRefType>(ref.memref.getType()).getElementType();
  Value vector = loadLanes(builder, loc, VectorType::get({width}, element),
                           ref.memref, address, count);
  return convertNumber(builder, loc, vector, ref.type);
}

void Frame::store(const Ref &ref, Value address, Value vector, int64_t count) {
  Type element = cast<MemRefType>(ref.memref.getType()).getElementType();
  storeLanes(builder, loc, convertNumber(builder, loc, vector, element),
             ref.memref, address, count);
}

Value Frame::loadScalar(const Ref &ref, Value address) {
  if (ref.splat)
    return convertNumber(
        builder, loc,
        arith::ConstantOp::create(builder, loc, cast<TypedAttr>(ref.splat)),
        ref.type);
  Value value = memref::LoadOp::create(builder, loc, ref.memref, address);
  return convertNumber(builder, loc, value, ref.type);
}

void Frame::storeScalar(const Ref &ref, Value address, Value value) {
  Type element = cast<MemRefType>(ref.memref.getType()).getElementType();
  memref::StoreOp::create(builder, loc,
                          convertNumber(builder, loc, value, element),
                          ref.memref, address);
}

Value Frame::extent(Extent rows) {
  Value number;
  switch (rows.kind) {
  case Extent::Kind::Constant:
    return constant(rows.factor);
  case Extent::Kind::Input:
    number = symbols[rows.id];
    break;
  case Extent::Kind::Group:
    number = sub(groupEnd, groupBegin);
    break;
  case Extent::Kind::Grouped: {
    grouped::PlanOp plan = schedule.extents().plan(rows);
    number = toIndex(
        loadScalar(ref(plan.getOffsets()), constant(plan.getExperts())));
    break;
  }
  }
  Value part = div(mul(number, rows.factor), rows.divisor);
  return add(mul(part, rows.times), rows.more);
}

std::pair<Value, Value> Frame::rowRange(Value tensor) {
  Extent rows = schedule.extents().of(tensor);
  if (rows.kind == Extent::Kind::Group)
    return {groupBegin, groupEnd};
  return {constant(0), extent(rows)};
}

void Frame::loop(Value begin, Value end, Body body) {
  loop(begin, end, 1, body);
}

void Frame::loop(int64_t count, Body body) {
  if (count == 1)
    body(constant(0));
  else if (count > 1)
    loop(constant(0), constant(count), body);
}

SmallVector<Value> Frame::fold(Value begin, Value end, ValueRange initial,
                               Fold body) {
  auto op = scf::ForOp::create(builder, loc, begin, end, constant(1), initial);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.getBody());
  scf::YieldOp::create(builder, loc,
                       body(op.getInductionVar(), op.getRegionIterArgs()));
  return op.getResults();
}

void Frame::ifThen(Value condition, llvm::function_ref<void()> body) {
  auto op = scf::IfOp::create(builder, loc, condition);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  body();
}

void Frame::columns(int64_t count,
                    llvm::function_ref<void(Value, int64_t)> body,
                    int64_t width) {
  width = width == 0 ? lanes : width;
  int64_t whole = count / width * width;
  if (whole <= 4 * width) {
    for (int64_t c = 0; c < whole; c += width)
      body(constant(c), width);
  } else {
    loop(constant(0), constant(whole), width,
         [&](Value column) { body(column, width); });
  }
  if (whole < count)
    body(constant(whole), count - whole);
}

SmallVector<Value> Frame::foldColumns(
    int64_t count, ValueRange initial,
    llvm::function_ref<SmallVector<Value>(Value, int64_t, ValueRange)> body) {
  SmallVector<Value> values(initial);
  int64_t whole = count / lanes * lanes;
  if (whole <= 4 * lanes) {
    for (int64_t c = 0; c < whole; c += lanes)
      values = body(constant(c), lanes, values);
  } else {
    auto op = scf::ForOp::create(builder, loc, constant(0), constant(whole),
                                 constant(lanes), values);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(op.getBody());
    scf::YieldOp::create(
        builder, loc,
        body(op.getInductionVar(), lanes, op.getRegionIterArgs()));
    values = op.getResults();
  }
  if (whole < count)
    values = body(constant(whole), count - whole, values);
  return values;
}

Value Frame::fillLanes(Value vector, int64_t count, Value other) {
  auto type = cast<VectorType>(vector.getType());
  if (count == type.getNumElements())
    return vector;
  SmallVector<bool> exists(type.getNumElements(), false);
  std::fill_n(exists.begin(), count, true);
  Value mask = arith::ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(cast<VectorType>(type.clone(builder.getI1Type())),
                             exists));
  return arith::SelectOp::create(builder, loc, mask, vector, other);
}

Value Frame::counterAddress(Value number, Value first) {
  return mul(add(mul(number, nodes), first), 8);
}

void Frame::clearCounters(Value first, Value count) {
  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 64);
  Value begin = mul(first, nodes);
  loop(begin, add(begin, mul(count, nodes)), [&](Value at) {
    memref::StoreOp::create(builder, loc, zero, counters,
                            ValueRange{mul(at, 8)});
  });
}

void Frame::tasks(unsigned counter, Value count, Body body) {
  drawTasks(*this, counter, constant(0), constant(0), count, body);
}

} // namespace moe::cpu
