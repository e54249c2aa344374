// The stable counting sort of slots by expert, on one thread: it reads every
// slot twice, which is little beside one matmul.

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Rows.h"

#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

namespace {
struct PlanEmitter {
  Frame &f;
  grouped::PlanOp op;
  int64_t experts;
  Ref ids, offsets, tokens, slots, rows, groups;

  PlanEmitter(Frame &f, const Step &step)
      : f(f), op(cast<grouped::PlanOp>(step.op)),
        experts(static_cast<int64_t>(op.getExperts())), ids(f.ref(op.getIds())),
        offsets(f.ref(op.getOffsets())), tokens(f.ref(op.getTokens())),
        slots(f.ref(op.getSlots())), rows(f.ref(op.getRows())),
        groups(f.ref(step.extra[0], f.builder.getI32Type())) {}

  Value get(const Ref &ref, Value at) {
    return f.toIndex(f.loadScalar(ref, at));
  }
  void set(const Ref &ref, Value at, Value value) {
    f.storeScalar(ref, at, convertNumber(f.builder, f.loc, value, ref.type));
  }
  /// body(token, slot of the token, expert) for all slots that hold one.
  void forSlots(
      llvm::function_ref<void(Value, Value, Value)> filled,
      llvm::function_ref<void(Value, Value)> empty = [](Value, Value) {}) {
    auto [begin, end] = f.rowRange(op.getIds());
    f.loop(begin, end, [&](Value token) {
      Value first = f.rowAddress(ids, token);
      f.loop(f.constant(0), f.constant(ids.rowElements), [&](Value slot) {
        Value expert = get(ids, f.add(first, slot));
        Value inside = f.is(Frame::Compare::ult, expert, experts);
        auto choice = scf::IfOp::create(f.builder, f.loc, inside,
                                        /*withElseRegion=*/true);
        OpBuilder::InsertionGuard guard(f.builder);
        f.builder.setInsertionPointToStart(choice.thenBlock());
        filled(token, slot, expert);
        f.builder.setInsertionPointToStart(choice.elseBlock());
        empty(token, slot);
      });
    });
  }

  void emit() {
    Value zero = f.constant(0), all = f.constant(experts);
    // offsets[e + 1] counts expert e.
    f.loop(zero, f.constant(experts + 1),
           [&](Value e) { set(offsets, e, zero); });
    forSlots([&](Value, Value, Value expert) {
      Value at = f.add(expert, 1);
      set(offsets, at, f.add(get(offsets, at), 1));
    });
    addLoads();
    // offsets[e + 1] becomes the first row of expert e, and the filled groups
    // are listed.
    SmallVector<Value> sums =
        f.fold(zero, all, {zero, zero},
               [&](Value e, ValueRange so) -> SmallVector<Value> {
                 Value at = f.add(e, 1);
                 Value count = get(offsets, at);
                 set(offsets, at, so[0]);
                 set(groups, f.add(so[1], 1), e);
                 Value some = f.less(zero, count);
                 Value more = arith::SelectOp::create(f.builder, f.loc, some,
                                                      f.add(so[1], 1), so[1]);
                 return {f.add(so[0], count), more};
               });
    set(groups, zero, sums[1]);
    // Placing a row moves offsets[e + 1] on, to the end of expert e at last.
    int64_t choices = ids.rowElements;
    forSlots(
        [&](Value token, Value slot, Value expert) {
          Value at = f.add(expert, 1);
          Value row = get(offsets, at);
          set(offsets, at, f.add(row, 1));
          set(tokens, row, token);
          set(slots, row, f.add(f.mul(token, choices), slot));
          set(rows, f.add(f.rowAddress(rows, token), slot), row);
        },
        [&](Value token, Value slot) {
          set(rows, f.add(f.rowAddress(rows, token), slot), f.constant(-1));
        });
  }

  /// Adds the counts and the slots to the context if the caller wants them.
  void addLoads() {
    std::optional<LoadCounters> place = loadCounters(f.schedule, op);
    if (!place)
      return;
    Value loads = contextField(f, ContextField::Loads);
    f.ifThen(isGiven(f, loads), [&] {
      Ref counts = counters(loads);
      Counters where = countersOf(op);
      f.loop(f.constant(0), f.constant(experts), [&](Value e) {
        Value block = f.div(e, f.constant(where.block));
        Value inBlock = f.sub(e, f.mul(block, where.block));
        Value at = f.add(f.mul(block, where.stride), inBlock);
        add(counts, f.add(at, place->first), get(offsets, f.add(e, 1)));
      });
      if (where.first != 0)
        return; // all parts of a routing have the same slots
      auto [begin, end] = f.rowRange(op.getIds());
      add(counters(contextField(f, ContextField::Slots)),
          f.constant(place->number), f.mul(f.sub(end, begin), ids.rowElements));
    });
  }

  Ref counters(Value pointer) {
    Ref ref;
    ref.type = f.builder.getI64Type();
    ref.memref = flatMemref(f.builder, f.loc, pointer, ref.type);
    return ref;
  }
  void add(const Ref &counts, Value at, Value count) {
    set(counts, at, f.add(get(counts, at), count));
  }
};
} // namespace

void emitPlan(Frame &frame, const Step &step) {
  PlanEmitter(frame, step).emit();
}

} // namespace moe::cpu
