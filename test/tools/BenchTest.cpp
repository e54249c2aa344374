// moe-bench without an artefact: shapes, what they cost, traffic, medians,
// formats, ceilings and the tiles that measure them.
#include "runtime/Failure.h"
#include "tools/bench/Explain.h"
#include "tools/bench/RandomWeights.h"
#include "tools/bench/Report.h"
#include "tools/bench/Tile.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

namespace {
using namespace moe::bench;

template <typename Parse> std::string failureOf(const Parse &parse) {
  try {
    parse();
  } catch (const moert::Failure &failure) {
    EXPECT_EQ(failure.status(), MOERT_USAGE);
    return failure.message();
  }
  return "accepted";
}

std::string shapeFailure(const char *text) {
  return failureOf([&] { parseShape(text, "--shape"); });
}

Ceiling ceilingOf(double fma256, double stream1, double stream8) {
  Ceiling ceiling;
  ceiling.at(Rate::Fma256) = fma256;
  ceiling.at(Rate::Stream1) = stream1;
  ceiling.at(Rate::Stream8) = stream8;
  return ceiling;
}

Report smallReport() {
  Result result{};
  result.shape = {64, 32, 8, 2};
  result.precision = Precision::Bf16;
  result.tokens = 16;
  result.level = "avx2";
  result.traffic = "zipf:1.5";
  result.threads = 2;
  result.rounds = 2;
  result.milliseconds = {2, 1, 3};
  result.operationsShare = {0.5, 0.4, 0.6};
  result.bytesShare = {0.25, 0.2, 0.3};
  result.samples = {{0.001, 0.002, 1e-5, 0, {}}, {0.003, 0.006, 1e-5, 0, {}}};
  Result explained = result;
  explained.tokens = 1;
  explained.routingShare = 0.25;
  explained.products = {{"router", "how", 0.5, 0.1, true, 1, 0.2, 1e6}};
  return {"a \"CPU\"", 2, {ceilingOf(200, 20, 30)}, {result, explained}};
}

TEST(BenchShape, ReadsItsFieldsInAnyOrder) {
  Shape shape{2048, 1024, 64, 8};
  EXPECT_EQ(parseShape("H2048,F1024,E64,k8", ""), shape);
  EXPECT_EQ(parseShape("k8,E64,F1024,H2048", ""), shape);
  EXPECT_EQ(shape.text(), "H2048,F1024,E64,k8");
}

TEST(BenchShape, SaysWhatIsWrong) {
  EXPECT_EQ(shapeFailure("H2,F3,E4"),
            "--shape: no k in 'H2,F3,E4'; wanted as in H2048,F1024,E64,k8");
  EXPECT_NE(shapeFailure("H2,F3,E4,k5").find("k 5 is more than E 4"),
            std::string::npos);
  EXPECT_NE(shapeFailure("H2,H3,E4,k2").find("H appears twice"),
            std::string::npos);
  EXPECT_NE(shapeFailure("H2,F-3,E4,k2").find("'F-3' is no size"),
            std::string::npos);
  EXPECT_NE(shapeFailure("H2,F99999999999999999999,E4,k2").find("is no size"),
            std::string::npos);
  EXPECT_NE(shapeFailure("H2,x3").find("'x3' begins with none of"),
            std::string::npos);
  EXPECT_NE(shapeFailure("").find("no H"), std::string::npos);
}

TEST(BenchShape, CountsOperationsAndBytes) {
  Shape shape{4, 3, 5, 2};
  // Router 4*5, two experts of 3*4*3 multiply-adds, for 7 tokens.
  EXPECT_EQ(shape.operations(7), 2 * 7 * (20 + 2 * 36));
  EXPECT_EQ(shape.weightBytes(2.5, Precision::Bf16), 2 * (20 + 2.5 * 36));
  EXPECT_EQ(shape.weightBytes(2.5, Precision::Q8), 2 * 20 + 2.5 * 36);
  EXPECT_EQ(shape.expertBytes(Precision::F16), 36 * 2);
  EXPECT_EQ(shape.expertBytes(Precision::Q8g), 36 * 34 / 32.0);
  EXPECT_EQ(shape.expertBytes(Precision::Q4), 36 * 18 / 32.0);
  EXPECT_EQ(shape.expertBytes(Precision::Q4z), 36 * 19 / 32.0);
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
  EXPECT_EQ(document["ceilings"].size(), 3U); // not what the CPU lacks
  EXPECT_EQ(document["ceilings"][0]["name"], "fma_avx2");
  EXPECT_EQ(document["ceilings"][0]["median"], 200);
  EXPECT_EQ(document["results"].size(), 2U);
  EXPECT_EQ(document["results"][0]["gflops_share"], 0.5);
  EXPECT_EQ(document["results"][0]["ms_rounds"][1], 3);
  EXPECT_FALSE(document["results"][0].contains("products"));
  EXPECT_EQ(document["results"][1]["products"][0]["limit"], "memory");
  std::string lines = format(smallReport(), Format::JsonLines);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  EXPECT_EQ(nlohmann::json::parse(lines.substr(0, lines.find('\n'))),
            document["results"][0]);
}

TEST(BenchReport, GoogleBenchmarkHasEveryRound) {
  auto document =
      nlohmann::json::parse(format(smallReport(), Format::GoogleBenchmark));
  EXPECT_EQ(document["context"]["json_schema_version"], 1);
  const auto &benchmarks = document["benchmarks"];
  ASSERT_EQ(benchmarks.size(), 4U);
  EXPECT_EQ(benchmarks[1]["name"],
            "H64,F32,E8,k2/bf16/avx2/zipf:1.5/16/threads:2");
  EXPECT_EQ(benchmarks[1]["run_type"], "iteration");
  EXPECT_EQ(benchmarks[1]["repetition_index"], 1);
  EXPECT_EQ(benchmarks[1]["real_time"], 3);
  EXPECT_EQ(benchmarks[1]["cpu_time"], 6);
  EXPECT_EQ(benchmarks[1]["time_unit"], "ms");
}

TEST(BenchReport, MarkdownMarksTheNearerLimit) {
  std::string text = format(smallReport(), Format::Markdown);
  EXPECT_NE(text.find("**50 %**"), std::string::npos);
  EXPECT_EQ(text.find("**25 %**"), std::string::npos);
}

TEST(BenchReport, MarkdownExplainsProducts) {
  std::string text = format(smallReport(), Format::Markdown);
  EXPECT_NE(text.find("\n* H64,F32,E8,k2, bf16, avx2, router: how\n"),
            std::string::npos);
  EXPECT_NE(text.find("| 1 | router | 25.0 % (goal: below 10 %) | 0.5 | 0.1 | "
                      "memory | 20 % | 100 % | 1.0 |\n"),
            std::string::npos);
  EXPECT_EQ(routingLimit(512), 0.03);
  EXPECT_EQ(routingLimit(32), std::nullopt);
}

TEST(BenchTraffic, ReadsItsText) {
  for (const char *text : {"uniform", "zipf:1.25", "file:a:b.npz"})
    EXPECT_EQ(parseTraffic(text, "").text(), text);
  for (const char *text : {"", "zipf", "zipf:", "zipf:x", "zipf:1x", "zipf:-1",
                           "zipf:nan", "file:", "Uniform"})
    EXPECT_EQ(failureOf([&] { parseTraffic(text, "--routing"); }),
              "--routing: '" + std::string(text) +
                  "'; wanted uniform, zipf:S with S from 0 to 100, or "
                  "file:PATH");
}

TEST(BenchTraffic, DrawsDifferentExpertsByPopularity) {
  Shape shape{4, 4, 8, 3};
  RandomNumbers random(3);
  constexpr int64_t tokens = 40'000;
  std::vector<int32_t> drawn = drawExperts(shape, tokens, 1.5, random);
  ASSERT_EQ(drawn.size(), 3U * tokens);
  std::vector<double> first(8);
  for (int64_t token = 0; token < tokens; ++token) {
    const int32_t *ids = drawn.data() + token * 3;
    EXPECT_EQ(std::set<int32_t>(ids, ids + 3).size(), 3U);
    first.at(static_cast<size_t>(ids[0])) += 1.0 / tokens;
  }
  // The first draw has the popularities themselves.
  std::ranges::sort(first, std::greater());
  double sum = 0;
  for (int i = 1; i <= 8; ++i)
    sum += std::pow(i, -1.5);
  for (int i = 1; i <= 8; ++i)
    EXPECT_NEAR(first[static_cast<size_t>(i - 1)], std::pow(i, -1.5) / sum,
                0.01);
}

TEST(BenchTraffic, CutsRecordingsInACircle) {
  moe::tools::RecordedRouting recorded = {moert::Array(MOERT_I32, {3, 1}, ""),
                                          moert::Array(MOERT_F64, {3, 1}, "")};
  for (int i = 0; i < 3; ++i) {
    moert::storeInteger(MOERT_I32, recorded.ids.data.data() + 4 * i, i);
    moert::storeElement(MOERT_F64, recorded.weights.data.data() + 8 * i,
                        0.5 * i);
  }
  auto cut = cutRecording(recorded, 8, 4);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(moert::loadInteger(MOERT_I32, cut.ids.data.data() + 4 * i),
              (8 + i) % 3);
    EXPECT_EQ(cut.weights.element(i), 0.5 * ((8 + i) % 3));
  }
}

