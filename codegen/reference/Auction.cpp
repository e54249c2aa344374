// The auction of BASE layers (arXiv 2103.16716), in f32 as fairseq runs it:
// experts bid for tokens until every token has one.
#include "codegen/reference/RoutingAlgebra.h"

#include <cmath>

using namespace mlir;

namespace moe::reference {

namespace {
/// One auction: matrices are [expert][token].
class Auction {
public:
  Auction(ArrayRef<double> scores, int64_t experts, AuctionOptions options);

  /// Bids of every expert, and whether every token got one.
  bool bid(int64_t round);
  /// Makes tokens dearer by their bids and says who holds them.
  void settle(int64_t round);
  std::vector<int64_t> result() const;

private:
  int64_t experts, tokens, share;
  int64_t rounds;
  float epsilon = 0, largestScore = 0;
  std::vector<float> score, value, bids;
  std::vector<float> cost, highBid;
  std::vector<int64_t> winner;            // -1: no bid
  std::vector<std::vector<int64_t>> best; // tokens of largest value
};
} // namespace

Auction::Auction(ArrayRef<double> scores, int64_t experts,
                 AuctionOptions options)
    : experts(experts), tokens(scores.size() / experts),
      share(tokens / experts), rounds(options.rounds), score(scores.size()),
      bids(scores.size()), cost(tokens), highBid(tokens), winner(tokens, -1),
      best(experts) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t e = 0; e < experts; ++e)
      score[e * tokens + t] = static_cast<float>(scores[t * experts + e]);
  auto [least, most] = std::minmax_element(score.begin(), score.end());
  largestScore = *most;
  epsilon = std::max((*most - *least) / static_cast<float>(options.over),
                     static_cast<float>(options.atLeast));
  value = score;
}

bool Auction::bid(int64_t round) {
  std::fill(bids.begin(), bids.end(), 0.0f);
  for (int64_t e = 0; e < experts; ++e) {
    std::vector<double> values(value.begin() + e * tokens,
                               value.begin() + (e + 1) * tokens);
    best[e] = largest(values, share + 1);
    float next = value[e * tokens + best[e][share]]; // the (n+1)-th
    best[e].pop_back();
    for (int64_t t : best[e])
      bids[e * tokens + t] = (value[e * tokens + t] - next) + epsilon;
  }
  if (round > 0 && round < rounds)
    for (int64_t t = 0; t < tokens; ++t)
      if (winner[t] >= 0)
        bids[winner[t] * tokens + t] = epsilon; // what an expert holds
  bool all = true;
  for (int64_t t = 0; t < tokens; ++t) {
    int64_t highest = 0;
    for (int64_t e = 1; e < experts; ++e)
      if (bids[e * tokens + t] > bids[highest * tokens + t])
        highest = e;
    highBid[t] = bids[highest * tokens + t];
    winner[t] = highBid[t] > 0 ? highest : -1;
    all &= winner[t] >= 0;
  }
  return all;
}

void Auction::settle(int64_t round) {
  for (int64_t t = 0; t < tokens; ++t) {
    cost[t] += highBid[t];
    for (int64_t e = 0; e < experts; ++e)
      value[e * tokens + t] = score[e * tokens + t] - cost[t];
    if (winner[t] >= 0) {
      int64_t held = winner[t] * tokens + t;
      value[held] = round < rounds ? largestScore : score[held];
    }
  }
}

std::vector<int64_t> Auction::result() const {
  std::vector<int64_t> expertOf(tokens, -1);
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t t : best[e])
      expertOf[t] = e;
  return expertOf;
}

std::vector<int64_t> auction(ArrayRef<double> scores, int64_t experts,
                             AuctionOptions options) {
  constexpr int64_t limit = 100000; // equal huge scores absorb every bid
  int64_t tokens = scores.size() / experts;
  if (tokens % experts != 0)
    fail("assigns " + Twine(tokens) + " tokens, which is no multiple of " +
         Twine(experts) + " experts");
  for (double score : scores)
    if (!std::isfinite(static_cast<float>(score)))
      fail("scores are not all finite in f32");
  if (experts == 1 || tokens == 0)
    return std::vector<int64_t>(tokens, 0);
  Auction auction(scores, experts, options);
  for (int64_t round = 0; !auction.bid(round); ++round) {
    if (round == options.rounds + limit)
      fail("the auction has no end after " + Twine(round) + " rounds");
    auction.settle(round);
  }
  return auction.result();
}

Routing assign(const Tensor &weights, const Tensor &scores,
               const Segments &segments, AuctionOptions options) {
  int64_t experts = weights.shape[1];
  Routing routing{experts, 1, {}};
  routing.tokens.resize(weights.rows());
  for (int64_t segment = 0; segment < segments.count(); ++segment) {
    std::vector<int64_t> tokens;
    std::vector<double> part;
    for (int64_t t = 0; t < weights.rows(); ++t)
      if (segments.of[t] == segment) {
        tokens.push_back(t);
        for (int64_t e = 0; e < experts; ++e)
          part.push_back(scores.floats()[t * experts + e]);
      }
    std::vector<int64_t> expertOf = auction(part, experts, options);
    for (auto [t, expert] : llvm::zip(tokens, expertOf))
      routing.tokens[t] = {{expert, weights.floats()[t * experts + expert]}};
  }
  return routing;
}

} // namespace moe::reference
