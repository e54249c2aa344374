// Operations of level 2 against numbers worked out by hand.
#include "Program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace moe::test;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(TopK, ChoosesAsRouteDoes) {
  Program program(R"(
    func.func @f(%w: tensor<?x3xf32>, %k: tensor<?x3xf32>)
        -> (tensor<?x2xf32>, tensor<?x2xi32>) {
      %c, %i = grouped.top_k %w by %k top 2
          : tensor<?x3xf32>, tensor<?x3xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
      return %c, %i : tensor<?x2xf32>, tensor<?x2xi32>
    })");
  auto results = program.run({floats({2, 3}, {10, 20, 30, 40, 50, 60}),
                              floats({2, 3}, {1, 3, 3, nan, nan, 0})});
  expectFloats(results[0], {2, 2}, {20, 30, 60, 40});
  expectIntegers(results[1], {2, 2}, {1, 2, 2, 0});
}

const std::string plan = R"(
    func.func @f(%ids: tensor<?x2xi32>)
        -> (tensor<4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>) {
      %o, %t, %s, %r = grouped.plan %ids experts 3 {moe.routing = 0 : i64}
          : tensor<?x2xi32> -> tensor<4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
      return %o, %t, %s, %r : tensor<4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
    })";

TEST(Plan, SortsTheFilledSlotsByExpert) {
  Program program(plan);
  // Slots: 0 -> expert 2, 1 -> 0; 2, 3 empty; 4 empty, 5 -> 0; 6 -> 2, 7 -> 0.
  auto results = program.run({integers({4, 2}, {2, 0, -1, -1, -1, 0, 2, 0})});
  expectIntegers(results[0], {4}, {0, 3, 3, 5});
  expectIntegers(results[1], {5}, {0, 2, 3, 0, 3});
  expectIntegers(results[2], {5}, {1, 5, 7, 0, 6});
  expectIntegers(results[3], {4, 2}, {3, 0, -1, -1, -1, 1, 4, 2});
  ASSERT_EQ(program.loads.size(), 1u);
  EXPECT_EQ(program.loads[0], Integers({3, 0, 2}));
  EXPECT_EQ(program.slots, Integers({8}));
}

TEST(Plan, TakesNoTokensAndRefusesUnknownExperts) {
  Program program(plan);
  auto results = program.run({integers({0, 2}, {})});
  expectIntegers(results[0], {4}, {0, 0, 0, 0});
  expectIntegers(results[1], {0}, {});
  EXPECT_EQ(program.error({integers({1, 2}, {0, 3})}),
            "'grouped.plan' op id 3 is out of range, there are 3 experts");
}

TEST(Matmul, OfOneGroupIsALinear) {
  Program program(R"(
    func.func @f(%x: tensor<?x2xf32>, %w: tensor<3x2xf32>, %b: tensor<3xf32>) -> tensor<?x3xf32> {
      %p = grouped.pack %w : tensor<3x2xf32> -> !grouped.packed<1x3x2xf32, 1>
      %y = grouped.matmul %x weights %p with(%b)
          : (tensor<?x2xf32>, !grouped.packed<1x3x2xf32, 1>, tensor<3xf32>) -> tensor<?x3xf32> {
      ^bb0(%acc: f32, %bias: f32):
        %s = arith.addf %acc, %bias : f32
        grouped.yield rows(%s : f32)
      }
      return %y : tensor<?x3xf32>
    })");
  auto results = program.run({floats({2, 2}, {1, 2, 5, 6}),
                              floats({3, 2}, {1, 0, 0, 1, 3, 4}),
                              floats({3}, {10, 20, 30})});
  expectFloats(results[0], {2, 3}, {11, 22, 41, 15, 26, 69});
}

