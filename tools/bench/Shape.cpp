// Shapes of layers and their model text, see Shape.h.
#include "tools/bench/Shape.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <charconv>

namespace moe::bench {

using moert::Dtype;

static constexpr std::string_view names[] = {"f32", "bf16", "f16", "q8",
                                             "q8g", "q4",   "q4z"};

std::string_view nameOf(Precision precision) {
  return names[static_cast<size_t>(precision)];
}

std::optional<Precision> parsePrecision(std::string_view name) {
  const auto *found = std::ranges::find(names, name);
  if (found == std::end(names))
    return std::nullopt;
  return static_cast<Precision>(found - names);
}

bool isQuantized(Precision precision) { return precision >= Precision::Q8; }

Dtype dtypeOf(Precision precision) {
  return precision == Precision::F32   ? MOERT_F32
         : precision == Precision::F16 ? MOERT_F16
                                       : MOERT_BF16;
}

std::string Shape::text() const {
  return fmt::format("H{},F{},E{},k{}", hidden, inner, experts, choices);
}

double Shape::operations(int64_t tokens) const {
  double h = static_cast<double>(hidden);
  double router = h * static_cast<double>(experts);
  double expert = 3.0 * h * static_cast<double>(inner);
  return 2.0 * static_cast<double>(tokens) *
         (router + static_cast<double>(choices) * expert);
}

double Shape::expertBytes(Precision precision) const {
  double weights = 3.0 * static_cast<double>(hidden * inner);
  if (precision == Precision::Q8)
    return weights;
  // For 32 weights a scale of 2 bytes, and a zero point of 1.
  if (precision == Precision::Q8g)
    return weights * (1 + 2.0 / 32);
  if (precision == Precision::Q4)
    return weights * (0.5 + 2.0 / 32);
  if (precision == Precision::Q4z)
    return weights * (0.5 + 3.0 / 32);
  return weights * static_cast<double>(moert::dtypeBytes(dtypeOf(precision)));
}

double Shape::weightBytes(double activeExperts, Precision precision) const {
  auto number = static_cast<double>(moert::dtypeBytes(dtypeOf(precision)));
  double router = static_cast<double>(hidden * experts) * number;
  return router + activeExperts * expertBytes(precision);
}

Shape parseShape(std::string_view text, std::string_view option) {
  Shape shape{0, 0, 0, 0};
  auto wrong = [&](std::string_view why) {
    moert::fail(MOERT_USAGE, "{}: {} in {}; wanted as in H2048,F1024,E64,k8",
                option, why, moert::quote(text));
  };
  for (std::string_view left = text; !left.empty();) {
    std::string_view part = left.substr(0, left.find(','));
    left.remove_prefix(std::min(left.size(), part.size() + 1));
    int64_t *field = part.starts_with('H')   ? &shape.hidden
                     : part.starts_with('F') ? &shape.inner
                     : part.starts_with('E') ? &shape.experts
                     : part.starts_with('k') ? &shape.choices
                                             : nullptr;
    if (!field)
      wrong(
          fmt::format("{} begins with none of H, F, E, k", moert::quote(part)));
    if (*field)
      wrong(fmt::format("{} appears twice", part[0]));
    const char *end = part.data() + part.size();
    auto [stop, error] = std::from_chars(part.data() + 1, end, *field);
    // The limit keeps every product of sizes far inside 64 bits.
    if (error != std::errc() || stop != end || *field < 1 ||
        *field > int64_t(1) << 20)
      wrong(fmt::format("{} is no size from 1 to 2^20", moert::quote(part)));
  }
  if (!shape.hidden || !shape.inner || !shape.experts || !shape.choices)
    wrong(fmt::format("no {}", !shape.hidden    ? 'H'
                               : !shape.inner   ? 'F'
                               : !shape.experts ? 'E'
                                                : 'k'));
  if (shape.choices > shape.experts)
    wrong(fmt::format("k {} is more than E {}", shape.choices, shape.experts));
  return shape;
}

int64_t narrowWidth(const Shape &shape) {
  return std::max<int64_t>(1, shape.hidden / 4);
}

/// {0} H, {1} F, {2} E, {3} k, {4} element type
static constexpr const char *routerText =
    R"(!x = tensor<?x{0}x{4}>
!s = tensor<?x{2}xf32>
!h = tensor<?x{1}xf32>
!c = tensor<?x{1}x{4}>
!u = tensor<{2}x{1}x{0}x{4}>
!r = !moe.routing<{2}, top {3}>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {{
  %w = moe.param %m "gate.weight" : tensor<{2}x{0}x{4}>
  %l = moe.linear %x, %w : (!x, tensor<{2}x{0}x{4}>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top {3} : !s -> !r
  %r = moe.normalize %g by sum : !r
  return %r : !r
}}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x{3}xi32>, tensor<?x{3}xf32>) {{
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x{3}xi32>
  %w = moe.weights %r : !r -> tensor<?x{3}xf32>
  return %i, %w : tensor<?x{3}xi32>, tensor<?x{3}xf32>
}}
)";

/// {0} H, {1} F, {2} E, {4} element type, {5} name, {6} columns of the result,
/// {7} weights of the down projection, {8} its rows, {9} what rounds them
static constexpr const char *layerText = R"(
func.func @{5}(%x: !x, %m: !moe.scope) -> tensor<?x{6}x{4}> {{
  %w1 = moe.param %m "experts.{{expert}}.w1.weight" : !u
  %w3 = moe.param %m "experts.{{expert}}.w3.weight" : !u
  %w2 = moe.param %m "experts.{{expert}}.{7}.weight" : tensor<{2}x{6}x{1}x{4}>
  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %w1, %up = %w3, %down = %w2) : !r, (!x, !u, !u, tensor<{2}x{6}x{1}x{4}>) -> tensor<?x{6}x{4}> {{
    %a = moe.linear %t, %gate : (!x, tensor<{1}x{0}x{4}>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<{1}x{0}x{4}>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
{9}    %f = moe.linear {8}, %down : (!c, tensor<{6}x{1}x{4}>) -> tensor<?x{6}x{4}>
    moe.yield %f : tensor<?x{6}x{4}>
  }}
  %y = moe.combine %out by %r weighted : tensor<?x{6}x{4}>, !r
  return %y : tensor<?x{6}x{4}>
}}
)";

std::string modelText(const Shape &shape, Dtype dtype, bool withNarrow) {
  bool rounds = dtype != MOERT_F32;
  auto format = [&](const char *text, const char *name = "", int64_t width = 0,
                    const char *weights = "") {
    return fmt::format(fmt::runtime(text), shape.hidden, shape.inner,
                       shape.experts, shape.choices, moert::dtypeName(dtype),
                       name, width, weights, rounds ? "%c" : "%h",
                       rounds ? "    %c = arith.truncf %h : !h to !c\n" : "");
  };
  std::string text =
      format(routerText) + format(layerText, "layer", shape.hidden, "w2");
  if (withNarrow)
    text += format(layerText, "narrow", narrowWidth(shape), "narrow");
  return text;
}

} // namespace moe::bench
