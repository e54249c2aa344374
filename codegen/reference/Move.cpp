// What dispatch, expert, combine, scope and param compute.
#include "codegen/reference/Interpreter.h"
#include "dialect/MoeDialect.h"

using namespace mlir;

namespace moe::reference {

static void checkTokens(const Tensor &rows, const Routing &routing) {
  int64_t tokens = routing.tokens.size();
  if (rows.rows() != tokens)
    fail("input has " + Twine(rows.rows()) + " rows, but the routing has " +
         Twine(tokens) + " tokens");
}

// Rows of the pairs in dispatch order: experts ascending, tokens ascending
// inside an expert.
static void dispatch(DispatchOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput());
  const Routing &routing = frame.counted(op.getRouting());
  checkTokens(x, routing);
  std::vector<int64_t> rows;
  std::vector<double> weights;
  for (int64_t expert = 0; expert < routing.experts; ++expert)
    for (int64_t t = 0; t < x.rows(); ++t)
      for (const Slot &slot : routing.tokens[t])
        if (slot.expert == expert) {
          rows.push_back(t);
          weights.push_back(slot.weight);
        }
  Tensor result = takeRows(x, rows);
  if (op.getWeighted())
    for (int64_t i = 0, width = result.rowSize(); i < result.size(); ++i)
      result.floats()[i] *= weights[i / width];
  frame.set(op.getResult(), std::move(result));
}

// The region once for every expert, also for one without rows.
static void expert(ExpertOp op, Frame &frame) {
  SmallVector<int64_t> offsets = {0};
  for (int64_t count : frame.counted(op.getRouting()).counts())
    offsets.push_back(offsets.back() + count);
  SmallVector<Value> results = runGroups(
      frame, offsets, op.getRows(),
      [&](unsigned range) -> ValueRange { return op.getEachOf(range); },
      op.getBounds(), op.getBodies(), op.getNumRowResults());
  for (auto [result, value] : llvm::zip(op.getResults(), results))
    frame.set(result, std::move(value));
}

// y[t] = sum over t's filled slots, in order of choice, of weight (or 1) * the
// pair's row
static void combine(CombineOp op, Frame &frame) {
  const Tensor &rows = frame.tensor(op.getInput());
  const Routing &routing = frame.counted(op.getRouting());
  if (rows.rows() != routing.numPairs())
    fail("input has " + Twine(rows.rows()) + " rows, but the routing has " +
         Twine(routing.numPairs()) + " pairs");
  std::vector<std::vector<int64_t>> rowOf(
      routing.tokens.size()); // [token][slot], in dispatch order
  for (size_t t = 0; t < rowOf.size(); ++t)
    rowOf[t].resize(routing.tokens[t].size());
  int64_t next = 0;
  for (int64_t expert = 0; expert < routing.experts; ++expert)
    for (size_t t = 0; t < rowOf.size(); ++t)
      for (auto [j, slot] : llvm::enumerate(routing.tokens[t]))
        if (slot.expert == expert)
          rowOf[t][j] = next++;
  Shape shape = rows.shape;
  shape[0] = rowOf.size();
  Tensor y(op.getType().getElementType(), shape);
  int64_t width = y.rowSize();
  for (size_t t = 0; t < rowOf.size(); ++t)
    for (auto [j, slot] : llvm::enumerate(routing.tokens[t])) {
      if (slot.isEmpty())
        continue;
      double weight =
          op.getWeighting() == Weighting::Weighted ? slot.weight : 1;
      for (int64_t i = 0; i < width; ++i)
        y.floats()[t * width + i] +=
            weight * rows.floats()[rowOf[t][j] * width + i];
    }
  frame.set(op.getResult(), std::move(y));
}

static void scope(ScopeOp op, Frame &frame) {
  std::string text = op.getText().str();
  if (op.getIndex())
    text.replace(text.find("{}"), 2,
                 std::to_string(frame.integer(op.getIndex())));
  frame.set(op.getResult(),
            Scope{std::get<Scope>(frame.get(op.getScope())).prefix + text});
}

static void param(ParamOp op, Frame &frame) {
  std::string name =
      std::get<Scope>(frame.get(op.getScope())).prefix + op.getText().str();
  frame.set(op.getResult(), frame.interpreter.param(
                                name, cast<RankedTensorType>(op.getType())));
}

void addMoveOps(OpTable &table) {
  table.add<DispatchOp>(dispatch);
  table.add<ExpertOp>(expert);
  table.add<CombineOp>(combine);
  table.add<ScopeOp>(scope);
  table.add<ParamOp>(param);
}

} // namespace moe::reference
