// Experts of several kinds: every range becomes a loop of its own, over a plan
// of the slots that chose it.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lifting.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace {
class Splitting {
public:
  explicit Splitting(grouped::LoopOp loop)
      : loop(loop), plan(loop.getOffsets().getDefiningOp<grouped::PlanOp>()),
        builder(loop) {}

  void run() {
    if (!plan || loop.getBodies().size() == 1 || loop.getRows().empty())
      return;
    numRows = loop.getNumRowResults();
    auto rowResults = loop.getResults().take_front(numRows);
    for (Value result : rowResults)
      if (!isa<FloatType>(tensorOf(result).getElementType()))
        return; // parts are put together by sums
    for (unsigned range = 0; range < loop.getBodies().size(); ++range)
      addLoop(range);
    for (OpResult result : rowResults)
      replaceRows(result);
    for (OpResult result : loop.getResults().drop_front(numRows)) {
      SmallVector<Value> stacked;
      for (grouped::LoopOp part : parts)
        stacked.push_back(part.getResult(result.getResultNumber()));
      result.replaceAllUsesWith(tensor::ConcatOp::create(
          builder, loop.getLoc(), cast<RankedTensorType>(result.getType()), 0,
          stacked));
    }
    loop.erase();
    plan->removeAttr("moe.routing"); // the parts report their loads
    plan->removeAttr("moe.loads");
  }

private:
  void addLoop(unsigned range) {
    Location loc = loop.getLoc();
    int64_t begin = loop.getBounds()[range],
            size = loop.getBounds()[range + 1] - begin;
    grouped::PlanOp part = planOf(begin, size);
    SmallVector<Value> rows;
    for (Value value : loop.getRows())
      rows.push_back(rowsOf(value, part));
    OperandRange each = loop.getEachOf(range);
    SmallVector<Type> types(loop.getResultTypes());
    for (Type &type : MutableArrayRef(types).drop_front(numRows)) {
      SmallVector<int64_t> shape(cast<RankedTensorType>(type).getShape());
      shape.front() = size;
      type = cast<RankedTensorType>(type).clone(shape);
    }
    auto one = grouped::LoopOp::create(
        builder, loc, types, part.getOffsets(), rows, each,
        builder.getDenseI64ArrayAttr({0, size}),
        builder.getDenseI64ArrayAttr(static_cast<int64_t>(each.size())), 1);
    one.getBodies().front().takeBody(loop.getBodies()[range]);
    parts.push_back(one);
    plans.push_back(part);
  }

  /// The slots of experts [begin, begin + size), numbered from 0. An id that no
  /// expert has stays an error of the last range.
  grouped::PlanOp planOf(int64_t begin, int64_t size) {
    Location loc = plan.getLoc();
    auto experts = static_cast<int64_t>(plan.getExperts());
    auto constant = [&](int64_t value) -> Value {
      return arith::ConstantOp::create(builder, loc,
                                       builder.getI32IntegerAttr(value));
    };
    bool last = begin + size == experts;
    Value ids = createMap(
        builder, loc, Value(plan.getIds()), builder.getI32Type(),
        [&](ValueRange id) -> Value {
          Value number =
              arith::SubIOp::create(builder, loc, id[0], constant(begin));
          Value inside = last ? arith::CmpIOp::create(builder, loc,
                                                      arith::CmpIPredicate::sge,
                                                      id[0], constant(begin))
                              : arith::CmpIOp::create(builder, loc,
                                                      arith::CmpIPredicate::ult,
                                                      number, constant(size));
          return arith::SelectOp::create(builder, loc, inside, number,
                                         constant(-1));
        });
    auto part = grouped::PlanOp::create(
        builder, loc,
        tensorOf(plan.getOffsets()).clone(ArrayRef<int64_t>{size + 1}),
        plan.getTokens().getType(), plan.getSlots().getType(),
        plan.getRows().getType(), ids, size);
    part->setDiscardableAttrs(plan->getDiscardableAttrDictionary());
    if (plan->hasAttr("moe.routing"))
      part->setAttr("moe.loads", builder.getDenseI64ArrayAttr(
                                     {experts, begin, size, experts}));
    return part;
  }

  /// The part of grouped rows: gathered from where they come from, or by the
  /// numbers of its rows.
  Value rowsOf(Value rows, grouped::PlanOp part) {
    Location loc = loop.getLoc();
    RankedTensorType type = tensorOf(rows);
    if (auto gather = rows.getDefiningOp<GatherOp>()) {
      if (gather.getIndices() == plan.getTokens())
        return GatherOp::create(builder, loc, type, gather.getTable(),
                                part.getTokens());
      if (gather.getIndices() == plan.getSlots())
        return GatherOp::create(builder, loc, type, gather.getTable(),
                                part.getSlots());
    }
    Value numbers = flatRows(builder, loc, plan.getRows());
    Value ofPart = GatherOp::create(builder, loc, part.getSlots().getType(),
                                    numbers, part.getSlots());
    return GatherOp::create(builder, loc, type, rows, ofPart);
  }

  /// The sum of what `combine` makes of every part.
  Value sum(OpResult result,
            llvm::function_ref<Value(Value rows, grouped::PlanOp)> combine) {
    Location loc = loop.getLoc();
    Type element = tensorOf(result).getElementType();
    Type wide = element.isF64() ? element : Type(builder.getF32Type());
    Value total;
    for (auto [part, of] : llvm::zip(parts, plans)) {
      Value rows = castFloat(builder, loc,
                             part.getResult(result.getResultNumber()), wide);
      Value one = combine(rows, of);
      total = total ? arith::AddFOp::create(builder, loc, total, one) : one;
    }
    return castFloat(builder, loc, total, element);
  }

  void replaceRows(OpResult result) {
    Location loc = loop.getLoc();
    OpBuilder::InsertionGuard guard(builder);
    for (Operation *user : llvm::make_early_inc_range(result.getUsers())) {
      auto combine = dyn_cast<grouped::CombineOp>(user);
      if (!combine || combine.getRows() != plan.getRows())
        continue;
      builder.setInsertionPoint(combine);
      Value y = sum(result, [&](Value rows, grouped::PlanOp of) -> Value {
        RankedTensorType type =
            combine.getType().clone(tensorOf(rows).getElementType());
        return grouped::CombineOp::create(builder, loc, type, rows,
                                          of.getRows(), combine.getWeights());
      });
      combine.replaceAllUsesWith(y);
      combine.erase();
    }
    if (result.use_empty())
      return;
    // For others the rows of all parts, each by its number in them.
    builder.setInsertionPoint(loop);
    Value all = sum(result, [&](Value rows, grouped::PlanOp of) -> Value {
      Value flat = flatRows(builder, loc, of.getRows());
      Value numbers = GatherOp::create(builder, loc, plan.getSlots().getType(),
                                       flat, plan.getSlots());
      auto column = RankedTensorType::get({ShapedType::kDynamic, 1},
                                          builder.getI32Type());
      Value split =
          tensor::ExpandShapeOp::create(builder, loc, column, numbers,
                                        ArrayRef<ReassociationIndices>{{0, 1}});
      return grouped::CombineOp::create(builder, loc, rows.getType(), rows,
                                        split, Value());
    });
    result.replaceAllUsesWith(all);
  }

  grouped::LoopOp loop;
  grouped::PlanOp plan;
  OpBuilder builder;
  unsigned numRows = 0; ///< results that are rows
  SmallVector<grouped::LoopOp> parts;
  SmallVector<grouped::PlanOp> plans;
};
} // namespace

void moe::splitRanges(grouped::LoopOp loop) { Splitting(loop).run(); }
