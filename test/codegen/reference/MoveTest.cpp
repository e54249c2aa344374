// dispatch, expert, combine, scope and param against numbers worked out by
// hand.
#include "Program.h"

#include <gtest/gtest.h>

using namespace moe::test;

namespace {

// Token 0 goes to experts 2 (weight 4) and 0 (3), token 1 nowhere, token 2 to
// expert 0 (6) only: in dispatch order rows are (0,0), (2,0), (0,2).
moe::reference::Value smallRouting() {
  moe::reference::Routing routing{3, 2, {}};
  routing.tokens = {{{2, 4.0}, {0, 3.0}}, {{}, {}}, {{}, {0, 6.0}}};
  return moe::reference::toValue(std::move(routing));
}

const std::string types = R"(
    !x = tensor<?x2xf32>
    !r = !moe.routing<3, top 2>
)";

TEST(Dispatch, GathersByExpertThenByToken) {
  Program program(types + R"(
    func.func @f(%x: !x, %r: !r) -> (!x, !x) {
      %a = moe.dispatch %x by %r : !x, !r
      %b = moe.dispatch %x by %r weighted : !x, !r
      return %a, %b : !x, !x
    })");
  auto results =
      program.run({floats({3, 2}, {1, 2, 3, 4, 5, 6}), smallRouting()});
  expectFloats(results[0], {3, 2}, {1, 2, 5, 6, 1, 2});
  expectFloats(results[1], {3, 2}, {3, 6, 30, 36, 4, 8});
  EXPECT_EQ(program.error({floats({2, 2}, {1, 2, 3, 4}), smallRouting()}),
            "'moe.dispatch' op input has 2 rows, but the routing has 3 tokens");
}

TEST(Combine, SumsTheRowsOfEveryToken) {
  Program program(types + R"(
    func.func @f(%y: !x, %r: !r) -> (!x, !x) {
      %a = moe.combine %y by %r weighted : !x, !r
      %b = moe.combine %y by %r unweighted : !x, !r
      return %a, %b : !x, !x
    })");
  // Token 0: 3*(1,2) + 4*(100,200); token 1 nothing; token 2: 6*(10,20).
  auto results =
      program.run({floats({3, 2}, {1, 2, 10, 20, 100, 200}), smallRouting()});
  expectFloats(results[0], {3, 2}, {403, 806, 0, 0, 60, 120});
  expectFloats(results[1], {3, 2}, {101, 202, 0, 0, 10, 20});
  EXPECT_EQ(program.error({floats({1, 2}, {1, 2}), smallRouting()}),
            "'moe.combine' op input has 1 rows, but the routing has 3 pairs");
}

TEST(Combine, TakesNoTokens) {
  Program program(types + R"(
    func.func @f(%x: !x, %w: tensor<?x3xf32>) -> !x {
      %r = moe.route %w top 2 : tensor<?x3xf32> -> !r
      %in = moe.dispatch %x by %r : !x, !r
      %y = moe.combine %in by %r weighted : !x, !r
      return %y : !x
    })");
  expectFloats(program.run({floats({0, 2}, {}), floats({0, 3}, {})})[0], {0, 2},
               {});
}

TEST(Expert, RunsItsRegionOnTheRowsAndSlicesOfEveryExpert) {
  Program program(types + R"(
    func.func @f(%x: !x, %r: !r, %v: tensor<3x2xf32>, %shared: f32) -> !x {
      %in = moe.dispatch %x by %r : !x, !r
      %out = moe.expert by %r rows(%t = %in) each(%e = %v)
          : !r, (!x, tensor<3x2xf32>) -> !x {
        %b = moe.broadcast %e like %t : tensor<2xf32>, !x
        %s = arith.addf %t, %b : !x
        %c = moe.broadcast %shared like %s : f32, !x
        %y = arith.mulf %s, %c : !x
        moe.yield %y : !x
      }
      return %out : !x
    })");
  // Rows (1,2), (5,6) + (10,20) and (1,2) + (50,60), times 2.
  auto results = program.run(
      {floats({3, 2}, {1, 2, 3, 4, 5, 6}), smallRouting(),
       floats({3, 2}, {10, 20, 30, 40, 50, 60}), moe::reference::Value(2.0)});
  expectFloats(results[0], {3, 2}, {22, 44, 30, 52, 102, 124});
}

