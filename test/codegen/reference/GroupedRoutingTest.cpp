// The operations of level 2 that choose and edit pairs, as tensors, against
// numbers worked out by hand.
#include "Program.h"

#include <gtest/gtest.h>

using namespace moe::test;

namespace {

TEST(GroupedSelect, GivesSlotsOfChoicesOrOfExperts) {
  Program program(R"(
    !w = tensor<?x4xf32>
    func.func @f(%w: !w, %k: !w, %t: f32) -> (tensor<?x2xf32>, tensor<?x2xi32>,
        !w, tensor<?x4xi32>) {
      %a, %i = grouped.select %w by %k groups 2 keep 1 best 2 selection top
          count 2 : !w, !w -> tensor<?x2xf32>, tensor<?x2xi32>
      %b, %j = grouped.select %w by %k selection greater_than value %t
          : !w, !w -> !w, tensor<?x4xi32>
      return %a, %i, %b, %j : tensor<?x2xf32>, tensor<?x2xi32>, !w,
          tensor<?x4xi32>
    })");
  auto w = floats({1, 4}, {1, 2, 3, 4});
  auto results = program.run({w, floats({1, 4}, {9, 0, 4, 6}), 4.0});
  expectFloats(results[0], {1, 2}, {4, 3}); // 9 + 0 < 4 + 6
  expectIntegers(results[1], {1, 2}, {3, 2});
  expectFloats(results[2], {1, 4}, {1, 0, 0, 4});
  expectIntegers(results[3], {1, 4}, {0, -1, -1, 3});
}

TEST(GroupedTake, GivesSlotsOfExperts) {
  Program program(R"(
    !w = tensor<?x2xf32>
    func.func @f(%w: !w, %c: index) -> (!w, tensor<?x2xi32>) {
      %a, %i = grouped.take %w by %w to %c : (!w, !w, index)
          -> (!w, tensor<?x2xi32>)
      return %a, %i : !w, tensor<?x2xi32>
    })");
  auto results = program.run({floats({3, 2}, {1, 6, 3, 5, 2, 4}), int64_t(1)});
  expectFloats(results[0], {3, 2}, {0, 6, 3, 0, 0, 0});
  expectIntegers(results[1], {3, 2}, {-1, 1, 0, -1, -1, -1});
}

TEST(GroupedAssign, BalancesAsLevelOne) {
  Program program(R"(
    !w = tensor<?x2xf32>
    func.func @f(%w: !w) -> (tensor<?x1xf32>, tensor<?x1xi32>) {
      %a, %i = grouped.assign %w by %w epsilon over 50.0 at_least 1.0e-4 rounds
          100 : (!w, !w) -> (tensor<?x1xf32>, tensor<?x1xi32>)
      return %a, %i : tensor<?x1xf32>, tensor<?x1xi32>
    })");
  auto results = program.run({floats({4, 2}, {9, 0, 5, 4, 6, 5, 8, 0})});
  expectFloats(results[0], {4, 1}, {9, 4, 5, 8});
  expectIntegers(results[1], {4, 1}, {0, 1, 1, 0});
}

TEST(GroupedLimit, EmptiesSlots) {
  Program program(R"(
    !w = tensor<?x2xf32>
    !i = tensor<?x2xi32>
    func.func @f(%w: !w, %i: !i, %c: index) -> (!w, !i) {
      %a, %j = grouped.limit %w, %i experts 3 to %c order choice place 1
          : (!w, !i, index) -> (!w, !i)
      return %a, %j : !w, !i
    })");
  auto results =
      program.run({floats({3, 2}, {1, 2, 3, 4, 5, 6}),
                   integers({3, 2}, {0, 1, 0, 2, 0, 2}), int64_t(1)});
  expectFloats(results[0], {3, 2}, {1, 0, 0, 4, 0, 0});
  expectIntegers(results[1], {3, 2}, {0, -1, -1, 2, -1, -1});
}

TEST(GroupedJoin, PutsSlotsSideBySideOrByExpert) {
  Program program(R"(
    !w = tensor<?x1xf32>
    !i = tensor<?x1xi32>
    func.func @f(%v: !w, %i: !i, %w: !w, %j: !i) -> (tensor<?x2xf32>,
        tensor<?x2xi32>, tensor<?x3xf32>, tensor<?x3xi32>) {
      %a, %k = grouped.join %v, %i, %w, %j experts 3
          : (!w, !i, !w, !i) -> (tensor<?x2xf32>, tensor<?x2xi32>)
      %b, %l = grouped.join %v, %i, %w, %j experts 3 by_expert
          : (!w, !i, !w, !i) -> (tensor<?x3xf32>, tensor<?x3xi32>)
      return %a, %k, %b, %l : tensor<?x2xf32>, tensor<?x2xi32>,
          tensor<?x3xf32>, tensor<?x3xi32>
    })");
  auto results =
      program.run({floats({2, 1}, {1, 2}), integers({2, 1}, {2, 1}),
                   floats({2, 1}, {3, 4}), integers({2, 1}, {0, 1})});
  expectFloats(results[0], {2, 2}, {1, 3, 6, 0});
  expectIntegers(results[1], {2, 2}, {2, 0, 1, -1});
  expectFloats(results[2], {2, 3}, {3, 0, 1, 0, 6, 0});
  expectIntegers(results[3], {2, 3}, {0, -1, 2, -1, 1, -1});
}

TEST(GroupedCheckIds, FindsStrangersAndTwins) {
  Program program(R"(
    func.func @f(%t: tensor<2x2xi64>) -> tensor<2x2xi32> {
      %r = grouped.check_ids %t experts 3 : tensor<2x2xi64> -> tensor<2x2xi32>
      return %r : tensor<2x2xi32>
    })");
  expectIntegers(program.run({integers({2, 2}, {0, -5, 2, 1})})[0], {2, 2},
                 {0, -1, 2, 1});
  EXPECT_EQ(
      program.error({integers({2, 2}, {0, 1, 2, 3})}),
      "'grouped.check_ids' op expert 3 is out of range, there are 3 experts");
  EXPECT_EQ(program.error({integers({2, 2}, {0, 1, 2, 2})}),
            "'grouped.check_ids' op expert 2 stands twice in row 1");
}

TEST(GroupedPick, ReadsTheValueOfEverySlotsExpert) {
  Program program(R"(
    !i = tensor<?x2xi32>
    func.func @f(%a: tensor<?x3xf32>, %b: tensor<3xi1>, %i: !i)
        -> (tensor<?x2xf32>, tensor<?x2xi1>) {
      %x = grouped.pick %a at %i : tensor<?x3xf32>, !i -> tensor<?x2xf32>
      %y = grouped.pick %b at %i : tensor<3xi1>, !i -> tensor<?x2xi1>
      return %x, %y : tensor<?x2xf32>, tensor<?x2xi1>
    })");
  auto results =
      program.run({floats({2, 3}, {1, 2, 3, 4, 5, 6}), integers({3}, {1, 0, 1}),
                   integers({2, 2}, {2, -1, 1, 0})});
  expectFloats(results[0], {2, 2}, {3, 0, 5, 4});
  expectIntegers(results[1], {2, 2}, {1, 0, 0, 1});
}

TEST(GroupedMatrix, SpreadsWeightsOverExperts) {
  Program program(R"(
    func.func @f(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) -> tensor<?x3xf32> {
      %m = grouped.matrix %w, %i : tensor<?x2xf32>, tensor<?x2xi32>
          -> tensor<?x3xf32>
      return %m : tensor<?x3xf32>
    })");
  expectFloats(
      program.run({floats({1, 2}, {5, 7}), integers({1, 2}, {2, -1})})[0],
      {1, 3}, {0, 0, 5});
  EXPECT_EQ(program.error({floats({1, 2}, {5, 7}), integers({1, 2}, {3, -1})}),
            "'grouped.matrix' op id 3 is out of range, there are 3 experts");
}

TEST(GroupedBalanceLoss, CountsSlots) {
  Program program(R"(
    func.func @f(%p: tensor<?x2xf32>, %i: tensor<?x2xi32>)
        -> (tensor<f32>, tensor<f32>) {
      %a = grouped.balance_loss %p of %i counting first scale choices
          : tensor<?x2xf32>, tensor<?x2xi32>
      %b = grouped.balance_loss %p of %i counting all scale one
          : tensor<?x2xf32>, tensor<?x2xi32>
      return %a, %b : tensor<f32>, tensor<f32>
    })");
  // First: f = (1, 0), P = (3/4, 1/4); all: f = (1, 1/2), over 2 choices.
  auto results = program.run(
      {floats({2, 2}, {1, 0, 0.5, 0.5}), integers({2, 2}, {0, 1, 0, -1})});
  expectFloats(results[0], {}, {1.5});
  expectFloats(results[1], {}, {0.875});
}

} // namespace
