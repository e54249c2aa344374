// Making, editing and reading routings against numbers worked out by hand.
#include "Program.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace moe::test;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Routes %w [T, 3] to its top 2, edits the routing %r with `edit` into %q, and
/// returns the experts and weights of %q.
std::string edited(const std::string &edit) {
  return R"(
    !r = !moe.routing<3, top 2>
    func.func @f(%w: tensor<?x3xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
      %r = moe.route %w top 2 : tensor<?x3xf32> -> !r
      )" +
         edit + R"(
      %i = moe.indices %q : !r -> tensor<?x2xi32>
      %v = moe.weights %q : !r -> tensor<?x2xf32>
      return %i, %v : tensor<?x2xi32>, tensor<?x2xf32>
    })";
}

const std::string unedited = "%q = moe.scale %r by 1.0 : !r";

TEST(Route, ChoosesTheLargestInDescendingOrder) {
  Program program(edited(unedited));
  auto results = program.run({floats({2, 3}, {1, 3, 2, 6, 4, 5})});
  expectIntegers(results[0], {2, 2}, {1, 2, 0, 2});
  expectFloats(results[1], {2, 2}, {3, 2, 6, 5});
  EXPECT_TRUE(program.loads.empty()); // no row is moved by it
}

TEST(Route, GivesTiesToTheLowerExpert) {
  Program program(edited(unedited));
  expectIntegers(
      program.run({floats({3, 3}, {1, 1, 1, 0, 2, 2, -0.0, 0.0, -1})})[0],
      {3, 2}, {0, 1, 1, 2, 0, 1});
}

TEST(Route, RanksNanBelowEverything) {
  Program program(edited(unedited));
  auto results = program.run(
      {floats({3, 3}, {nan, nan, nan, nan, -inf, 1, -inf, nan, -inf})});
  expectIntegers(results[0], {3, 2}, {0, 1, 2, 1, 0, 2});
  expectFloats(results[1], {3, 2}, {nan, nan, 1, -inf, -inf, -inf});
}

TEST(Route, LooksAtTheKeyAndKeepsTheWeights) {
  Program program(R"(
    func.func @f(%w: tensor<?x3xf32>, %k: tensor<?x3xf32>)
        -> (tensor<?x2xi32>, tensor<?x2xf32>) {
      %r = moe.route %w by %k top 2 : tensor<?x3xf32> -> !moe.routing<3, top 2>
      %i = moe.indices %r : !moe.routing<3, top 2> -> tensor<?x2xi32>
      %v = moe.weights %r : !moe.routing<3, top 2> -> tensor<?x2xf32>
      return %i, %v : tensor<?x2xi32>, tensor<?x2xf32>
    })");
  auto results =
      program.run({floats({1, 3}, {10, 20, 30}), floats({1, 3}, {2, 3, 1})});
  expectIntegers(results[0], {1, 2}, {1, 0});
  expectFloats(results[1], {1, 2}, {20, 10});
  EXPECT_EQ(program.error({floats({2, 3}, {1, 2, 3, 4, 5, 6}),
                           floats({1, 3}, {2, 3, 1})}),
            "'moe.route' op weights are 2x3, but the key is 1x3");
}

TEST(Route, TakesNoTokens) {
  Program program(edited(unedited));
  auto results = program.run({floats({0, 3}, {})});
  expectIntegers(results[0], {0, 2}, {});
  expectFloats(results[1], {0, 2}, {});
}

TEST(Normalize, DividesByTheSum) {
  auto w = floats({1, 3}, {1, 3, 0});
  expectFloats(Program(edited("%q = moe.normalize %r by sum : !r")).run({w})[1],
               {1, 2}, {0.75, 0.25});
  // 3 / (4 + 4), 1 / (4 + 4)
  expectFloats(
      Program(edited("%q = moe.normalize %r by sum plus 4.0 : !r")).run({w})[1],
      {1, 2}, {0.375, 0.125});
  expectFloats(Program(edited("%q = moe.normalize %r by sum at_least 8.0 : !r"))
                   .run({w})[1],
               {1, 2}, {0.375, 0.125});
  expectFloats(Program(edited("%q = moe.normalize %r by sum at_least 2.0 : !r"))
                   .run({w})[1],
               {1, 2}, {0.75, 0.25});
}

TEST(Normalize, SumOfZeroIsTheDivisionsNan) {
  expectFloats(Program(edited("%q = moe.normalize %r by sum : !r"))
                   .run({floats({2, 3}, {0, 0, 0, 1, 3, 0})})[1],
               {2, 2}, {nan, nan, 0.75, 0.25});
}

TEST(Normalize, SoftmaxOverTheChosen) {
  // e^0 / (e^0 + e^log3) = 1/4; the third expert does not count.
  expectFloats(Program(edited("%q = moe.normalize %r by softmax : !r"))
                   .run({floats({1, 3}, {500, 500 + std::log(3), 499})})[1],
               {1, 2}, {0.75, 0.25}, 1e-12);
}

TEST(Normalize, DividesByThePNorm) {
  // sqrt(3^2 + 4^2) = 5; |4| + |3| = 7
  auto w = floats({1, 3}, {4, 3, -9});
  expectFloats(
      Program(edited("%q = moe.normalize %r by lp 2.0 : !r")).run({w})[1],
      {1, 2}, {0.8, 0.6});
  expectFloats(
      Program(edited("%q = moe.normalize %r by lp 1.0 : !r")).run({w})[1],
      {1, 2}, {4. / 7, 3. / 7});
}

