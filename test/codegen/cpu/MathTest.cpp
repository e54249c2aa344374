// Every function of one f32 number against libm in f64, on numbers from all
// binades and on special ones; and the angles of rotary positions.

#include "KernelHarness.h"
#include "MathHarness.h"

#include "codegen/cpu/Trigonometry.h"
#include "codegen/cpu/VectorAccess.h"
#include "codegen/cpu/VectorBody.h"

#include "dialect/MoeDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <numbers>

using namespace mlir;
using namespace moe;
using namespace moe::test;

namespace {

class MathTest : public testing::TestWithParam<cpu::Level> {};

/// An activation of the moe dialect on a vector or a scalar.
Value activate(OpBuilder &builder, Location loc, Value x,
               llvm::function_ref<Operation *(Value)> create) {
  Value scalar =
      arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  Operation *op = create(scalar);
  IRMapping mapping;
  mapping.map(scalar, x);
  auto vector = dyn_cast<VectorType>(x.getType());
  cpu::emitOnVectors(builder, loc, op, mapping,
                     vector ? vector.getNumElements() : 0);
  Value result = mapping.lookup(op->getResult(0));
  op->erase();
  return result;
}
template <typename Op>
Value emitActivation(OpBuilder &builder, Location loc, Value x) {
  return activate(builder, loc, x, [&](Value scalar) {
    return Op::create(builder, loc, scalar);
  });
}
template <GeluForm form>
Value emitGelu(OpBuilder &builder, Location loc, Value x) {
  return activate(builder, loc, x, [&](Value scalar) {
    return GeluOp::create(builder, loc, scalar, form);
  });
}

struct Function {
  const char *name;
  Value (*emit)(OpBuilder &, Location, Value);
  double (*libm)(double);
  // The largest error, whichever is more.
  double ulps;         // in units of the result's last place
  double absolute = 0; // any
  double ofX = 0;      // in units of x's last place
  bool signsZero = true;
};

/// A quarter of a million numbers of every sign, binade and ending, and special
/// ones.
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
    for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += 16411)
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
bool isNear(float y, double want, double error, bool signsZero = true) {
  if (std::isnan(want))
    return std::isnan(y);
  auto rounded = static_cast<float>(want);
  if (y == rounded) // also infinities
    return want != 0 || !signsZero || std::signbit(y) == std::signbit(want);
  return std::isfinite(y) && std::abs(y - want) <= error;
}

const Function functions[] = {
    {"moe_sin", emit<math::SinOp>, std::sin, 0.51, 1e-15},
    {"moe_cos", emit<math::CosOp>, std::cos, 0.51, 1e-15},
    {"moe_exp", emit<math::ExpOp>, std::exp, 1.05},
    {"moe_exp2", emit<math::Exp2Op>, std::exp2, 1.05},
    {"moe_expm1", emit<math::ExpM1Op>, std::expm1, 1.7},
    {"moe_log", emit<math::LogOp>, std::log, 0.51},
    {"moe_log2", emit<math::Log2Op>, std::log2, 0.51},
    {"moe_log10", emit<math::Log10Op>, std::log10, 0.51},
    {"moe_log1p", emit<math::Log1pOp>, std::log1p, 0.51},
    {"moe_tanh", emit<math::TanhOp>, std::tanh, 2.5},
    {"moe_erf", emit<math::ErfOp>, std::erf, 4.5, 0, 0, /*signsZero=*/false},
    {"moe_erfc", emit<math::ErfcOp>, std::erfc, 4, 2e-7},
    {"moe_sqrt", emit<math::SqrtOp>, std::sqrt, 0.5001},
    {"moe_rsqrt", emit<math::RsqrtOp>,
     [](double x) { return 1 / std::sqrt(x); }, 1.5},
    {"moe_cbrt", emit<math::CbrtOp>, std::cbrt, 0.51},
    {"moe_floor", emit<math::FloorOp>, std::floor, 0},
    {"moe_ceil", emit<math::CeilOp>, std::ceil, 0},
    {"moe_round", emit<math::RoundOp>, std::round, 0},
    {"moe_roundeven", emit<math::RoundEvenOp>, std::nearbyint, 0},
    {"moe_trunc", emit<math::TruncOp>, std::trunc, 0},
    {"moe_abs", emit<math::AbsFOp>, std::fabs, 0},
    // A power of e above 2^128 is infinite before it is divided by.
    {"moe_sigmoid", emitActivation<SigmoidOp>,
     [](double x) { return 1 / (1 + std::exp(-x)); }, 2.5, 0x1p-126},
    {"moe_silu", emitActivation<SiluOp>,
     [](double x) { return x / (1 + std::exp(-x)); }, 2.5, 0x1p-119},
    {"moe_relu2", emitActivation<Relu2Op>,
     [](double x) { return x < 0 ? 0 : x * x; }, 0.5},
    {"moe_softplus", emitActivation<SoftplusOp>,
     [](double x) {
       return (x < 0 ? 0 : x) + std::log1p(std::exp(-std::fabs(x)));
     },
     1.6},
    // 1 - 1 + ... for negative x: an error of the size of x times that of 1.
    {"moe_gelu_exact", emitGelu<GeluForm::Exact>,
     [](double x) { return x * std::erfc(-x * std::sqrt(0.5)) / 2; }, 4, 0, 4},
    {"moe_gelu_tanh", emitGelu<GeluForm::Tanh>,
     [](double x) {
       return x *
              (1 + std::tanh(std::sqrt(2 / std::numbers::pi) *
                             (x + 0.044715 * x * x * x))) /
              2;
     },
     4, 0, 4},
};

