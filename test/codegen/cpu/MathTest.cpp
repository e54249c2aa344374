// Every function of one f32 number against libm in f64, on numbers from all
// binades and on special ones; and the angles of rotary positions.

#include "KernelHarness.h"

#include "codegen/cpu/Trigonometry.h"
#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

using namespace mlir;
using namespace moe;
using namespace moe::test;

namespace {

class MathTest : public testing::TestWithParam<cpu::Level> {};

/// f64 y of f32 x, both over [0, count), by vectors of the level.
using Body = llvm::function_ref<Value(OpBuilder &, Location, Value)>;
void addLoop(OpBuilder &builder, ModuleOp module, StringRef name, int64_t lanes,
             Body body) {
  Location loc = builder.getUnknownLoc();
  Type f32 = builder.getF32Type(), index = builder.getIndexType();
  auto memory = MemRefType::get({ShapedType::kDynamic}, f32);
  addFunction(
      builder, module, name, {memory, index},
      [&](OpBuilder &builder, ValueRange args) {
        Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
        Value step = arith::ConstantIndexOp::create(builder, loc, lanes);
        scf::ForOp::create(
            builder, loc, zero, args[1], step, {},
            [&](OpBuilder &b, Location loc, Value i, ValueRange) {
              auto type = VectorType::get({lanes}, f32);
              Value x = cpu::loadLanes(b, loc, type, args[0], i, lanes);
              cpu::storeLanes(b, loc, body(b, loc, x), args[0], i, lanes);
              scf::YieldOp::create(b, loc);
            });
      });
}

template <typename Op> Value emit(OpBuilder &builder, Location loc, Value x) {
  return Op::create(builder, loc, x);
}

struct Function {
  const char *name;
  Value (*emit)(OpBuilder &, Location, Value);
  double (*libm)(double);
  double ulps;         // largest error, in units of the last f32 place
  double absolute = 0; // or this much where that is more
};

/// About a million numbers of every sign, binade and ending, and special ones.
const std::vector<float> &numbers() {
  static const std::vector<float> all = [] {
    std::vector<float> result = {0.0f,
                                 -0.0f,
                                 INFINITY,
                                 -INFINITY,
                                 NAN,
                                 1.0f,
                                 -1.0f,
                                 0x1p-149f,
                                 -0x1p-149f,
                                 0x1.fffffep127f,
                                 -0x1.fffffep127f};
    for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += 4099)
      result.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    result.resize(result.size() / 64 * 64); // whole vectors
    return result;
  }();
  return all;
}

/// The distance between f32 numbers of the size of x.
double lastPlace(double x) {
  if (!std::isfinite(x))
    return 0;
  return std::ldexp(1.0, std::max(std::ilogb(x), -126) - 23);
}

/// Whether y is the f32 number of `want` up to an error.
bool isNear(float y, double want, double error) {
  if (std::isnan(want))
    return std::isnan(y);
  auto rounded = static_cast<float>(want);
  if (y == rounded) // also infinities
    return want != 0 || std::signbit(y) == std::signbit(want);
  return std::isfinite(y) && std::abs(y - want) <= error;
}

const Function functions[] = {
    {"moe_sin", emit<math::SinOp>, std::sin, 0.51, 1e-15},
    {"moe_cos", emit<math::CosOp>, std::cos, 0.51, 1e-15},
};

TEST_P(MathTest, MatchesLibm) {
  int64_t lanes = GetParam().lanes;
  auto kernels =
      Kernels::compile(GetParam(), [&](OpBuilder &builder, ModuleOp module) {
        for (const Function &function : functions)
          addLoop(builder, module, function.name, lanes, function.emit);
      });
  for (const Function &function : functions) {
    std::vector<float> y = numbers();
    int64_t count = y.size();
    kernels->call(function.name,
                  Arguments().memref(y.data(), {count}).index(count));
    int wrong = 0;
    double worst = 0;
    for (int64_t i = 0; i < count; ++i) {
      float x = numbers()[i];
      double want = function.libm(x), place = lastPlace(want);
      if (std::isfinite(y[i]) && std::abs(y[i] - want) > function.absolute)
        worst = std::max(worst, std::abs(y[i] - want) / place);
      if (!isNear(y[i], want,
                  std::max(function.ulps * place, function.absolute)) &&
          ++wrong <= 5)
        ADD_FAILURE() << function.name << "(" << x << ") = " << y[i]
                      << ", expected " << want;
    }
    EXPECT_EQ(wrong, 0) << function.name;
    RecordProperty(function.name, std::to_string(worst));
  }
}

/// Angles as moe.rope makes them: the product of a position and a frequency.
TEST_P(MathTest, AnglesOfFarPositions) {
  int64_t lanes = GetParam().lanes;
  auto kernels =
      Kernels::compile(GetParam(), [&](OpBuilder &builder, ModuleOp module) {
        Location loc = builder.getUnknownLoc();
        auto of = [&](Type type) {
          return MemRefType::get({ShapedType::kDynamic}, type);
        };
        Type wide = of(builder.getF64Type()), narrow = of(builder.getF32Type());
        addFunction(
            builder, module, "moe_angles",
            {wide, wide, narrow, narrow, builder.getIndexType()},
            [&](OpBuilder &builder, ValueRange args) {
              Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
              Value step = arith::ConstantIndexOp::create(builder, loc, lanes);
              scf::ForOp::create(
                  builder, loc, zero, args[4], step, {},
                  [&](OpBuilder &b, Location loc, Value i, ValueRange) {
                    auto type = VectorType::get({lanes}, b.getF64Type());
                    cpu::SinCos angle = cpu::emitSinCos(
                        b, loc, cpu::loadLanes(b, loc, type, args[0], i, lanes),
                        cpu::loadLanes(b, loc, type, args[1], i, lanes));
                    cpu::storeLanes(b, loc, angle.sin, args[2], i, lanes);
                    cpu::storeLanes(b, loc, angle.cos, args[3], i, lanes);
                    scf::YieldOp::create(b, loc);
                  });
            });
      });
  std::vector<double> high, low;
  std::vector<long double> exact;
  auto add = [&](int64_t position, double frequency) {
    auto at = static_cast<double>(position);
    high.push_back(at * frequency);
    low.push_back(std::fma(at, frequency, -high.back()));
    exact.push_back(static_cast<long double>(high.back()) + low.back());
  };
  for (double frequency : {1.0, 0.749894209332456, 0.1, 1e-4, 3.0e-7})
    for (int64_t position = 0; position < 1 << 20; position += 13)
      add(position, frequency);
  for (int64_t position = 1; position < int64_t(1) << 31; position *= 3)
    for (int64_t sign : {-1, 1})
      add(sign * position, static_cast<float>(1 / 3.0));
  while (high.size() % lanes)
    add(0, 0);
  int64_t count = high.size();
  std::vector<float> sin(count), cos(count);
  kernels->call("moe_angles", Arguments()
                                  .memref(high.data(), {count})
                                  .memref(low.data(), {count})
                                  .memref(sin.data(), {count})
                                  .memref(cos.data(), {count})
                                  .index(count));
  for (int64_t i = 0; i < count; ++i) {
    ASSERT_NEAR(sin[i], std::sin(exact[i]), 0x1p-25 + 2e-10) << high[i];
    ASSERT_NEAR(cos[i], std::cos(exact[i]), 0x1p-25 + 2e-10) << high[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, MathTest, testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return describe(info.param); });

} // namespace