/// Whether this CPU runs such tiles.
bool runs(TileKind kind) {
  switch (kind) {
  case TileKind::Fma256:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case TileKind::Fma512:
    return __builtin_cpu_supports("avx512vl");
  case TileKind::Dot512:
    return __builtin_cpu_supports("avx512bf16");
  case TileKind::Bytes512:
    return __builtin_cpu_supports("avx512vnni");
  case TileKind::Bytes256:
    return __builtin_cpu_supports("avxvnni");
  }
  return false;
}

TEST(BenchTile, EveryTileMultiplies) {
  constexpr int64_t steps = 5;
  for (TileKind kind : {TileKind::Fma256, TileKind::Fma512, TileKind::Dot512,
                        TileKind::Bytes512, TileKind::Bytes256})
    for (int64_t count = 1; runs(kind) && count <= mostTileRows; ++count) {
      // Small integers, so that every kind is exact. bf16: the upper half.
      int64_t pairing = tilePairing(kind);
      int64_t columns = tileVectors(kind) * tileLanes(kind);
      auto put = [&](char *to, int64_t value) {
        float number = static_cast<float>(value);
        if (pairing == 4)
          *to = static_cast<char>(value);
        else if (pairing == 2)
          std::memcpy(to, reinterpret_cast<char *>(&number) + 2, 2);
        else
          std::memcpy(to, &number, 4);
      };
      int64_t size = 4 / pairing;
      int64_t inputs = steps * pairing;
      auto rowAt = [](int64_t row, int64_t k) { return (row * 7 + k) % 5; };
      auto weightAt = [](int64_t n, int64_t k) { return (n * 3 + k) % 7 - 3; };
      constexpr int64_t rowBytes = 64;
      alignas(64) char rows[mostTileRows * rowBytes] = {};
      alignas(64) char panel[steps * 256] = {};
      for (int64_t k = 0; k < inputs; ++k) {
        for (int64_t row = 0; row < count; ++row)
          put(rows + row * rowBytes + k * size, rowAt(row, k));
        for (int64_t n = 0; n < columns; ++n)
          put(panel +
                  ((k / pairing * columns + n) * pairing + k % pairing) * size,
              weightAt(n, k));
      }
      std::vector<int32_t> sums(static_cast<size_t>(count * columns));
      tileOf(kind, count)(rows, rowBytes, panel, steps, sums.data(), columns);
      for (int64_t row = 0; row < count; ++row)
        for (int64_t n = 0; n < columns; ++n) {
          int64_t expected = 0;
          for (int64_t k = 0; k < inputs; ++k)
            expected += rowAt(row, k) * weightAt(n, k);
          int32_t bits = sums[static_cast<size_t>(row * columns + n)];
          float number = 0;
          std::memcpy(&number, &bits, 4);
          EXPECT_EQ(pairing == 4 ? static_cast<double>(bits) : number, expected)
              << static_cast<int>(kind) << " row " << row << " column " << n;
        }
    }
}