TEST(Scale, MultipliesByConstantValueOrExpert) {
  auto w = floats({1, 3}, {1, 3, 2});
  expectFloats(Program(edited("%q = moe.scale %r by 2.5 : !r")).run({w})[1],
               {1, 2}, {7.5, 5});
  expectFloats(Program(edited("%c = arith.constant 0.5 : f32\n"
                              "%q = moe.scale %r by %c : !r, f32"))
                   .run({w})[1],
               {1, 2}, {1.5, 1});
  expectFloats(
      Program(
          edited(
              "%c = arith.constant dense<[2.0, 10.0, 100.0]> : tensor<3xf32>\n"
              "%q = moe.scale %r by %c : !r, tensor<3xf32>"))
          .run({w})[1],
      {1, 2}, {30, 200});
}

TEST(WithWeights, ReplacesTheWeightsOfThePairs) {
  Program program(
      edited("%w1 = moe.weights %r : !r -> tensor<?x2xf32>\n"
             "%w2 = arith.mulf %w1, %w1 : tensor<?x2xf32>\n"
             "%q = moe.with_weights %r, %w2 : !r, tensor<?x2xf32>"));
  auto results = program.run({floats({1, 3}, {1, 3, 2})});
  expectIntegers(results[0], {1, 2}, {1, 2});
  expectFloats(results[1], {1, 2}, {9, 4});
}

TEST(WithWeights, NamesBothNumbersOfTokens) {
  Program program(R"(
    func.func @f(%w: tensor<?x3xf32>, %v: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %r = moe.route %w top 2 : tensor<?x3xf32> -> !moe.routing<3, top 2>
      %q = moe.with_weights %r, %v : !moe.routing<3, top 2>, tensor<?x2xf32>
      %y = moe.weights %q : !moe.routing<3, top 2> -> tensor<?x2xf32>
      return %y : tensor<?x2xf32>
    })");
  EXPECT_EQ(program.error(
                {floats({2, 3}, {1, 2, 3, 4, 5, 6}), floats({1, 2}, {1, 2})}),
            "'moe.with_weights' op weights have 1 rows, but the routing has 2 "
            "tokens");
}

TEST(Counts, CountsTokensOfEveryExpert) {
  Program program(R"(
    func.func @f(%w: tensor<?x3xf32>) -> tensor<3xi32> {
      %r = moe.route %w top 2 : tensor<?x3xf32> -> !moe.routing<3, top 2>
      %c = moe.counts %r : !moe.routing<3, top 2> -> tensor<3xi32>
      return %c : tensor<3xi32>
    })");
  expectIntegers(program.run({floats({2, 3}, {1, 3, 2, 1, 4, 5})})[0], {3},
                 {0, 2, 2});
  expectIntegers(program.run({floats({0, 3}, {})})[0], {3}, {0, 0, 0});
}

/// A routing passed in as a value, with empty slots: what dropping leaves.
moe::reference::Value withEmptySlots() {
  moe::reference::Routing routing{3, 2, {}};
  routing.tokens = {{{2, 4.0}, {}}, {{}, {}}, {{}, {0, 6.0}}};
  return moe::reference::toValue(std::move(routing));
}

std::string editedArgument(const std::string &edit) {
  return R"(
    !r = !moe.routing<3, top 2>
    func.func @f(%r: !r) -> (tensor<?x2xi32>, tensor<?x2xf32>, tensor<3xi32>) {
      )" +
         edit + R"(
      %i = moe.indices %q : !r -> tensor<?x2xi32>
      %v = moe.weights %q : !r -> tensor<?x2xf32>
      %c = moe.counts %q : !r -> tensor<3xi32>
      return %i, %v, %c : tensor<?x2xi32>, tensor<?x2xf32>, tensor<3xi32>
    })";
}

TEST(EmptySlots, HaveNoExpertAndWeightZero) {
  Program program(editedArgument("%q = moe.scale %r by 0.5 : !r"));
  auto results = program.run({withEmptySlots()});
  expectIntegers(results[0], {3, 2}, {2, -1, -1, -1, -1, 0});
  expectFloats(results[1], {3, 2}, {2, 0, 0, 0, 0, 3});
  expectIntegers(results[2], {3}, {1, 0, 1});
}

TEST(EmptySlots, AreSkippedByNormalize) {
  for (const char *norm : {"sum", "softmax", "lp 2.0"}) {
    Program program(editedArgument("%q = moe.normalize %r by " +
                                   std::string(norm) + " : !r"));
    auto results = program.run({withEmptySlots()});
    expectIntegers(results[0], {3, 2}, {2, -1, -1, -1, -1, 0});
    expectFloats(results[1], {3, 2}, {1, 0, 0, 0, 0, 1});
  }
}

TEST(EmptySlots, IgnoreNewWeights) {
  Program program(R"(
    !r = !moe.routing<3, top 2>
    func.func @f(%r: !r, %v: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %q = moe.with_weights %r, %v : !r, tensor<?x2xf32>
      %w = moe.weights %q : !r -> tensor<?x2xf32>
      return %w : tensor<?x2xf32>
    })");
  expectFloats(
      program.run({withEmptySlots(), floats({3, 2}, {1, 2, 3, 4, 5, 0})})[0],
      {3, 2}, {1, 0, 0, 0, 0, 0});
}

} // namespace
