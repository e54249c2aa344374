// See Call.h.

#include "codegen/cpu/Call.h"

#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cstddef>

using namespace mlir;

namespace moe::cpu {

static Value fieldAddress(Frame &f, Value base, int64_t offset) {
  if (offset == 0)
    return base;
  return LLVM::GEPOp::create(
      f.builder, f.loc, base.getType(), f.builder.getI8Type(), base,
      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset)});
}

static Value loadField(Frame &f, Value base, int64_t offset, Type type) {
  return LLVM::LoadOp::create(f.builder, f.loc, type,
                              fieldAddress(f, base, offset));
}

Value contextField(Frame &f, ContextField field) {
  Type pointer = LLVM::LLVMPointerType::get(f.builder.getContext());
  switch (field) {
  case ContextField::Workspace:
    return loadField(f, f.context, offsetof(moert_context, workspace), pointer);
  case ContextField::WorkspaceBytes:
    return loadField(f, f.context, offsetof(moert_context, workspace_bytes),
                     f.builder.getI64Type());
  case ContextField::Threads:
    return loadField(f, f.context, offsetof(moert_context, threads),
                     f.builder.getI32Type());
  case ContextField::Loads:
    return loadField(f, f.context, offsetof(moert_context, loads), pointer);
  case ContextField::Slots:
    return loadField(f, f.context, offsetof(moert_context, slots), pointer);
  case ContextField::Traces:
    return loadField(f, f.context, offsetof(moert_context, traces), pointer);
  case ContextField::CacheBytes:
    return loadField(f, f.context, offsetof(moert_context, cache_bytes),
                     f.builder.getI64Type());
  case ContextField::Nodes:
    return loadField(f, f.context, offsetof(moert_context, nodes),
                     f.builder.getI64Type());
  case ContextField::Node:
    return loadField(f, f.context, offsetof(moert_context, node), pointer);
  case ContextField::Observe:
    return loadField(f, f.context, offsetof(moert_context, observe), pointer);
  }
  llvm_unreachable("unknown field");
}

static void storeError(Frame &f, int32_t code) {
  Value number = arith::ConstantIntOp::create(f.builder, f.loc, code, 32);
  LLVM::StoreOp::create(
      f.builder, f.loc, number,
      fieldAddress(f, f.context, offsetof(moert_context, error)));
}

static void storeValues(Frame &f, ArrayRef<Value> values) {
  for (auto [i, value] : llvm::enumerate(values))
    LLVM::StoreOp::create(
        f.builder, f.loc,
        convertNumber(f.builder, f.loc, value, f.builder.getI64Type()),
        fieldAddress(f, f.context,
                     offsetof(moert_context, error_values) + 8 * i));
}

void reportError(Frame &f, moert_code code, ArrayRef<Value> values) {
  // The values are those of the first error, also when threads find several.
  auto number = [&](int32_t value) -> Value {
    return arith::ConstantIntOp::create(f.builder, f.loc, value, 32);
  };
  Value exchanged = LLVM::AtomicCmpXchgOp::create(
      f.builder, f.loc,
      fieldAddress(f, f.context, offsetof(moert_context, error)),
      number(MOERT_CODE_OK), number(code), LLVM::AtomicOrdering::monotonic,
      LLVM::AtomicOrdering::monotonic);
  Value isFirst = LLVM::ExtractValueOp::create(f.builder, f.loc, exchanged,
                                               ArrayRef<int64_t>{1});
  f.ifThen(isFirst, [&] { storeValues(f, values); });
}

void clearError(Frame &f) { storeError(f, MOERT_CODE_OK); }

Value readError(Frame &f) {
  return loadField(f, f.context, offsetof(moert_context, error),
                   f.builder.getI32Type());
}

static Value argument(Frame &f, Value arguments, unsigned number) {
  return loadField(f, arguments, 8 * static_cast<int64_t>(number),
                   arguments.getType());
}

Value argumentData(Frame &f, Value arguments, unsigned number) {
  return loadField(f, argument(f, arguments, number),
                   offsetof(moert_tensor, data), arguments.getType());
}

Value argumentSize(Frame &f, Value arguments, unsigned number, unsigned d) {
  return f.toIndex(loadField(f, argument(f, arguments, number),
                             offsetof(moert_tensor, shape) + 8 * d,
                             f.builder.getI64Type()));
}

Value argumentSizes(Frame &f, Value arguments, unsigned number) {
  return LLVM::GEPOp::create(f.builder, f.loc, arguments.getType(),
                             f.builder.getI8Type(),
                             argument(f, arguments, number),
                             ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(
                                 offsetof(moert_tensor, shape))});
}

ModuleOp moduleOf(Frame &f) {
  return f.builder.getInsertionBlock()
      ->getParentOp()
      ->getParentOfType<ModuleOp>();
}

func::FuncOp declareFunction(Frame &f, StringRef name, TypeRange inputs,
                             TypeRange results) {
  ModuleOp module = moduleOf(f);
  if (auto found = module.lookupSymbol<func::FuncOp>(name))
    return found;
  OpBuilder::InsertionGuard guard(f.builder);
  f.builder.setInsertionPointToStart(module.getBody());
  auto made = func::FuncOp::create(f.builder, f.loc, name,
                                   f.builder.getFunctionType(inputs, results));
  made.setPrivate();
  return made;
}

