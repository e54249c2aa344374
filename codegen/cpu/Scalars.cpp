// See Scalars.h.

#include "codegen/cpu/Scalars.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace moe::cpu {

static bool isNumber(Value value) {
  return value.getType().isIntOrIndexOrFloat();
}

/// The tensor whose rows a size counts.
static Value countedTensor(Operation *op) {
  if (auto tokens = dyn_cast<TokensOp>(op))
    return tokens.getInput();
  if (auto dim = dyn_cast<tensor::DimOp>(op))
    return dim.getSource();
  return Value();
}

llvm::SetVector<Value> scalarsOf(Operation *op) {
  llvm::SetVector<Value> used, captured;
  for (Value operand : op->getOperands())
    if (isNumber(operand))
      used.insert(operand);
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  for (Value value : captured)
    if (isNumber(value))
      used.insert(value);
  return used;
}

void forEachSource(Value scalar, const Extents &extents,
                   llvm::function_ref<void(Value)> visit) {
  SmallVector<Value> left = {scalar};
  llvm::SmallDenseSet<Value, 8> seen;
  while (!left.empty()) {
    Value current = left.pop_back_val();
    Operation *op = current.getDefiningOp();
    if (!op || !seen.insert(current).second)
      continue;
    if (kindOf(op) == OpKind::Flow) { // every thread has it behind the flow
      visit(cast<OpResult>(current));
      continue;
    }
    if (auto extract = dyn_cast<tensor::ExtractOp>(op))
      visit(extract.getTensor());
    else if (Value tensor = countedTensor(op)) {
      Extent rows = extents.of(tensor);
      if (rows.kind == Extent::Kind::Grouped)
        visit(extents.plan(rows).getOffsets());
      continue;
    }
    llvm::append_range(left, scalarsOf(op));
  }
}

static Value isEqual(Frame &f, Value a, Value b) {
  return arith::CmpIOp::create(f.builder, f.loc, arith::CmpIPredicate::eq, a,
                               b);
}

Value emitDivision(Frame &f, Operation *op, Value dividend, Value divisor) {
  OpBuilder &b = f.builder;
  auto number = [&](int64_t value) {
    return splatConstant(b, f.loc, divisor.getType(), value, 0);
  };
  Value zero = isEqual(f, divisor, number(0));
  f.ifThen(zero, [&] { reportError(f, MOERT_CODE_DIVISION, dividend); });
  Value one = number(1);
  bool isSigned = isa<arith::DivSIOp, arith::CeilDivSIOp, arith::FloorDivSIOp,
                      arith::RemSIOp>(op);
  Value unsafe = zero, minus;
  if (isSigned) {
    minus = isEqual(f, divisor, number(-1));
    unsafe = arith::OrIOp::create(b, f.loc, zero, minus);
  }
  IRMapping mapping;
  mapping.map(op->getOperand(0), dividend);
  mapping.map(op->getOperand(1),
              Value(arith::SelectOp::create(b, f.loc, unsafe, one, divisor)));
  Value result = b.clone(*op, mapping)->getResult(0);
  result.setType(divisor.getType()); // op may be one of tensors
  if (!isSigned || isa<arith::RemSIOp>(op))
    return result;
  Value negated = arith::SubIOp::create(b, f.loc, number(0), dividend);
  return arith::SelectOp::create(b, f.loc, minus, negated, result);
}