/// The weights of one output, as a product with the rows of the identity finds
/// them after packing as `entry`.
static Numbers packedAs(const std::string &entry, const Numbers &weights) {
  std::string k = std::to_string(weights.size());
  std::string packed = "!grouped.packed<1x1x" + k + "x" + entry + ", 1>";
  std::string x = "tensor<?x" + k + "xf32>", w = "tensor<1x" + k + "xf32>";
  Program program("func.func @f(%x: " + x + ", %w: " + w +
                  ") -> tensor<?x1xf32> {\n%p = grouped.pack %w : " + w +
                  " -> " + packed + "\n%y = grouped.matmul %x weights %p : (" +
                  x + ", " + packed +
                  ") -> tensor<?x1xf32> {\n^bb0(%s: f32):\n"
                  "grouped.yield rows(%s : f32)\n}\n"
                  "return %y : tensor<?x1xf32>\n}");
  auto size = static_cast<int64_t>(weights.size());
  Numbers identity(weights.size() * weights.size(), 0);
  for (size_t i = 0; i < weights.size(); ++i)
    identity[i * weights.size() + i] = 1;
  auto results =
      program.run({floats({size, size}, identity), floats({1, size}, weights)});
  using Pointer = std::shared_ptr<const moe::reference::Tensor>;
  llvm::ArrayRef<double> found = std::get<Pointer>(results[0])->floats();
  return Numbers(found.begin(), found.end());
}

TEST(Pack, ZeroPoints) {
  // Scale (6.5 + 1) / 15 = 0.5, zero point 2: multiples of 0.5 from -1 to 6.5.
  EXPECT_EQ(packedAs("ui4", {-1, 0.3, 6.5, 2}), Numbers({-1, 0.5, 6.5, 2}));
  // Of one sign: the zero point is 0 or 15.
  EXPECT_EQ(packedAs("ui4", {7.5, 3}), Numbers({7.5, 3}));
  EXPECT_EQ(packedAs("ui4", {-7.5, -3.2}), Numbers({-7.5, -3}));
  EXPECT_EQ(packedAs("ui4", {0, 0}), Numbers({0, 0}));
  Numbers broken = packedAs("ui4", {1, nan});
  EXPECT_TRUE(std::isnan(broken[0]) && std::isnan(broken[1]));
}

TEST(Pack, GroupsOf8Bits) {
  // Scales 1 and 0.5: of inputs 0 to 31, and of the rest.
  Numbers weights(35, 2.6);
  weights[0] = -127;
  weights[32] = 63.5;
  Numbers wanted(35, 3);
  wanted[0] = -127;
  wanted[32] = 63.5;
  wanted[33] = wanted[34] = 2.5;
  EXPECT_EQ(packedAs("si8", weights), wanted);
  EXPECT_EQ(packedAs("si8", {0, 0}), Numbers({0, 0}));
  Numbers broken = packedAs("si8", {1, nan});
  EXPECT_TRUE(std::isnan(broken[0]) && std::isnan(broken[1]));
  for (double size = 1; size < 2; size += 0.03) {
    weights.clear();
    for (int i = 0; i < 32; ++i)
      weights.push_back(static_cast<float>(size * std::cos(i)));
    Numbers found = packedAs("si8", weights);
    for (size_t i = 0; i < weights.size(); ++i)
      EXPECT_NEAR(found[i], weights[i], size / 253) << size;
  }
}

TEST(Pack, ZeroPointsMoveWeightsByLittle) {
  for (double shift = -1; shift <= 1; shift += 0.03) {
    Numbers weights;
    for (int i = 0; i < 32; ++i)
      weights.push_back(static_cast<float>(shift + std::sin(17.0 * i)));
    auto [low, high] = std::ranges::minmax(weights);
    double scale = (std::max(high, 0.0) - std::min(low, 0.0)) / 15;
    Numbers found = packedAs("ui4", weights);
    for (size_t i = 0; i < weights.size(); ++i)
      EXPECT_NEAR(found[i], weights[i], 0.53 * scale) << shift;
  }
}

