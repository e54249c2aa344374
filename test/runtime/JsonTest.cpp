// Strict JSON: depth, duplicates, text that is not JSON.
#include "runtime/Json.h"
#include "Support.h"

using namespace moert;

namespace {

JsonValue parse(std::string_view text, int depth = 8, size_t values = 1000) {
  return parseJsonTree(text, depth, values, "x.json");
}

TEST(Json, BuildsATree) {
  JsonValue root =
      parse(R"( {"a":[1,-2,2.5,true,null,"s\u00e9"],"b":{"c":{}}} )");
  ASSERT_EQ(root.kind, JsonValue::Kind::Object);
  const JsonValue *a = root.find("a");
  ASSERT_TRUE(a);
  ASSERT_EQ(a->items.size(), 6u);
  EXPECT_EQ(a->items[0].kind, JsonValue::Kind::Natural);
  EXPECT_EQ(a->items[0].natural, 1u);
  EXPECT_EQ(a->items[1].kind, JsonValue::Kind::Number);
  EXPECT_EQ(a->items[1].number, -2);
  EXPECT_EQ(a->items[2].number, 2.5);
  EXPECT_TRUE(a->items[3].boolean);
  EXPECT_EQ(a->items[4].kind, JsonValue::Kind::Null);
  EXPECT_EQ(a->items[5].string, "s\xc3\xa9");
  EXPECT_EQ(root.find("b")->find("c")->kind, JsonValue::Kind::Object);
  EXPECT_EQ(root.find("c"), nullptr);
}

TEST(Json, Depth) {
  EXPECT_NO_THROW(parse("1", 0));
  EXPECT_FAILURE(parse("[]", 0), MOERT_MALFORMED,
                 "nests deeper than 0 levels at byte 1");
  EXPECT_NO_THROW(parse("[[[[]]]]", 4));
  EXPECT_FAILURE(parse("[[[[[]]]]]", 4), MOERT_MALFORMED,
                 "x.json: nests deeper than 4 levels at byte 5");
  EXPECT_NO_THROW(parse("[[],[],[[]]]", 3));
  EXPECT_FAILURE(parse(std::string(1'000'000, '[')), MOERT_MALFORMED,
                 "nests deeper");
}

TEST(Json, Duplicates) {
  EXPECT_FAILURE(parse(R"({"a":1,"b":2,"a":3})"), MOERT_MALFORMED,
                 "key 'a' appears twice");
  EXPECT_FAILURE(parse(R"({"x":[{"a":1,"\u0061":2}]})"), MOERT_MALFORMED,
                 "key 'a' appears twice");
  EXPECT_NO_THROW(parse(R"([{"a":1},{"a":2}])"));
  EXPECT_NO_THROW(parse(R"({"a":{"a":{"a":1}}})"));
}

TEST(Json, NumberOfValues) {
  EXPECT_NO_THROW(parse("[1,2]", 1, 3));
  EXPECT_FAILURE(parse("[1,2]", 1, 2), MOERT_MALFORMED, "too many values");
}

TEST(Json, WhatIsNotJson) {
  for (std::string_view bad :
       {std::string_view(""), std::string_view("{"), std::string_view("[1,]"),
        std::string_view("{\"a\"}"), std::string_view("{\"a\":1,}"),
        std::string_view("nul"), std::string_view("[1 2]"),
        std::string_view("\"\\q\""), std::string_view("\"\n\""),
        std::string_view("\"\xff\""), std::string_view("1 2"),
        std::string_view("01"), std::string_view("1."),
        std::string_view("1e999"), std::string_view("{}\0", 3),
        std::string_view("\0{}", 3), std::string_view("\xef\xbb\xbf{}"),
        std::string_view("/**/1"), std::string_view("Infinity")})
    EXPECT_FAILURE(parse(bad), MOERT_MALFORMED, "is not JSON at byte");
}

TEST(Json, MessagesAreShort) {
  // The lexer's own message would quote all of it.
  Failure failure = test::failureOf(
      [] { parse("\"" + std::string(1'000'000, 'a') + "\n\""); });
  EXPECT_EQ(failure.status(), MOERT_MALFORMED);
  EXPECT_LT(failure.message().size(), 300u);
}

} // namespace
