// Element types and shapes: names, sizes, and conversion of single elements to
// and from double.
#ifndef MOE_RUNTIME_TYPES_H
#define MOE_RUNTIME_TYPES_H

#include "runtime/Abi.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moert {

using Dtype = moert_dtype;
using Shape = std::vector<int64_t>;

inline constexpr int dtypeCount = 9;

/// "f32", "f16", "bf16", "f64", "i1", "i8", "u8", "i32", "i64".
const char *dtypeName(Dtype dtype);
std::optional<Dtype> parseDtype(std::string_view name);
int64_t dtypeBytes(Dtype dtype);
bool isFloat(Dtype dtype);

/// "4x8xf32"; "f32" for rank 0.
std::string typeName(Dtype dtype, std::span<const int64_t> shape);

/// Product of the sizes, or nothing if it (or the product times 16) does not
/// fit int64.
std::optional<int64_t> elementCount(std::span<const int64_t> shape);

float halfToFloat(uint16_t bits);
float bfloatToFloat(uint16_t bits);
/// Round to nearest, ties to even; directly from double, without a second
/// rounding.
uint16_t doubleToHalf(double value);
uint16_t doubleToBfloat(double value);

/// One element; integers beyond 2^53 lose digits here.
double loadElement(Dtype dtype, const uint8_t *from);
/// One element of an integer type.
int64_t loadInteger(Dtype dtype, const uint8_t *from);
/// Rounds to nearest even; integer types keep the low bits of the integer part.
void storeElement(Dtype dtype, uint8_t *to, double value);
void storeInteger(Dtype dtype, uint8_t *to, int64_t value);

} // namespace moert

#endif
