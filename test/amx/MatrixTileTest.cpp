// The tiles with which moe-bench measures AMX, emulated or not, against sums of
// small integers.
#include "tools/bench/MatrixTile.h"

#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace {
using namespace moe::bench;

int rowAt(int64_t row, int64_t k) {
  return static_cast<int>((row * 7 + k) % 5);
}
int weightAt(int64_t n, int64_t k) {
  return static_cast<int>((n * 3 + k) % 7) - 3;
}

class MatrixTileTest : public testing::TestWithParam<MatrixKind> {};

TEST_P(MatrixTileTest, Multiplies) {
  bool bytes = GetParam() == MatrixKind::Bytes;
  constexpr int64_t blocks = 2;
  constexpr int64_t rowBytes = blocks * 64 + 64;
  int64_t pairing = bytes ? 4 : 2;
  int64_t inputs = blocks * 16 * pairing;
  auto put = [&](char *to, int value) {
    auto number = static_cast<float>(value);
    if (bytes)
      *to = static_cast<char>(value);
    else // bf16 is the upper half
      std::memcpy(to, reinterpret_cast<char *>(&number) + 2, 2);
  };
  std::vector<char> rows(matrixRows * rowBytes), panel(blocks * 4096);
  for (int64_t k = 0; k < inputs; ++k) {
    for (int64_t row = 0; row < matrixRows; ++row)
      put(rows.data() + row * rowBytes + k * 4 / pairing, rowAt(row, k));
    for (int64_t n = 0; n < 64; ++n)
      put(panel.data() + k / pairing * 256 + n * 4 + k % pairing * 4 / pairing,
          weightAt(n, k));
  }
  for (int64_t half = 0; half < 2; ++half) {
    constexpr int64_t lanes = matrixColumns + 1;
    std::vector<float> sums(matrixRows * lanes);
    beginMatrixTiles();
    multiplyMatrixTiles(GetParam(), rows.data(), rowBytes,
                        {panel.data() + half * 128, 256, blocks}, sums.data(),
                        lanes);
    endMatrixTiles();
    for (int64_t row = 0; row < matrixRows; ++row)
      for (int64_t n = 0; n < matrixColumns; ++n) {
        int expected = 0;
        for (int64_t k = 0; k < inputs; ++k)
          expected += rowAt(row, k) * weightAt(half * 32 + n, k);
        float sum = sums[static_cast<size_t>(row * lanes + n)];
        int32_t bits = 0;
        std::memcpy(&bits, &sum, 4);
        ASSERT_EQ(bytes ? static_cast<float>(bits) : sum, expected)
            << "row " << row << ", column " << half * 32 + n;
      }
  }
}

TEST_P(MatrixTileTest, RepeatsOnZeros) {
  std::vector<float> sums(matrixRows * matrixColumns, 1);
  beginMatrixTiles();
  repeatMatrixTiles(GetParam(), 3, sums.data(), matrixColumns);
  endMatrixTiles();
  EXPECT_EQ(sums, std::vector<float>(matrixRows * matrixColumns));
}

INSTANTIATE_TEST_SUITE_P(All, MatrixTileTest,
                         testing::Values(MatrixKind::Bf16, MatrixKind::Bytes));
} // namespace
