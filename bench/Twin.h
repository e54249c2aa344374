// The same product by hand: the tiles of tools/bench/Tile.h and MatrixTile.h
// over the same packed weights, in the same order.
#ifndef MOE_BENCH_TWIN_H
#define MOE_BENCH_TWIN_H

#include "bench/Problem.h"

namespace moe::bench {

/// On matrix tiles only whole tiles of rows.
void multiplyByHand(const Problem &problem, float *results);

} // namespace moe::bench

#endif