TEST(Matmul, GathersRowsAndPassesAllWeightsToTheEpilogue) {
  Program program(R"(
    !p = !grouped.packed<2x1x2xf32, 2>
    func.func @f(%x: tensor<?x2xf32>, %tokens: tensor<?xi32>, %offsets: tensor<3xi32>,
                 %g: tensor<2x2x1xf32>, %u: tensor<2x2x1xf32>, %c: tensor<2x1xf32>, %r: tensor<?x1xf32>)
        -> (tensor<?x1xf32>, tensor<?x1xf32>) {
      %p = grouped.pack %g, %u in_out : tensor<2x2x1xf32>, tensor<2x2x1xf32> -> !p
      %y:2 = grouped.matmul %x rows %tokens groups %offsets weights %p with(%c, %r)
          : (tensor<?x2xf32>, tensor<?xi32>, tensor<3xi32>, !p, tensor<2x1xf32>, tensor<?x1xf32>)
          -> (tensor<?x1xf32>, tensor<?x1xf32>) {
      ^bb0(%gate: f32, %up: f32, %column: f32, %row: f32):
        %a = arith.mulf %gate, %up : f32
        %b = arith.addf %column, %row : f32
        grouped.yield rows(%a, %b : f32, f32)
      }
      return %y#0, %y#1 : tensor<?x1xf32>, tensor<?x1xf32>
    })");
  // Rows are tokens 1, 0 | 1. Group 0: gate (1,1), up (1,0); group 1: gate
  // (2,0), up (0,1). Token 0 = (1,2), token 1 = (3,4).
  // gate*up: 7*3, 3*1 | 6*4.
  auto results =
      program.run({floats({2, 2}, {1, 2, 3, 4}), integers({3}, {1, 0, 1}),
                   integers({3}, {0, 2, 3}), floats({2, 2, 1}, {1, 1, 2, 0}),
                   floats({2, 2, 1}, {1, 0, 0, 1}), floats({2, 1}, {100, 200}),
                   floats({3, 1}, {1, 2, 3})});
  expectFloats(results[0], {3, 1}, {21, 3, 24});
  expectFloats(results[1], {3, 1}, {101, 102, 203});
}

const std::string combined = R"(
    !p = !grouped.packed<2x1x1xf32, 1>
    func.func @f(%x: tensor<?x1xf32>, %offsets: tensor<3xi32>, %w: tensor<2x1x1xf32>,
                 %rows: tensor<?x2xi32>, %slots: tensor<?xi32>, %scale: tensor<?x2xf32>) -> tensor<?x1xf32> {
      %p = grouped.pack %w : tensor<2x1x1xf32> -> !p
      %y = grouped.matmul %x groups %offsets weights %p combine %rows slots %slots scaled %scale
          : (tensor<?x1xf32>, tensor<3xi32>, !p, tensor<?x2xi32>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x1xf32> {
      ^bb0(%acc: f32):
        grouped.yield rows(%acc : f32)
      }
      return %y : tensor<?x1xf32>
    })";

TEST(Matmul, SumsByTokenWhereItCombines) {
  Program program(combined);
  // Rows 1, 2 | 3 become 10, 20 | 300. Token 0: slots are rows 2 and 0 with
  // weights 2 and 3; token 1 is empty; token 2: row 1 with weight 5.
  auto results = program.run(
      {floats({3, 1}, {1, 2, 3}), integers({3}, {0, 2, 3}),
       floats({2, 1, 1}, {10, 100}), integers({3, 2}, {2, 0, -1, -1, -1, 1}),
       integers({3}, {1, 5, 0}), floats({3, 2}, {2, 3, 7, 7, 7, 5})});
  expectFloats(results[0], {3, 1}, {630, 0, 100});
}

TEST(Matmul, RefusesGroupsThatDoNotCoverTheRows) {
  Program program(combined);
  EXPECT_EQ(
      program.error({floats({3, 1}, {1, 2, 3}), integers({3}, {0, 2, 2}),
                     floats({2, 1, 1}, {10, 100}), integers({0, 2}, {}),
                     integers({0}, {}), floats({0, 2}, {})}),
      "'grouped.matmul' op groups run from row 0 to 2, expected ascending "
      "from 0 to 3");
}

