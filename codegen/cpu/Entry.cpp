// See Entry.h.

#include "codegen/cpu/Entry.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Nodes.h"
#include "codegen/cpu/Phases.h"
#include "codegen/cpu/Scalars.h"
#include "codegen/cpu/Workspace.h"

#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"

using namespace mlir;

namespace moe::cpu {

namespace {

class FunctionEmitter {
public:
  FunctionEmitter(OpBuilder &builder, func::FuncOp source,
                  const Schedule &schedule, StringRef symbol, Type result)
      : builder(builder), source(source), schedule(schedule),
        frame(builder, source.getLoc(), schedule),
        pointer(LLVM::LLVMPointerType::get(builder.getContext())) {
    function = func::FuncOp::create(
        builder, source.getLoc(), symbol,
        builder.getFunctionType({pointer, pointer}, result));
    builder.setInsertionPointToStart(function.addEntryBlock());
    frame.context = function.getArgument(0);
    readSizes();
  }

  void emitBody(bool ownMemory);
  void emitSize();

private:
  void readSizes();
  void requireThat(Value condition, moert_code code, ValueRange values);
  void requireRows();
  void bindMemory(Value base);
  bool isInMemory(unsigned number);
  void bindConstant(unsigned number, const Storage &storage);
  void bindScratch(Value base, Value thread);
  void recordOutside();
  void emitRegion(Value base);
  Value at(Value base, Value offset) {
    return LLVM::GEPOp::create(
        builder, frame.loc, pointer, builder.getI8Type(), base,
        ValueRange{
            convertNumber(builder, frame.loc, offset, builder.getI64Type())});
  }
  Value code(int32_t value) {
    return arith::ConstantIntOp::create(builder, frame.loc, value, 32);
  }
  Value toI64(Value index) {
    return convertNumber(builder, frame.loc, index, builder.getI64Type());
  }

