// Segments, choices, limits and losses of routings, see RoutingAlgebra.h.
#include "codegen/reference/RoutingAlgebra.h"

#include "llvm/ADT/DenseMap.h"

#include <cmath>

using namespace mlir;

namespace moe::reference {

bool ranksBefore(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return std::isnan(b) && !std::isnan(a);
  return a > b;
}

Segments segmentsOf(int64_t tokens, const Tensor *numbers) {
  Segments segments;
  if (!numbers) {
    segments.of.assign(tokens, 0);
    segments.sizes = {tokens};
    return segments;
  }
  if (numbers->size() != tokens)
    fail("segments have " + Twine(numbers->size()) + " values, but there are " +
         Twine(tokens) + " tokens");
  llvm::DenseMap<int64_t, int64_t> indexOf;
  for (int64_t number : numbers->integers()) {
    auto [entry, isNew] = indexOf.try_emplace(number, segments.sizes.size());
    if (isNew)
      segments.sizes.push_back(0);
    ++segments.sizes[entry->second];
    segments.of.push_back(entry->second);
  }
  return segments;
}

Segments segmentsOf(Frame &frame, int64_t tokens, mlir::Value numbers) {
  return segmentsOf(tokens, numbers ? &frame.tensor(numbers) : nullptr);
}

std::vector<int64_t> capacitiesOf(Frame &frame, mlir::Value capacity,
                                  const Segments &segments) {
  if (capacity.getType().isIndex())
    return std::vector<int64_t>(segments.count(), frame.integer(capacity));
  const Tensor &values = frame.tensor(capacity);
  if (values.size() != static_cast<int64_t>(segments.of.size()))
    fail("capacity has " + Twine(values.size()) + " values, but there are " +
         Twine(segments.of.size()) + " tokens");
  std::vector<std::optional<int64_t>> found(segments.count());
  for (auto [segment, value] : llvm::zip(segments.of, values.integers())) {
    if (found[segment].value_or(value) != value)
      fail("capacity is both " + Twine(*found[segment]) + " and " +
           Twine(value) + " in one segment");
    found[segment] = value;
  }
  std::vector<int64_t> result;
  for (std::optional<int64_t> value : found)
    result.push_back(*value);
  return result;
}

/// Whether a token may choose each expert: those of its best groups.
static std::vector<bool> allowed(ArrayRef<double> keys,
                                 const std::optional<Groups> &groups) {
  if (!groups)
    return std::vector<bool>(keys.size(), true);
  int64_t size = keys.size() / groups->count;
  std::vector<double> scores; // of groups
  for (int64_t g = 0; g < groups->count; ++g) {
    ArrayRef<double> members = keys.slice(g * size, size);
    double score = 0;
    for (int64_t i : largest(members, groups->best))
      score += members[i];
    scores.push_back(score);
  }
  std::vector<bool> result(keys.size(), false);
  for (int64_t g : largest(scores, groups->keep))
    for (int64_t i = 0; i < size; ++i)
      result[g * size + i] = true;
  return result;
}

std::vector<Slot> choose(ArrayRef<double> weights, ArrayRef<double> keys,
                         const Choice &choice) {
  std::vector<bool> mayChoose = allowed(keys, choice.groups);
  std::vector<int64_t> order; // experts by descending key
  for (int64_t expert : largest(keys, keys.size()))
    if (mayChoose[expert])
      order.push_back(expert);
  if (choice.selection == Selection::Top) {
    std::vector<Slot> slots;
    for (int64_t expert : ArrayRef<int64_t>(order).take_front(choice.top))
      slots.push_back({expert, weights[expert]});
    return slots;
  }
  std::vector<Slot> slots(keys.size());
  double sum = 0; // of the keys before this one
  for (int64_t expert : order) {
    double key = keys[expert];
    bool chosen = false;
    switch (choice.selection) {
    case Selection::GreaterThan:
      chosen = key > choice.threshold;
      break;
    case Selection::AtLeast:
      chosen = key >= choice.threshold;
      break;
    case Selection::TopP:
      chosen = sum < choice.threshold;
      break;
    case Selection::Nonzero:
      chosen = key != 0;
      break;
    case Selection::All:
      chosen = true;
      break;
    case Selection::Top:
    case Selection::Take:
      llvm_unreachable("is no choice of one token by a condition");
    }
    if (chosen)
      slots[expert] = {expert, weights[expert]};
    sum += key;
  }
  return slots;
}

Routing take(const Tensor &weights, const Tensor &key, const Segments &segments,
             ArrayRef<int64_t> capacities) {
  int64_t experts = weights.shape[1];
  Routing routing{experts, experts, {}};
  routing.tokens.assign(weights.rows(), std::vector<Slot>(experts));
  for (int64_t segment = 0; segment < segments.count(); ++segment)
    for (int64_t e = 0; e < experts; ++e) {
      std::vector<int64_t> tokens;
      std::vector<double> keys;
      for (int64_t t = 0; t < weights.rows(); ++t)
        if (segments.of[t] == segment) {
          tokens.push_back(t);
          keys.push_back(key.floats()[t * experts + e]);
        }
      int64_t count = std::clamp<int64_t>(capacities[segment], 0, keys.size());
      for (int64_t i : largest(keys, count)) {
        int64_t t = tokens[i];
        routing.tokens[t][e] = {e, weights.floats()[t * experts + e]};
      }
    }
  return routing;
}

namespace {
struct Pair {
  int64_t token, slot, expert;
  double priority; // larger first
};
} // namespace

/// Whether `a` is looked at before `b`.
static bool comesBefore(Order order, const Pair &a, const Pair &b) {
  bool higher = ranksBefore(a.priority, b.priority),
       lower = ranksBefore(b.priority, a.priority);
  switch (order) {
  case Order::Position:
    return std::tie(a.token, a.expert) < std::tie(b.token, b.expert);
  case Order::Choice:
    if (a.slot != b.slot)
      return a.slot < b.slot;
    return higher || (!lower && a.token < b.token);
  case Order::TokenChoice:
  case Order::Weight:
  case Order::Value:
    return higher ||
           (!lower && std::tie(a.token, a.slot) < std::tie(b.token, b.slot));
  }
  llvm_unreachable("all orders are handled");
}

static double priorityOf(const Limit &limit, int64_t token, int64_t slot,
                         const Slot &pair) {
  if (limit.order == Order::Weight)
    return pair.weight;
  if (!limit.priority)
    return 0;
  const Tensor &priority = *limit.priority;
  if (priority.rank() == 1)
    return priority.floats()[token];
  return priority.floats()[token * priority.shape[1] +
                           (limit.prioritySlots ? slot : pair.expert)];
}

Routing limited(Routing routing, const Segments &segments,
                ArrayRef<int64_t> capacities, const Limit &limit) {
  int64_t tokens = routing.tokens.size();
  if (limit.priority && limit.priority->rows() != tokens)
    fail("priority has " + Twine(limit.priority->rows()) +
         " rows, but the routing has " + Twine(tokens) + " tokens");
  std::vector<Pair> pairs;
  for (int64_t t = 0; t < tokens; ++t)
    for (auto [s, slot] : llvm::enumerate(routing.tokens[t]))
      if (!slot.isEmpty())
        pairs.push_back({t, static_cast<int64_t>(s), slot.expert,
                         priorityOf(limit, t, s, slot)});
  llvm::sort(pairs, [&](const Pair &a, const Pair &b) {
    return comesBefore(limit.order, a, b);
  });
  std::vector<int64_t> placed(tokens); // pairs kept of each token
  std::vector<std::vector<int64_t>> load(segments.count(),
                                         std::vector<int64_t>(routing.experts));
  for (const Pair &pair : pairs) {
    int64_t segment = segments.of[pair.token];
    bool isWanted = !limit.place || placed[pair.token] < *limit.place;
    if (isWanted && load[segment][pair.expert] < capacities[segment]) {
      ++placed[pair.token];
      ++load[segment][pair.expert];
    } else {
      routing.tokens[pair.token][pair.slot] = Slot();
    }
  }
  return routing;
}

Routing joined(const Routing &first, const Routing &second, bool byExpert) {
  if (first.tokens.size() != second.tokens.size())
    fail("joins a routing of " + Twine(first.tokens.size()) +
         " tokens and one of " + Twine(second.tokens.size()));
  Routing result{first.experts,
                 byExpert ? first.experts : first.choices + second.choices,
                 {}};
  for (auto [a, b] : llvm::zip(first.tokens, second.tokens)) {
    std::vector<Slot> all = a;
    llvm::append_range(all, b);
    std::vector<int64_t> slotOf(first.experts, -1);
    for (auto [s, slot] : llvm::enumerate(all)) {
      if (slot.isEmpty())
        continue;
      int64_t &earlier = slotOf[slot.expert];
      if (earlier < 0) {
        earlier = s;
      } else {
        all[earlier].weight += slot.weight;
        slot = Slot();
      }
    }
    std::vector<Slot> &slots = result.tokens.emplace_back(std::move(all));
    if (!byExpert)
      continue;
    std::vector<Slot> sorted(first.experts);
    for (const Slot &slot : slots)
      if (!slot.isEmpty())
        sorted[slot.expert] = slot;
    slots = std::move(sorted);
  }
  return result;
}

double balanceLoss(const Tensor &probabilities, const Routing &routing,
                   const Segments &segments, Counting counting,
                   BalanceScale scale) {
  int64_t tokens = probabilities.rows(), experts = routing.experts;
  if (tokens != static_cast<int64_t>(routing.tokens.size()))
    fail("probabilities have " + Twine(tokens) + " rows, but the routing has " +
         Twine(routing.tokens.size()) + " tokens");
  if (tokens == 0)
    return 0;
  double sum = 0; // of the losses of segments
  for (int64_t segment = 0; segment < segments.count(); ++segment) {
    std::vector<double> counts(experts), probability(experts);
    for (int64_t t = 0; t < tokens; ++t) {
      if (segments.of[t] != segment)
        continue;
      for (int64_t e = 0; e < experts; ++e)
        probability[e] += probabilities.floats()[t * experts + e];
      for (auto [s, slot] : llvm::enumerate(routing.tokens[t]))
        if (!slot.isEmpty() && (s == 0 || counting == Counting::All))
          counts[slot.expert] += 1;
    }
    auto size = static_cast<double>(segments.sizes[segment]);
    for (int64_t e = 0; e < experts; ++e)
      sum += static_cast<double>(experts) * (counts[e] / size) *
             (probability[e] / size);
  }
  bool isDivided = scale == BalanceScale::One && counting == Counting::All;
  return sum / static_cast<double>(segments.count()) /
         static_cast<double>(isDivided ? routing.choices : 1);
}

Tensor toMatrix(const Routing &routing) {
  auto tokens = static_cast<int64_t>(routing.tokens.size());
  Tensor matrix({tokens, routing.experts},
                std::vector<double>(tokens * routing.experts));
  for (auto [t, slots] : llvm::enumerate(routing.tokens))
    for (const Slot &slot : slots)
      if (!slot.isEmpty())
        matrix.floats()[t * routing.experts + slot.expert] = slot.weight;
  return matrix;
}

std::vector<int64_t> checkedIds(ArrayRef<int64_t> ids, int64_t choices,
                                int64_t experts) {
  std::vector<int64_t> result;
  for (auto [i, id] : llvm::enumerate(ids)) {
    if (id >= experts)
      fail("expert " + Twine(id) + " is out of range, there are " +
           Twine(experts) + " experts");
    auto rowBegin = static_cast<int64_t>(i) / choices * choices;
    if (id >= 0 &&
        llvm::is_contained(
            ids.slice(rowBegin, static_cast<int64_t>(i) - rowBegin), id))
      fail("expert " + Twine(id) + " stands twice in row " +
           Twine(rowBegin / choices));
    result.push_back(std::max<int64_t>(id, -1));
  }
  return result;
}

} // namespace moe::reference
