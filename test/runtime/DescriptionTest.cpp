// The description of an artefact: what it may say, and every way in which it
// can contradict itself.
#include "runtime/Description.h"
#include "Support.h"

using namespace moert;

namespace {

std::string section(std::string_view json, uint32_t major = MOERT_ABI_MAJOR,
                    uint32_t minor = MOERT_ABI_MINOR) {
  moert_meta_header header = {};
  std::memcpy(header.magic, MOERT_META_MAGIC, 8);
  header.major = major;
  header.minor = minor;
  header.json_length = json.size();
  return std::string(reinterpret_cast<const char *>(&header), sizeof(header))
      .append(json)
      .append(5, '\0');
}

TEST(Description, IsRead) {
  Description read = parseDescription(section(test::description()), "x.so");
  EXPECT_EQ(read.producer, "by hand");
  EXPECT_EQ(read.levels.size(), 3u);
  ASSERT_EQ(read.functions.size(), 1u);
  const Function &mix = read.functions[0];
  EXPECT_EQ(mix.name, "mix");
  EXPECT_EQ(mix.symbols, std::vector<std::string>{"d0"});
  EXPECT_EQ(mix.inputs[0].dims[0].symbol, 0);
  EXPECT_EQ(mix.inputs[0].dims[1].size, 4);
  EXPECT_EQ(mix.params[1].stack[0].name, "expert");
  EXPECT_EQ(mix.constants[0].param, 0);
  EXPECT_EQ(mix.constants[1].step, 0);
  EXPECT_EQ(mix.steps[0].bytes[2][0], 16);
  EXPECT_EQ(mix.routings[0].experts, 3);
  ASSERT_EQ(mix.traced.size(), 2u);
  EXPECT_EQ(mix.traced[0].type.dtype, MOERT_I32);
  EXPECT_EQ(mix.traced[1].type.dims[0].symbol, 0);
  EXPECT_EQ(mix.traced[1].times, 1);
}

TEST(Description, VersionsAreNamed) {
  std::string json = test::description();
  EXPECT_FAILURE(
      parseDescription(section(json, MOERT_ABI_MAJOR + 1, 7), "x.so"),
      MOERT_MALFORMED,
      fmt::format("x.so: is an artefact of version {}.7, this runtime loads "
                  "{}.0 to {}.{}",
                  MOERT_ABI_MAJOR + 1, MOERT_ABI_MAJOR, MOERT_ABI_MAJOR,
                  MOERT_ABI_MINOR));
  EXPECT_FAILURE(parseDescription(section(json, MOERT_ABI_MAJOR - 1), "x.so"),
                 MOERT_MALFORMED, "of version");
  EXPECT_FAILURE(
      parseDescription(section(json, MOERT_ABI_MAJOR, MOERT_ABI_MINOR + 1),
                       "x.so"),
      MOERT_MALFORMED, "of version");
}

TEST(Description, TheFrame) {
  std::string good = section(test::description());
  EXPECT_FAILURE(parseDescription(good.substr(0, 23), "x.so"), MOERT_MALFORMED,
                 "section of 23 bytes");
  EXPECT_FAILURE(parseDescription("XOEMLIR" + good.substr(7), "x.so"),
                 MOERT_MALFORMED, "does not begin with MOEMLIR");
  std::string longer = good;
  longer[16 + 3] = 1;
  EXPECT_FAILURE(parseDescription(longer, "x.so"), MOERT_MALFORMED,
                 "bytes of JSON in a section with room for");
  EXPECT_FAILURE(parseDescription(good + "x", "x.so"), MOERT_MALFORMED,
                 "not zero after the JSON");
  EXPECT_FAILURE(parseDescription(section(""), "x.so"), MOERT_MALFORMED,
                 "is not JSON");
  EXPECT_FAILURE(parseDescription(section(std::string(100'000, '[')), "x.so"),
                 MOERT_MALFORMED, "nests deeper");
  EXPECT_FAILURE(parseDescription(section("[]"), "x.so"), MOERT_MALFORMED,
                 "it is not an object");
}

TEST(Description, Contradictions) {
  struct Case {
    const char *from;
    const char *to;
    const char *message;
  };
  for (Case bad : std::initializer_list<Case>{
           {"\"producer\":\"by hand\",", "", "producer is missing"},
           {"\"by hand\"", "3", "producer is not a string"},
           {"\"by hand\"", "\"\"", "producer is empty"},
           {"[\"avx2\",\"avx512\",\"avx512bf16\"]", "{}",
            "levels is not an array"},
           {"\"avx512\",", "\"avx2\",", "levels has 'avx2' twice"},
           {"\"avx512\",", "\"amx\",", "bytes.amx is missing"},
           {"\"name\":\"mix\",", "", "functions[0].name is missing"},
           {"\"name\":\"mix\"", "\"name\":\"mix\",\"name\":\"mix\"",
            "key 'name' appears twice"},
           {"\"dtype\":\"f32\",\"shape\":[\"d0\",4]",
            "\"dtype\":\"f33\",\"shape\":[\"d0\",4]",
            "functions[0].inputs[0].dtype is 'f33', no element type"},
           {"[\"d0\",4]}, {", "[\"d0\",-4]}, {",
            "inputs[0].shape[1] is not an unsigned integer"},
           {"[\"d0\",4]}, {", "[\"d0\",4.5]}, {",
            "inputs[0].shape[1] is not an unsigned integer"},
           {"[\"d0\",4]}, {", "[\"d0\",9223372036854775808]}, {",
            "does not fit 63 bits"},
           {"[\"d0\",4]}, {", "[1,2,3,4,5,6,7,8,9]}, {",
            "has 9 dimensions, more than 8"},
           {"\"results\":[ {\"dtype\":\"f32\",\"shape\":[\"d0\"",
            "\"results\":[ {\"dtype\":\"f32\",\"shape\":[\"d1\"",
            "results[0].shape[0] is 'd1', a size that no input has"},
           {"\"results\":[ {\"dtype\":\"f32\",\"shape\":[\"d0\"",
            "\"results\":[ {\"dtype\":\"f32\",\"shape\":[{\"of\":4}",
            "results[0].shape[0].of is not the name of a size"},
           {"\"results\":[ {\"dtype\":\"f32\",\"shape\":[\"d0\"",
            "\"results\":[ {\"dtype\":\"f32\",\"shape\":[{\"most\":{\"of\":"
            "\"d0\",\"factor\":1,\"divisor\":0,\"times\":1,\"more\":0}}",
            "results[0].shape[0].most.divisor is 0"},
           {"\"shape\":[4],\"stack\"", "\"shape\":[\"d0\"],\"stack\"",
            "params[0].shape[0] is not an unsigned integer"},
           {"\"shape\":[4],\"stack\"",
            "\"shape\":[4611686018427387904,4],\"stack\"",
            "params[0].shape overflows"},
           {"\"stack\":[]", "\"stack\":[{\"name\":\"e\",\"begin\":0}]",
            "params[0].stack has 1 axes"},
           {"[{\"name\":\"expert\",\"begin\":0}]", "[]",
            "params[1].stack has 0 axes"},
           {"experts.{expert}.w", "experts.{expert.w", "has a '{' without '}'"},
           {"{\"param\":0}", "{\"param\":2}",
            "constants[0].param is 2, but there are 2 params"},
           {"{\"param\":0}", "{\"param\":0,\"step\":0}",
            "not exactly one of 'param' and 'step'"},
           {"{\"param\":0}", "{}", "not exactly one of 'param' and 'step'"},
           {"{\"step\":0}", "{\"step\":1}",
            "constants[1].step is 1, but there are 1 steps"},
           {"{\"step\":0}", "{\"param\":1}",
            "has step 0 make constant 1, which is not its own"},
           {"{\"param\":0}", "{\"step\":0}", "makes constant 0 0 times"},
           {"\"results\":[1],", "\"results\":[2],",
            "steps[0].results[0] is 2, but there are 2 constants"},
           {"\"results\":[1],", "\"results\":[1,1],",
            "bytes.avx2 has 1 sizes for 2 results"},
           {"\"params\":[1]", "\"params\":[7]", "steps[0].params[0] is 7"},
           {"\"avx2\":[16]", "\"avx2\":[-16]",
            "bytes.avx2[0] is not an unsigned integer"},
           {"\"avx2\":[16],", "", "bytes.avx2 is missing"},
           {"\"symbol\":\"moe_mix_prepare0\"", "\"symbol\":\"system\"",
            "not a symbol that begins with moe_"},
           {"\"entry\":\"moe_mix\"", "\"entry\":\"abort\"",
            "not a symbol that begins with moe_"},
           {"\"entry\":\"moe_mix\"", "\"entry\":\"moe_\\n\"",
            "'moe_\\x0a', not a symbol"},
           {"\"workspace\":\"moe_mix_workspace\"", "\"workspace\":7",
            "workspace is not a string"},
           {"\"experts\":3", "\"experts\":1048577",
            "experts is 1048577, more than 1048576"},
           {"\"experts\":3,", "", "routings[0].experts is missing"},
           {"\"times\":1,\"routing\":0", "\"times\":1,\"routing\":1",
            "traced[0].routing is 1, but there are 1 routings"},
           {"{\"dtype\":\"i32\"", "{\"dtype\":\"i64\"",
            "traced[0].dtype is neither i32 (ids) nor f32 (weights)"},
           {"\"shape\":[\"d0\",1]", "\"shape\":[\"d0\"]",
            "traced[0] is not rows of slots"},
           {"\"shape\":[\"d0\",1]", "\"shape\":[1,\"d0\"]",
            "traced[0] is not rows of slots"},
           {"\"shape\":[\"d0\",1]", "\"shape\":[\"d1\",1]",
            "is 'd1', a size that no input has"},
           {"\"times\":1", "\"times\":0", "traced[0] is not rows of slots"},
           {"\"traced\"", "\"untraced\"", "functions[0].traced is missing"}}) {
    SCOPED_TRACE(bad.to);
    EXPECT_FAILURE(
        parseDescription(section(test::description({{bad.from, bad.to}})),
                         "x.so"),
        MOERT_MALFORMED, bad.message);
  }
  std::string two = test::description();
  two.replace(two.rfind("} ] }"), 5,
              "}, "
              "{\"name\":\"mix\",\"inputs\":[],\"results\":[],\"params\":[],"
              "\"constants\":[],"
              "\"steps\":[],\"routings\":[],\"traced\":[],\"entry\":"
              "\"moe_a\",\"workspace\":"
              "\"moe_b\"} ] }");
  EXPECT_FAILURE(parseDescription(section(two), "x.so"), MOERT_MALFORMED,
                 "functions has 'mix' twice");
}

TEST(Description, EarlierOnesTraceNothing) {
  std::string json = test::description({{"\"traced\"", "\"untraced\""}});
  Description read =
      parseDescription(section(json, MOERT_ABI_MAJOR, 1), "x.so");
  EXPECT_TRUE(read.functions[0].traced.empty());
}

TEST(Description, LaterMinorFieldsArePassedOver) {
  EXPECT_NO_THROW(
      parseDescription(section(test::description(
                           {{"\"entry\"", "\"later\":{\"a\":[1]},\"entry\""}})),
                       "x.so"));
}

} // namespace
