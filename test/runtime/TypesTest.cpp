// Element types: conversions of every 16-bit pattern, rounding, products of
// shapes.
#include "runtime/Types.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace moert;

namespace {

TEST(Types, NamesAndSizes) {
  for (int i = 0; i < dtypeCount; ++i)
    EXPECT_EQ(parseDtype(dtypeName(static_cast<Dtype>(i))),
              static_cast<Dtype>(i));
  EXPECT_FALSE(parseDtype("F32"));
  EXPECT_EQ(dtypeBytes(MOERT_BF16), 2);
  EXPECT_EQ(typeName(MOERT_BF16, Shape{4, 8}), "4x8xbf16");
  EXPECT_EQ(typeName(MOERT_F32, Shape{}), "f32");
}

TEST(Types, EveryHalfAndBfloatSurvives) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    auto pattern = static_cast<uint16_t>(bits);
    float half = halfToFloat(pattern);
    float bfloat = bfloatToFloat(pattern);
    if (std::isnan(half))
      EXPECT_TRUE(std::isnan(halfToFloat(doubleToHalf(half))));
    else
      EXPECT_EQ(doubleToHalf(half), pattern);
    if (std::isnan(bfloat))
      EXPECT_TRUE(std::isnan(bfloatToFloat(doubleToBfloat(bfloat))));
    else
      EXPECT_EQ(doubleToBfloat(bfloat), pattern);
  }
}

TEST(Types, RoundsToNearestEven) {
  EXPECT_EQ(halfToFloat(doubleToHalf(65504)), 65504);
  EXPECT_EQ(halfToFloat(doubleToHalf(65519.99)), 65504);
  EXPECT_TRUE(std::isinf(halfToFloat(doubleToHalf(65520))));
  EXPECT_EQ(halfToFloat(doubleToHalf(2049)), 2048); // tie to even
  EXPECT_EQ(halfToFloat(doubleToHalf(2051)), 2052);
  EXPECT_EQ(doubleToHalf(0x1p-25), 0); // tie to zero
  EXPECT_EQ(doubleToHalf(0x1.8p-25), 1);
  EXPECT_EQ(doubleToHalf(-0.0), 0x8000);
  EXPECT_EQ(bfloatToFloat(doubleToBfloat(257)), 256);
  EXPECT_EQ(bfloatToFloat(doubleToBfloat(259)), 260);
  // One rounding, not two: just above the middle, which float would round down
  // onto it first.
  EXPECT_EQ(bfloatToFloat(doubleToBfloat(257 + 1e-12)), 258);
  EXPECT_TRUE(std::isinf(bfloatToFloat(doubleToBfloat(3.4e38))) ||
              bfloatToFloat(doubleToBfloat(3.4e38)) > 3.3e38f);
}

TEST(Types, Integers) {
  uint8_t space[8];
  for (Dtype dtype : {MOERT_I8, MOERT_I32, MOERT_I64}) {
    storeInteger(dtype, space, -7);
    EXPECT_EQ(loadInteger(dtype, space), -7);
    EXPECT_EQ(loadElement(dtype, space), -7);
  }
  storeInteger(MOERT_I64, space, INT64_MAX);
  EXPECT_EQ(loadInteger(MOERT_I64, space), INT64_MAX);
  storeElement(MOERT_I32, space, std::nan(""));
  EXPECT_EQ(loadInteger(MOERT_I32, space), 0);
  storeElement(MOERT_I1, space, 5);
  EXPECT_EQ(space[0], 1);
}

TEST(Types, CountsAreChecked) {
  EXPECT_EQ(elementCount(Shape{}), 1);
  EXPECT_EQ(elementCount(Shape{3, 0, 5}), 0);
  EXPECT_EQ(elementCount(Shape{int64_t(1) << 32, int64_t(1) << 32}),
            std::nullopt);
  EXPECT_EQ(elementCount(Shape{int64_t(1) << 60}), std::nullopt);
  EXPECT_EQ(elementCount(Shape{-1}), std::nullopt);
}

} // namespace
