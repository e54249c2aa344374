// Keeping, joining and limiting pairs, against routings worked out by hand.
#include "Program.h"

#include <gtest/gtest.h>

using namespace moe::test;

namespace {

/// Builds the routing %r [T, 2] of 3 experts from %i and %w, edits it into %q,
/// and returns experts and weights of %q.
std::string edited(const std::string &edit, const std::string &arguments) {
  return R"(
    !r = !moe.routing<3, top 2>
    func.func @f(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>)" +
         arguments + R"() -> (tensor<?x2xi32>, tensor<?x2xf32>) {
      %r = moe.from_indices %i, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !r
      )" +
         edit + R"(
      %j = moe.indices %q : !r -> tensor<?x2xi32>
      %v = moe.weights %q : !r -> tensor<?x2xf32>
      return %j, %v : tensor<?x2xi32>, tensor<?x2xf32>
    })";
}

TEST(Keep, DropsBySlotExpertOrPair) {
  auto i = integers({2, 2}, {0, 1, 2, 0});
  auto w = floats({2, 2}, {1, 2, 3, 4});
  auto slots = Program(edited("%q = moe.keep %r where %m : !r, tensor<?x2xi1>",
                              ", %m: tensor<?x2xi1>"))
                   .run({i, w, integers({2, 2}, {1, 0, 0, 1})});
  expectIntegers(slots[0], {2, 2}, {0, -1, -1, 0});
  expectFloats(slots[1], {2, 2}, {1, 0, 0, 4});
  auto experts = Program(edited("%q = moe.keep %r where %m : !r, tensor<3xi1>",
                                ", %m: tensor<3xi1>"))
                     .run({i, w, integers({3}, {0, 1, 1})});
  expectIntegers(experts[0], {2, 2}, {-1, 1, 2, -1});
  Program pairs(edited("%q = moe.keep %r where %m : !r, tensor<?x3xi1>",
                       ", %m: tensor<?x3xi1>"));
  expectIntegers(pairs.run({i, w, integers({2, 3}, {1, 0, 0, 0, 0, 1})})[0],
                 {2, 2}, {0, -1, 2, -1});
  EXPECT_EQ(pairs.error({i, w, integers({1, 3}, {1, 0, 0})}),
            "'moe.keep' op mask has 1 rows, but the routing has 2 tokens");
}

TEST(Join, AddsTheWeightsOfCommonPairs) {
  Program program(R"(
    !a = !moe.routing<3, top 1>
    !r = !moe.routing<3, top 2>
    func.func @f(%i: tensor<?x1xi32>, %j: tensor<?x1xi32>, %w: tensor<?x1xf32>)
        -> (tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x3xf32>) {
      %a = moe.from_indices %i, %w : tensor<?x1xi32>, tensor<?x1xf32> -> !a
      %b = moe.from_indices %j, %w : tensor<?x1xi32>, tensor<?x1xf32> -> !a
      %r = moe.join %a, %b : !a, !a -> !r
      %n = moe.join %a, %b : !a, !a -> !moe.routing<3, any>
      %k = moe.indices %r : !r -> tensor<?x2xi32>
      %v = moe.weights %r : !r -> tensor<?x2xf32>
      %g = moe.to_matrix %n : !moe.routing<3, any> -> tensor<?x3xf32>
      return %k, %v, %g : tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x3xf32>
    })");
  auto results =
      program.run({integers({3, 1}, {2, 1, -1}), integers({3, 1}, {0, 1, 2}),
                   floats({3, 1}, {1, 2, 3})});
  expectIntegers(results[0], {3, 2}, {2, 0, 1, -1, -1, 2});
  expectFloats(results[1], {3, 2}, {1, 1, 4, 0, 0, 3});
  expectFloats(results[2], {3, 3}, {1, 0, 1, 0, 4, 0, 0, 0, 3});
}

std::string limited(const std::string &order, const std::string &types = "",
                    const std::string &arguments = "") {
  return edited("%q = moe.limit %r to %c order " + order + " : !r, index" +
                    types,
                ", %c: index" + arguments);
}

// Three tokens choose experts {0, 1}, {1, 0}, {0, 1}; weights rise.
const auto ids = integers({3, 2}, {0, 1, 1, 0, 0, 1});
const auto weights = floats({3, 2}, {1, 2, 3, 4, 5, 6});