TEST(GroupedCombine, SumsTheFilledSlots) {
  Program program(R"(
    func.func @f(%x: tensor<?x2xf32>, %rows: tensor<?x2xi32>, %w: tensor<?x2xf32>)
        -> (tensor<?x2xf32>, tensor<?x2xf32>) {
      %a = grouped.combine %x by %rows weighted %w
          : (tensor<?x2xf32>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x2xf32>
      %b = grouped.combine %x by %rows
          : (tensor<?x2xf32>, tensor<?x2xi32>) -> tensor<?x2xf32>
      return %a, %b : tensor<?x2xf32>, tensor<?x2xf32>
    })");
  auto x = floats({2, 2}, {1, 2, 10, 20});
  auto results = program.run(
      {x, integers({2, 2}, {1, 0, -1, -1}), floats({2, 2}, {3, 4, 5, 6})});
  expectFloats(results[0], {2, 2}, {34, 68, 0, 0});
  expectFloats(results[1], {2, 2}, {11, 22, 0, 0});
  EXPECT_EQ(
      program.error({x, integers({1, 2}, {2, 0}), floats({1, 2}, {3, 4})}),
      "'grouped.combine' op row 2 is out of range, the input has 2 rows");
}

TEST(Loop, RunsOncePerGroup) {
  Program program(R"(
    func.func @f(%offsets: tensor<4xi32>, %x: tensor<?x1xf32>, %v: tensor<2x1xf32>)
        -> (tensor<?x1xf32>, tensor<3xf32>) {
      %y:2 = grouped.loop over %offsets rows(%x) each(%v) bounds [0, 2, 3] counts [1, 0]
          : (tensor<4xi32>, tensor<?x1xf32>, tensor<2x1xf32>) -> (tensor<?x1xf32>, tensor<3xf32>) {
      ^bb0(%t: tensor<?x1xf32>, %e: tensor<1xf32>):
        %b = moe.broadcast %e like %t : tensor<1xf32>, tensor<?x1xf32>
        %s = arith.addf %t, %b : tensor<?x1xf32>
        %c = moe.reduce sum %t over 0 : tensor<?x1xf32> -> tensor<1xf32>
        %z = tensor.collapse_shape %c [] : tensor<1xf32> into tensor<f32>
        grouped.yield rows(%s : tensor<?x1xf32>) each(%z : tensor<f32>)
      }, {
      ^bb0(%t: tensor<?x1xf32>):
        %one = arith.constant dense<1.0> : tensor<f32>
        grouped.yield rows(%t : tensor<?x1xf32>) each(%one : tensor<f32>)
      }
      return %y#0, %y#1 : tensor<?x1xf32>, tensor<3xf32>
    })");
  // Groups {1, 2}, {}, {3}: the first two add 10 and 20, the third nothing.
  auto results =
      program.run({integers({4}, {0, 2, 2, 3}), floats({3, 1}, {1, 2, 3}),
                   floats({2, 1}, {10, 20})});
  expectFloats(results[0], {3, 1}, {11, 12, 3});
  expectFloats(results[1], {3}, {3, 0, 1});
}

TEST(Prepare, MakesTheConstantsOfAnEntry) {
  Program program(R"(
    !p = !grouped.packed<1x1x2xf32, 1>
    func.func @f(%x: tensor<?x2xf32>, %b: tensor<1xf32> {moe.param = "bias"},
                 %p: !p {moe.step = 0 : i64, moe.result = 0 : i64}) -> tensor<?x1xf32> {
      %y = grouped.matmul %x weights %p with(%b) : (tensor<?x2xf32>, !p, tensor<1xf32>) -> tensor<?x1xf32> {
      ^bb0(%acc: f32, %bias: f32):
        %s = arith.addf %acc, %bias : f32
        grouped.yield rows(%s : f32)
      }
      return %y : tensor<?x1xf32>
    }
    func.func @f_prepare0(%w: tensor<1x2xf32> {moe.param = "weight"}) -> !p
        attributes {moe.prepare_of = "f", moe.step = 0 : i64} {
      %two = arith.mulf %w, %w : tensor<1x2xf32>
      %p = grouped.pack %two : tensor<1x2xf32> -> !p
      return %p : !p
    })");
  program.params.try_emplace("bias", moe::reference::Tensor({1}, Numbers{100}));
  program.params.try_emplace("weight",
                             moe::reference::Tensor({1, 2}, Numbers{2, 3}));
  // 1*4 + 2*9 + 100
  expectFloats(program.run({floats({1, 2}, {1, 2})})[0], {1, 1}, {122});
}

TEST(Prepare, NamesAStepThatIsMissing) {
  Program program(R"(
    func.func @f(%p: tensor<1xf32> {moe.step = 3 : i64, moe.result = 0 : i64}) -> tensor<1xf32> {
      return %p : tensor<1xf32>
    })");
  EXPECT_EQ(program.error({}), "@f needs prepare step 3, but no function has "
                               "{moe.prepare_of = \"f\", moe.step = 3}");
}

} // namespace