/// An element that exists, or 0 after an error.
static Value emitExtract(Frame &f, tensor::ExtractOp op) {
  OpBuilder &b = f.builder;
  RankedTensorType type = op.getTensor().getType();
  Ref ref = f.ref(op.getTensor());
  Value address, allInside;
  for (auto [d, operand] : llvm::enumerate(op.getIndices())) {
    Value index = f.scalars.lookup(operand);
    Value size = type.isDynamicDim(d)
                     ? f.extent(f.schedule.extents().of(op.getTensor()))
                     : f.constant(type.getDimSize(d));
    Value inside = f.is(Frame::Compare::ult, index, size);
    Value outside = arith::XOrIOp::create(
        b, f.loc, inside, arith::ConstantIntOp::create(b, f.loc, 1, 1));
    f.ifThen(outside, [&] { reportError(f, MOERT_CODE_INDEX, {index, size}); });
    allInside = allInside
                    ? Value(arith::AndIOp::create(b, f.loc, allInside, inside))
                    : inside;
    address = d == 0 ? f.wholeRowAddress(ref, index)
                     : f.add(address, f.mul(index, ref.layout.strides[d]));
  }
  if (!address)
    return f.loadScalar(ref, f.rowAddress(ref, f.constant(0)));
  auto choice = scf::IfOp::create(b, f.loc, ref.type, allInside,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(b, f.loc, f.loadScalar(ref, address));
  b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(b, f.loc, splatConstant(b, f.loc, ref.type, 0, 0));
  return choice.getResult(0);
}

/// Functions such as exp are the code of vectors, so that a number is the same
/// in both.
static Value emitOnLanes(Frame &f, Operation *op) {
  IRMapping mapping;
  for (Value operand : op->getOperands())
    mapping.map(operand, vector::BroadcastOp::create(
                             f.builder, f.loc, f.vectorOf(operand.getType()),
                             f.scalars.lookup(operand)));
  emitOnVectors(f.builder, f.loc, op, mapping, f.lanes);
  return vector::ExtractOp::create(f.builder, f.loc,
                                   mapping.lookup(op->getResult(0)), 0);
}

Value emitScalar(Frame &f, Value scalar) {
  if (Value known = f.scalars.lookupOrNull(scalar))
    return known;
  Operation *op = scalar.getDefiningOp();
  for (Value used : scalarsOf(op))
    emitScalar(f, used);
  Value result;
  if (Value tensor = countedTensor(op)) {
    result = f.extent(f.schedule.extents().of(tensor));
  } else if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
    result = emitExtract(f, extract);
  } else if (auto capacity = dyn_cast<CapacityOp>(op)) {
    Value tokens =
        convertNumber(f.builder, f.loc, f.scalars.lookup(capacity.getTokens()),
                      f.builder.getI64Type());
    result = f.toIndex(emitCapacity(f, capacity, tokens));
  } else if (mayTrap(op)) {
    result = emitDivision(f, op, f.scalars.lookup(op->getOperand(0)),
                          f.scalars.lookup(op->getOperand(1)));
  } else if (isa<arith::FPToSIOp, arith::FPToUIOp>(op) ||
             isa<MoeDialect>(op->getDialect()) ||
             op->getName().getDialectNamespace() == "math") {
    result = emitOnLanes(f, op);
  } else {
    f.builder.clone(*op, f.scalars);
    return f.scalars.lookup(scalar);
  }
  f.scalars.map(scalar, result);
  return result;
}

void emitScalarsOf(Frame &f, const Step &step) {
  if (step.kind == Step::Kind::Number)
    emitScalar(f, step.value);
  if (step.kind == Step::Kind::Compute)
    for (Value scalar : scalarsOf(step.op))
      emitScalar(f, scalar);
}

void emitEarlyScalars(Frame &f, func::FuncOp source) {
  for (BlockArgument argument : source.getArguments())
    if (isNumber(argument)) {
      Ref ref = f.ref(argument);
      ref.type = argument.getType();
      f.scalars.map(argument, f.loadScalar(ref, f.constant(0)));
    }
  for (Operation &op : source.front().without_terminator()) {
    if (kindOf(&op) != OpKind::Scalar)
      continue;
    bool early = true;
    forEachSource(op.getResult(0), f.schedule.extents(), [&](Value tensor) {
      Storage::Kind kind = f.schedule.storageOf(tensor).kind;
      early &=
          kind == Storage::Kind::Argument || kind == Storage::Kind::Constant;
    });
    if (early)
      emitScalar(f, op.getResult(0));
  }
}

} // namespace moe::cpu
