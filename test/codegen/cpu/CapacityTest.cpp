// Experts that take rows, and rows that compete for the places of experts, on
// rows of NaN, infinities and ties: kept is what the reference keeps, and an
// auction that cannot be held is refused.

#include "AdversarialRows.h"

#include "runtime/Abi.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace moe;
using namespace moe::test;

namespace {

/// The number of experts.
class CapacityTest : public AdversarialTest<int64_t> {
protected:
  /// Runs every function of the text on (weights, key, segments), and compares
  /// with the reference.
  void compare(const std::string &text, bool byExpert) {
    int64_t experts = this->GetParam();
    Model model(text);
    for (const std::string &function : model.functions()) {
      SCOPED_TRACE(function);
      for (int64_t tokens : kTokens) {
        Array segments{{tokens}, {}};
        for (int64_t t = 0; t < tokens; ++t)
          segments.values.push_back(static_cast<double>(t * t % 3 - 1));
        std::vector<Array> inputs = {badRows(tokens, experts, tokens + 4),
                                     badRows(tokens, experts, tokens),
                                     segments};
        std::vector<Array> want = model.interpret(function, inputs);
        onEveryLevel([&](const cpu::Level &level) {
          std::vector<Array> found =
              model.call(level, function, inputs, 1 + tokens % 3);
          EXPECT_EQ(model.code, MOERT_CODE_OK);
          expectExperts(found[1], experts, /*mayBeEmpty=*/true);
          for (int64_t at = 0; byExpert && at < tokens * experts; ++at)
            EXPECT_TRUE(found[1].values[at] == -1 ||
                        found[1].values[at] == at % experts);
          expectSame(found, want);
        });
      }
    }
  }
};

TEST_P(CapacityTest, TakesAsTheReference) {
  std::string text;
  for (int64_t capacity : {0, 1, 3, 1000})
    for (const char *segments : {"", "segments %s "})
      text += fmt::format(
          R"(func.func @take{1}{4}(%w: {0}, %k: {0}, %s: tensor<?xi32>) -> ({0}, tensor<?x{5}xi32>) {{
  %c = arith.constant {1} : index
  %a, %i = grouped.take %w by %k to %c {2}: ({0}, {0}, index{3}) -> ({0}, tensor<?x{5}xi32>)
  return %a, %i : {0}, tensor<?x{5}xi32>
}}
)",
          fmt::format("tensor<?x{}xf32>", GetParam()), capacity, segments,
          *segments ? ", tensor<?xi32>" : "", *segments ? "segments" : "",
          GetParam());
  compare(text, /*byExpert=*/true);
}

TEST_P(CapacityTest, LimitsAsTheReference) {
  int64_t experts = GetParam(), slots = std::min<int64_t>(experts, 3);
  std::string text;
  int number = 0;
  auto add = [&](int64_t capacity, const std::string &clauses,
                 const std::string &types) {
    text += fmt::format(
        R"(func.func @limit{0}(%w: tensor<?x{1}xf32>, %k: tensor<?x{1}xf32>, %s: tensor<?xi32>) -> (tensor<?x{2}xf32>, tensor<?x{2}xi32>) {{
  %c = arith.constant {3} : index
  %v, %i = grouped.top_k %w by %k top {2} : tensor<?x{1}xf32>, tensor<?x{1}xf32> -> tensor<?x{2}xf32>, tensor<?x{2}xi32>
  %a, %j = grouped.limit %v, %i experts {1} to %c order {4} : (tensor<?x{2}xf32>, tensor<?x{2}xi32>, index{5}) -> (tensor<?x{2}xf32>, tensor<?x{2}xi32>)
  return %a, %j : tensor<?x{2}xf32>, tensor<?x{2}xi32>
}}
)",
        number++, experts, slots, capacity, clauses, types);
  };
  std::string scores = fmt::format(", tensor<?x{}xf32>", experts);
  std::string segments = ", tensor<?xi32>";
  for (int64_t capacity : {0, 4}) {
    add(capacity, "position", "");
    add(capacity, "choice place 1", "");
    add(capacity, "token_choice segments %s", segments);
    add(capacity, "weight", "");
    add(capacity, "value by %k", scores);
  }
  add(1000, "weight", "");
  add(2, "weight place 1 segments %s", segments);
  add(2, "value by %k segments %s", scores + segments);
  compare(text, /*byExpert=*/false);
}

TEST_P(CapacityTest, AssignsOrRefuses) {
  int64_t experts = GetParam();
  Model model(fmt::format(
      R"(func.func @assign(%s: tensor<?x{0}xf32>) -> (tensor<?x1xf32>, tensor<?x1xi32>) {{
  %a, %i = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100
      : (tensor<?x{0}xf32>, tensor<?x{0}xf32>) -> (tensor<?x1xf32>, tensor<?x1xi32>)
  return %a, %i : tensor<?x1xf32>, tensor<?x1xi32>
}}
)",
      experts));
  for (int64_t share : {0, 1, 3}) {
    int64_t tokens = share * experts;
    Array bad = badRows(tokens, experts, 3), good = bad; // the first row is NaN
    for (double &value : good.values)                    // and many ties
      value = std::isfinite(value) ? std::clamp(value, -1.0, 1.0) : 0.5;
    std::vector<Array> want = model.interpret("assign", {good});
    onEveryLevel([&](const cpu::Level &level) {
      std::vector<Array> found = model.call(level, "assign", {good}, 2);
      EXPECT_EQ(model.code, MOERT_CODE_OK);
      expectExperts(found[1], experts, /*mayBeEmpty=*/false);
      expectSame(found, want);
      found = model.call(level, "assign", {bad}, 2);
      EXPECT_EQ(model.code, share == 0 ? MOERT_CODE_OK : MOERT_CODE_FINITE);
      expectExperts(found[1], experts, /*mayBeEmpty=*/true);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Experts, CapacityTest, testing::Values(1, 7, 64),
                         testing::PrintToStringParamName());

} // namespace
