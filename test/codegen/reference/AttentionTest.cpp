// Rotary positions and attention against numbers worked out by hand.
#include "Program.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moe::test;

namespace {

std::string rope(const std::string &pairs) {
  return R"(
    func.func @f(%x: tensor<?x5xf32>, %p: tensor<?xi32>, %f: tensor<2xf32>)
        -> tensor<?x5xf32> {
      %y = moe.rope %x at %p by %f pairs )" +
         pairs + R"( : tensor<?x5xf32>, tensor<?xi32>, tensor<2xf32>
      return %y : tensor<?x5xf32>
    })";
}

TEST(Rope, TurnsPairsAndLeavesTheRest) {
  // Quarter and half turns: (x, y) -> (-y, x) and (-x, -y).
  auto x = floats({2, 5}, {1, 2, 3, 4, 5, 1, 2, 3, 4, 5});
  auto p = integers({2}, {0, 1});
  auto f = floats({2}, {M_PI / 2, M_PI});
  expectFloats(Program(rope("half")).run({x, p, f})[0], {2, 5},
               {1, 2, 3, 4, 5, -3, -2, 1, -4, 5});
  expectFloats(Program(rope("interleaved")).run({x, p, f})[0], {2, 5},
               {1, 2, 3, 4, 5, -2, 1, -3, -4, 5});
  EXPECT_EQ(Program(rope("half")).error({x, integers({1}, {0}), f}),
            "'moe.rope' op input has 2 rows, but there are 1 positions");
}

TEST(RopeFrequencies, ArePowersOfTheta) {
  auto frequencies = [](const std::string &attributes) {
    return Program("func.func @f() -> tensor<2xf32> {\n  %f = "
                   "moe.rope_frequencies {dim = 4, theta = 1.0e4" +
                   attributes +
                   "} : tensor<2xf32>\n  return %f : tensor<2xf32>\n}")
        .run({})[0];
  };
  expectFloats(frequencies(""), {2}, {1, 0.01});
  expectFloats(frequencies(", factor = 4.0"), {2}, {0.25, 0.0025});
  // Turns within 1000: 159 and 1.59; between 1 and 4 the share is 0.1972.
  double share = (10 / (2 * M_PI) - 1) / 3;
  expectFloats(
      frequencies(", factor = 4.0, low = 1.0, high = 4.0, original = 1000"),
      {2}, {1, share * 0.01 + (1 - share) * 0.0025});
}

const std::string attention = R"(
  !q = tensor<?x2x1xf32>
  !k = tensor<?x1x1xf32>
  !i = tensor<?xi32>
  func.func @f(%q: !q, %k: !k, %v: !k, %s: !i, %p: !i, %t: !i, %u: !i) -> !q {
    %y = moe.attention %q, %k, %v segments(%s, %t) positions(%p, %u)
        {causal, scale = 1.0} : (!q, !k, !k, !i, !i, !i, !i) -> !q
    return %y : !q
  })";

TEST(Attention, SeesItsSegmentUpToItsPosition) {
  // Keys 0 and log 3; a query of 1 weighs them 1/4 and 3/4.
  double log3 = std::log(3);
  Program program(attention);
  auto results = program.run(
      {floats({3, 2, 1}, {1, 0, 1, 1, 1, 1}), floats({3, 1, 1}, {0, log3, 9}),
       floats({3, 1, 1}, {4, 8, 100}), integers({3}, {0, 0, 5}),
       integers({3}, {1, 0, 0}), integers({3}, {0, 0, 1}),
       integers({3}, {0, 1, 0})});
  // Row 0, heads: 4/4 + 24/4 = 7, (4 + 8) / 2 = 6; row 1 sees key 0 alone;
  // row 2 sees nothing.
  expectFloats(results[0], {3, 2, 1}, {7, 6, 4, 4, 0, 0});
}

TEST(Attention, LooksBackThroughAWindow) {
  Program program(R"(
    !q = tensor<?x1x1xf32>
    !i = tensor<?xi32>
    func.func @f(%q: !q, %v: !q, %p: !i) -> !q {
      %y = moe.attention %q, %q, %v positions(%p, %p)
          {causal, scale = 1.0, window = 2} : (!q, !q, !q, !i, !i) -> !q
      return %y : !q
    })");
  expectFloats(
      program.run({floats({3, 1, 1}, {0, 0, 0}), floats({3, 1, 1}, {1, 3, 7}),
                   integers({3}, {0, 1, 2})})[0],
      {3, 1, 1}, {1, 2, 5});
}

} // namespace
