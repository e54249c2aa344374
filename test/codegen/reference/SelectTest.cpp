// Every way of making a routing, against numbers worked out by hand.
#include "Program.h"

#include <gtest/gtest.h>

#include <limits>

using namespace moe::test;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Routes %w [T, E] by `selection` and returns the matrix and the counts.
std::string routed(int experts, const std::string &selection,
                   const std::string &shape, const std::string &types = "",
                   const std::string &arguments = "") {
  std::string e = std::to_string(experts);
  return "func.func @f(%w: tensor<?x" + e + "xf32>" + arguments +
         ") -> (tensor<?x" + e + "xf32>, tensor<" + e +
         "xi32>) {\n"
         "  %r = moe.route %w " +
         selection + " : tensor<?x" + e + "xf32>" + types +
         " -> !moe.routing<" + e + ", " + shape +
         ">\n"
         "  %g = moe.to_matrix %r : !moe.routing<" +
         e + ", " + shape + "> -> tensor<?x" + e +
         "xf32>\n"
         "  %counts = moe.counts %r : !moe.routing<" +
         e + ", " + shape + "> -> tensor<" + e +
         "xi32>\n"
         "  return %g, %counts : tensor<?x" +
         e + "xf32>, tensor<" + e + "xi32>\n}";
}

TEST(Groups, ScoreByTheSumOfTheBest) {
  // Groups {5, 1}, {4, 4}, {6, -9}: sums of 2 are 6, 8, -3; of 1: 5, 4, 6.
  auto w = floats({1, 6}, {5, 1, 4, 4, 6, -9});
  expectFloats(Program(routed(6, "groups 3 keep 1 score sum 2 top 1", "top 1"))
                   .run({w})[0],
               {1, 6}, {0, 0, 4, 0, 0, 0});
  expectFloats(Program(routed(6, "groups 3 keep 2 score max top 2", "top 2"))
                   .run({w})[0],
               {1, 6}, {5, 0, 0, 0, 6, 0});
}

TEST(Groups, NeverGiveAnExpertOfAnotherGroup) {
  // The first group is the best by its sum; its second key is -inf.
  auto w = floats({1, 4}, {5, -inf, 1, 1});
  auto results =
      Program(routed(4, "groups 2 keep 1 score max top 2", "top 2")).run({w});
  expectIntegers(results[1], {4}, {1, 1, 0, 0});
}

TEST(Groups, GiveTiesToTheLowerGroup) {
  auto w = floats({2, 4}, {1, 2, 2, 1, nan, nan, nan, nan});
  auto results =
      Program(routed(4, "groups 2 keep 1 score max top 1", "top 1")).run({w});
  expectIntegers(results[1], {4}, {1, 1, 0, 0});
}

TEST(Take, GivesEveryExpertItsBestTokens) {
  Program program(routed(2, "take %c", "take", ", index", ", %c: index"));
  auto w = floats({3, 2}, {1, 9, 3, 9, 2, nan});
  auto results = program.run({w, int64_t(2)});
  expectFloats(results[0], {3, 2}, {0, 9, 3, 9, 2, 0});
  expectIntegers(results[1], {2}, {2, 2});
  expectIntegers(program.run({w, int64_t(5)})[1], {2}, {3, 3}); // all there are
  expectIntegers(program.run({w, int64_t(0)})[1], {2}, {0, 0});
  expectIntegers(program.run({w, int64_t(-1)})[1], {2}, {0, 0});
}

TEST(Take, CountsEachSegmentByItself) {
  Program program(routed(1, "take %c segments %seq", "take",
                         ", tensor<?xi32>, tensor<?xi32>",
                         ", %c: tensor<?xi32>, %seq: tensor<?xi32>"));
  auto w = floats({5, 1}, {1, 2, 3, 4, 5});
  auto seq = integers({5}, {7, -1, 7, -1, 7});
  expectFloats(program.run({w, integers({5}, {2, 1, 2, 1, 2}), seq})[0], {5, 1},
               {0, 0, 3, 4, 5});
  EXPECT_EQ(program.error({w, integers({5}, {2, 1, 3, 1, 2}), seq}),
            "'moe.route' op capacity is both 2 and 3 in one segment");
  EXPECT_EQ(
      program.error({w, integers({5}, {1, 1, 1, 1, 1}), integers({2}, {0, 1})}),
      "'moe.route' op segments have 2 values, but there are 5 tokens");
  EXPECT_EQ(program.error({w, integers({1}, {1}), seq}),
            "'moe.route' op capacity has 1 values, but there are 5 tokens");
}

