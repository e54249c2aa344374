// Slots that are joined, picked, scattered and checked, and whole routers:
// wrong ids are reported, and a bad row does not change its neighbours.

#include "AdversarialRows.h"

#include "runtime/Abi.h"

#include <cmath>
#include <fmt/format.h>

using namespace moe;
using namespace moe::test;

namespace {

/// The number of experts.
class SlotTest : public AdversarialTest<int64_t> {};

TEST_P(SlotTest, JoinsAndPicksAsTheReference) {
  int64_t experts = GetParam();
  int64_t few = std::min<int64_t>(2, experts);
  int64_t some = std::min<int64_t>(3, experts);
  Model model(fmt::format(
      R"(!x = tensor<?x{0}xf32>
!ids = tensor<?x{0}xi32>
!aw = tensor<?x{1}xf32>
!ai = tensor<?x{1}xi32>
!bw = tensor<?x{2}xf32>
!bi = tensor<?x{2}xi32>
!jw = tensor<?x{3}xf32>
!ji = tensor<?x{3}xi32>
func.func @slots(%x: !x, %y: !x, %each: tensor<{0}xf32>)
    -> (!jw, !ji, !x, !ids, !x, !ids, !x, !jw, !jw, tensor<?x{3}xi1>) {{
  %aw, %ai = grouped.select %x by %y selection top count {1} : !x, !x -> !aw, !ai
  %bw, %bi = grouped.top_k %y by %x top {2} : !x, !x -> !bw, !bi
  %cw, %ci = grouped.select %y by %y selection at_least literal 0.0 : !x, !x -> !x, !ids
  %jw, %ji = grouped.join %aw, %ai, %bw, %bi experts {0} : (!aw, !ai, !bw, !bi) -> (!jw, !ji)
  %kw, %ki = grouped.join %aw, %ai, %cw, %ci experts {0} by_expert : (!aw, !ai, !x, !ids) -> (!x, !ids)
  %lw, %li = grouped.join %cw, %ci, %bw, %bi experts {0} by_expert : (!x, !ids, !bw, !bi) -> (!x, !ids)
  %m = grouped.matrix %jw, %ji : !jw, !ji -> !x
  %p = grouped.pick %y at %ji : !x, !ji -> !jw
  %q = grouped.pick %each at %ji : tensor<{0}xf32>, !ji -> !jw
  %zero = arith.constant dense<0.0> : tensor<{0}xf32>
  %mask = arith.cmpf ogt, %each, %zero : tensor<{0}xf32>
  %r = grouped.pick %mask at %ji : tensor<{0}xi1>, !ji -> tensor<?x{3}xi1>
  return %jw, %ji, %kw, %ki, %lw, %li, %m, %p, %q, %r
      : !jw, !ji, !x, !ids, !x, !ids, !x, !jw, !jw, tensor<?x{3}xi1>
}}
)",
      experts, few, some, few + some));
  for (int64_t tokens : kTokens) {
    Array each = badRows(1, experts, tokens);
    each.shape = {experts};
    std::vector<Array> inputs = {badRows(tokens, experts, tokens),
                                 badRows(tokens, experts, tokens + 3), each};
    std::vector<Array> want = model.interpret("slots", inputs);
    onEveryLevel([&](const cpu::Level &level) {
      std::vector<Array> found =
          model.call(level, "slots", inputs, 1 + tokens % 3);
      EXPECT_EQ(model.code, MOERT_CODE_OK);
      for (size_t ids : {1, 3, 5})
        expectExperts(found[ids], experts, /*mayBeEmpty=*/true);
      expectSame(found, want);
    });
  }
}

