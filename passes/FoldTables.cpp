// --moe-fold-tables: what constant tables say of constant ids is known at
// compile time, a whole plan included; a table of a table is one table.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_FOLDTABLES
#include "passes/Passes.h.inc"
} // namespace moe

namespace {
/// Integers that are known at compile time.
struct Table {
  SmallVector<int64_t> shape;
  SmallVector<int64_t> values;

  int64_t rows() const { return shape.front(); }
  int64_t rowSize() const {
    return ShapedType::getNumElements(ArrayRef(shape).drop_front());
  }
};
} // namespace

static bool areBelow(ArrayRef<int64_t> values, int64_t end) {
  return llvm::all_of(values, [&](int64_t v) { return v >= 0 && v < end; });
}

/// Row i is `table`'s row indices[i]; all are in range.
static Table gatherRows(const Table &table, const Table &indices) {
  Table result{indices.shape, {}};
  llvm::append_range(result.shape, ArrayRef(table.shape).drop_front());
  int64_t size = table.rowSize();
  for (int64_t index : indices.values)
    llvm::append_range(result.values,
                       ArrayRef(table.values).slice(index * size, size));
  return result;
}

/// What grouped.check_ids gives, unless it stops.
static std::optional<Table> checkIds(Table ids, int64_t experts) {
  int64_t choices = ids.rowSize();
  for (int64_t row = 0; row < ids.rows(); ++row) {
    DenseSet<int64_t> seen;
    for (int64_t &id :
         MutableArrayRef(ids.values).slice(row * choices, choices)) {
      id = std::max<int64_t>(id, -1);
      if (id >= experts || (id >= 0 && !seen.insert(id).second))
        return std::nullopt;
    }
  }
  return ids;
}

namespace {
class FoldTables : public moe::impl::FoldTablesBase<FoldTables> {
public:
  void runOnOperation() override {
    known.clear();
    for (Operation *op : allOps())
      visit(op);
    SmallVector<Operation *> rest = allOps();
    for (Operation *op : llvm::reverse(rest))
      if (isOpTriviallyDead(op))
        op->erase();
  }

private:
  DenseMap<Value, Table> known;

  SmallVector<Operation *> allOps() {
    SmallVector<Operation *> ops;
    getOperation()->walk<WalkOrder::PreOrder>(
        [&](Operation *op) { ops.push_back(op); });
    return ops;
  }

  const Table *find(Value value) const {
    auto it = known.find(value);
    return it == known.end() ? nullptr : &it->second;
  }

