// What the operations compute that keep, join and limit the pairs of a routing.
#include "codegen/reference/RoutingAlgebra.h"

using namespace mlir;

namespace moe::reference {

// Pair (t, e) in slot j stays if mask[t, j], mask[e] or mask[t, e].
static void keep(KeepOp op, Frame &frame) {
  Routing routing = frame.routing(op.getRouting());
  const Tensor &mask = frame.tensor(op.getMask());
  if (!op.isPerExpert() &&
      mask.rows() != static_cast<int64_t>(routing.tokens.size()))
    fail("mask has " + Twine(mask.rows()) + " rows, but the routing has " +
         Twine(routing.tokens.size()) + " tokens");
  for (auto [t, slots] : llvm::enumerate(routing.tokens))
    for (auto [j, slot] : llvm::enumerate(slots)) {
      if (slot.isEmpty())
        continue;
      auto column = op.isPerSlot() ? static_cast<int64_t>(j) : slot.expert;
      int64_t row = op.isPerExpert() ? 0 : t * mask.shape[1];
      if (!mask.integers()[row + column])
        slot = Slot();
    }
  frame.setMade(op.getResult(), std::move(routing));
}

static void join(JoinOp op, Frame &frame) {
  frame.setMade(
      op.getResult(),
      joined(frame.routing(op.getFirst()), frame.routing(op.getSecond()),
             op.getResult().getType().getShape() != RoutingShape::Top));
}

static void limit(LimitOp op, Frame &frame) {
  Routing routing = frame.routing(op.getRouting());
  Segments segments =
      segmentsOf(frame, routing.tokens.size(), op.getSegments());
  Limit limit{op.getOrder(), nullptr, false, std::nullopt};
  if (op.getPriority()) {
    limit.priority = &frame.tensor(op.getPriority());
    limit.prioritySlots =
        op.getRouting().getType().getShape() == RoutingShape::Top &&
        limit.priority->rank() == 2 &&
        limit.priority->shape[1] == routing.choices;
  }
  if (op.getPlace())
    limit.place = static_cast<int64_t>(*op.getPlace());
  frame.setMade(op.getResult(),
                limited(std::move(routing), segments,
                        capacitiesOf(frame, op.getCapacity(), segments),
                        limit));
}

void addEditOps(OpTable &table) {
  table.add<KeepOp>(keep);
  table.add<JoinOp>(join);
  table.add<LimitOp>(limit);
}

} // namespace moe::reference
