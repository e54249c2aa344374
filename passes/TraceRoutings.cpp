// --moe-trace-routings: where the ids and weights of a routing may be recorded
// or replaced, between what makes them and what reads them by expert.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_TRACEROUTINGS
#include "passes/Passes.h.inc"
} // namespace moe

/// Whether a tensor of slots is of the rows that the function is called with:
/// it depends on them (and not on params alone), and is not by rows of a plan.
static bool isOfInputs(Value value, func::FuncOp function) {
  bool depends = false;
  SetVector<Value> open;
  open.insert(value);
  for (size_t i = 0; i < open.size(); ++i) {
    Operation *op = open[i].getDefiningOp();
    if (!op) {
      auto argument = cast<BlockArgument>(open[i]);
      depends |= argument.getOwner() != &function.front() ||
                 (!function.getArgAttr(argument.getArgNumber(), "moe.param") &&
                  !function.getArgAttr(argument.getArgNumber(), "moe.step"));
      continue;
    }
    auto gather = dyn_cast<GatherOp>(op);
    if (isa<grouped::LoopOp>(op) ||
        (gather && gather.getIndices().getDefiningOp<grouped::PlanOp>()))
      return false;
    if (isa<grouped::CombineOp>(op)) { // rows of tokens again
      depends = true;
      continue;
    }
    open.insert_range(op->getOperands());
    open.insert_range(capturedScalars(op));
  }
  return depends;
}

/// Reads of ids or weights by flat slot: [T, k] as [T·k], or as [T·k, 1, ...].
static OpOperand *flattenedBy(GatherOp gather) {
  auto flat = gather.getTable().getDefiningOp<tensor::CollapseShapeOp>();
  if (!flat)
    return nullptr;
  if (auto split = flat.getSrc().getDefiningOp<SplitOp>())
    return &split.getInputMutable();
  return &flat.getSrcMutable();
}

/// Replaces reads of one tensor by reads of what the caller may have put there.
static void trace(Value value, ArrayRef<OpOperand *> reads, int64_t number) {
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  Value traced = grouped::TraceOp::create(builder, value.getLoc(),
                                          value.getType(), value, number);
  for (OpOperand *read : reads)
    read->set(traced);
}

/// Distinct weights of one support, each with its reads; the ids are first.
static llvm::MapVector<Value, SetVector<OpOperand *>>
readsOf(grouped::PlanOp plan) {
  Value ids = plan.getIds();
  llvm::MapVector<Value, SetVector<OpOperand *>> reads;
  reads[ids].insert(&plan.getIdsMutable());
  for (Operation *user : plan.getRows().getUsers())
    if (auto combine = dyn_cast<grouped::CombineOp>(user))
      for (OpOperand &weights : combine.getWeightsMutable())
        reads[weights.get()].insert(&weights);
  Type weights = tensorOf(ids).clone(Float32Type::get(plan.getContext()));
  for (Operation *user : plan.getSlots().getUsers()) {
    auto gather = dyn_cast<GatherOp>(user);
    OpOperand *read = gather ? flattenedBy(gather) : nullptr;
    if (read && (read->get() == ids || read->get().getType() == weights))
      reads[read->get()].insert(read);
  }
  return reads;
}

namespace {
class TraceRoutings : public moe::impl::TraceRoutingsBase<TraceRoutings> {
public:
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    DenseSet<int64_t> done; // in a text of level 2
    for (auto traced : function.getOps<grouped::TraceOp>())
      done.insert(static_cast<int64_t>(traced.getRouting()));
    for (auto plan :
         llvm::make_early_inc_range(function.getOps<grouped::PlanOp>())) {
      auto number = plan->getAttrOfType<IntegerAttr>("moe.routing");
      if (!number || done.contains(number.getInt()) ||
          !isOfInputs(plan.getIds(), function))
        continue;
      for (auto &[value, operands] : readsOf(plan))
        if (isOfInputs(value, function))
          trace(value, operands.getArrayRef(), number.getInt());
    }
  }
};
} // namespace
