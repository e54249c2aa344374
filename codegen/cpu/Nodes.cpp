// Every node has task counters of its own. With one node all of this is a loop
// of one iteration.

#include "codegen/cpu/Nodes.h"

#include "codegen/cpu/Call.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

static Value toI64(Frame &f, Value index) {
  return arith::IndexCastOp::create(f.builder, f.loc, f.builder.getI64Type(),
                                    index);
}

static Value draw(Frame &f, Value address) {
  Value one = arith::ConstantIntOp::create(f.builder, f.loc, 1, 64);
  Value drawn =
      memref::AtomicRMWOp::create(f.builder, f.loc, arith::AtomicRMWKind::addi,
                                  one, f.counters, ValueRange{address});
  return f.toIndex(drawn);
}

static Value presenceAddress(Frame &f, Value node) {
  return f.counterAddress(f.constant(f.schedule.counters()), node);
}

void emitNode(Frame &f, bool present) {
  OpBuilder &b = f.builder;
  Type index = b.getIndexType(), i64 = b.getI64Type();
  auto several =
      scf::IfOp::create(b, f.loc, index, f.less(f.constant(1), f.nodes),
                        /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(several.thenBlock());
    SmallVector<Value> operands = {contextField(f, ContextField::Node),
                                   f.context, toI64(f, f.thread)};
    auto type = LLVM::LLVMFunctionType::get(i64, {f.context.getType(), i64});
    Value node =
        f.toIndex(LLVM::CallOp::create(b, f.loc, type, operands).getResult());
    node = arith::MinUIOp::create(b, f.loc, node, f.add(f.nodes, -1));
    if (present) {
      draw(f, presenceAddress(f, node));
      omp::BarrierOp::create(b, f.loc);
    }
    scf::YieldOp::create(b, f.loc, node);
    b.setInsertionPointToStart(several.elseBlock());
    scf::YieldOp::create(b, f.loc, f.constant(0));
  }
  f.node = several.getResult(0);
}

Value firstOfNode(Frame &f, Value node, Value count) {
  return f.ceilDiv(f.mul(node, count), f.nodes);
}

void drawTasks(Frame &f, unsigned counter, Value node, Value first, Value end,
               Frame::Body body) {
  OpBuilder &b = f.builder;
  auto loop = scf::WhileOp::create(b, f.loc, b.getIndexType(), ValueRange{});
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&loop.getBefore());
  Value number = f.constant(counter);
  if (f.counterShift)
    number = f.add(number, f.counterShift);
  Value task = f.add(first, draw(f, f.counterAddress(number, node)));
  scf::ConditionOp::create(b, f.loc, f.less(task, end), task);
  b.createBlock(&loop.getAfter(), {}, b.getIndexType(), f.loc);
  body(loop.getAfter().getArgument(0));
  scf::YieldOp::create(b, f.loc);
}

void nodeTasks(Frame &f, unsigned counter, Steal steal,
               llvm::function_ref<Value(Value)> first, Frame::Body body) {
  OpBuilder &b = f.builder;
  f.loop(f.constant(0), f.nodes, [&](Value turn) {
    Value sum = f.add(f.node, turn);
    Value node = arith::SelectOp::create(b, f.loc, f.less(sum, f.nodes), sum,
                                         f.sub(sum, f.nodes));
    Value begin = first(node), end = first(f.add(node, 1));
    if (steal == Steal::Always)
      return drawTasks(f, counter, node, begin, end, body);
    Value there = f.toIndex(memref::LoadOp::create(
        b, f.loc, f.counters, ValueRange{presenceAddress(f, node)}));
    Value own = f.less(turn, f.constant(1));
    Value empty = f.less(there, f.constant(1));
    f.ifThen(arith::OrIOp::create(b, f.loc, own, empty),
             [&] { drawTasks(f, counter, node, begin, end, body); });
  });
}

void observeTask(Frame &f, unsigned counter, Value expert, Value firstPanel,
                 Value endPanel) {
  OpBuilder &b = f.builder;
  Type i64 = b.getI64Type();
  Value observe = contextField(f, ContextField::Observe);
  f.ifThen(isGiven(f, observe), [&] {
    auto number = [&](int64_t value) -> Value {
      return arith::ConstantIntOp::create(b, f.loc, value, 64);
    };
    SmallVector<Value> operands = {observe,
                                   f.context,
                                   toI64(f, f.thread),
                                   number(counter),
                                   expert ? toI64(f, expert) : number(-1),
                                   toI64(f, firstPanel),
                                   toI64(f, endPanel)};
    SmallVector<Type> types(6, i64);
    types.front() = f.context.getType();
    auto type = LLVM::LLVMFunctionType::get(
        LLVM::LLVMVoidType::get(b.getContext()), types);
    LLVM::CallOp::create(b, f.loc, type, operands);
  });
}

bool isSpreadByPanel(grouped::MatmulOp matmul) {
  return matmul.isCombined() || !matmul.getOffsets();
}

bool isSpreadByPanel(grouped::PackOp pack) {
  // Its product may be in the entry that this prepares.
  return pack.getPacked().getType().getGroups() == 1 ||
         pack->hasAttr("moe.by_panel") ||
         (!pack->use_empty() &&
          llvm::all_of(pack->getUsers(), [](Operation *user) {
            auto matmul = dyn_cast<grouped::MatmulOp>(user);
            return matmul && isSpreadByPanel(matmul);
          }));
}

} // namespace moe::cpu