TEST(Limit, OrdersPairs) {
  auto kept = [&](const std::string &order, int64_t capacity) {
    return Program(limited(order + " overflow drop"))
        .run({ids, weights, capacity})[0];
  };
  // Expert 0: tokens 0, 1, 2; expert 1: tokens 0, 1, 2.
  expectIntegers(kept("position", 2), {3, 2}, {0, 1, 1, 0, -1, -1});
  expectIntegers(kept("token_choice", 2), {3, 2}, {0, 1, 1, 0, -1, -1});
  // First choices: 0 -> tokens 0, 2; 1 -> token 1; then second ones.
  expectIntegers(kept("choice", 2), {3, 2}, {0, 1, 1, -1, 0, -1});
  // Expert 0: weights 1, 4, 5; expert 1: 2, 3, 6.
  expectIntegers(kept("weight", 2), {3, 2}, {-1, -1, 1, 0, 0, 1});
  expectIntegers(kept("choice", 3), {3, 2}, {0, 1, 1, 0, 0, 1});
  expectIntegers(kept("choice", 0), {3, 2}, {-1, -1, -1, -1, -1, -1});
}

TEST(Limit, OrdersByPriority) {
  auto byToken = floats({3}, {1, 2, 3});
  expectIntegers(Program(limited("%p overflow drop", ", tensor<?xf32>",
                                 ", %p: tensor<?xf32>"))
                     .run({ids, weights, int64_t(2), byToken})[0],
                 {3, 2}, {-1, -1, 1, 0, 0, 1});
  // First choices by descending priority: 2 -> 0, 1 -> 1, 0 -> 0; then second:
  // 2 -> 1.
  expectIntegers(Program(limited("choice by %p overflow drop",
                                 ", tensor<?xf32>", ", %p: tensor<?xf32>"))
                     .run({ids, weights, int64_t(2), byToken})[0],
                 {3, 2}, {0, -1, 1, -1, 0, 1});
  auto bySlot = floats({3, 2}, {9, 0, 0, 9, 1, 8});
  expectIntegers(Program(limited("%p overflow drop", ", tensor<?x2xf32>",
                                 ", %p: tensor<?x2xf32>"))
                     .run({ids, weights, int64_t(1), bySlot})[0],
                 {3, 2}, {0, -1, -1, -1, -1, 1});
  auto byExpert = floats({3, 3}, {0, 0, 0, 0, 7, 0, 5, 0, 0});
  Program program(limited("%p overflow drop", ", tensor<?x3xf32>",
                          ", %p: tensor<?x3xf32>"));
  expectIntegers(program.run({ids, weights, int64_t(1), byExpert})[0], {3, 2},
                 {-1, -1, 1, -1, 0, -1});
  EXPECT_EQ(
      program.error({ids, weights, int64_t(1), floats({1, 3}, {0, 0, 0})}),
      "'moe.limit' op priority has 1 rows, but the routing has 3 tokens");
}

TEST(Limit, PlacesNextChoices) {
  // Capacity 1. By rounds: token 0 gets 0, token 1 gets 1, token 2 nothing.
  expectIntegers(
      Program(limited("choice place 1 overflow next_choice"))
          .run({integers({3, 2}, {0, 1, 0, 2, 0, 2}), weights, int64_t(1)})[0],
      {3, 2}, {0, -1, -1, 2, -1, -1});
  // By rounds the second token's first choice comes before the first token's
  // second one; token by token it does not.
  auto crossed = integers({3, 2}, {0, 1, 0, 1, 1, 2});
  expectIntegers(Program(limited("choice place 1 overflow next_choice"))
                     .run({crossed, weights, int64_t(1)})[0],
                 {3, 2}, {0, -1, -1, -1, 1, -1});
  expectIntegers(Program(limited("token_choice place 1 overflow next_choice"))
                     .run({crossed, weights, int64_t(1)})[0],
                 {3, 2}, {0, -1, -1, 1, -1, 2});
}

TEST(Limit, CountsEachSegmentByItself) {
  auto one = integers({3, 2}, {0, -1, 0, -1, 0, -1});
  expectIntegers(
      Program(limited("position overflow drop segments %s", ", tensor<?xi32>",
                      ", %s: tensor<?xi32>"))
          .run({one, weights, int64_t(1), integers({3}, {4, 3, 4})})[0],
      {3, 2}, {0, -1, 0, -1, -1, -1});
}

} // namespace
