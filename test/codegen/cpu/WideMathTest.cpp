// exp and log of f64 against libm in long double, on numbers of all binades and
// on special ones.

#include "KernelHarness.h"
#include "MathHarness.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace moe;
using namespace moe::test;

namespace {

class WideMathTest : public testing::TestWithParam<cpu::Level> {};

/// Numbers of every sign, binade and ending, those about 1, and special ones.
std::vector<double> wideNumbers() {
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  std::vector<double> result = {0.0,  -0.0,  INFINITY, -INFINITY,  NAN,
                                1.0,  -1.0,  tiny,     -tiny,      DBL_MAX,
                                -745, 709.7, DBL_MIN,  1 - 0x1p-53};
  for (uint64_t i = 0; i < 1 << 19; ++i) {
    result.push_back(std::bit_cast<double>(i * 0x0000200000000123));
    result.push_back(-750 + static_cast<double>(i) * 0.0028);
    result.push_back(0.5 + static_cast<double>(i) * 0x1.01p-18);
  }
  result.resize(result.size() / 64 * 64); // whole vectors
  return result;
}

TEST_P(WideMathTest, MatchesLibm) {
  struct Wide {
    const char *name;
    Value (*emit)(OpBuilder &, Location, Value);
    long double (*libm)(long double);
  };
  const Wide functions[] = {{"moe_exp", emit<math::ExpOp>, std::exp},
                            {"moe_log", emit<math::LogOp>, std::log}};
  auto kernels =
      Kernels::compile(GetParam(), [&](OpBuilder &builder, ModuleOp module) {
        for (const Wide &function : functions)
          addLoop(builder, module, function.name, builder.getF64Type(),
                  GetParam().lanes, function.emit);
      });
  const std::vector<double> numbers = wideNumbers();
  for (const Wide &function : functions) {
    std::vector<double> y = numbers;
    int64_t count = y.size();
    kernels->call(function.name,
                  Arguments().memref(y.data(), {count}).index(count));
    int wrong = 0;
    for (int64_t i = 0; i < count; ++i) {
      long double want = function.libm(numbers[i]);
      auto rounded = static_cast<double>(want);
      double place =
          std::nextafter(std::abs(rounded), INFINITY) - std::abs(rounded);
      bool right = std::isnan(rounded)   ? std::isnan(y[i])
                   : std::isinf(rounded) ? y[i] == rounded
                                         : std::abs(y[i] - want) <= place;
      if (!right && ++wrong <= 5)
        ADD_FAILURE() << function.name << "(" << numbers[i] << ") = " << y[i]
                      << ", expected " << rounded;
    }
    EXPECT_EQ(wrong, 0) << function.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, WideMathTest,
                         testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return describe(info.param); });

} // namespace
