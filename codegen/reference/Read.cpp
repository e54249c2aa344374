// What the operations compute that read a routing as a matrix, pairs and sums,
// and the published capacities.
#include "codegen/reference/RoutingAlgebra.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace moe::reference {

static void toMatrix(ToMatrixOp op, Frame &frame) {
  frame.set(op.getResult(), toMatrix(frame.routing(op.getRouting())));
}

// In dispatch order: experts ascending, tokens ascending inside an expert.
static void pairs(PairsOp op, Frame &frame) {
  const Routing &routing = frame.counted(op.getRouting());
  std::vector<int64_t> experts, tokens, slots;
  std::vector<double> weights;
  for (int64_t expert = 0; expert < routing.experts; ++expert)
    for (auto [t, choices] : llvm::enumerate(routing.tokens))
      for (auto [j, slot] : llvm::enumerate(choices))
        if (slot.expert == expert) {
          experts.push_back(expert);
          tokens.push_back(t);
          slots.push_back(j);
          weights.push_back(slot.weight);
        }
  auto count = static_cast<int64_t>(weights.size());
  frame.set(op.getExpert(), Tensor({count}, std::move(experts)));
  frame.set(op.getToken(), Tensor({count}, std::move(tokens)));
  frame.set(op.getSlot(), Tensor({count}, std::move(slots)));
  frame.set(op.getWeight(), Tensor({count}, std::move(weights)));
}

// importance[e] = sum_t G[t, e]
static void importance(ImportanceOp op, Frame &frame) {
  const Routing &routing = frame.routing(op.getRouting());
  std::vector<double> sums(routing.experts);
  for (const std::vector<Slot> &slots : routing.tokens)
    for (const Slot &slot : slots)
      if (!slot.isEmpty())
        sums[slot.expert] += slot.weight;
  frame.set(op.getResult(), Tensor({routing.experts}, std::move(sums)));
}

static void tokens(TokensOp op, Frame &frame) {
  frame.set(op.getResult(), Value(frame.tensor(op.getInput()).rows()));
}

static void segmentSize(SegmentSizeOp op, Frame &frame) {
  const Tensor &numbers = frame.tensor(op.getSegments());
  Segments segments = segmentsOf(numbers.size(), &numbers);
  std::vector<int64_t> sizes;
  for (int64_t segment : segments.of)
    sizes.push_back(segments.sizes[segment]);
  frame.set(op.getResult(), Tensor(numbers.shape, std::move(sizes)));
}

/// The capacity for T tokens by the formula as its program evaluates it.
static int64_t capacityFor(CapacityOp op, int64_t count) {
  auto tokens = static_cast<double>(count),
       experts = static_cast<double>(op.getExperts()),
       choices = static_cast<double>(op.getChoices().value_or(1)),
       factor = op.getFactor().convertToDouble();
  auto minimum = static_cast<int64_t>(op.getMinimum().value_or(0)),
       multiple = static_cast<int64_t>(op.getMultiple().value_or(1));
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  auto toInteger = [](double value) {
    value = value < 0x1p62 ? value : 0x1p62; // more than any program has
    return static_cast<int64_t>(value > -0x1p62 ? value : -0x1p62);
  };
  auto atLeastOne = [&](double value) {
    if (!(value >= 1))
      fail("capacity of " + Twine(count) + " tokens is " +
           Twine(toInteger(value)) + ", expected 1 or more");
    auto step = static_cast<uint64_t>(multiple);
    uint64_t up = (toInteger(value) + step - 1) / step * step;
    return static_cast<int64_t>(std::min<uint64_t>(up, most));
  };
  switch (op.getFormula()) {
  case CapacityFormula::Mesh:
    return std::max(std::min(count, toInteger(tokens * factor / experts)),
                    minimum);
  case CapacityFormula::Flaxformer: // nearbyint rounds half to even
    return std::max(toInteger(std::nearbyint(factor * tokens / experts)),
                    minimum);
  case CapacityFormula::MegaBlocks:
    return toInteger(factor * (choices * tokens / experts));
  case CapacityFormula::DeepSpeed: {
    float perExpert = static_cast<float>(tokens / experts) *
                      static_cast<float>(factor * choices);
    return std::max(toInteger(std::ceil(perExpert)), minimum);
  }
  case CapacityFormula::Megatron:
    return toInteger(std::ceil(choices * tokens / experts * factor));
  case CapacityFormula::Tutel: {
    auto times = static_cast<int64_t>(op.getChoices().value_or(1));
    int64_t each = toInteger(factor * std::ceil(tokens / experts));
    return each <= most / times ? each * times : most;
  }
  case CapacityFormula::VMoE:
    return atLeastOne(std::ceil(choices * tokens * factor / experts));
  case CapacityFormula::VMoEExpertChoice:
    return atLeastOne(std::ceil(tokens * factor / experts));
  case CapacityFormula::SoftMoE:
    return atLeastOne(std::nearbyint(tokens * factor / experts));
  }
  llvm_unreachable("all formulas are handled");
}

static void capacity(CapacityOp op, Frame &frame) {
  if (op.getTokens().getType().isIndex())
    return frame.set(op.getResult(),
                     Value(capacityFor(op, frame.integer(op.getTokens()))));
  Tensor result = frame.tensor(op.getTokens());
  for (int64_t &count : result.integers())
    count = std::clamp<int64_t>(capacityFor(op, count),
                                std::numeric_limits<int32_t>::min(),
                                std::numeric_limits<int32_t>::max());
  frame.set(op.getResult(), std::move(result));
}

void addReadOps(OpTable &table) {
  table.add<ToMatrixOp>(toMatrix);
  table.add<PairsOp>(pairs);
  table.add<ImportanceOp>(importance);
  table.add<TokensOp>(tokens);
  table.add<SegmentSizeOp>(segmentSize);
  table.add<CapacityOp>(capacity);
}

} // namespace moe::reference
