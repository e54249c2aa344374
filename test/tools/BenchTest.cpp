// moe-bench without an artefact: shapes, what they cost, medians, formats,
// ceilings.
#include "runtime/Failure.h"
#include "tools/bench/RandomWeights.h"
#include "tools/bench/Report.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {
using namespace moe::bench;

std::string failureOf(const char *text) {
  try {
    parseShape(text, "--shape");
  } catch (const moert::Failure &failure) {
    EXPECT_EQ(failure.status(), MOERT_USAGE);
    return failure.message();
  }
  return "accepted";
}

Report smallReport() {
  Result result{};
  result.shape = {64, 32, 8, 2};
  result.precision = Precision::Bf16;
  result.tokens = 16;
  result.level = "avx2";
  result.milliseconds = {2, 1, 3};
  result.operationsShare = {0.5, 0.4, 0.6};
  result.bytesShare = {0.25, 0.2, 0.3};
  Report report{"a \"CPU\"", 2, 2, {{200, 0, 0, 20, 30}}, {result, result}};
  return report;
}

TEST(BenchShape, ReadsItsFieldsInAnyOrder) {
  Shape shape{2048, 1024, 64, 8};
  EXPECT_EQ(parseShape("H2048,F1024,E64,k8", ""), shape);
  EXPECT_EQ(parseShape("k8,E64,F1024,H2048", ""), shape);
  EXPECT_EQ(shape.text(), "H2048,F1024,E64,k8");
}

TEST(BenchShape, SaysWhatIsWrong) {
  EXPECT_EQ(failureOf("H2,F3,E4"),
            "--shape: no k in 'H2,F3,E4'; wanted as in H2048,F1024,E64,k8");
  EXPECT_NE(failureOf("H2,F3,E4,k5").find("k 5 is more than E 4"),
            std::string::npos);
  EXPECT_NE(failureOf("H2,H3,E4,k2").find("H appears twice"),
            std::string::npos);
  EXPECT_NE(failureOf("H2,F-3,E4,k2").find("'F-3' is no size"),
            std::string::npos);
  EXPECT_NE(failureOf("H2,F99999999999999999999,E4,k2").find("is no size"),
            std::string::npos);
  EXPECT_NE(failureOf("H2,x3").find("'x3' begins with none of"),
            std::string::npos);
  EXPECT_NE(failureOf("").find("no H"), std::string::npos);
}

TEST(BenchShape, CountsOperationsAndBytes) {
  Shape shape{4, 3, 5, 2};
  // Router 4*5, two experts of 3*4*3 multiply-adds, for 7 tokens.
  EXPECT_EQ(shape.operations(7), 2 * 7 * (20 + 2 * 36));
  EXPECT_EQ(shape.weightBytes(2.5, Precision::Bf16), 2 * (20 + 2.5 * 36));
  EXPECT_EQ(shape.weightBytes(2.5, Precision::Q8), 2 * 20 + 2.5 * 36);
}

TEST(BenchSpread, MedianOfOddAndEven) {
  EXPECT_EQ(spreadOf({3, 1, 2}).median, 2);
  EXPECT_EQ(spreadOf({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(spreadOf({4, 1, 2, 3}).least, 1);
  EXPECT_EQ(spreadOf({4, 1, 2, 3}).most, 4);
}

TEST(BenchReport, CsvHasOneHeaderAndAsManyFieldsALine) {
  std::string text = format(smallReport(), Format::Csv);
  std::vector<int> fields;
  bool quoted = false;
  int now = 1;
  for (char c : text) {
    quoted ^= c == '"';
    now += c == ',' && !quoted;
    if (c == '\n') {
      fields.push_back(now);
      now = 1;
    }
  }
  EXPECT_EQ(fields, std::vector<int>(3, fields.at(0)));
  EXPECT_TRUE(text.starts_with("shape,dtype,tokens,"));
  EXPECT_NE(text.find("\n\"H64,F32,E8,k2\",\"bf16\",16,"), std::string::npos);
}

TEST(BenchReport, JsonReadsBack) {
  auto document = nlohmann::json::parse(format(smallReport(), Format::Json));
  EXPECT_EQ(document["processor"], "a \"CPU\"");
  EXPECT_EQ(document["ceilings"]["fma_avx2"]["median"], 200);
  EXPECT_FALSE(document["ceilings"].contains("fma_avx512"));
  EXPECT_EQ(document["results"].size(), 2U);
  EXPECT_EQ(document["results"][0]["gflops_share"], 0.5);
  std::string lines = format(smallReport(), Format::JsonLines);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  EXPECT_EQ(nlohmann::json::parse(lines.substr(0, lines.find('\n'))),
            document["results"][0]);
}

TEST(BenchReport, MarkdownMarksTheNearerLimit) {
  std::string text = format(smallReport(), Format::Markdown);
  EXPECT_NE(text.find("**50 %**"), std::string::npos);
  EXPECT_EQ(text.find("**25 %**"), std::string::npos);
}

TEST(BenchCeiling, FollowsLevelAndElementType) {
  Ceiling ceiling{1, 2, 3, 6, 4, 5};
  EXPECT_EQ(ceiling.operations("avx2", Precision::Bf16), 1);
  EXPECT_EQ(ceiling.operations("avx512", Precision::Bf16), 2);
  EXPECT_EQ(ceiling.operations("avx512bf16", Precision::F32), 2);
  EXPECT_EQ(ceiling.operations("avx512bf16", Precision::Bf16), 3);
  EXPECT_EQ(ceiling.operations("avx512bf16", Precision::Q8), 6);
  EXPECT_EQ(ceiling.operations("avx512", Precision::Q8), 2);
  EXPECT_EQ(ceiling.bytes(), 5);
  EXPECT_EQ(between(ceiling, {3, 2, 3, 6, 4, 5}).fma256, 2);
}

TEST(BenchCeiling, MeasuresThisMachine) {
  if (!__builtin_cpu_supports("avx2"))
    GTEST_SKIP();
  Ceiling ceiling = CeilingMeter(1).measure();
  EXPECT_GT(ceiling.fma256, 1);
  EXPECT_GT(ceiling.stream1, 0.1);
  EXPECT_GT(ceiling.stream8, 0.1);
  EXPECT_EQ(ceiling.fma512 > 0, __builtin_cpu_supports("avx512f") > 0);
}

TEST(BenchRandom, NumbersHaveMeanZeroAndVarianceOne) {
  RandomNumbers random(7);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 100'000; ++i) {
    double x = random.next();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 1e5, 0, 0.02);
  EXPECT_NEAR(squares / 1e5, 1, 0.02);
}

TEST(BenchRandom, WeightsAreACheckpointInMemory) {
  RandomWeights random({16, 8, 3, 2}, MOERT_BF16);
  moert_weights *weights = nullptr;
  moert_error error{};
  ASSERT_EQ(moert_weights_open(random.path().c_str(), &weights, &error),
            MOERT_OK)
      << error.message;
  EXPECT_EQ(moert_weights_count(weights), 1 + 3 * 3);
  moert_weights_close(weights);
}
} // namespace
