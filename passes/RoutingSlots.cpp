// A routing as tensors of its slots (see RoutingSlots.h).
#include "passes/RoutingSlots.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

RankedTensorType moe::slotsOf(RoutingType routing, Type element) {
  int64_t slots = routing.getShape() == RoutingShape::Top
                      ? routing.getChoices()
                      : routing.getExperts();
  return RankedTensorType::get({ShapedType::kDynamic, slots}, element);
}

Value moe::weightsOf(ValueRange routing) { return routing[0]; }
Value moe::idsOf(ValueRange routing) { return routing[1]; }

bool moe::isFull(Value ids) {
  if (auto select = ids.getDefiningOp<grouped::SelectOp>())
    return select.getSelection() == Selection::Top ||
           (select.getSelection() == Selection::All && !select.getGroups());
  return isa_and_nonnull<grouped::TopKOp, grouped::AssignOp>(
      ids.getDefiningOp());
}

grouped::PlanOp moe::createPlan(OpBuilder &builder, Location loc, Value ids,
                                int64_t experts) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(ids);
  Type i32 = builder.getI32Type();
  auto rows = RankedTensorType::get({ShapedType::kDynamic}, i32);
  return grouped::PlanOp::create(builder, loc,
                                 RankedTensorType::get({experts + 1}, i32),
                                 rows, rows, ids.getType(), ids, experts);
}

Value moe::whereFilled(OpBuilder &builder, Location loc, Value id, Value value,
                       Value other) {
  Value zero = arith::ConstantOp::create(builder, loc,
                                         builder.getZeroAttr(id.getType()));
  Value filled =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, id, zero);
  return arith::SelectOp::create(builder, loc, filled, value, other);
}

Value moe::fillEmpty(OpBuilder &builder, Location loc, Value weights, Value ids,
                     double empty) {
  if (isFull(ids))
    return weights;
  return createMap(builder, loc, {weights, ids}, builder.getF32Type(),
                   [&](ValueRange slot) {
                     return whereFilled(builder, loc, slot[1], slot[0],
                                        f32Constant(builder, loc, empty));
                   });
}