Value flatMemref(OpBuilder &builder, Location loc, Value pointer,
                 Type element) {
  Type memory = memoryType(element);
  auto type = MemRefType::get({ShapedType::kDynamic}, memory);
  Type i64 = builder.getI64Type();
  auto sizes = LLVM::LLVMArrayType::get(i64, 1);
  auto descriptor = LLVM::LLVMStructType::getLiteral(
      builder.getContext(),
      {pointer.getType(), pointer.getType(), i64, sizes, sizes});
  auto number = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(builder, loc, i64,
                                    builder.getI64IntegerAttr(value));
  };
  Value whole = LLVM::PoisonOp::create(builder, loc, descriptor);
  auto insert = [&](Value value, ArrayRef<int64_t> position) {
    whole = LLVM::InsertValueOp::create(builder, loc, whole, value, position);
  };
  insert(pointer, {0});
  insert(pointer, {1});
  insert(number(0), {2});
  insert(number(int64_t(1) << 62), {3, 0});
  insert(number(1), {4, 0});
  return UnrealizedConversionCastOp::create(builder, loc, type, whole)
      .getResult(0);
}

Value isGiven(Frame &f, Value pointer) {
  return LLVM::ICmpOp::create(
      f.builder, f.loc, LLVM::ICmpPredicate::ne, pointer,
      LLVM::ZeroOp::create(f.builder, f.loc, pointer.getType()));
}

SmallVector<Trace> loadTraces(Frame &f, unsigned count) {
  if (count == 0)
    return {};
  Value traces = contextField(f, ContextField::Traces);
  Type pointer = traces.getType();
  SmallVector<Type> types(2 * count, pointer);
  auto wanted = scf::IfOp::create(f.builder, f.loc, types, isGiven(f, traces),
                                  /*addThenBlock=*/true,
                                  /*addElseBlock=*/true);
  {
    OpBuilder::InsertionGuard guard(f.builder);
    f.builder.setInsertionPointToEnd(wanted.thenBlock());
    SmallVector<Value> given;
    for (unsigned number = 0; number < count; ++number) {
      int64_t first = number * sizeof(moert_trace);
      given.push_back(
          loadField(f, traces, first + offsetof(moert_trace, out), pointer));
      given.push_back(
          loadField(f, traces, first + offsetof(moert_trace, in), pointer));
    }
    scf::YieldOp::create(f.builder, f.loc, given);
    f.builder.setInsertionPointToEnd(wanted.elseBlock());
    Value null = LLVM::ZeroOp::create(f.builder, f.loc, pointer);
    scf::YieldOp::create(f.builder, f.loc, SmallVector<Value>(2 * count, null));
  }
  SmallVector<Trace> result;
  for (unsigned number = 0; number < count; ++number)
    result.push_back(
        {wanted.getResult(2 * number), wanted.getResult(2 * number + 1)});
  return result;
}

static int64_t routingOf(grouped::PlanOp plan) {
  return cast<IntegerAttr>(plan->getAttr("moe.routing")).getInt();
}

Counters countersOf(grouped::PlanOp plan) {
  auto experts = static_cast<int64_t>(plan.getExperts());
  auto part = plan->getAttrOfType<DenseI64ArrayAttr>("moe.loads");
  if (!part)
    return {experts, 0, experts, experts};
  return {part[0], part[1], part[2], part[3]};
}

SmallVector<grouped::PlanOp> reportedPlans(const Extents &extents) {
  SmallVector<grouped::PlanOp> plans;
  for (grouped::PlanOp plan : extents.allPlans())
    if (plan->hasAttr("moe.routing") &&
        llvm::none_of(plans, [&](grouped::PlanOp other) {
          return routingOf(other) == routingOf(plan);
        }))
      plans.push_back(plan);
  llvm::sort(plans, [](grouped::PlanOp a, grouped::PlanOp b) {
    return routingOf(a) < routingOf(b);
  });
  return plans;
}

std::optional<int64_t> routingOf(grouped::TraceOp trace,
                                 const Extents &extents) {
  SmallVector<grouped::PlanOp> plans = reportedPlans(extents);
  auto number = static_cast<int64_t>(trace.getRouting());
  auto *plan = llvm::find_if(
      plans, [&](grouped::PlanOp plan) { return routingOf(plan) == number; });
  if (plan == plans.end())
    return std::nullopt;
  return plan - plans.begin();
}

SmallVector<grouped::TraceOp> tracedTensors(func::FuncOp function,
                                            const Extents &extents) {
  SmallVector<grouped::TraceOp> traced;
  for (auto trace : function.getOps<grouped::TraceOp>()) {
    Extent rows = extents.of(trace.getInput());
    bool ofInput =
        rows.kind == Extent::Kind::Input && rows.divisor == 1 && rows.more == 0;
    if ((ofInput || rows.kind == Extent::Kind::Constant) &&
        routingOf(trace, extents))
      traced.push_back(trace);
  }
  return traced;
}

std::optional<LoadCounters> loadCounters(const Schedule &schedule,
                                         grouped::PlanOp plan) {
  if (!plan->hasAttr("moe.routing"))
    return std::nullopt;
  LoadCounters result{0, countersOf(plan).first};
  for (grouped::PlanOp other : reportedPlans(schedule.extents()))
    if (routingOf(other) < routingOf(plan)) {
      ++result.number;
      result.first += countersOf(other).all;
    }
  return result;
}

} // namespace moe::cpu
