// The product as moe-compile makes it: the packing and the block of
// codegen/cpu/Matmul.h, without tasks.
#ifndef MOE_BENCH_GENERATED_H
#define MOE_BENCH_GENERATED_H

#include "bench/Problem.h"
#include "codegen/cpu/Target.h"
#include "test/codegen/cpu/KernelHarness.h"

namespace moe::bench {

class Generated {
public:
  /// Compiles for the problem's size and packs its weights.
  explicit Generated(Problem &problem);
  /// Whether this CPU runs the code.
  static bool runs(const ProductKind &product);
  /// One call; results are f32, [M, N].
  void multiply(const Problem &problem, float *results);

private:
  moert::Buffer rowPanel;
  std::unique_ptr<test::Kernels> kernels;
};

} // namespace moe::bench

#endif
