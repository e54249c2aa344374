// Row, serial, loop and pack phases; MatmulPhase.cpp has the matmul.

#include "codegen/cpu/Phases.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Nodes.h"
#include "codegen/cpu/Pack.h"
#include "codegen/cpu/Rows.h"
#include "codegen/cpu/Scalars.h"
#include "codegen/cpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

/// About four tasks a thread, so that uneven ones even out, of at most 64 rows.
static void emitRowPhase(Frame &f, unsigned counter, const Phase &phase) {
  Value rows = f.extent(phase.rows);
  Value block = f.ceilDiv(f.max(rows, f.constant(1)), f.mul(f.threads, 4));
  block = f.min(block, f.constant(64));
  f.tasks(counter, f.ceilDiv(rows, block), [&](Value task) {
    Value begin = f.mul(task, block);
    Value end = f.min(f.add(begin, block), rows);
    f.loop(begin, end, [&](Value row) {
      for (const Step &step : phase.steps)
        emitRow(f, step, row);
    });
  });
}

static void emitSerialPhase(Frame &f, const Phase &phase, Value thread) {
  Value first = f.is(Frame::Compare::eq, thread, 0);
  f.ifThen(first, [&] {
    for (const Step &step : phase.steps) {
      emitScalarsOf(f, step);
      emitSerial(f, step);
    }
  });
}

void emitLoopPhase(Frame &f, unsigned counter, const Step &step) {
  auto op = cast<grouped::LoopOp>(step.op);
  auto plan = op.getOffsets().getDefiningOp<grouped::PlanOp>();
  Ref offsets = f.ref(plan.getOffsets());
  int64_t experts = static_cast<int64_t>(plan.getExperts());
  auto first = [&](Value node) {
    return firstOfNode(f, node, f.constant(experts));
  };
  nodeTasks(f, counter, Steal::Always, first, [&](Value group) {
    f.group = group;
    f.groupBegin = f.toIndex(f.loadScalar(offsets, group));
    f.groupEnd = f.toIndex(f.loadScalar(offsets, f.add(group, 1)));
    for (auto [number, body] : llvm::enumerate(step.bodies)) {
      auto emitBody = [&, &body = body] {
        IRMapping outside = f.scalars;
        for (const Step &inner : body) {
          emitScalarsOf(f, inner);
          bool serial = inner.kind == Step::Kind::Compute &&
                        kindOf(inner.op) == OpKind::Serial;
          if (serial) {
            emitSerial(f, inner);
            continue;
          }
          Value tensor = inner.kind == Step::Kind::Compute ? rowsOf(inner.op)
                                                           : inner.value;
          auto [begin, end] = f.rowRange(tensor);
          f.loop(begin, end, [&](Value row) { emitRow(f, inner, row); });
        }
        f.scalars = outside;
      };
      Value low = f.constant(op.getBounds()[number]);
      Value high = f.constant(op.getBounds()[number + 1]);
      f.ifThen(f.less(group, high),
               [&] { f.ifThen(f.less(f.add(low, -1), group), emitBody); });
    }
    f.group = f.groupBegin = f.groupEnd = Value();
  });
}

/// A memref with the strides of a layout, for a static tensor.
static Value stridedMemref(Frame &f, Value tensor) {
  Ref ref = f.ref(tensor);
  auto type = cast<RankedTensorType>(tensor.getType());
  auto strided = StridedLayoutAttr::get(f.builder.getContext(),
                                        ref.layout.offset, ref.layout.strides);
  Type element = cast<MemRefType>(ref.memref.getType()).getElementType();
  return memref::ReinterpretCastOp::create(
      f.builder, f.loc, MemRefType::get(type.getShape(), element, strided),
      ref.memref, ref.layout.offset, type.getShape(), ref.layout.strides);
}

void emitPackPhase(Frame &f, unsigned counter, const Step &step) {
  auto op = cast<grouped::PackOp>(step.op);
  PackedLayout layout =
      packedLayout(op.getPacked().getType(), f.schedule.level());
  SmallVector<Value> sources;
  for (Value weight : op.getWeights())
    sources.push_back(stridedMemref(f, weight));
  Value packed = f.ref(op.getPacked()).memref;
  // What a node holds is written by its threads, so that it lies there.
  constexpr int64_t block = 4;
  int64_t blocks = llvm::divideCeil(layout.panels(), block);
  bool byPanel = isSpreadByPanel(op);
  auto first = [&](Value node) {
    if (!byPanel)
      return f.mul(firstOfNode(f, node, f.constant(layout.experts)), blocks);
    Value panel = firstOfNode(f, node, f.constant(layout.panels()));
    return f.mul(f.ceilDiv(panel, f.constant(block)), layout.experts);
  };
  nodeTasks(f, counter, Steal::IfNobody, first, [&](Value task) {
    Value inner = f.constant(byPanel ? layout.experts : blocks);
    Value outer = f.div(task, inner);
    Value rest = f.sub(task, f.mul(outer, inner));
    Value expert = byPanel ? rest : outer;
    Value begin = f.mul(byPanel ? outer : rest, block);
    Value end = f.min(f.add(begin, block), f.constant(layout.panels()));
    observeTask(f, counter, expert, begin, end);
    Value before = f.mul(expert, layout.panels());
    emitPack(f.builder, f.loc, layout, sources, op.getInOut(), packed,
             f.add(before, begin), f.add(before, end));
  });
}

static void emitTeamPhase(Frame &f, const Step &step, Value thread) {
  func::FuncOp size =
      declareFunction(f, "omp_get_num_threads", {}, f.builder.getI32Type());
  Team team{
      f, thread,
      f.toIndex(func::CallOp::create(f.builder, f.loc, size).getResult(0))};
  if (isa<grouped::AssignOp>(step.op))
    emitAssign(team, step);
  else
    emitTeam(team, step);
}

static void emitPhase(Frame &f, const Phase &phase, Value thread) {
  unsigned counter = phase.counter;
  switch (phase.kind) {
  case Phase::Kind::Rows:
    return emitRowPhase(f, counter, phase);
  case Phase::Kind::Serial:
    return emitSerialPhase(f, phase, thread);
  case Phase::Kind::Matmul:
    return emitMatmulPhase(f, counter, phase.steps.front());
  case Phase::Kind::Pack:
    return emitPackPhase(f, counter, phase.steps.front());
  case Phase::Kind::Loop:
    return emitLoopPhase(f, counter, phase.steps.front());
  case Phase::Kind::Team:
    return emitTeamPhase(f, phase.steps.front(), thread);
  case Phase::Kind::Flow:
    return emitFlowPhase(f, phase, thread);
  case Phase::Kind::Numbers:
    return;
  }
}

void emitPhases(Frame &f, unsigned sequence, Value thread) {
  for (const Phase &phase : f.schedule.phases(sequence)) {
    if (phase.kind == Phase::Kind::Flow) { // has barriers of its own
      emitPhase(f, phase, thread);
      continue;
    }
    if (phase.barrierBefore)
      omp::BarrierOp::create(f.builder, f.loc);
    IRMapping outside = f.scalars;
    if (phase.kind != Phase::Kind::Serial)
      for (const Step &step : phase.steps)
        emitScalarsOf(f, step);
    emitPhase(f, phase, thread);
    if (phase.kind != Phase::Kind::Numbers) // which the region yields
      f.scalars = outside;                  // others read what this phase wrote
  }
}

} // namespace moe::cpu
