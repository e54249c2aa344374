// grouped.select and grouped.top_k choose what the reference chooses, whatever
// the keys are, and stay inside their memory.

#include "AdversarialRows.h"

#include "runtime/Abi.h"

#include <fmt/format.h>
#include <set>

using namespace moe;
using namespace moe::test;

namespace {

struct Keys {
  const char *type;
  int64_t experts;
};

void PrintTo(const Keys &keys, std::ostream *stream) {
  *stream << keys.experts << "_" << keys.type;
}

/// The forms of a choice among `experts`, as the text of grouped.select.
std::vector<std::string> choicesOf(int64_t experts) {
  std::vector<std::string> groups = {""};
  auto addGroups = [&](int64_t count, int64_t keep, int64_t best) {
    groups.push_back(
        fmt::format("groups {} keep {} best {} ", count, keep, best));
  };
  int64_t few = experts % 2 == 0 ? 2 : experts % 3 == 0 ? 3 : 1;
  addGroups(few, 1, 1);
  if (experts == 7)
    addGroups(7, 3, 1);
  if (experts % 4 == 0)
    addGroups(4, 2, experts / 4 < 2 ? 1 : 2);
  if (experts == 100)
    addGroups(10, 7, 10);
  if (experts == 1040) { // many groups, many best ones
    addGroups(80, 70, 13);
    addGroups(8, 4, 100);
  }
  std::vector<std::string> choices;
  for (const std::string &group : groups) {
    bool plain = group.empty();
    int64_t most = plain ? experts : experts / few;
    for (int64_t k : std::set<int64_t>{1, std::min<int64_t>(most, 3), most})
      if (plain || k <= experts / 7 * 3 || experts % 7 != 0)
        choices.push_back(fmt::format("{}selection top count {}", group, k));
    choices.push_back(group + "selection greater_than literal 0.0");
    choices.push_back(group + "selection at_least value %quarter");
    choices.push_back(group + "selection top_p literal 1.0");
    if (!plain)
      continue;
    choices.push_back("selection at_least literal 0.0");
    choices.push_back("selection greater_than value %nan");
    choices.push_back("selection top_p value %quarter");
    choices.push_back("selection top_p literal 3.0e38");
    choices.push_back("selection nonzero");
  }
  choices.push_back(groups.back() + "selection nonzero");
  choices.push_back(groups.back() + "selection all");
  choices.push_back("selection all");
  return choices;
}

class ChoiceTest : public AdversarialTest<Keys> {};

TEST_P(ChoiceTest, ChoosesAsTheReference) {
  auto [type, experts] = GetParam();
  std::vector<std::string> choices = choicesOf(experts);
  std::string text;
  std::vector<int64_t> slots;
  for (const std::string &choice : choices) {
    size_t count = choice.find("count ");
    int64_t k =
        count == std::string::npos ? 0 : std::stol(choice.substr(count + 6));
    slots.push_back(k);
    std::string keys = fmt::format("tensor<?x{}x{}>", experts, type);
    std::string shape = fmt::format("?x{}", k ? k : experts);
    text += fmt::format(
        R"(func.func @f{0}(%w: {1}, %k: {1}) -> (tensor<{2}xf32>, tensor<{2}xi32>) {{
  %quarter = arith.constant 0.25 : f32
  %nan = arith.constant 0x7FC00000 : f32
  %c, %i = grouped.select %w by %k {3} : {1}, {1} -> tensor<{2}xf32>, tensor<{2}xi32>
  return %c, %i : tensor<{2}xf32>, tensor<{2}xi32>
}}
)",
        slots.size() - 1, keys, shape, choice);
  }
  Model model(text);
  for (size_t c = 0; c < choices.size(); ++c) {
    SCOPED_TRACE(choices[c]);
    std::string function = "f" + std::to_string(c);
    for (int64_t tokens : kTokens) {
      std::vector<Array> inputs = {badRows(tokens, experts, 7 * c + tokens),
                                   badRows(tokens, experts, c)};
      std::vector<Array> want = model.interpret(function, inputs);
      onEveryLevel([&](const cpu::Level &level) {
        std::vector<Array> found =
            model.call(level, function, inputs, 1 + tokens % 3);
        EXPECT_EQ(model.code, MOERT_CODE_OK);
        expectExperts(found[1], experts, /*mayBeEmpty=*/slots[c] == 0);
        expectSame(found, want);
      });
      if (HasFatalFailure())
        return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Keys, ChoiceTest,
                         testing::Values(Keys{"f32", 1}, Keys{"f32", 2},
                                         Keys{"f32", 3}, Keys{"f32", 7},
                                         Keys{"f32", 8}, Keys{"f32", 16},
                                         Keys{"f32", 64}, Keys{"f32", 100},
                                         Keys{"f32", 1040}, Keys{"f64", 100},
                                         Keys{"bf16", 16}, Keys{"f16", 7},
                                         Keys{"f64", 7}, Keys{"f64", 16}),
                         testing::PrintToStringParamName());

} // namespace
