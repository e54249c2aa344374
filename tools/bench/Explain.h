// Where the time of a layer goes: each product beside what the ceilings allow.
#ifndef MOE_TOOLS_BENCH_EXPLAIN_H
#define MOE_TOOLS_BENCH_EXPLAIN_H

#include "tools/bench/Measure.h"

namespace moe::bench {

/// Router, gate and up, down. The last two are told apart by @narrow: the
/// difference to the layer is the part of the down projection that @narrow
/// lacks.
std::vector<Product> explainProducts(const Layer &layer, const Batch &batch,
                                     std::span<const Sample> samples);

/// The largest share of a layer that its router may take, if there is a goal
/// for this number of tokens.
std::optional<double> routingLimit(int64_t tokens);

} // namespace moe::bench

#endif
