// What the operations compute that choose and edit pairs at level 2, as tensors
// of weights and ids.
#include "codegen/reference/RoutingAlgebra.h"
#include "dialect/GroupedDialect.h"

using namespace mlir;
using namespace moe::grouped;

namespace moe::reference {

/// Sets [T, slots] tensors of weights and ids.
static void setSlots(Frame &frame, mlir::Value weights, mlir::Value ids,
                     const Routing &routing) {
  std::vector<double> numbers;
  std::vector<int64_t> experts;
  for (const std::vector<Slot> &slots : routing.tokens)
    for (const Slot &slot : slots) {
      numbers.push_back(slot.isEmpty() ? 0 : slot.weight);
      experts.push_back(slot.expert);
    }
  Shape shape = {static_cast<int64_t>(routing.tokens.size()), routing.choices};
  frame.set(weights, Tensor(shape, std::move(numbers)));
  frame.set(ids, Tensor(shape, std::move(experts)));
}

static Routing routingOf(const Tensor &weights, const Tensor &ids,
                         int64_t experts) {
  if (weights.shape != ids.shape)
    fail("weights are " + shapeText(weights.shape) + ", but ids are " +
         shapeText(ids.shape));
  Routing routing{experts, ids.shape[1], {}};
  for (int64_t t = 0; t < ids.rows(); ++t) {
    std::vector<Slot> &slots = routing.tokens.emplace_back();
    for (int64_t j = 0; j < routing.choices; ++j) {
      int64_t flat = t * routing.choices + j, id = ids.integers()[flat];
      if (id >= experts)
        fail("id " + Twine(id) + " is out of range, there are " +
             Twine(experts) + " experts");
      slots.push_back(id < 0 ? Slot() : Slot{id, weights.floats()[flat]});
    }
  }
  return routing;
}

static void checkKey(const Tensor &weights, const Tensor &key) {
  if (key.shape != weights.shape)
    fail("weights are " + shapeText(weights.shape) + ", but the key is " +
         shapeText(key.shape));
}

static void select(SelectOp op, Frame &frame) {
  const Tensor &weights = frame.tensor(op.getWeights()),
               &key = frame.tensor(op.getKey());
  checkKey(weights, key);
  int64_t experts = weights.shape[1];
  Choice choice{op.getSelection(),
                static_cast<int64_t>(op.getTop().value_or(0)), 0, std::nullopt};
  if (op.getGroups())
    choice.groups = {static_cast<int64_t>(*op.getGroups()),
                     static_cast<int64_t>(*op.getKeep()),
                     static_cast<int64_t>(*op.getBest())};
  if (op.getThreshold()) {
    choice.threshold = frame.number(op.getThreshold());
  } else if (op.getConstant()) {
    double literal = op.getConstant()->convertToDouble();
    bool isDouble = op.getKey().getType().getElementType().isF64();
    choice.threshold =
        isDouble ? literal
                 : roundTo(Float32Type::get(op.getContext()), literal);
  }
  Routing routing{experts, op.getTop() ? choice.top : experts, {}};
  for (int64_t t = 0; t < weights.rows(); ++t)
    routing.tokens.push_back(choose(
        ArrayRef<double>(weights.floats()).slice(t * experts, experts),
        ArrayRef<double>(key.floats()).slice(t * experts, experts), choice));
  setSlots(frame, op.getChosen(), op.getIds(), routing);
}

static void take(TakeOp op, Frame &frame) {
  const Tensor &weights = frame.tensor(op.getWeights()),
               &key = frame.tensor(op.getKey());
  checkKey(weights, key);
  Segments segments = segmentsOf(frame, weights.rows(), op.getSegments());
  setSlots(frame, op.getChosen(), op.getIds(),
           take(weights, key, segments,
                capacitiesOf(frame, op.getCapacity(), segments)));
}

static void assign(grouped::AssignOp op, Frame &frame) {
  const Tensor &weights = frame.tensor(op.getWeights()),
               &scores = frame.tensor(op.getScores());
  checkKey(weights, scores);
  setSlots(
      frame, op.getChosen(), op.getIds(),
      assign(weights, scores,
             segmentsOf(frame, weights.rows(), op.getSegments()),
             {op.getOver().convertToDouble(), op.getAtLeast().convertToDouble(),
              static_cast<int64_t>(op.getRounds())}));
}

static void limit(grouped::LimitOp op, Frame &frame) {
  Routing routing = routingOf(frame.tensor(op.getWeights()),
                              frame.tensor(op.getIds()), op.getExperts());
  Segments segments =
      segmentsOf(frame, routing.tokens.size(), op.getSegments());
  Limit limit{op.getOrder(), nullptr, false, std::nullopt};
  if (op.getPriority()) {
    limit.priority = &frame.tensor(op.getPriority());
    limit.prioritySlots = limit.priority->rank() == 2 &&
                          limit.priority->shape[1] == routing.choices;
  }
  if (op.getPlace())
    limit.place = static_cast<int64_t>(*op.getPlace());
  setSlots(frame, op.getKept(), op.getKeptIds(),
           limited(std::move(routing), segments,
                   capacitiesOf(frame, op.getCapacity(), segments), limit));
}

static void join(grouped::JoinOp op, Frame &frame) {
  setSlots(frame, op.getWeights(), op.getIds(),
           joined(routingOf(frame.tensor(op.getFirst()),
                            frame.tensor(op.getFirstIds()), op.getExperts()),
                  routingOf(frame.tensor(op.getSecond()),
                            frame.tensor(op.getSecondIds()), op.getExperts()),
                  op.getByExpert()));
}

static void checkIds(CheckIdsOp op, Frame &frame) {
  const Tensor &ids = frame.tensor(op.getIds());
  frame.set(op.getResult(),
            Tensor(ids.shape,
                   checkedIds(ids.integers(), ids.shape[1], op.getExperts())));
}

// result[t, j] = values[t, ids[t, j]] or values[ids[t, j]]; 0 for -1
static void pick(PickOp op, Frame &frame) {
  const Tensor &values = frame.tensor(op.getValues()),
               &ids = frame.tensor(op.getIds());
  int64_t experts = values.shape.back();
  bool byExpert = values.rank() == 1;
  if (!byExpert && values.rows() != ids.rows())
    fail("values have " + Twine(values.rows()) + " rows, but ids have " +
         Twine(ids.rows()));
  Tensor result(op.getResult().getType().getElementType(), ids.shape);
  for (auto [i, id] : llvm::enumerate(ids.integers())) {
    if (id >= experts)
      fail("id " + Twine(id) + " is out of range, there are " + Twine(experts) +
           " experts");
    auto t = static_cast<int64_t>(i) / ids.shape[1];
    if (id >= 0)
      result.set(i, values.at(byExpert ? id : t * experts + id));
  }
  frame.set(op.getResult(), std::move(result));
}

static void matrix(MatrixOp op, Frame &frame) {
  int64_t experts = op.getResult().getType().getDimSize(1);
  frame.set(op.getResult(),
            toMatrix(routingOf(frame.tensor(op.getWeights()),
                               frame.tensor(op.getIds()), experts)));
}

static void balanceLoss(grouped::BalanceLossOp op, Frame &frame) {
  const Tensor &probabilities = frame.tensor(op.getProbabilities()),
               &ids = frame.tensor(op.getIds());
  Tensor none(ids.shape, std::vector<double>(ids.size()));
  double loss =
      balanceLoss(probabilities, routingOf(none, ids, probabilities.shape[1]),
                  segmentsOf(frame, ids.rows(), op.getSegments()),
                  op.getCounting(), op.getScale());
  frame.set(op.getResult(), Tensor({}, std::vector<double>{loss}));
}

// result = input, or what the caller gives
static void trace(TraceOp op, Frame &frame) {
  const TraceHook &hook = frame.interpreter.getOptions().trace;
  std::optional<Tensor> given;
  if (hook)
    given = hook(op, frame.tensor(op.getInput()));
  if (given)
    frame.set(op.getResult(), std::move(*given));
  else
    frame.set(op.getResult(), frame.get(op.getInput()));
}

void addGroupedRoutingOps(OpTable &table) {
  table.add<SelectOp>(select);
  table.add<TakeOp>(take);
  table.add<grouped::AssignOp>(assign);
  table.add<grouped::LimitOp>(limit);
  table.add<grouped::JoinOp>(join);
  table.add<CheckIdsOp>(checkIds);
  table.add<PickOp>(pick);
  table.add<MatrixOp>(matrix);
  table.add<grouped::BalanceLossOp>(balanceLoss);
  table.add<TraceOp>(trace);
}

} // namespace moe::reference
