// Element types and shapes, see Types.h.
#include "runtime/Types.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace moert {

namespace {
struct DtypeRow {
  const char *name;
  int64_t bytes;
};
constexpr DtypeRow rows[dtypeCount] = {{"f32", 4}, {"f16", 2}, {"bf16", 2},
                                       {"f64", 8}, {"i1", 1},  {"i8", 1},
                                       {"u8", 1},  {"i32", 4}, {"i64", 8}};

template <typename T> T load(const uint8_t *from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T> void store(uint8_t *to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

/// Rounds a double to a small float format with `fraction` stored bits and
/// exponents down to `minExponent` (of normal numbers); overflow gives
/// infinity. The scaling is exact, so there is one rounding only.
uint16_t roundToSmall(double value, int fraction, int minExponent,
                      int maxExponent) {
  int exponentBits = 15 - fraction;
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  uint16_t infinity =
      static_cast<uint16_t>(((1 << exponentBits) - 1) << fraction);
  if (std::isnan(value))
    return sign | infinity | static_cast<uint16_t>(1 << (fraction - 1));
  double magnitude = std::fabs(value);
  if (std::isinf(magnitude))
    return sign | infinity;
  if (magnitude == 0)
    return sign;
  int exponent = std::max(std::ilogb(magnitude), minExponent);
  // Units of the last place at this exponent; nearbyint rounds ties to even in
  // the default mode.
  double units = std::nearbyint(std::ldexp(magnitude, fraction - exponent));
  auto whole = static_cast<int64_t>(units);
  int64_t bits =
      (static_cast<int64_t>(exponent - minExponent) << fraction) + whole;
  if (bits >
      ((static_cast<int64_t>(maxExponent - minExponent + 1) << fraction) |
       ((1 << fraction) - 1)))
    return sign | infinity;
  return sign | static_cast<uint16_t>(bits);
}
} // namespace

const char *dtypeName(Dtype dtype) { return rows[dtype].name; }

std::optional<Dtype> parseDtype(std::string_view name) {
  for (int i = 0; i < dtypeCount; ++i)
    if (name == rows[i].name)
      return static_cast<Dtype>(i);
  return std::nullopt;
}

int64_t dtypeBytes(Dtype dtype) { return rows[dtype].bytes; }

bool isFloat(Dtype dtype) {
  return dtype == MOERT_F32 || dtype == MOERT_F16 || dtype == MOERT_BF16 ||
         dtype == MOERT_F64;
}

std::string typeName(Dtype dtype, std::span<const int64_t> shape) {
  std::string text;
  for (int64_t size : shape)
    text += fmt::format("{}x", size);
  return text + dtypeName(dtype);
}

std::optional<int64_t> elementCount(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(count, size, &count))
      return std::nullopt;
  if (count > INT64_MAX / 16)
    return std::nullopt;
  return count;
}

float halfToFloat(uint16_t bits) {
  int exponent = (bits >> 10) & 31;
  int fraction = bits & 1023;
  float magnitude;
  if (exponent == 31)
    magnitude = fraction ? std::numeric_limits<float>::quiet_NaN()
                         : std::numeric_limits<float>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  else
    magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

float bfloatToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t doubleToHalf(double value) { return roundToSmall(value, 10, -14, 15); }
uint16_t doubleToBfloat(double value) {
  return roundToSmall(value, 7, -126, 127);
}

double loadElement(Dtype dtype, const uint8_t *from) {
  switch (dtype) {
  case MOERT_F32:
    return load<float>(from);
  case MOERT_F16:
    return halfToFloat(load<uint16_t>(from));
  case MOERT_BF16:
    return bfloatToFloat(load<uint16_t>(from));
  case MOERT_F64:
    return load<double>(from);
  case MOERT_I1:
  case MOERT_I8:
  case MOERT_U8:
  case MOERT_I32:
  case MOERT_I64:
    return static_cast<double>(loadInteger(dtype, from));
  }
  return 0;
}

int64_t loadInteger(Dtype dtype, const uint8_t *from) {
  switch (dtype) {
  case MOERT_I1:
    return *from != 0;
  case MOERT_I8:
    return load<int8_t>(from);
  case MOERT_U8:
    return *from;
  case MOERT_I32:
    return load<int32_t>(from);
  case MOERT_I64:
    return load<int64_t>(from);
  case MOERT_F32:
  case MOERT_F16:
  case MOERT_BF16:
  case MOERT_F64:
    return std::llrint(loadElement(dtype, from));
  }
  return 0;
}

void storeElement(Dtype dtype, uint8_t *to, double value) {
  switch (dtype) {
  case MOERT_F32:
    return store(to, static_cast<float>(value));
  case MOERT_F16:
    return store(to, doubleToHalf(value));
  case MOERT_BF16:
    return store(to, doubleToBfloat(value));
  case MOERT_F64:
    return store(to, value);
  case MOERT_I1:
  case MOERT_I8:
  case MOERT_U8:
  case MOERT_I32:
  case MOERT_I64: {
    bool fits = value >= -9223372036854775808.0 &&
                value < 9223372036854775808.0; // false for NaN
    return storeInteger(dtype, to, fits ? static_cast<int64_t>(value) : 0);
  }
  }
}

void storeInteger(Dtype dtype, uint8_t *to, int64_t value) {
  switch (dtype) {
  case MOERT_I1:
    *to = value != 0;
    return;
  case MOERT_I8:
  case MOERT_U8:
    *to = static_cast<uint8_t>(value);
    return;
  case MOERT_I32:
    return store(to, static_cast<int32_t>(value));
  case MOERT_I64:
    return store(to, value);
  case MOERT_F32:
  case MOERT_F16:
  case MOERT_BF16:
  case MOERT_F64:
    return storeElement(dtype, to, static_cast<double>(value));
  }
}

} // namespace moert
