// What both levels share: how pairs are chosen, assigned, limited and counted,
// as functions of plain values.
#ifndef MOE_CODEGEN_REFERENCE_ROUTINGALGEBRA_H
#define MOE_CODEGEN_REFERENCE_ROUTINGALGEBRA_H

#include "codegen/reference/Interpreter.h"
#include "dialect/MoeDialect.h"

#include <optional>

namespace moe::reference {

/// Whether `a` comes before `b` when the largest is first: NaN below -inf.
bool ranksBefore(double a, double b);

/// Which tokens compete: of[t] is the segment of token t, numbered 0, 1, ... in
/// order of first appearance.
struct Segments {
  std::vector<int64_t> of;
  std::vector<int64_t> sizes;
  int64_t count() const { return sizes.size(); }
};
/// All tokens are one segment if `numbers` is null. Throws Error if they are
/// not one number per token.
Segments segmentsOf(int64_t tokens, const Tensor *numbers);
/// The same for an optional operand.
Segments segmentsOf(Frame &frame, int64_t tokens, mlir::Value numbers);

/// One capacity per segment, from an index or from one value per token. Throws
/// Error if values differ inside a segment.
std::vector<int64_t> capacitiesOf(Frame &frame, mlir::Value capacity,
                                  const Segments &segments);

/// `count` groups of neighbouring experts, of which a token sees the `keep`
/// with the largest sum of their `best` largest keys.
struct Groups {
  int64_t count, keep, best;
};

/// How a token chooses its experts.
struct Choice {
  Selection selection = Selection::Top; // not Take
  int64_t top = 0;                      // k of Top
  double threshold = 0;                 // t or p
  std::optional<Groups> groups;
};

/// Slots of one token: the j-th choice in slot j for Top, otherwise expert e in
/// slot e.
std::vector<Slot> choose(llvm::ArrayRef<double> weights,
                         llvm::ArrayRef<double> keys, const Choice &choice);

/// Every expert takes capacities[s] tokens of each segment s, by largest key.
Routing take(const Tensor &weights, const Tensor &key, const Segments &segments,
             llvm::ArrayRef<int64_t> capacities);

/// The numbers of moe.assign.
struct AuctionOptions {
  double over, atLeast;
  int64_t rounds;
};
/// The expert of each token; scores [T, E] are rounded to f32 and must be
/// finite, T a multiple of E.
std::vector<int64_t> auction(llvm::ArrayRef<double> scores, int64_t experts,
                             AuctionOptions options);
/// An auction for each segment, weighted by `weights`.
Routing assign(const Tensor &weights, const Tensor &scores,
               const Segments &segments, AuctionOptions options);

/// A limit on the pairs of an expert.
struct Limit {
  Order order;
  const Tensor *priority = nullptr; // [T], [T, k] or [T, E]
  bool prioritySlots = false;       // its second dimension is slots
  std::optional<int64_t> place;     // next_choice: pairs a token wants
};
Routing limited(Routing routing, const Segments &segments,
                llvm::ArrayRef<int64_t> capacities, const Limit &limit);

/// The union of two routings, weights of common pairs added. `byExpert`: slot e
/// of the result holds expert e; otherwise slots of the first, then of the
/// second.
Routing joined(const Routing &first, const Routing &second, bool byExpert);

/// E * sum_e f[e] P[e] as moe.balance_loss says; `choices` is k.
double balanceLoss(const Tensor &probabilities, const Routing &routing,
                   const Segments &segments, Counting counting,
                   BalanceScale scale);

/// G as [T, E].
Tensor toMatrix(const Routing &routing);

/// Throws Error for an id of `experts` or more, or one twice in a row. Ids
/// below 0 become -1.
std::vector<int64_t> checkedIds(llvm::ArrayRef<int64_t> ids, int64_t choices,
                                int64_t experts);

/// Four words of Philox4x32-10 (Salmon et al., SC 2011).
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                               std::array<uint32_t, 2> key);

} // namespace moe::reference

#endif // MOE_CODEGEN_REFERENCE_ROUTINGALGEBRA_H