TEST_P(SlotTest, ReportsIdsThatAreNoExperts) {
  int64_t experts = GetParam();
  int64_t slots = std::min<int64_t>(experts, 4) + 1;
  Model model(fmt::format(
      R"(!w = tensor<?x{1}xf32>
!i = tensor<?x{1}xi32>
!x = tensor<?x{0}xf32>
func.func @check(%ids: tensor<?x{1}xi64>) -> !i {{
  %i = grouped.check_ids %ids experts {0} : tensor<?x{1}xi64> -> !i
  return %i : !i
}}
func.func @use(%w: !w, %i: !i, %x: !x) -> (!x, !x, !w, tensor<?x{2}xf32>, tensor<?x{2}xi32>, tensor<?x{0}xi32>) {{
  %m = grouped.matrix %w, %i : !w, !i -> !x
  %p = grouped.pick %x at %i : !x, !i -> !w
  %a, %b = grouped.join %w, %i, %w, %i experts {0} : (!w, !i, !w, !i) -> (tensor<?x{2}xf32>, tensor<?x{2}xi32>)
  %c, %d = grouped.join %w, %i, %w, %i experts {0} by_expert : (!w, !i, !w, !i) -> (!x, tensor<?x{0}xi32>)
  return %m, %c, %p, %a, %b, %d : !x, !x, !w, tensor<?x{2}xf32>, tensor<?x{2}xi32>, tensor<?x{0}xi32>
}}
)",
      experts, slots, 2 * slots));
  // Row 3 of 5 gets one wrong id; the others hold experts from 0 on, then -1.
  Array right{{5, slots}, {}};
  for (int64_t row = 0; row < 5; ++row)
    for (int64_t slot = 0; slot < slots; ++slot)
      right.values.push_back(
          static_cast<double>(slot + 1 < slots ? slot : -1 - row));
  auto count = static_cast<double>(experts);
  Array weights = badRows(5, slots, 1), values = badRows(5, experts, 2);
  onEveryLevel([&](const cpu::Level &level) {
    std::vector<Array> found = model.call(level, "check", {right}, 3);
    EXPECT_EQ(model.code, MOERT_CODE_OK);
    expectSame(found, model.interpret("check", {right}));
    for (double wrong : {count, count + 1, 2147483647.0, 4294967296.0, 0.0}) {
      bool repeated = wrong == 0;
      Array ids = right;
      ids.values[4 * slots - 1] = wrong;
      found = model.call(level, "check", {ids}, 3);
      EXPECT_EQ(model.code, repeated ? MOERT_CODE_REPEATED : MOERT_CODE_EXPERT);
      std::vector<int64_t> named = {static_cast<int64_t>(wrong),
                                    repeated ? 3 : experts};
      if (!repeated)
        named.push_back(3);
      EXPECT_EQ(std::vector<int64_t>(model.codeValues.begin(),
                                     model.codeValues.begin() + named.size()),
                named);
      expectExperts(found[0], experts, /*mayBeEmpty=*/true);
      if (wrong > 2147483647.0)
        continue;
      found = model.call(level, "use", {weights, ids, values}, 3);
      EXPECT_EQ(model.code, repeated ? MOERT_CODE_OK : MOERT_CODE_EXPERT);
      expectExperts(found[5], experts, /*mayBeEmpty=*/true);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Experts, SlotTest, testing::Values(1, 3, 16, 100),
                         testing::PrintToStringParamName());

/// Whole routers, from logits to weights of slots.
class RouterTest : public AdversarialTest<int64_t> {};

TEST_P(RouterTest, KeepsBadRowsToThemselves) {
  int64_t experts = GetParam();
  Model model(fmt::format(
      R"(!s = tensor<?x{0}xf32>
!top = !moe.routing<{0}, top 2>
!any = !moe.routing<{0}, any>
func.func @softmax(%l: !s) -> (tensor<?x2xi32>, tensor<?x2xf32>) {{
  %p = moe.softmax %l : !s
  %r = moe.route %p top 2 : !s -> !top
  %n = moe.normalize %r by sum : !top
  %i = moe.indices %n : !top -> tensor<?x2xi32>
  %w = moe.weights %n : !top -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}}
func.func @sigmoid(%l: !s) -> (tensor<?x2xi32>, tensor<?x2xf32>) {{
  %p = moe.sigmoid %l : !s
  %k = arith.addf %p, %l : !s
  %r = moe.route %p by %k groups 2 keep 1 score sum 2 top 2 : !s -> !top
  %n = moe.normalize %r by sum plus 1.0e-20 : !top
  %t = moe.scale %n by 2.5 : !top
  %i = moe.indices %t : !top -> tensor<?x2xi32>
  %w = moe.weights %t : !top -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}}
func.func @joined(%l: !s) -> (tensor<?x4xi32>, tensor<?x4xf32>) {{
  %p = moe.softmax %l : !s
  %a = moe.route %p top 2 : !s -> !top
  %b = moe.route %l top 2 : !s -> !top
  %c = moe.normalize %b by softmax : !top
  %r = moe.join %a, %c : !top, !top -> !moe.routing<{0}, top 4>
  %n = moe.normalize %r by lp 2.0 : !moe.routing<{0}, top 4>
  %i = moe.indices %n : !moe.routing<{0}, top 4> -> tensor<?x4xi32>
  %w = moe.weights %n : !moe.routing<{0}, top 4> -> tensor<?x4xf32>
  return %i, %w : tensor<?x4xi32>, tensor<?x4xf32>
}}
func.func @threshold(%l: !s) -> (!s, !s) {{
  %p = moe.softmax %l : !s
  %a = moe.route %p at_least 0.1 : !s -> !any
  %n = moe.normalize %a by sum : !any
  %m = moe.to_matrix %n : !any -> !s
  %b = moe.route %p top_p 0.9 : !s -> !any
  %q = moe.normalize %b by softmax : !any
  %o = moe.to_matrix %q : !any -> !s
  return %m, %o : !s, !s
}}
)",
      experts));
  constexpr int64_t tokens = 33;
  Array logits = badRows(tokens, experts, 5);
  onEveryLevel([&](const cpu::Level &level) {
    for (const std::string &router : model.functions()) {
      SCOPED_TRACE(router);
      std::vector<Array> all = model.call(level, router, {logits}, 3);
      if (router != "threshold")
        expectExperts(all[0], experts, router == "joined");
      for (int64_t t = 0; t < tokens; ++t) {
        auto rowOf = [&](const Array &array) {
          auto begin = array.values.begin() + t * array.columns();
          return Array{{1, array.columns()}, {begin, begin + array.columns()}};
        };
        std::vector<Array> alone =
            model.call(level, router, {rowOf(logits)}, 1);
        expectSame(alone, {rowOf(all[0]), rowOf(all[1])});
        // An ordinary row has ordinary weights.
        if (isOrdinary(t, 5))
          for (double weight : rowOf(all[1]).values)
            EXPECT_TRUE(std::isfinite(weight));
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Experts, RouterTest, testing::Values(4, 14, 64),
                         testing::PrintToStringParamName());

} // namespace