TEST(Threshold, IsStrictOrNot) {
  auto w = floats({2, 3}, {1, 2, 3, nan, -inf, 2});
  expectFloats(Program(routed(3, "greater_than 2.0", "any")).run({w})[0],
               {2, 3}, {0, 0, 3, 0, 0, 0});
  expectFloats(Program(routed(3, "at_least 2.0", "any")).run({w})[0], {2, 3},
               {0, 2, 3, 0, 0, 2});
  expectFloats(Program(routed(3, "at_least %t", "any", "", ", %t: f32"))
                   .run({w, 3.0})[0],
               {2, 3}, {0, 0, 3, 0, 0, 0});
}

TEST(Threshold, IsRoundedToF32) {
  // 0.1 in f32 is above the f64 0.1.
  auto w = floats({1, 1}, {0.1});
  expectIntegers(Program(routed(1, "at_least 0.1", "any")).run({w})[1], {1},
                 {0});
}

TEST(TopP, TakesTheExpertThatCrosses) {
  auto w = floats({1, 4}, {0.125, 0.5, 0.25, 0.125});
  auto chosen = [&](const char *p) {
    return Program(routed(4, std::string("top_p ") + p, "any")).run({w})[0];
  };
  expectFloats(chosen("0.5"), {1, 4}, {0, 0.5, 0, 0});
  expectFloats(chosen("0.51"), {1, 4}, {0, 0.5, 0.25, 0});
  expectFloats(chosen("0.875"), {1, 4}, {0.125, 0.5, 0.25, 0});
  expectFloats(chosen("1.0"), {1, 4}, {0.125, 0.5, 0.25, 0.125});
}

TEST(Nonzero, KeepsNanAndDropsZeros) {
  auto w = floats({1, 4}, {0, -0.0, nan, -1});
  expectIntegers(Program(routed(4, "nonzero", "any")).run({w})[1], {4},
                 {0, 0, 1, 1});
}

TEST(All, ChoosesEveryExpertOfTheGroups) {
  auto w = floats({1, 4}, {1, 2, 3, 0});
  expectFloats(Program(routed(4, "all", "any")).run({w})[0], {1, 4},
               {1, 2, 3, 0});
  expectIntegers(
      Program(routed(4, "groups 2 keep 1 score max all", "any")).run({w})[1],
      {4}, {0, 0, 1, 1});
}

const std::string lookup = R"(
  !r = !moe.routing<3, top 2>
  func.func @f(%ids: tensor<?xi32>, %table: tensor<4x2xi32>,
               %s: tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
    %r = moe.lookup %ids in %table weights %s : tensor<?xi32>, tensor<4x2xi32>,
        tensor<?x3xf32> -> !r
    %i = moe.indices %r : !r -> tensor<?x2xi32>
    %w = moe.weights %r : !r -> tensor<?x2xf32>
    return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
  })";

TEST(Lookup, ReadsTheTableAndWeighsByScores) {
  Program program(lookup);
  auto table = integers({4, 2}, {0, 1, 2, 0, -1, 1, 1, 2});
  auto scores = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  auto results = program.run({integers({2}, {1, 2}), table, scores});
  expectIntegers(results[0], {2, 2}, {2, 0, -1, 1});
  expectFloats(results[1], {2, 2}, {3, 1, 0, 5});
  EXPECT_EQ(program.error({integers({2}, {1, 4}), table, scores}),
            "'moe.lookup' op id 4 is out of range, the table has 4 rows");
  EXPECT_EQ(program.error({integers({1}, {1}), table, scores}),
            "'moe.lookup' op scores have 2 rows, but there are 1 ids");
  EXPECT_EQ(program.error({integers({2}, {0, 0}),
                           integers({4, 2}, {0, 1, 0, 1, 0, 3, 1, 2}), scores}),
            "'moe.lookup' op expert 3 is out of range, there are 3 experts");
  EXPECT_EQ(program.error({integers({2}, {0, 0}),
                           integers({4, 2}, {0, 1, 0, 1, 2, 2, 1, 2}), scores}),
            "'moe.lookup' op expert 2 stands twice in row 2");
}