TEST_P(MathTest, MatchesLibm) {
  int64_t lanes = GetParam().lanes;
  auto kernels =
      Kernels::compile(GetParam(), [&](OpBuilder &builder, ModuleOp module) {
        for (const Function &function : functions)
          addLoop(builder, module, function.name, builder.getF32Type(), lanes,
                  function.emit);
      });
  for (const Function &function : functions) {
    std::vector<float> y = numbers();
    int64_t count = y.size();
    kernels->call(function.name,
                  Arguments().memref(y.data(), {count}).index(count));
    int wrong = 0;
    for (int64_t i = 0; i < count; ++i) {
      float x = numbers()[i];
      double want = function.libm(x), place = lastPlace(want);
      if (!isNear(y[i], want,
                  std::max({function.ulps * place, function.absolute,
                            function.ofX * lastPlace(x)}),
                  function.signsZero) &&
          ++wrong <= 5)
        ADD_FAILURE() << function.name << "(" << x << ") = " << y[i]
                      << ", expected " << want;
    }
    EXPECT_EQ(wrong, 0) << function.name;
  }
}

/// A scalar takes the same way as an element of a vector.
TEST_P(MathTest, ScalarsAreTheSame) {
  constexpr int64_t count = 4096;
  auto kernels = Kernels::compile(GetParam(), [&](OpBuilder &builder,
                                                  ModuleOp module) {
    for (const Function &function : functions) {
      std::string scalar = std::string(function.name) + "_scalar";
      addLoop(builder, module, function.name, builder.getF32Type(),
              GetParam().lanes, function.emit);
      addLoop(builder, module, scalar, builder.getF32Type(), 0, function.emit);
    }
  });
  for (const Function &function : functions) {
    std::vector<float> vectors;
    for (int64_t i = 0; i < count; ++i)
      vectors.push_back(numbers()[i * 61]);
    std::vector<float> scalars = vectors;
    std::string scalar = std::string(function.name) + "_scalar";
    kernels->call(function.name,
                  Arguments().memref(vectors.data(), {count}).index(count));
    kernels->call(scalar.c_str(),
                  Arguments().memref(scalars.data(), {count}).index(count));
    for (int64_t i = 0; i < count; ++i)
      EXPECT_TRUE(vectors[i] == scalars[i] ||
                  (std::isnan(vectors[i]) && std::isnan(scalars[i])))
          << function.name << "(" << numbers()[i * 61] << ")";
  }
}