  OpBuilder &builder;
  func::FuncOp source, function;
  const Schedule &schedule;
  Frame frame;
  Type pointer;
  SmallVector<Trace> traces;
  Workspace workspace;
};

} // namespace

void FunctionEmitter::readSizes() {
  const Extents &extents = schedule.extents();
  for (unsigned symbol = 0; symbol < extents.numSymbols(); ++symbol)
    frame.symbols.push_back(argumentSize(frame, function.getArgument(1),
                                         extents.argumentOf(symbol).first,
                                         extents.argumentOf(symbol).second));
  Value threads = frame.toIndex(contextField(frame, ContextField::Threads));
  frame.threads = frame.max(threads, frame.constant(1));
  Value nodes = frame.toIndex(contextField(frame, ContextField::Nodes));
  frame.nodes = frame.max(nodes, frame.constant(1));
  workspace = layOutWorkspace(frame);
}

void FunctionEmitter::emitSize() {
  func::ReturnOp::create(builder, frame.loc, toI64(workspace.bytes));
}

/// Whether products or packing read the storage; all others can do without the
/// elements of a constant that are equal.
bool FunctionEmitter::isInMemory(unsigned number) {
  auto isThis = [&](Value operand) {
    return isa<RankedTensorType>(operand.getType()) &&
           schedule.layout(operand).storage == number;
  };
  return source
      .walk([&](Operation *op) {
        return isa<grouped::PackOp, grouped::MatmulOp>(op) &&
                       llvm::any_of(op->getOperands(), isThis)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

void FunctionEmitter::bindConstant(unsigned number, const Storage &storage) {
  if (storage.value.isSplat() && !isInMemory(number))
    return;
  DenseElementsAttr value = storage.value;
  Type memory = memoryType(storage.element);
  if (memory != storage.element)
    value = cast<DenseIntElementsAttr>(value).mapValues(
        memory, [&](const APInt &element) {
          return element.zextOrTrunc(memory.getIntOrFloatBitWidth());
        });
  int64_t count = value.getNumElements();
  value = value.reshape(RankedTensorType::get({count}, memory));
  auto type = MemRefType::get({count}, memory);
  std::string name =
      (function.getSymName() + "_constant" + Twine(number)).str();
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(function);
    memref::GlobalOp::create(builder, frame.loc, name,
                             builder.getStringAttr("private"), type, value,
                             /*constant=*/true, IntegerAttr());
  }
  Value global = memref::GetGlobalOp::create(builder, frame.loc, type, name);
  frame.memrefs[number] = memref::CastOp::create(
      builder, frame.loc, MemRefType::get({ShapedType::kDynamic}, memory),
      global);
}

void FunctionEmitter::bindMemory(Value base) {
  Value arguments = function.getArgument(1);
  frame.memrefs.resize(schedule.storages().size());
  SmallVector<Value> addresses(schedule.storages().size());
  traces = loadTraces(
      frame, llvm::count_if(schedule.storages(), [](const Storage &storage) {
        return storage.kind == Storage::Kind::Traced;
      }));
  auto either = [&](Value wanted, Value other) -> Value {
    return arith::SelectOp::create(builder, frame.loc, isGiven(frame, wanted),
                                   wanted, other);
  };
  for (auto [number, storage] : llvm::enumerate(schedule.storages())) {
    Value data;
    switch (storage.kind) {
    case Storage::Kind::Argument:
      data = argumentData(frame, arguments, storage.number);
      break;
    case Storage::Kind::Result:
      data = argumentData(frame, arguments,
                          source.getNumArguments() + storage.number);
      break;
    case Storage::Kind::RowCount:
      data = argumentSizes(frame, arguments,
                           source.getNumArguments() + storage.number);
      break;
    case Storage::Kind::Workspace:
      data = at(base, workspace.offsets[number]);
      if (storage.recordedBy >= 0)
        data = either(traces[storage.recordedBy].out, data);
      break;
    case Storage::Kind::Traced:
      data = either(traces[storage.number].in, addresses[storage.source]);
      break;
    case Storage::Kind::Scratch:
    case Storage::Kind::Private:
    case Storage::Kind::Number:
      continue;
    case Storage::Kind::Constant:
      bindConstant(number, storage);
      continue;
    }
    addresses[number] = data;
    frame.memrefs[number] =
        flatMemref(builder, frame.loc, data, storage.element);
  }
  frame.counters = flatMemref(builder, frame.loc, base, builder.getI64Type());
}

void FunctionEmitter::bindScratch(Value base, Value thread) {
  Value first =
      frame.add(workspace.scratch, frame.mul(thread, workspace.scratchBytes));
  for (auto [number, offset] : workspace.scratchOffsets)
    frame.memrefs[number] =
        flatMemref(builder, frame.loc, at(base, frame.add(first, offset)),
                   schedule.storage(number).element);
}

/// Inputs and results are the caller's already: what is recorded of them is
/// copied.
void FunctionEmitter::recordOutside() {
  for (auto [number, storage] : llvm::enumerate(schedule.storages())) {
    if (storage.recordedBy < 0 || storage.kind == Storage::Kind::Workspace)
      continue;
    Value out = traces[storage.recordedBy].out;
    frame.ifThen(isGiven(frame, out), [&] {
      Ref from = frame.ref(number, storage.element), to = from;
      to.memref = flatMemref(builder, frame.loc, out, storage.element);
      Value count = frame.mul(frame.extent(storage.rows), storage.rowStride);
      frame.loop(frame.constant(0), count, [&](Value i) {
        frame.storeScalar(to, i, frame.loadScalar(from, i));
      });
    });
  }
}

/// Goes on if the condition holds; otherwise returns an error.
void FunctionEmitter::requireThat(Value condition, moert_code error,
                                  ValueRange values) {
  Block *entry = builder.getInsertionBlock();
  Block *run = builder.createBlock(&function.getBody());
  Block *refuse = builder.createBlock(&function.getBody());
  builder.setInsertionPointToEnd(entry);
  cf::CondBranchOp::create(builder, frame.loc, condition, run, refuse);
  builder.setInsertionPointToEnd(refuse);
  reportError(frame, error, SmallVector<Value>(values));
  func::ReturnOp::create(builder, frame.loc, code(error));
  builder.setInsertionPointToEnd(run);
}

void FunctionEmitter::requireRows() {
  auto compare = [&](arith::CmpIPredicate predicate, Value a,
                     Value b) -> Value {
    return arith::CmpIOp::create(builder, frame.loc, predicate, a, b);
  };
  for (const RowCheck &check : schedule.extents().checks()) {
    Value rows = frame.extent(check.rows);
    switch (check.kind) {
    case RowCheck::Kind::Equal: {
      Value other = frame.extent(check.other);
      requireThat(compare(arith::CmpIPredicate::eq, rows, other),
                  MOERT_CODE_ROWS, {rows, other});
      break;
    }
    case RowCheck::Kind::AtLeast: {
      Value end = frame.add(frame.extent(check.other), check.number);
      requireThat(compare(arith::CmpIPredicate::sge, rows, end),
                  MOERT_CODE_INDEX, {frame.add(end, -1), rows});
      break;
    }
    case RowCheck::Kind::Multiple: {
      Value number = frame.constant(check.number);
      Value rest = frame.rem(rows, number);
      requireThat(compare(arith::CmpIPredicate::eq, rest, frame.constant(0)),
                  MOERT_CODE_SPLIT, {rows, number});
      break;
    }
    }
  }
}

void FunctionEmitter::emitRegion(Value base) {
  frame.clearCounters(frame.constant(0),
                      frame.constant(countersInMemory(schedule)));
  omp::ParallelOperands operands;
  operands.numThreads = convertNumber(builder, frame.loc, toI64(frame.threads),
                                      builder.getI32Type());
  auto parallel = omp::ParallelOp::create(builder, frame.loc, operands);
  func::FuncOp number =
      declareFunction(frame, "omp_get_thread_num", {}, {builder.getI32Type()});
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&parallel.getRegion());
  Value thread = frame.toIndex(
      func::CallOp::create(builder, frame.loc, number).getResult(0));
  frame.thread = thread;
  bindScratch(base, thread);
  emitNode(frame, schedule.packs());
  emitPhases(frame, 0, thread);
  omp::TerminatorOp::create(builder, frame.loc);
}

void FunctionEmitter::emitBody(bool ownMemory) {
  Location loc = frame.loc;
  Type i64 = builder.getI64Type();
  clearError(frame);
  Value needed = toI64(workspace.bytes);
  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 64);
  requireRows();
  Value base, given, enough;
  if (ownMemory) {
    // The workspace of a prepare step is not part of the interface.
    Value alignment =
        arith::ConstantIntOp::create(builder, loc, MOERT_ALIGNMENT, 64);
    func::FuncOp allocate =
        declareFunction(frame, "omp_aligned_alloc", {i64, i64, i64}, pointer);
    base = func::CallOp::create(builder, loc, allocate,
                                ValueRange{alignment, needed, zero})
               .getResult(0);
    given = zero;
    enough = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, base,
                                  LLVM::ZeroOp::create(builder, loc, pointer));
  } else {
    base = contextField(frame, ContextField::Workspace);
    given = contextField(frame, ContextField::WorkspaceBytes);
    enough = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge,
                                   given, needed);
  }
  requireThat(enough, MOERT_CODE_WORKSPACE, {needed, given});
  bindMemory(base);
  emitEarlyScalars(frame, source);
  emitRegion(base);
  recordOutside();
  if (ownMemory)
    func::CallOp::create(builder, loc,
                         declareFunction(frame, "omp_free", {pointer, i64}, {}),
                         ValueRange{base, zero});
  func::ReturnOp::create(builder, loc, readError(frame));
}

void emitFunction(OpBuilder &builder, func::FuncOp source,
                  const Schedule &schedule, StringRef symbol, bool ownMemory) {
  OpBuilder::InsertionGuard guard(builder);
  FunctionEmitter(builder, source, schedule, symbol, builder.getI32Type())
      .emitBody(ownMemory);
}

void emitWorkspaceFunction(OpBuilder &builder, func::FuncOp source,
                           const Schedule &schedule, StringRef symbol) {
  OpBuilder::InsertionGuard guard(builder);
  FunctionEmitter(builder, source, schedule, symbol, builder.getI64Type())
      .emitSize();
}

} // namespace moe::cpu
