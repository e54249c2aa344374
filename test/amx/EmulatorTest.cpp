// Every AMX instruction, emulated or not, on tiles of odd shapes, against its
// definition.

#include "test/amx/Emulator.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <immintrin.h>
#include <random>
#include <vector>

namespace {

struct alignas(64) Configuration {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {};
  uint8_t rows[16] = {};
};

/// Sums of m x n in tile 0, A of m x 4k bytes in tile 1, B of k x 4n in tile 2.
struct Shape {
  int m, n, k;
};

class EmulatorTest : public testing::TestWithParam<Shape> {
protected:
  EmulatorTest() {
    for (uint8_t &byte : a)
      byte = static_cast<uint8_t>(random());
    for (uint8_t &byte : b)
      byte = static_cast<uint8_t>(random());
  }
  void configure() {
    auto [m, n, k] = GetParam();
    Configuration configuration;
    configuration.rows[0] = configuration.rows[1] = static_cast<uint8_t>(m);
    configuration.rows[2] = static_cast<uint8_t>(k);
    configuration.rowBytes[0] = configuration.rowBytes[2] =
        static_cast<uint16_t>(4 * n);
    configuration.rowBytes[1] = static_cast<uint16_t>(4 * k);
    _tile_loadconfig(&configuration);
    Configuration stored;
    _tile_storeconfig(&stored);
    ASSERT_EQ(memcmp(&stored, &configuration, sizeof(stored)), 0);
  }

  static constexpr int kStrideA = 72, kStrideB = 64;
  std::mt19937 random{7};
  uint8_t a[16 * kStrideA], b[16 * kStrideB];
};

TEST_P(EmulatorTest, Int8InEverySign) {
  auto [m, n, k] = GetParam();
  for (int signs = 0; signs < 4; ++signs) {
    std::vector<int32_t> sums(256), want(256);
    for (int32_t &sum : sums)
      sum = static_cast<int32_t>(random());
    want = sums;
    configure();
    _tile_loadd(0, sums.data(), 64);
    _tile_loadd(1, a, kStrideA);
    _tile_stream_loadd(2, b, kStrideB);
    if (signs == 0)
      _tile_dpbuud(0, 1, 2);
    else if (signs == 1)
      _tile_dpbusd(0, 1, 2);
    else if (signs == 2)
      _tile_dpbsud(0, 1, 2);
    else
      _tile_dpbssd(0, 1, 2);
    _tile_stored(0, sums.data(), 64);
    _tile_release();
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j)
        for (int q = 0; q < 4 * k; ++q) {
          uint8_t x = a[i * kStrideA + q];
          uint8_t y = b[q / 4 * kStrideB + 4 * j + q % 4];
          int product = (signs & 2 ? static_cast<int8_t>(x) : x) *
                        (signs & 1 ? static_cast<int8_t>(y) : y);
          want[16 * i + j] =
              static_cast<int32_t>(static_cast<uint32_t>(want[16 * i + j]) +
                                   static_cast<uint32_t>(product));
        }
    EXPECT_EQ(sums, want) << "signs " << signs; // the rest is untouched
  }
}

TEST_P(EmulatorTest, Bf16) {
  auto [m, n, k] = GetParam();
  std::uniform_int_distribution<int> small(-8, 8); // exact in any order
  auto narrow = [](int value) {
    auto wide = static_cast<float>(value);
    uint32_t bits;
    memcpy(&bits, &wide, 4);
    return static_cast<uint16_t>(bits >> 16);
  };
  std::vector<uint16_t> x(512), y(512);
  std::vector<int> xs(512), ys(512);
  for (int i = 0; i < 512; ++i) {
    x[i] = narrow(xs[i] = small(random));
    y[i] = narrow(ys[i] = small(random));
  }
  std::vector<float> sums(256, -1), want(256, -1);
  configure();
  _tile_zero(0);
  _tile_loadd(1, x.data(), 64);
  _tile_loadd(2, y.data(), 64);
  _tile_dpbf16ps(0, 1, 2);
  _tile_dpbf16ps(0, 1, 2);
  _tile_stored(0, sums.data(), 64);
  _tile_release();
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      int sum = 0;
      for (int q = 0; q < 2 * k; ++q)
        sum += xs[32 * i + q] * ys[q / 2 * 32 + 2 * j + q % 2];
      want[16 * i + j] = static_cast<float>(2 * sum);
    }
  EXPECT_EQ(sums, want);
}

// What is below the normal numbers counts as zero: entries, sums and results.
TEST_P(EmulatorTest, Bf16BelowNormal) {
  constexpr uint16_t k2ToMinus63 = 0x2000, k2ToMinus64 = 0x1f80,
                     kSubnormal = 0x0040, kOne = 0x3f80;
  struct Term {
    uint16_t x, y;
    float sum, want;
  };
  for (Term term : {Term{k2ToMinus63, k2ToMinus63, 0, 0x1p-126f},
                    Term{k2ToMinus63, k2ToMinus64, 0, 0},
                    Term{k2ToMinus63, k2ToMinus64, 0x1p-126f, 0x1p-126f},
                    Term{kSubnormal, kOne, 1, 1},
                    Term{k2ToMinus63, k2ToMinus63, 0x1p-127f, 0x1p-126f},
                    Term{k2ToMinus63, k2ToMinus63, -0x1.8p-126f, 0}}) {
    std::vector<uint16_t> x(512), y(512);
    x[0] = term.x;
    y[0] = term.y;
    std::vector<float> sums(256, term.sum);
    configure();
    _tile_loadd(0, sums.data(), 64);
    _tile_loadd(1, x.data(), 64);
    _tile_loadd(2, y.data(), 64);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, sums.data(), 64);
    _tile_release();
    EXPECT_EQ(sums[0], term.want)
        << term.x << " * " << term.y << " + " << term.sum;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, EmulatorTest,
                         testing::Values(Shape{16, 16, 16}, Shape{1, 1, 1},
                                         Shape{11, 13, 9}, Shape{16, 3, 1}),
                         [](const auto &info) {
                           return std::to_string(info.param.m) + "x" +
                                  std::to_string(info.param.n) + "x" +
                                  std::to_string(info.param.k);
                         });

TEST_P(EmulatorTest, UseAfterRelease) {
  configure();
  _tile_zero(0);
  _tile_release();
  if (moe_amx_is_native())
    EXPECT_EXIT(_tile_zero(0), testing::KilledBySignal(SIGILL), "");
  else
    EXPECT_DEATH(_tile_zero(0), "tiles are used without a configuration");
}

TEST(EmulatorDeathTest, UseWithoutConfiguration) {
  if (moe_amx_is_native())
    EXPECT_EXIT(_tile_zero(0), testing::KilledBySignal(SIGILL), "");
  else
    EXPECT_DEATH(_tile_zero(0), "tiles are used without a configuration");
}

} // namespace
