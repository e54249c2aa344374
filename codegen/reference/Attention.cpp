// What attention among the rows at hand and rotary positions compute.
#include "codegen/reference/Interpreter.h"
#include "dialect/RopeFrequencies.h"

#include <cmath>

using namespace mlir;

namespace moe::reference {

// Pair i of row t, (x, y), turns by a = positions[t] * frequencies[i].
static void rope(RopeOp op, Frame &frame) {
  Tensor y = frame.tensor(op.getInput());
  const Tensor &positions = frame.tensor(op.getPositions()),
               &frequencies = frame.tensor(op.getFrequencies());
  if (positions.size() != y.rows())
    fail("input has " + Twine(y.rows()) + " rows, but there are " +
         Twine(positions.size()) + " positions");
  int64_t width = y.shape.back(), pairs = frequencies.size();
  int64_t vectors = width ? y.rowSize() / width : 0; // of one row
  bool isHalf = op.getPairs() == RopePairs::Half;
  for (int64_t t = 0; t < y.rows(); ++t)
    for (int64_t h = 0; h < vectors; ++h)
      for (int64_t i = 0; i < pairs; ++i) {
        double angle = static_cast<double>(positions.integers()[t]) *
                       frequencies.floats()[i];
        double *vector = y.floats().data() + (t * vectors + h) * width;
        double &first = vector[isHalf ? i : 2 * i],
               &second = vector[isHalf ? i + pairs : 2 * i + 1];
        double turned = first * std::cos(angle) - second * std::sin(angle);
        second = second * std::cos(angle) + first * std::sin(angle);
        first = turned;
      }
  frame.set(op.getResult(), std::move(y));
}

static void ropeFrequencies(RopeFrequenciesOp op, Frame &frame) {
  SmallVector<double> frequencies = moe::ropeFrequencies(op);
  int64_t pairs = frequencies.size();
  frame.set(op.getResult(),
            Tensor({pairs}, std::vector<double>(frequencies.begin(),
                                                frequencies.end())));
}

namespace {
/// Which key rows a query row sees.
struct Sight {
  const Tensor *querySegments, *keySegments; // null: all are one segment
  const Tensor *queryPositions, *keyPositions;
  bool causal;
  std::optional<int64_t> window;

  bool sees(int64_t query, int64_t key) const {
    if (querySegments &&
        querySegments->integers()[query] != keySegments->integers()[key])
      return false;
    if (!queryPositions)
      return true;
    int64_t at = queryPositions->integers()[query],
            from = keyPositions->integers()[key];
    return !(causal && from > at) && !(window && at >= from + *window);
  }
};
} // namespace

// y[t, h] = sum_s softmax_s(scale * q[t, h] . k[s, g]) * v[s, g] over the rows
// s that t sees; g = h / (H / G)
static void attention(AttentionOp op, Frame &frame) {
  const Tensor &q = frame.tensor(op.getQuery()), &k = frame.tensor(op.getKey()),
               &v = frame.tensor(op.getValue());
  if (v.rows() != k.rows())
    fail("keys have " + Twine(k.rows()) + " rows, but values have " +
         Twine(v.rows()));
  auto perRow = [&](mlir::Value operand, int64_t rows) -> const Tensor * {
    if (!operand)
      return nullptr;
    const Tensor &tensor = frame.tensor(operand);
    if (tensor.size() != rows)
      fail("segments or positions have " + Twine(tensor.size()) +
           " values for " + Twine(rows) + " rows");
    return &tensor;
  };
  Sight sight{perRow(op.getQuerySegments(), q.rows()),
              perRow(op.getKeySegments(), k.rows()),
              perRow(op.getQueryPositions(), q.rows()),
              perRow(op.getKeyPositions(), k.rows()),
              op.getCausal(),
              op.getWindow() ? std::optional<int64_t>(*op.getWindow())
                             : std::nullopt};
  int64_t heads = q.shape[1], keyHeads = k.shape[1], depth = q.shape[2],
          width = v.shape[2];
  double scale = op.getScale().convertToDouble();
  Tensor y({q.rows(), heads, width},
           std::vector<double>(q.rows() * heads * width));
  for (int64_t t = 0; t < q.rows(); ++t)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t g = h / (heads / keyHeads);
      std::vector<int64_t> seen;
      std::vector<double> scores;
      double max = -INFINITY, sum = 0;
      for (int64_t s = 0; s < k.rows(); ++s) {
        if (!sight.sees(t, s))
          continue;
        double product = 0;
        for (int64_t d = 0; d < depth; ++d)
          product += q.floats()[(t * heads + h) * depth + d] *
                     k.floats()[(s * keyHeads + g) * depth + d];
        seen.push_back(s);
        scores.push_back(scale * product);
        max = std::fmax(max, scores.back());
      }
      for (double &score : scores)
        sum += score = std::exp(score - max);
      for (auto [s, score] : llvm::zip(seen, scores))
        for (int64_t d = 0; d < width; ++d)
          y.floats()[(t * heads + h) * width + d] +=
              score / sum * v.floats()[(s * keyHeads + g) * width + d];
    }
  frame.set(op.getResult(), std::move(y));
}

void addAttentionOps(OpTable &table) {
  table.add<RopeOp>(rope);
  table.add<RopeFrequenciesOp>(ropeFrequencies);
  table.add<AttentionOp>(attention);
}

} // namespace moe::reference
