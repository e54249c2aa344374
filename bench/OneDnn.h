// The same product by oneDNN, with weights in the form that it likes best.
#ifndef MOE_BENCH_ONEDNN_H
#define MOE_BENCH_ONEDNN_H

#include "bench/Problem.h"

#include <memory>

namespace moe::bench {

/// Results are f32, [M, N]. Those of int8 are sums of bytes and entries times
/// the scales of outputs: without the offset of bytes and the scales of rows,
/// it does a little less than others do.
class OneDnn {
public:
  /// `dense`: of a copy of the rows without the 64 bytes between them, which
  /// its best code wants; with them it takes another.
  OneDnn(const Problem &problem, bool dense);
  ~OneDnn();
  OneDnn(const OneDnn &) = delete;
  OneDnn &operator=(const OneDnn &) = delete;

  /// Whether oneDNN uses just these instructions: $DNNL_MAX_CPU_ISA=AVX2 or
  /// AVX512_CORE_BF16 (no AMX) holds it back for the whole process.
  static bool uses(const ProductKind &product);
  void multiply(float *results);

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace moe::bench

#endif
