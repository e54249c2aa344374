// Every rule of the format at its border: files made by hand, accepted and
// refused as by the format's own reader.
#include "runtime/Safetensors.h"
#include "Support.h"

using namespace moert;
using test::Folder;

namespace {

/// A file that must be refused, with a part of the message.
struct Refused {
  const char *name;
  std::string header;
  size_t dataBytes;
  const char *message;
};

std::string tensor(const char *name, const char *dtype, const char *shape,
                   const char *offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})",
                     name, dtype, shape, offsets);
}

/// One tensor "t".
std::string one(const char *dtype, const char *shape, const char *offsets) {
  return "{" + tensor("t", dtype, shape, offsets) + "}";
}

std::string repeated(std::string_view text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i)
    all += text;
  return all;
}

std::vector<Refused> refused() {
  std::vector<Refused> cases = {
      // The header is one JSON object.
      {"empty header", "", 0, "is not JSON at byte 8"},
      {"only space", " ", 0, "is not JSON"},
      {"array", "[]", 0, "the header is an array, not an object"},
      {"number", "7", 0, "the header is a number"},
      {"string", "\"a\"", 0, "the header is a string"},
      {"null", "null", 0, "the header is null"},
      {"true", "true", 0, "the header is a boolean"},
      {"open object", "{", 0, "is not JSON at byte 9"},
      {"two objects", "{}{}", 0, "is not JSON"},
      {"text after object", "{} x", 0, "is not JSON"},
      {"zero byte after object", std::string("{}\0", 3), 0, "zero byte"},
      {"zero bytes as padding", std::string("{}\0\0\0\0\0\0", 8), 0,
       "zero byte"},
      {"byte order mark", "\xef\xbb\xbf{}", 0, "byte order mark"},
      {"trailing comma",
       R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},})", 0,
       "is not JSON"},
      {"single quotes", R"({'t':{}})", 0, "is not JSON"},
      {"comment", "{} // c", 0, "is not JSON"},
      {"NaN", R"({"t":NaN})", 0, "is not JSON"},
      {"bad UTF-8 in a name", "{\"\xff\":{}}", 0, "is not JSON"},
      {"overlong UTF-8", "{\"\xc0\xaf\":{}}", 0, "is not JSON"},
      {"UTF-8 surrogate", "{\"\xed\xa0\x80\":{}}", 0, "is not JSON"},
      {"cut UTF-8", "{\"\xe2\x82\":{}}", 0, "is not JSON"},
      {"lone surrogate escape", R"({"\ud800":{}})", 0, "is not JSON"},
      {"control byte in a name", "{\"a\nb\":{}}", 0, "is not JSON"},
      {"bad escape", R"({"\x":{}})", 0, "is not JSON"},
      {"leading zero", one("U8", "[01]", "[0,1]"), 1, "is not JSON"},
      {"plus sign", one("U8", "[+1]", "[0,1]"), 1, "is not JSON"},
      // Nesting.
      {"5 levels",
       R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[[[]]]}})", 0,
       "nests deeper than 4"},
      {"100,000 levels", "{\"t\":{\"x\":" + std::string(100'000, '['), 0,
       "nests deeper than 4"},
      {"100,000 objects", repeated("{\"a\":", 100'000), 0,
       "nests deeper than 4"},
      // Entries are objects with three fields.
      {"entry is null", R"({"t":null})", 0,
       "tensor 't': found null where an object should be"},
      {"entry is a number", R"({"t":1})", 0,
       "tensor 't': found a number where an object"},
      {"entry is a string", R"({"t":"F32"})", 0,
       "tensor 't': found a string where an object"},
      {"entry is an array", R"({"t":["U8",[0],[0,0]]})", 0,
       "tensor 't': found an array where an object"},
      {"entry is empty", R"({"t":{}})", 0, "dtype"},
      {"no dtype", R"({"t":{"shape":[0],"data_offsets":[0,0]}})", 0,
       "is missing (rule: dtype"},
      {"no shape", R"({"t":{"dtype":"U8","data_offsets":[0,0]}})", 0,
       "is missing (rule: shape"},
      {"no offsets", R"({"t":{"dtype":"U8","shape":[0]}})", 0,
       "is missing (rule: data_offsets"},
      {"dtype twice",
       R"({"t":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
       0, "appears twice (rule: dtype"},
      {"shape twice",
       R"({"t":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}})",
       0, "appears twice (rule: shape"},
      {"offsets twice",
       R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"data_offsets":[0,0]}})",
       0, "appears twice (rule: data_offsets"},
      // dtype.
      {"dtype is a number",
       R"({"t":{"dtype":1,"shape":[0],"data_offsets":[0,0]}})", 0,
       "where a string should be"},
      {"dtype is null",
       R"({"t":{"dtype":null,"shape":[0],"data_offsets":[0,0]}})", 0,
       "where a string should be"},
      {"dtype is an array",
       R"({"t":{"dtype":[],"shape":[0],"data_offsets":[0,0]}})", 0,
       "where a string should be"},
      {"dtype in small letters", one("f32", "[0]", "[0,0]"), 0,
       "'f32' is not one of the 22"},
      {"dtype unknown", one("F128", "[0]", "[0,0]"), 0,
       "'F128' is not one of the 22"},
      {"dtype empty", one("", "[0]", "[0,0]"), 0, "'' is not one of the 22"},
      {"dtype with space", one("F32 ", "[0]", "[0,0]"), 0,
       "'F32 ' is not one of the 22"},
      // shape.
      {"shape is a number", one("U8", "1", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"shape is null", one("U8", "null", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"shape is an object", one("U8", "{}", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"shape is a string", one("U8", "\"1\"", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size -1", one("U8", "[-1]", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size -0", one("U8", "[-0]", "[0,0]"), 0,
       "where an array of unsigned integers"},
      {"size 1.0", one("U8", "[1.0]", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size 1e0", one("U8", "[1e0]", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size is text", one("U8", "[\"1\"]", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size is null", one("U8", "[null]", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size is true", one("U8", "[true]", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size is an array", one("U8", "[[1]]", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size 2^64", one("U8", "[18446744073709551616]", "[0,1]"), 1,
       "where an array of unsigned integers"},
      {"size 2^63", one("U8", "[9223372036854775808]", "[0,1]"), 1,
       "does not fit 63 bits"},
      // data_offsets.
      {"offsets are null", one("U8", "[1]", "null"), 1,
       "where an array of 2 unsigned integers"},
      {"offsets are an object", one("U8", "[1]", "{}"), 1,
       "where an array of 2 unsigned integers"},
      {"no offset", one("U8", "[1]", "[]"), 1, "0 numbers instead of 2"},
      {"one offset", one("U8", "[1]", "[0]"), 1, "1 numbers instead of 2"},
      {"three offsets", one("U8", "[1]", "[0,1,1]"), 1, "more than 2 numbers"},
      {"offset -1", one("U8", "[1]", "[-1,0]"), 1,
       "where an array of 2 unsigned integers"},
      {"offset 0.0", one("U8", "[1]", "[0.0,1]"), 1,
       "where an array of 2 unsigned integers"},
      {"offset is text", one("U8", "[1]", "[\"0\",1]"), 1,
       "where an array of 2 unsigned integers"},
      {"offset is an array", one("U8", "[1]", "[[0],1]"), 1,
       "where an array of 2 unsigned integers"},
      {"offset 2^63",
       one("U8", "[1]", "[9223372036854775808,9223372036854775809]"), 1,
       "does not fit 63 bits"},
      {"end before begin", one("U8", "[1]", "[1,0]"), 1,
       "end 0 is before begin 1"},
      // Sizes.
      {"one byte less than the shape", one("F32", "[2]", "[0,7]"), 7,
       "needs 8 bytes, data_offsets [0,7] give 7"},
      {"one byte more than the shape", one("F32", "[2]", "[0,9]"), 9,
       "needs 8 bytes, data_offsets [0,9] give 9"},
      {"scalar of 3 bytes", one("F32", "[]", "[0,3]"), 3, "needs 4 bytes"},
      {"scalar of 5 bytes", one("F32", "[]", "[0,5]"), 5, "needs 4 bytes"},
      {"empty shape with data", one("F32", "[0]", "[0,4]"), 4, "needs 0 bytes"},
      {"4 bits once", one("F4", "[1]", "[0,1]"), 1,
       "is 4 bits, not a multiple of 8"},
      {"4 bits three times", one("F4", "[3]", "[0,2]"), 2,
       "is 12 bits, not a multiple of 8"},
      {"6 bits once", one("F6_E2M3", "[1]", "[0,1]"), 1, "is 6 bits"},
      {"6 bits five times", one("F6_E3M2", "[5]", "[0,4]"), 4, "is 30 bits"},
      {"product is 2^64", one("U8", "[4294967296,4294967296]", "[0,0]"), 0,
       "overflows"},
      {"product is 2^64 + 2^32",
       one("U8", "[4294967297,4294967296]", "[0,4294967296]"), 0, "overflows"},
      {"bits are 2^64", one("U8", "[2305843009213693952]", "[0,0]"), 0,
       "overflows"},
      {"overflow before a zero",
       one("U8", "[4611686018427387904,4,0]", "[0,0]"), 0, "overflows"},
      // Places.
      {"begins at 1", one("U8", "[1]", "[1,2]"), 2, "leaves a hole after"},
      {"file one byte too long", one("U8", "[4]", "[0,4]"), 5,
       "the tensors end at byte 4 of the data, of which the file has 5"},
      {"file one byte too short", one("U8", "[4]", "[0,4]"), 3,
       "the tensors end at byte 4 of the data, of which the file has 3"},
      {"no tensors but data", "{}", 1, "the tensors end at byte 0"},
      {"hole of one byte",
       "{" + tensor("a", "U8", "[2]", "[0,2]") + "," +
           tensor("b", "U8", "[2]", "[3,5]") + "}",
       5,
       "tensor 'b': data begin at 3, which leaves a hole after the tensor "
       "before it that ends at 2"},
      {"overlap of one byte",
       "{" + tensor("a", "U8", "[2]", "[0,2]") + "," +
           tensor("b", "U8", "[2]", "[1,3]") + "}",
       3, "tensor 'b': data begin at 1, which overlaps"},
      {"same place twice",
       "{" + tensor("a", "U8", "[2]", "[0,2]") + "," +
           tensor("b", "U8", "[2]", "[0,2]") + "}",
       2, "overlaps"},
      {"inside another",
       "{" + tensor("a", "U8", "[4]", "[0,4]") + "," +
           tensor("b", "U8", "[1]", "[1,2]") + "}",
       4, "overlaps"},
      {"empty one inside another",
       "{" + tensor("a", "U8", "[4]", "[0,4]") + "," +
           tensor("b", "U8", "[0]", "[2,2]") + "}",
       4, "overlaps"},
      {"empty one after the end",
       "{" + tensor("a", "U8", "[4]", "[0,4]") + "," +
           tensor("b", "U8", "[0]", "[5,5]") + "}",
       4, "hole"},
      // Names.
      {"name twice",
       "{" + tensor("a", "U8", "[1]", "[0,1]") + "," +
           tensor("a", "U8", "[1]", "[1,2]") + "}",
       2, "tensor 'a': the name appears twice (rule: unique names"},
      {"name twice, once escaped",
       "{" + tensor("a", "U8", "[1]", "[0,1]") + "," +
           tensor("\\u0061", "U8", "[1]", "[1,2]") + "}",
       2, "tensor 'a': the name appears twice"},
      {"name of 4097 bytes",
       "{" + tensor(std::string(4097, 'n').c_str(), "U8", "[0]", "[0,0]") + "}",
       0, "is longer than 4096 (rule: name"},
      // Metadata.
      {"metadata is text", R"({"__metadata__":"x"})", 0,
       "where an object of strings should be"},
      {"metadata is an array", R"({"__metadata__":[]})", 0,
       "where an object of strings should be"},
      {"metadata holds a number", R"({"__metadata__":{"a":1}})", 0,
       "where an object of strings should be"},
      {"metadata holds null", R"({"__metadata__":{"a":null}})", 0,
       "where an object of strings should be"},
      {"metadata holds an object", R"({"__metadata__":{"a":{}}})", 0,
       "where an object of strings should be"},
      {"metadata twice", R"({"__metadata__":{},"__metadata__":{}})", 0,
       "appears twice (rule: __metadata__"},
      {"metadata key twice", R"({"__metadata__":{"a":"1","a":"2"}})", 0,
       "key 'a' appears twice"},
      {"metadata as a tensor",
       R"({"__metadata__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0,
       "where an object of strings should be"},
  };
  return cases;
}

/// A file that must be accepted, with its number of tensors.
struct Accepted {
  const char *name;
  std::string header;
  size_t dataBytes;
  size_t tensors;
};

std::vector<Accepted> accepted() {
  std::vector<Accepted> cases = {
      {"empty object", "{}", 0, 0},
      {"spaces after", "{}      ", 0, 0},
      {"line breaks and tabs around", " \t\r\n{} \t\r\n", 0, 0},
      {"scalar", one("F32", "[]", "[0,4]"), 4, 1},
      {"empty dimension", one("F32", "[0]", "[0,0]"), 0, 1},
      {"empty among others", one("F32", "[3,0,5]", "[0,0]"), 0, 1},
      {"zero before an overflow",
       one("U8", "[0,4611686018427387904,4]", "[0,0]"), 0, 1},
      {"rank 12", one("U8", "[1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, 1},
      {"4 bits twice", one("F4", "[2]", "[0,1]"), 1, 1},
      {"6 bits four times", one("F6_E2M3", "[4]", "[0,3]"), 3, 1},
      {"unaligned",
       "{" + tensor("a", "U8", "[1]", "[0,1]") + "," +
           tensor("b", "F64", "[1]", "[1,9]") + "}",
       9, 2},
      {"listed backwards",
       "{" + tensor("b", "U8", "[1]", "[1,2]") + "," +
           tensor("a", "U8", "[1]", "[0,1]") + "}",
       2, 2},
      {"empty one between",
       "{" + tensor("a", "U8", "[1]", "[0,1]") + "," +
           tensor("e", "U8", "[0]", "[1,1]") + "," +
           tensor("b", "U8", "[1]", "[1,2]") + "}",
       2, 3},
      {"two empty at one place",
       "{" + tensor("a", "U8", "[0]", "[0,0]") + "," +
           tensor("b", "U8", "[0]", "[0,0]") + "}",
       0, 2},
      {"metadata", R"({"__metadata__":{"format":"pt","":""}})", 0, 0},
      {"metadata empty", R"({"__metadata__":{}})", 0, 0},
      {"metadata null", R"({"__metadata__":null})", 0, 0},
      {"metadata last",
       "{" + tensor("a", "U8", "[0]", "[0,0]") +
           R"(,"__metadata__":{"a":"b"}})",
       0, 1},
      {"unknown field",
       R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":{"y":[1,"z",null,true,1.5]}}})",
       0, 1},
      {"fields in another order",
       R"({"t":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}})", 1, 1},
      {"empty name", "{" + tensor("", "U8", "[0]", "[0,0]") + "}", 0, 1},
      {"escaped name",
       "{" + tensor("\\u00e9\\n\\\"", "U8", "[0]", "[0,0]") + "}", 0, 1},
      {"name in UTF-8",
       "{" + tensor("\xe2\x82\xac", "U8", "[0]", "[0,0]") + "}", 0, 1},
      {"name of 4096 bytes",
       "{" + tensor(std::string(4096, 'n').c_str(), "U8", "[0]", "[0,0]") + "}",
       0, 1},
      {"4 levels",
       R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[[]]}})", 0,
       1},
  };
  for (auto [dtype, bytes] :
       std::initializer_list<std::pair<const char *, int>>{
           {"BOOL", 8},        {"F4", 4},          {"F6_E2M3", 6},
           {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
           {"F8_E5M2", 8},     {"F8_E4M3", 8},     {"F8_E8M0", 8},
           {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
           {"U16", 16},        {"F16", 16},        {"BF16", 16},
           {"I32", 32},        {"U32", 32},        {"F32", 32},
           {"C64", 64},        {"F64", 64},        {"I64", 64},
           {"U64", 64}})
    cases.push_back({dtype,
                     one(dtype, "[2,4]", fmt::format("[0,{}]", bytes).c_str()),
                     static_cast<size_t>(bytes), 1});
  return cases;
}

TEST(Safetensors, RefusesWhatBreaksARule) {
  Folder folder;
  std::vector<Refused> cases = refused();
  EXPECT_GE(cases.size(), 100u);
  for (const Refused &bad : cases) {
    SCOPED_TRACE(bad.name);
    std::string path = folder / "bad.safetensors";
    test::writeFile(
        path, test::safetensors(bad.header, std::string(bad.dataBytes, 'x')));
    Failure failure = test::failureOf([&] { Safetensors file(path); });
    EXPECT_EQ(failure.status(), MOERT_MALFORMED) << failure.message();
    EXPECT_TRUE(failure.message().starts_with(path + ": "))
        << failure.message();
    EXPECT_NE(failure.message().find(bad.message), std::string::npos)
        << failure.message();
    EXPECT_NE(failure.message().find("byte"), std::string::npos)
        << failure.message();
    EXPECT_LT(failure.message().size(), 1000u);
    for (char c : failure.message())
      EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
}

TEST(Safetensors, AcceptsWhatIsAllowed) {
  Folder folder;
  std::vector<Accepted> cases = accepted();
  EXPECT_GE(cases.size(), 45u);
  for (const Accepted &good : cases) {
    SCOPED_TRACE(good.name);
    std::string path = folder / "good.safetensors";
    test::writeFile(
        path, test::safetensors(good.header, std::string(good.dataBytes, 'x')));
    Failure failure = test::failureOf(
        [&] { EXPECT_EQ(Safetensors(path).header().size(), good.tensors); });
    EXPECT_EQ(failure.status(), MOERT_OK) << failure.message();
  }
}

TEST(Safetensors, HeaderLengthAtItsBorders) {
  Folder folder;
  std::string path = folder / "a.safetensors";
  auto failure = [&](uint64_t length, size_t following) {
    std::string file(reinterpret_cast<const char *>(&length), 8);
    file += std::string(following, ' ');
    if (following >= 2)
      file.replace(8, 2, "{}");
    test::writeFile(path, file);
    return test::failureOf([&] { Safetensors opened(path); });
  };
  EXPECT_EQ(failure(2, 2).status(), MOERT_OK);
  EXPECT_EQ(failure(100, 100).status(), MOERT_OK);
  EXPECT_NE(failure(3, 2).message().find(
                "header of 3 bytes does not fit the file of 10"),
            std::string::npos);
  EXPECT_NE(failure(100'000'000, 2).message().find("does not fit"),
            std::string::npos);
  EXPECT_NE(
      failure(100'000'001, 2)
          .message()
          .find("is longer than 100000000: is this a safetensors file? (rule"),
      std::string::npos);
  for (uint64_t length :
       {UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 8, uint64_t(1) << 63})
    EXPECT_EQ(failure(length, 2).status(), MOERT_MALFORMED);
  for (size_t bytes = 0; bytes < 8; ++bytes) {
    test::writeFile(path, std::string(bytes, '\0'));
    EXPECT_FAILURE(Safetensors opened(path), MOERT_MALFORMED,
                   fmt::format("has {} bytes", bytes));
  }
}

TEST(Safetensors, CutAtEveryByte) {
  Folder folder;
  std::string whole = test::safetensors(test::mixWeights());
  std::string path = folder / "cut.safetensors";
  for (size_t length = 0; length < whole.size(); ++length) {
    test::writeFile(path, whole.substr(0, length));
    EXPECT_EQ(test::failureOf([&] { Safetensors file(path); }).status(),
              MOERT_MALFORMED)
        << length;
  }
  test::writeFile(path, whole);
  EXPECT_EQ(Safetensors(path).header().size(), 5u);
}

TEST(Safetensors, FindsAndReads) {
  Folder folder;
  std::string path = folder / "a.safetensors";
  test::writeFile(path, test::safetensors({{"b", {2}, {1.5f, -2}},
                                           {"a", {1, 3}, {3, 4, 5}},
                                           {"aa", {}, {9}}}));
  Safetensors file(path);
  ASSERT_EQ(file.header().size(), 3u);
  EXPECT_EQ(file.header().tensor(0).name, "a");
  EXPECT_EQ(file.header().tensor(1).name, "aa");
  EXPECT_EQ(file.header().tensor(2).name, "b");
  EXPECT_FALSE(file.header().find("c"));
  EXPECT_FALSE(file.header().find(""));
  SafetensorsHeader::Tensor a = file.header().tensor(*file.header().find("a"));
  EXPECT_EQ(std::vector<int64_t>(a.shape.begin(), a.shape.end()),
            (std::vector<int64_t>{1, 3}));
  EXPECT_STREQ(a.dtype->name, "F32");
  float values[2];
  file.read(a, 4, values, 8);
  EXPECT_EQ(values[0], 4);
  EXPECT_EQ(values[1], 5);
  EXPECT_FAILURE(file.read(a, 8, values, 8), MOERT_USAGE, "are outside its 12");
}

TEST(Safetensors, FileCutWhileOpen) {
  Folder folder;
  std::string path = folder / "a.safetensors";
  std::string whole = test::safetensors({{"a", {4}, {1, 2, 3, 4}}});
  test::writeFile(path, whole);
  Safetensors file(path);
  test::writeFile(path, whole.substr(0, whole.size() - 8));
  float values[4];
  EXPECT_FAILURE(file.read(file.header().tensor(0), 0, values, 16),
                 MOERT_MALFORMED, "8 bytes too early");
}

TEST(Safetensors, WhatCannotBeOpened) {
  Folder folder;
  EXPECT_FAILURE(Safetensors(folder / "none"), MOERT_IO, "No such file");
  EXPECT_FAILURE(Safetensors(folder.path), MOERT_IO, "is a directory");
  EXPECT_FAILURE(Safetensors("/dev/null"), MOERT_IO, "not a regular file");
}

TEST(Safetensors, ManyTensors) {
  // Long headers in bounded time: 200,000 names, all but the first with a
  // common beginning.
  std::string header = "{";
  for (int i = 0; i < 200'000; ++i)
    header += tensor(fmt::format("model.layers.0.mlp.experts.{}", i).c_str(),
                     "U8", "[1]", fmt::format("[{},{}]", i, i + 1).c_str()) +
              ",";
  header.back() = '}';
  SafetensorsHeader parsed(header, 200'000, "many");
  EXPECT_EQ(parsed.size(), 200'000u);
  EXPECT_TRUE(parsed.find("model.layers.0.mlp.experts.199999"));
}

} // namespace