TEST(Expert, StacksWhatItYieldsForEachExpert) {
  Program program(types + R"(
    func.func @f(%x: !x, %r: !r) -> (!x, tensor<3x2xf32>) {
      %in = moe.dispatch %x by %r : !x, !r
      %out:2 = moe.expert by %r rows(%t = %in) : !r, (!x) -> (!x, tensor<3x2xf32>) {
        %s = moe.reduce sum %t over 0 : !x -> tensor<2xf32>
        moe.yield rows(%t : !x) each(%s : tensor<2xf32>)
      }
      return %out#0, %out#1 : !x, tensor<3x2xf32>
    })");
  // Expert 1 has no tokens and still runs: its sum is 0.
  auto results =
      program.run({floats({3, 2}, {1, 2, 3, 4, 5, 6}), smallRouting()});
  expectFloats(results[0], {3, 2}, {1, 2, 5, 6, 1, 2});
  expectFloats(results[1], {3, 2}, {6, 8, 0, 0, 1, 2});
}

TEST(Expert, MayMixTheRowsOfAnExpert) {
  Program program(types + R"(
    func.func @f(%x: !x, %r: !r) -> !x {
      %in = moe.dispatch %x by %r : !x, !r
      %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x {
        %s = moe.softmax %t over 0 : !x
        moe.yield %s : !x
      }
      return %out : !x
    })");
  // Expert 0 sees two equal rows, expert 2 one row alone.
  auto results =
      program.run({floats({3, 2}, {1, 2, 3, 4, 1, 2}), smallRouting()});
  expectFloats(results[0], {3, 2}, {0.5, 0.5, 0.5, 0.5, 1, 1});
}

TEST(Expert, RunsSeveralRanges) {
  Program program(types + R"(
    func.func @f(%x: !x, %r: !r, %v: tensor<1x2xf32>) -> !x {
      %in = moe.dispatch %x by %r : !x, !r
      %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
          range 0 to 2 {
        moe.yield %t : !x
      }
          range 2 to 3 rows(%u) each(%e = %v) : (tensor<1x2xf32>) {
        %b = moe.broadcast %e like %u : tensor<2xf32>, !x
        moe.yield %b : !x
      }
      return %out : !x
    })");
  auto results = program.run({floats({3, 2}, {1, 2, 3, 4, 5, 6}),
                              smallRouting(), floats({1, 2}, {70, 80})});
  expectFloats(results[0], {3, 2}, {1, 2, 5, 6, 70, 80});
}

TEST(Expert, NamesRowCountsThatDiffer) {
  Program rows(types + R"(
    func.func @f(%x: !x, %r: !r) -> !x {
      %out = moe.expert by %r rows(%t = %x) : !r, (!x) -> !x {
        moe.yield %t : !x
      }
      return %out : !x
    })");
  EXPECT_EQ(rows.error({floats({1, 2}, {1, 2}), smallRouting()}),
            "'moe.expert' op has rows of 1x2, but the groups have 3 rows");
  Program yields(types + R"(
    func.func @f(%x: !x, %r: !r) -> !x {
      %in = moe.dispatch %x by %r : !x, !r
      %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x {
        moe.yield %x : !x
      }
      return %out : !x
    })");
  EXPECT_EQ(yields.error({floats({3, 2}, {1, 2, 3, 4, 5, 6}), smallRouting()}),
            "'moe.expert' op yields 3 rows for the 2 rows of expert 0");
}

TEST(Param, IsFoundBelowItsScope) {
  Program program(R"(
    func.func @f(%m: !moe.scope) -> (tensor<2xf32>, tensor<2xf32>) {
      %two = arith.constant 2 : index
      %layer = moe.scope %m "layers.{}." at %two
      %mlp = moe.scope %layer "mlp."
      %a = moe.param %mlp "bias" : tensor<2xf32>
      %b = moe.param %m "experts.{expert}.b" : tensor<2xf32>
      return %a, %b : tensor<2xf32>, tensor<2xf32>
    })");
  program.params.try_emplace("layers.2.mlp.bias",
                             moe::reference::Tensor({2}, Numbers{1, 2}));
  program.params.try_emplace("experts.{expert}.b",
                             moe::reference::Tensor({2}, Numbers{3, 4}));
  auto results = program.run({});
  expectFloats(results[0], {2}, {1, 2});
  expectFloats(results[1], {2}, {3, 4});
}

TEST(Param, MustHaveTheWrittenType) {
  Program program(R"(
    func.func @f(%m: !moe.scope) -> tensor<2xf32> {
      %a = moe.param %m "bias" : tensor<2xf32>
      return %a : tensor<2xf32>
    })");
  program.params.try_emplace("bias",
                             moe::reference::Tensor({3}, Numbers{1, 2, 3}));
  EXPECT_EQ(program.error({}),
            "'moe.param' op gives a tensor of 3 floats for a "
            "result of type tensor<2xf32>");
}

} // namespace
