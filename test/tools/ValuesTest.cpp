// The grammar of values on command lines, comparison, statistics and hashing.
#include "tools/Values.h"
#include "test/runtime/Support.h"
#include "tools/Cache.h"
#include "tools/Stats.h"

#include <cmath>

using namespace moe::tools;
using namespace moert;
using test::Folder;

namespace {

Array value(const std::string &text) {
  return ValueReader().read(text, "--input");
}

TEST(Values, Grammar) {
  for (const char *text :
       {"2x3xf32=[1 2.5 -3][4 5 6]", "f32=7", "3xi32=1 -2 3",
        "2x2x1xi64=[[1][2]][[3][4]]", "2xbf16=1 0.5", "2xf16=inf nan",
        "1xu8=255", "2xi1=1 0", "0x3xf32=", "2xf64=0.1 1e+300",
        "2xf32=0.1 1e-45", "2xf64=nan -inf", "0x4611686018427387904xi8="})
    EXPECT_EQ(valueText(value(text)), text);
  EXPECT_EQ(valueText(value("2x2xf32=1,2,3,4")), "2x2xf32=[1 2][3 4]");
  EXPECT_EQ(valueText(value("2x2xf32=[[1, 2], [3, +4]]")),
            "2x2xf32=[1 2][3 4]");
  EXPECT_EQ(valueText(value("4xf32=0.5")), "4xf32=0.5 0.5 0.5 0.5");
  EXPECT_EQ(valueText(value("2x2xi32")), "2x2xi32=[0 0][0 0]");
  EXPECT_EQ(valueText(value("2xbf16=-nan,nan")), "2xbf16=nan nan");
  EXPECT_EQ(valueText(value("2xi1=true,false")), "2xi1=1 0");
  EXPECT_EQ(valueText(value("2xui8=1,2")), "2xu8=1 2");
  EXPECT_EQ(valueText(value("5xi32=1,2,3,4,5"), 3), "5xi32=1 2 3...");
  EXPECT_EQ(valueText(value("3x2xi32=1,2,3,4,5,6"), 3),
            "3x2xi32=[1 2][3...]...");
}

TEST(Values, WhatIsNoValue) {
  struct Case {
    const char *text;
    const char *message;
  };
  for (Case bad : std::initializer_list<Case>{
           {"", "unknown element type ''"},
           {"abc", "unknown element type 'abc'"},
           {"4x8", "a size without 'x'"},
           {"4x8x", "unknown element type ''"},
           {"4x8xf33=1", "unknown element type 'f33'"},
           {"-4xf32", "unknown element type '-4xf32'"},
           {"1x1x1x1x1x1x1x1x1xf32", "more than 8 sizes"},
           {"9223372036854775808xf32", "does not fit 63 bits"},
           {"2xf32=1,2,3", "3 values for 2xf32, which has 2 elements"},
           {"3xf32=1,2", "2 values for 3xf32"},
           {"3xf32=", "0 values for 3xf32"},
           {"2xf32=1,x", "'x' is no number of type f32"},
           {"2xf32=1,2x", "'2x' is no number of type f32"},
           {"1xf32=1e999", "'1e999' is out of the range of f32"},
           {"1xi32=1.5", "'1.5' is no number of type i32"},
           {"1xi8=128", "'128' is out of the range of i8"},
           {"1xi8=-129", "'-129' is out of the range of i8"},
           {"1xu8=-1", "'-1' is out of the range of u8"},
           {"1xi1=2", "'2' is out of the range of i1"},
           {"1xi64=9223372036854775808", "is out of the range of i64"},
           {"@", "names no file"},
           {"x.npy", "wanted @ before the name of a file"},
           {"x.safetensors:w", "wanted @ before the name of a file"},
           {"@x.safetensors", "wanted @x.safetensors:TENSOR"}})
    EXPECT_FAILURE(value(bad.text), MOERT_USAGE, bad.message);
  EXPECT_FAILURE(value("1000000000000000xf32"), MOERT_MEMORY,
                 "--input would need 3.6 PiB");
  EXPECT_FAILURE(value("4611686018427387904xf32"), MOERT_MEMORY,
                 "would need more than");
}

TEST(Values, Files) {
  Folder folder;
  std::string path = folder / "a.npy";
  ValueWriter writer;
  for (std::string output : {"@" + path, "+" + path})
    writer.open(output);
  writer.write("@" + path, value("2xf32=1,2"));
  writer.write("+" + path, value("3xi32=3,4,5"));
  EXPECT_EQ(test::failureOf([&] { value("@" + path); }).status(), MOERT_IO)
      << "not there before commit";
  writer.commit();
  ValueReader reader;
  EXPECT_EQ(valueText(reader.read("@" + path, "--input")), "2xf32=1 2");
  EXPECT_EQ(valueText(reader.read("+" + path, "--input")), "3xi32=3 4 5");
  EXPECT_FAILURE(reader.read("+" + path, "--input"), MOERT_MALFORMED,
                 "ends at byte");
  EXPECT_EQ(valueText(reader.read("@" + path, "--input")), "2xf32=1 2");
  {
    ValueWriter more;
    more.open("+" + path);
    more.write("+" + path, value("1xi8=7"));
    more.commit();
  }
  ValueReader again;
  for (const char *wanted : {"2xf32=1 2", "3xi32=3 4 5", "1xi8=7"})
    EXPECT_EQ(valueText(again.read("+" + path, "--input")), wanted);

  test::writeFile(folder / "raw", std::string("\1\2\3", 3));
  EXPECT_EQ(valueText(value("3xu8=@" + (folder / "raw"))), "3xu8=1 2 3");
  EXPECT_FAILURE(value("2xu8=@" + (folder / "raw")), MOERT_MALFORMED,
                 "has 3 bytes, 2xu8 needs 2");
  EXPECT_FAILURE(ValueWriter().open("+" + (folder / "raw")), MOERT_MALFORMED,
                 "raw: ends at byte 3 inside the start of a .npy array");
  test::writeFile(folder / "model.safetensors",
                  test::safetensors({{"a:b", {2}, {1, 2}}}));
  EXPECT_EQ(valueText(value("@" + (folder / "model.safetensors") + ":a:b")),
            "2xf32=1 2");
  EXPECT_EQ(valueText(value("@" + folder.path + ":a:b")), "2xf32=1 2");
  EXPECT_FAILURE(value("@" + folder.path + ":a:c"), MOERT_MALFORMED,
                 "the closest name is 'a:b'");
}

TEST(Values, OutputsThatCannotBe) {
  Folder folder;
  ValueWriter writer;
  EXPECT_FAILURE(writer.open("file.npy"), MOERT_USAGE,
                 "is none of @FILE.npy, +FILE.npy, @- and -");
  EXPECT_FAILURE(writer.open("@" + (folder / "none/a.npy")), MOERT_IO,
                 "cannot be created");
  writer.open("@" + (folder / "a.npy"));
  EXPECT_FAILURE(writer.open("@" + (folder / "a.npy")), MOERT_USAGE,
                 "is named twice");
}

TEST(Values, Comparison) {
  auto compare = [](const char *actual, const char *expected,
                    std::optional<double> atol = {},
                    std::optional<double> rtol = {}) {
    return compareValues(0, value(actual), value(expected), atol, rtol);
  };
  EXPECT_TRUE(compare("2xf32=1,2", "2xf32=1,2").equal);
  Comparison failed = compare("4xf32=1,2,3,4.5", "4xf32=1,2,3,4");
  EXPECT_FALSE(failed.equal);
  EXPECT_EQ(failed.text.find("[FAILED] result[0]: element at index 3 (4.5) "
                             "does not match the expected (4)"),
            0u)
      << failed.text;
  EXPECT_NE(failed.text.find("1 of 4 elements differ"), std::string::npos);
  // Borders of the tolerance: |a - e| <= atol + rtol * |e|.
  EXPECT_TRUE(compare("1xf64=1.5", "1xf64=1", 0.5, 0).equal);
  EXPECT_FALSE(compare("1xf64=1.5000001", "1xf64=1", 0.5, 0).equal);
  EXPECT_TRUE(compare("1xf64=3", "1xf64=2", 0, 0.5).equal);
  EXPECT_FALSE(compare("1xf64=2", "1xf64=3", 0, 0.25).equal);
  // Special values.
  EXPECT_TRUE(compare("3xf32=nan,inf,-inf", "3xf32=nan,inf,-inf").equal);
  EXPECT_FALSE(compare("1xf32=nan", "1xf32=1", 1e9).equal);
  EXPECT_FALSE(compare("1xf32=1", "1xf32=nan", 1e9).equal);
  EXPECT_FALSE(compare("1xf32=1", "1xf32=inf", 1e9).equal);
  EXPECT_FALSE(compare("1xf32=inf", "1xf32=-inf").equal);
  // Types.
  EXPECT_NE(compare("2xf32", "3xf32")
                .text.find("type 2xf32 does not match the expected 3xf32"),
            std::string::npos);
  EXPECT_FALSE(compare("2xf32", "2xi32").equal);
  EXPECT_TRUE(compare("1xf32=1.00005", "1xf64=1").equal);
  EXPECT_TRUE(compare("1xbf16=1.0078125", "1xf64=1").equal);
  EXPECT_TRUE(compare("1xi32=7", "1xi64=7").equal);
  EXPECT_FALSE(
      compare("1xi64=9007199254740993", "1xi64=9007199254740992").equal);
  EXPECT_TRUE(compare("1xi32=7", "1xi32=8", 1).equal);
  EXPECT_TRUE(compare("0x5xf32", "0x5xf32").equal);
}

TEST(Stats, Bars) {
  std::vector<int64_t> loads = {4, 0, 2, 1};
  std::string text = loadText(0, loads, 2, 10);
  EXPECT_EQ(
      text,
      "routing 0: 4 experts, up to 2 a token, 7 rows, 3 of 10 slots empty "
      "(30.0%), the busiest has 2.29 times the mean\n"
      "  expert 0  ########################################  4   57.1%\n"
      "  expert 1                                            0    0.0%\n"
      "  expert 2  ####################                      2   28.6%\n"
      "  expert 3  ##########                                1   14.3%\n");
  std::vector<int64_t> idle = {0, 0};
  EXPECT_EQ(loadText(1, idle, 0, 0).find("routing 1: 2 experts, 0 rows\n"), 0u);
  EXPECT_EQ(
      loadText(2, loads, 4, 12)
          .find("routing 2: 4 experts, up to 4 a token, 7 rows, the busiest"),
      0u);
  EXPECT_EQ(timeText({3e-6, 1e-6, 2e-6}, 4, 1, "avx2"),
            "time: 2 us a call, 0.5 us a token (4 tokens, 1 thread, avx2, "
            "median of 3 calls)\n");
  EXPECT_EQ(
      timeText({2e-3}, 0, 2, "avx2"),
      "time: 2 ms a call (0 tokens, 2 threads, avx2, median of 1 call)\n");
}

TEST(Cache, Sha256) {
  auto hex = [](std::string_view text) {
    std::string all;
    for (uint8_t byte :
         sha256({reinterpret_cast<const uint8_t *>(text.data()), text.size()}))
      all += fmt::format("{:02x}", byte);
    return all;
  };
  // FIPS 180-4 examples.
  EXPECT_EQ(hex(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

} // namespace