struct Function2 {
  const char *name;
  Value (*emit)(OpBuilder &, Location, Value, Value);
  double (*libm)(double, double);
  double ulps;
  bool signsZero = true;
};
template <typename Op>
Value emit2(OpBuilder &builder, Location loc, Value x, Value y) {
  return Op::create(builder, loc, x, y);
}
Value emitPowI(OpBuilder &builder, Location loc, Value x, Value y) {
  auto type = cast<VectorType>(y.getType()).clone(builder.getI32Type());
  Value whole = arith::FPToSIOp::create(builder, loc, type, y);
  return math::FPowIOp::create(builder, loc, x, whole);
}
const Function2 functions2[] = {
    {"moe_pow", emit2<math::PowFOp>, std::pow, 0.51},
    {"moe_atan2", emit2<math::Atan2Op>, std::atan2, 0.51},
    {"moe_copysign", emit2<math::CopySignOp>, std::copysign, 0},
    {"moe_powi", emitPowI,
     [](double x, double y) { return std::pow(x, std::trunc(y)); }, 0.51},
    {"moe_maximum", emit2<arith::MaximumFOp>,
     [](double x, double y) {
       return std::isnan(x) || std::isnan(y) ? NAN : std::max(x, y);
     },
     0,
     /*signsZero=*/false},
    {"moe_minimum", emit2<arith::MinimumFOp>,
     [](double x, double y) {
       return std::isnan(x) || std::isnan(y) ? NAN : std::min(x, y);
     },
     0,
     /*signsZero=*/false},
};

/// Special numbers with each other, and pairs of all sizes.
TEST_P(MathTest, TwoNumbersMatchLibm) {
  int64_t lanes = GetParam().lanes;
  auto kernels = Kernels::compile(GetParam(), [&](OpBuilder &builder,
                                                  ModuleOp module) {
    Location loc = builder.getUnknownLoc();
    auto memory = MemRefType::get({ShapedType::kDynamic}, builder.getF32Type());
    for (const Function2 &function : functions2)
      addFunction(
          builder, module, function.name,
          {memory, memory, builder.getIndexType()},
          [&](OpBuilder &builder, ValueRange args) {
            Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
            Value step = arith::ConstantIndexOp::create(builder, loc, lanes);
            scf::ForOp::create(
                builder, loc, zero, args[2], step, {},
                [&](OpBuilder &b, Location loc, Value i, ValueRange) {
                  auto type = VectorType::get({lanes}, b.getF32Type());
                  Value x = cpu::loadLanes(b, loc, type, args[0], i, lanes);
                  Value y = cpu::loadLanes(b, loc, type, args[1], i, lanes);
                  cpu::storeLanes(b, loc, function.emit(b, loc, x, y), args[1],
                                  i, lanes);
                  scf::YieldOp::create(b, loc);
                });
          });
  });
  std::vector<float> special = {
      0.0f,        -0.0f,   1.0f,   -1.0f,    2.0f,     -2.0f,     3.0f,
      -3.0f,       0.5f,    -0.5f,  1.5f,     -1.5f,    0x1p-149f, -0x1p-149f,
      1e-30f,      -1e-30f, 1e30f,  -1e30f,   65.0f,    -64.0f,    16777216.0f,
      0.99999994f, NAN,     -7.25f, INFINITY, -INFINITY};
  std::vector<float> x, y;
  for (float a : special)
    for (float b : special) {
      x.push_back(a);
      y.push_back(b);
    }
  for (size_t i = 0; i + 7 < numbers().size(); i += 101) {
    x.push_back(numbers()[i]);
    y.push_back(numbers()[i * 7919 % numbers().size()]);
    x.push_back(std::exp2(static_cast<float>(i % 251) / 16 - 8));
    y.push_back(static_cast<float>(i % 379) / 8 - 24);
  }
  while (x.size() % lanes) {
    x.push_back(1);
    y.push_back(1);
  }
  int64_t count = x.size();
  for (const Function2 &function : functions2) {
    std::vector<float> exponents = y;
    if (StringRef(function.name) == "moe_powi") // within i32
      for (float &each : exponents)
        each = std::isfinite(each) ? std::fmod(each, 40.0f) : 2;
    std::vector<float> results = exponents;
    kernels->call(function.name, Arguments()
                                     .memref(x.data(), {count})
                                     .memref(results.data(), {count})
                                     .index(count));
    int wrong = 0;
    for (int64_t i = 0; i < count; ++i) {
      double want = function.libm(x[i], exponents[i]);
      if (!isNear(results[i], want, function.ulps * lastPlace(want),
                  function.signsZero) &&
          ++wrong <= 5)
        ADD_FAILURE() << function.name << "(" << x[i] << ", " << exponents[i]
                      << ") = " << results[i] << ", expected " << want;
    }
    EXPECT_EQ(wrong, 0) << function.name;
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