  void visit(Operation *op) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return learn(constant);
    if (auto cast = dyn_cast<tensor::CastOp>(op)) {
      if (const Table *source = find(cast.getSource()))
        known[cast.getResult()] = Table(*source);
      return;
    }
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op))
      return reshape(op->getOperand(0), op->getResult(0));
    if (auto broadcast = dyn_cast<BroadcastOp>(op))
      return stretch(broadcast);
    if (auto check = dyn_cast<grouped::CheckIdsOp>(op)) {
      const Table *ids = find(check.getIds());
      if (std::optional<Table> checked =
              ids ? checkIds(*ids, check.getExperts()) : std::nullopt)
        replace(check.getResult(), *checked);
      return;
    }
    if (auto plan = dyn_cast<grouped::PlanOp>(op))
      return sort(plan);
    if (auto gather = dyn_cast<GatherOp>(op))
      return look(gather);
  }

  void learn(arith::ConstantOp constant) {
    auto elements = dyn_cast<DenseIntElementsAttr>(constant.getValue());
    if (!elements || !elements.getElementType().isSignlessInteger() ||
        elements.getElementType().getIntOrFloatBitWidth() > 64 ||
        elements.getType().getRank() == 0)
      return;
    Table table{SmallVector<int64_t>(elements.getType().getShape()), {}};
    for (const APInt &value : elements)
      table.values.push_back(value.getSExtValue());
    known[constant] = std::move(table);
  }

  void reshape(Value from, Value to) {
    const Table *table = find(from);
    if (table && tensorOf(to).hasStaticShape())
      known[to] =
          Table{SmallVector<int64_t>(tensorOf(to).getShape()), table->values};
  }

  void stretch(BroadcastOp op) {
    const Table *table = find(op.getInput());
    RankedTensorType type = tensorOf(op.getResult());
    if (!table || !type.hasStaticShape())
      return;
    Table result{SmallVector<int64_t>(type.getShape()), {}};
    // Steps in the input along the result's dimensions.
    SmallVector<int64_t> steps(type.getRank(), 0);
    int64_t step = 1, missing = type.getRank() - table->shape.size();
    for (int64_t d = table->shape.size() - 1; d >= 0; --d) {
      steps[missing + d] = table->shape[d] == 1 ? 0 : step;
      step *= table->shape[d];
    }
    for (int64_t i = 0; i < type.getNumElements(); ++i) {
      int64_t from = 0, rest = i;
      for (int64_t d = type.getRank() - 1; d >= 0; --d) {
        from += rest % type.getDimSize(d) * steps[d];
        rest /= type.getDimSize(d);
      }
      result.values.push_back(table->values[from]);
    }
    known[op.getResult()] = std::move(result);
  }

  void sort(grouped::PlanOp plan) {
    const Table *ids = find(plan.getIds());
    auto experts = static_cast<int64_t>(plan.getExperts());
    if (!ids ||
        llvm::any_of(ids->values, [&](int64_t id) { return id >= experts; }))
      return;
    auto count = static_cast<int64_t>(ids->values.size());
    Table offsets{{experts + 1}, {0}}, tokens, slots;
    Table rows{ids->shape, SmallVector<int64_t>(count, -1)};
    for (int64_t expert = 0; expert < experts; ++expert) {
      for (int64_t slot = 0; slot < count; ++slot)
        if (ids->values[slot] == expert) {
          rows.values[slot] = slots.values.size();
          tokens.values.push_back(slot / ids->rowSize());
          slots.values.push_back(slot);
        }
      offsets.values.push_back(slots.values.size());
    }
    tokens.shape = slots.shape = {offsets.values.back()};
    replace(plan.getOffsets(), offsets);
    replace(plan.getTokens(), tokens);
    replace(plan.getSlots(), slots);
    replace(plan.getRows(), rows);
  }

  void look(GatherOp gather) {
    const Table *table = find(gather.getTable()),
                *indices = find(gather.getIndices());
    if (table && indices) {
      if (areBelow(indices->values, table->rows()))
        replace(gather.getResult(), gatherRows(*table, *indices));
      return;
    }
    compose(gather);
  }

  /// A at (B at ids) = (A at B) at ids
  void compose(GatherOp outer) {
    auto inner = outer.getIndices().getDefiningOp<GatherOp>();
    const Table *indices = inner ? find(inner.getTable()) : nullptr;
    RankedTensorType type = tensorOf(outer.getTable());
    if (!indices || !type.hasStaticShape() ||
        !areBelow(indices->values, type.getDimSize(0)))
      return; // it may stop for ids that are never looked up
    auto count = static_cast<int64_t>(indices->values.size());
    int64_t rowSize = ShapedType::getNumElements(type.getShape().drop_front());
    if (count * rowSize > std::max(count, type.getNumElements()))
      return; // more to keep than the two tables
    OpBuilder builder(outer);
    SmallVector<int64_t> shape(indices->shape);
    llvm::append_range(shape, type.getShape().drop_front());
    Value both;
    if (const Table *table = find(outer.getTable()))
      both = create(builder, outer.getLoc(), gatherRows(*table, *indices),
                    type.clone(shape));
    else
      both = GatherOp::create(builder, outer.getLoc(), type.clone(shape),
                              outer.getTable(), inner.getTable());
    outer->setOperands({both, inner.getIndices()});
  }

  void replace(Value value, Table table) {
    if (value.use_empty())
      return;
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    Value constant = create(builder, value.getLoc(), table, tensorOf(value));
    value.replaceAllUsesWith(constant);
    known[constant] = std::move(table);
  }

  /// A constant, as a value of `type`, whose sizes may be dynamic.
  static Value create(OpBuilder &builder, Location loc, const Table &table,
                      RankedTensorType type) {
    auto element = cast<IntegerType>(type.getElementType());
    SmallVector<APInt> values;
    for (int64_t value : table.values)
      values.emplace_back(element.getWidth(), value, /*isSigned=*/true);
    RankedTensorType exact = type.clone(table.shape);
    Value constant = arith::ConstantOp::create(
        builder, loc, DenseIntElementsAttr::get(exact, values));
    return exact == type ? constant
                         : tensor::CastOp::create(builder, loc, type, constant)
                               .getResult();
  }
};
} // namespace
