// The shape of a Mixtral-style layer, what its arithmetic costs, and its model
// text: H hidden width, F width inside an expert, E experts, k per token.
#ifndef MOE_TOOLS_BENCH_SHAPE_H
#define MOE_TOOLS_BENCH_SHAPE_H

#include "runtime/Types.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moe::bench {

/// What rows and experts' weights are made of.
enum class Precision {
  F32,
  Bf16,
  F16,
  Q8,  // bf16 rows and weights, which moe-compile makes 8-bit entries
  Q8g, // the same with a scale for 32 of them
  Q4,  // the same with 4-bit entries
  Q4z, // and with zero points
};
/// f32, bf16, f16, q8, q8g, q4 or q4z.
std::string_view nameOf(Precision precision);
std::optional<Precision> parsePrecision(std::string_view name);
/// Whether the name is also a --weights-format of moe-compile.
bool isQuantized(Precision precision);
/// Of the rows, and of the weights in the checkpoint.
moert::Dtype dtypeOf(Precision precision);

struct Shape {
  int64_t hidden;  // H
  int64_t inner;   // F
  int64_t experts; // E
  int64_t choices; // k

  bool operator==(const Shape &) const = default;
  /// "H2048,F1024,E64,k8"
  std::string text() const;
  /// Of the router and of k experts (gate, up, down) for every token; a
  /// multiply-add is 2.
  double operations(int64_t tokens) const;
  /// Of the router's weights and of the experts that have tokens; what must
  /// come from memory when nothing is in the caches.
  double weightBytes(double activeExperts, Precision precision) const;
  /// Of one expert's weights, packed.
  double expertBytes(Precision precision) const;
};

/// Reads "H2048,F1024,E64,k8", in any order. MOERT_USAGE, beginning with
/// `option`, names what is missing or wrong.
Shape parseShape(std::string_view text, std::string_view option);

/// Columns of the result of @narrow.
int64_t narrowWidth(const Shape &shape);

/// One module with @layer (router, top k, SwiGLU experts, weighted sum) and
/// @routing (the router alone); `withNarrow` adds @narrow, a layer whose down
/// projection has fewer columns, so that the cost of that product is the
/// difference. Rows, weights and hidden layer are of `dtype`; sums and scores
/// are f32.
std::string modelText(const Shape &shape, moert::Dtype dtype,
                      bool withNarrow = false);

} // namespace moe::bench

#endif