TEST(Lookup, WeighsOneWithoutScores) {
  Program program(R"(
    func.func @f(%ids: tensor<?xi64>, %table: tensor<2x1xi64>)
        -> tensor<?x3xf32> {
      %r = moe.lookup %ids in %table : tensor<?xi64>, tensor<2x1xi64>
          -> !moe.routing<3, top 1>
      %g = moe.to_matrix %r : !moe.routing<3, top 1> -> tensor<?x3xf32>
      return %g : tensor<?x3xf32>
    })");
  expectFloats(
      program.run({integers({2}, {1, 0}), integers({2, 1}, {2, 0})})[0], {2, 3},
      {1, 0, 0, 0, 0, 1});
}

TEST(FromIndices, EmptiesNegativeSlots) {
  Program program(R"(
    !r = !moe.routing<3, top 2>
    func.func @f(%ids: tensor<?x2xi32>, %w: tensor<?x2xf32>)
        -> (tensor<?x2xi32>, tensor<?x2xf32>) {
      %r = moe.from_indices %ids, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !r
      %s = moe.scale %r by 2.0 : !r
      %i = moe.indices %s : !r -> tensor<?x2xi32>
      %v = moe.weights %s : !r -> tensor<?x2xf32>
      return %i, %v : tensor<?x2xi32>, tensor<?x2xf32>
    })");
  auto weights = floats({2, 2}, {1, 2, 3, 4});
  auto results = program.run({integers({2, 2}, {2, -7, -1, 0}), weights});
  expectIntegers(results[0], {2, 2}, {2, -1, -1, 0});
  expectFloats(results[1], {2, 2}, {2, 0, 0, 8});
  EXPECT_EQ(program.error({integers({1, 2}, {2, 0}), weights}),
            "'moe.from_indices' op ids are 1x2, but weights are 2x2");
}

const std::string assign = R"(
  func.func @f(%w: tensor<?x2xf32>, %s: tensor<?x2xf32>, %seq: tensor<?xi32>)
      -> (tensor<?x1xi32>, tensor<?x1xf32>) {
    %r = moe.assign %w by %s epsilon over 50.0 at_least 1.0e-4 rounds 100
        segments %seq : tensor<?x2xf32>, tensor<?xi32> -> !moe.routing<2, top 1>
    %i = moe.indices %r : !moe.routing<2, top 1> -> tensor<?x1xi32>
    %v = moe.weights %r : !moe.routing<2, top 1> -> tensor<?x1xf32>
    return %i, %v : tensor<?x1xi32>, tensor<?x1xf32>
  })";

TEST(Assign, BalancesWhatGreedyDoesNot) {
  // Everyone likes expert 0; tokens 1 and 2 lose least by going to expert 1.
  Program program(assign);
  auto scores = floats({4, 2}, {9, 0, 5, 4, 6, 5, 8, 0});
  auto weights = floats({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  auto results = program.run({weights, scores, integers({4}, {0, 0, 0, 0})});
  expectIntegers(results[0], {4, 1}, {0, 1, 1, 0});
  expectFloats(results[1], {4, 1}, {1, 4, 6, 7});
}

TEST(Assign, IsAnAuctionForEachSegment) {
  Program program(assign);
  auto scores = floats({4, 2}, {9, 0, 5, 4, 6, 5, 8, 0});
  auto results = program.run({scores, scores, integers({4}, {0, 1, 1, 0})});
  // Tokens 0 and 3 share the experts, and so do 1 and 2; sums are equal in
  // the second segment: 5 + 5 and 4 + 6.
  auto &ids =
      std::get<std::shared_ptr<const moe::reference::Tensor>>(results[0])
          ->integers();
  EXPECT_EQ(ids[0] + ids[3], 1);
  EXPECT_EQ(ids[1] + ids[2], 1);
  EXPECT_EQ(ids[0], 0);
}

TEST(Assign, RefusesWhatHasNoBalance) {
  Program program(assign);
  auto three = floats({3, 2}, {9, 0, 5, 4, 6, 5});
  EXPECT_EQ(program.error({three, three, integers({3}, {0, 0, 0})}),
            "'moe.assign' op assigns 3 tokens, which is no multiple of 2 "
            "experts");
  auto bad = floats({2, 2}, {inf, 0, 5, 4});
  EXPECT_EQ(program.error({bad, bad, integers({2}, {0, 0})}),
            "'moe.assign' op scores are not all finite in f32");
  auto none = floats({0, 2}, {});
  expectIntegers(program.run({none, none, integers({0}, {})})[0], {0, 1}, {});
}

} // namespace