TEST(BenchCeiling, FollowsLevelAndElementType) {
  Ceiling ceiling;
  ceiling.rates = {1, 2, 3, 6, 11, 12, 13, 16, 7, 8, 17, 18, 9, 19, 4, 5};
  auto both = [&](const char *level, Precision precision) {
    return std::pair(ceiling.operations(level, precision),
                     ceiling.tileOperations(level, precision));
  };
  EXPECT_EQ(both("avx2", Precision::Bf16), std::pair(1.0, 11.0));
  EXPECT_EQ(both("avx512", Precision::Bf16), std::pair(2.0, 12.0));
  EXPECT_EQ(both("avx512bf16", Precision::F32), std::pair(2.0, 12.0));
  EXPECT_EQ(both("avx512bf16", Precision::Bf16), std::pair(3.0, 13.0));
  EXPECT_EQ(both("avx512bf16", Precision::Q8), std::pair(6.0, 16.0));
  EXPECT_EQ(both("avx512", Precision::Q8), std::pair(2.0, 12.0));
  EXPECT_EQ(both("avxvnni", Precision::Q8), std::pair(9.0, 19.0));
  EXPECT_EQ(both("avxvnni", Precision::Bf16), std::pair(1.0, 11.0));
  EXPECT_EQ(both("amx", Precision::Bf16), std::pair(7.0, 17.0));
  EXPECT_EQ(both("amx", Precision::Q4), std::pair(8.0, 18.0));
  EXPECT_EQ(both("amx", Precision::F32), std::pair(2.0, 12.0));
  EXPECT_EQ(both("amx", Precision::F16), std::pair(2.0, 12.0));
  EXPECT_EQ(both("amx", Precision::Q8g), std::pair(8.0, 18.0));
  EXPECT_EQ(ceiling.bytes(), 5);
  Ceiling other = ceiling;
  other.at(Rate::Fma256) = 3;
  EXPECT_EQ(between(ceiling, other).at(Rate::Fma256), 2);
}

TEST(BenchCeiling, MeasuresThisMachine) {
  if (!__builtin_cpu_supports("avx2"))
    GTEST_SKIP();
  Ceiling ceiling = CeilingMeter().measure(1);
  for (Rate rate :
       {Rate::Fma256, Rate::TileFma256, Rate::Stream1, Rate::Stream8})
    EXPECT_GT(ceiling.at(rate), 0.1);
  for (Rate rate : {Rate::Fma512, Rate::TileFma512})
    EXPECT_EQ(ceiling.at(rate) > 0, __builtin_cpu_supports("avx512vl") > 0);
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
  EXPECT_EQ(moert_weights_count(weights), 1 + 3 * 4);
  EXPECT_EQ(random.router().size(), 3U * 16);
  moert_weights_close(weights);
}
} // namespace
