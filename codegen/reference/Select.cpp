// What the operations compute that make a routing.
#include "codegen/reference/RoutingAlgebra.h"

using namespace mlir;

namespace moe::reference {

static void checkShapes(const Tensor &weights, const Tensor &key) {
  if (key.shape != weights.shape)
    fail("weights are " + shapeText(weights.shape) + ", but the key is " +
         shapeText(key.shape));
}

static Groups groupsOf(RouteOp op) {
  return {static_cast<int64_t>(*op.getGroups()),
          static_cast<int64_t>(*op.getKeep()),
          static_cast<int64_t>(*op.getBest())};
}

/// t or p: a value, or a literal, which is rounded to f32 unless keys are f64.
static double thresholdOf(RouteOp op, Frame &frame) {
  if (op.getThreshold())
    return frame.number(op.getThreshold());
  if (!op.getConstant())
    return 0;
  double literal = op.getConstant()->convertToDouble();
  bool isDouble = op.getChosenBy().getType().getElementType().isF64();
  return isDouble ? literal
                  : roundTo(Float32Type::get(op.getContext()), literal);
}

// take: every expert its c tokens of largest key; otherwise every token its
// experts; a pair's weight is weights[t, e].
static void route(RouteOp op, Frame &frame) {
  const Tensor &weights = frame.tensor(op.getWeights()),
               &key = frame.tensor(op.getChosenBy());
  checkShapes(weights, key);
  int64_t experts = weights.shape[1];
  Routing routing{experts, experts, {}};
  if (op.getSelection() == Selection::Take) {
    Segments segments = segmentsOf(frame, weights.rows(), op.getSegments());
    routing = take(weights, key, segments,
                   capacitiesOf(frame, op.getCapacity(), segments));
  } else {
    Choice choice{op.getSelection(), static_cast<int64_t>(op.getTop()),
                  thresholdOf(op, frame),
                  op.getGroups() ? std::optional(groupsOf(op)) : std::nullopt};
    if (op.getSelection() == Selection::Top)
      routing.choices = choice.top;
    for (int64_t t = 0; t < weights.rows(); ++t)
      routing.tokens.push_back(choose(
          ArrayRef<double>(weights.floats()).slice(t * experts, experts),
          ArrayRef<double>(key.floats()).slice(t * experts, experts), choice));
  }
  frame.setMade(op.getRouting(), std::move(routing));
}

/// Slot j of token t holds ids[t, j] with the weight weightOf(t, j, expert).
template <typename WeightOf>
static Routing fromIds(ArrayRef<int64_t> ids, int64_t tokens, int64_t choices,
                       int64_t experts, WeightOf weightOf) {
  std::vector<int64_t> checked = checkedIds(ids, choices, experts);
  Routing routing{experts, choices, {}};
  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<Slot> &slots = routing.tokens.emplace_back();
    for (int64_t j = 0; j < choices; ++j) {
      int64_t expert = checked[t * choices + j];
      slots.push_back(expert < 0 ? Slot()
                                 : Slot{expert, weightOf(t, j, expert)});
    }
  }
  return routing;
}

// ids of token t are table[ids[t]]; weights scores[t, e], or 1
static void lookup(LookupOp op, Frame &frame) {
  const Tensor &ids = frame.tensor(op.getIds()),
               &table = frame.tensor(op.getTable());
  const Tensor *scores =
      op.getScores() ? &frame.tensor(op.getScores()) : nullptr;
  for (int64_t id : ids.integers())
    if (id < 0 || id >= table.rows())
      fail("id " + Twine(id) + " is out of range, the table has " +
           Twine(table.rows()) + " rows");
  if (scores && scores->rows() != ids.rows())
    fail("scores have " + Twine(scores->rows()) + " rows, but there are " +
         Twine(ids.rows()) + " ids");
  int64_t experts = op.getRouting().getType().getExperts();
  checkedIds(table.integers(), table.shape[1], experts); // the whole table
  Tensor rows = takeRows(table, ids.integers());
  Routing routing =
      fromIds(rows.integers(), ids.rows(), table.shape[1], experts,
              [&](int64_t t, int64_t, int64_t expert) {
                return scores ? scores->floats()[t * experts + expert] : 1.0;
              });
  frame.setMade(op.getRouting(), std::move(routing));
}

static void fromIndices(FromIndicesOp op, Frame &frame) {
  const Tensor &ids = frame.tensor(op.getIds()),
               &weights = frame.tensor(op.getWeights());
  if (ids.shape != weights.shape)
    fail("ids are " + shapeText(ids.shape) + ", but weights are " +
         shapeText(weights.shape));
  int64_t choices = ids.shape[1];
  Routing routing = fromIds(ids.integers(), ids.rows(), choices,
                            op.getRouting().getType().getExperts(),
                            [&](int64_t t, int64_t j, int64_t) {
                              return weights.floats()[t * choices + j];
                            });
  frame.setMade(op.getRouting(), std::move(routing));
}

static void assign(AssignOp op, Frame &frame) {
  const Tensor &weights = frame.tensor(op.getWeights()),
               &scores = frame.tensor(op.getScores());
  checkShapes(weights, scores);
  Routing routing = assign(
      weights, scores, segmentsOf(frame, weights.rows(), op.getSegments()),
      {op.getOver().convertToDouble(), op.getAtLeast().convertToDouble(),
       static_cast<int64_t>(op.getRounds())});
  frame.setMade(op.getRouting(), std::move(routing));
}

void addSelectOps(OpTable &table) {
  table.add<RouteOp>(route);
  table.add<LookupOp>(lookup);
  table.add<FromIndicesOp>(fromIndices);
  table.add<AssignOp>(assign);
}

} // namespace moe::reference
