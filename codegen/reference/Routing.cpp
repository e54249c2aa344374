// What the operations compute that edit and read the weights of a routing.
#include "codegen/reference/Interpreter.h"
#include "dialect/MoeDialect.h"

#include <cmath>

using namespace mlir;

namespace moe::reference {

// sum: w / (sum w + plus), w / max(sum w, at_least); softmax: e^w / sum e^w;
// lp: w / (sum |w|^p)^(1/p); over a token's filled slots.
static void normalize(NormalizeOp op, Frame &frame) {
  Routing routing = frame.routing(op.getRouting());
  for (std::vector<Slot> &slots : routing.tokens) {
    std::vector<double *> weights;
    for (Slot &slot : slots)
      if (!slot.isEmpty())
        weights.push_back(&slot.weight);
    double divisor = 0;
    switch (op.getNorm()) {
    case Norm::Sum:
      for (double *weight : weights)
        divisor += *weight;
      if (op.getPlus())
        divisor += op.getPlus()->convertToDouble();
      if (op.getAtLeast())
        divisor = std::max(divisor, op.getAtLeast()->convertToDouble());
      break;
    case Norm::Softmax: {
      double max = -INFINITY;
      for (double *weight : weights)
        max = std::fmax(max, *weight);
      for (double *weight : weights)
        divisor += *weight = std::exp(*weight - max);
      break;
    }
    case Norm::Lp: {
      double p = op.getP()->convertToDouble();
      for (double *weight : weights)
        divisor += std::pow(std::fabs(*weight), p);
      divisor = std::pow(divisor, 1 / p);
      break;
    }
    }
    for (double *weight : weights)
      *weight /= divisor;
  }
  frame.set(op.getResult(), std::move(routing));
}

// w * constant, w * factor, w * factor[expert]
static void scale(ScaleOp op, Frame &frame) {
  Routing routing = frame.routing(op.getRouting());
  auto factorOf = [&](int64_t expert) {
    if (op.getConstant())
      return op.getConstant()->convertToDouble();
    if (isa<FloatType>(op.getFactor().getType()))
      return frame.number(op.getFactor());
    return frame.tensor(op.getFactor()).floats()[expert];
  };
  for (std::vector<Slot> &slots : routing.tokens)
    for (Slot &slot : slots)
      if (!slot.isEmpty())
        slot.weight *= factorOf(slot.expert);
  frame.set(op.getResult(), std::move(routing));
}

static void weights(WeightsOp op, Frame &frame) {
  const Routing &routing = frame.routing(op.getRouting());
  std::vector<double> weights;
  for (const std::vector<Slot> &slots : routing.tokens)
    for (const Slot &slot : slots)
      weights.push_back(slot.isEmpty() ? 0 : slot.weight);
  frame.set(op.getResult(), Tensor({static_cast<int64_t>(routing.tokens.size()),
                                    routing.choices},
                                   std::move(weights)));
}

static void indices(IndicesOp op, Frame &frame) {
  const Routing &routing = frame.routing(op.getRouting());
  std::vector<int64_t> experts;
  for (const std::vector<Slot> &slots : routing.tokens)
    for (const Slot &slot : slots)
      experts.push_back(slot.expert);
  frame.set(op.getResult(), Tensor({static_cast<int64_t>(routing.tokens.size()),
                                    routing.choices},
                                   std::move(experts)));
}

static void withWeights(WithWeightsOp op, Frame &frame) {
  Routing routing = frame.routing(op.getRouting());
  const Tensor &weights = frame.tensor(op.getWeights());
  if (weights.rows() != static_cast<int64_t>(routing.tokens.size()))
    fail("weights have " + Twine(weights.rows()) +
         " rows, but the routing has " + Twine(routing.tokens.size()) +
         " tokens");
  for (auto [t, slots] : llvm::enumerate(routing.tokens))
    for (auto [j, slot] : llvm::enumerate(slots))
      if (!slot.isEmpty())
        slot.weight = weights.floats()[t * routing.choices + j];
  frame.set(op.getResult(), std::move(routing));
}

static void counts(CountsOp op, Frame &frame) {
  const Routing &routing = frame.counted(op.getRouting());
  frame.set(op.getResult(), Tensor({routing.experts}, routing.counts()));
}

void addRoutingOps(OpTable &table) {
  table.add<NormalizeOp>(normalize);
  table.add<ScaleOp>(scale);
  table.add<WeightsOp>(weights);
  table.add<IndicesOp>(indices);
  table.add<WithWeightsOp>(withWeights);
  table.add<CountsOp>(counts);
}

} // namespace moe::reference
