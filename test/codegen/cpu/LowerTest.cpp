// Functions without an instruction, and bf16 values on their way through
// branches, against libm and exact bits.

#include "KernelHarness.h"

#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace mlir;
using namespace moe;
using namespace moe::test;

namespace {

class LowerTest : public testing::TestWithParam<cpu::Level> {};

TEST_P(LowerTest, MathFunctionsMatchLibm) {
  int64_t lanes = GetParam().lanes;
  using Build = Value (*)(OpBuilder &, Location, Value);
  using Want = double (*)(double);
  struct Function {
    const char *name;
    Build build;
    Want want;
    double low, high;
  };
  const Function functions[] = {
      {"moe_exp",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::ExpOp::create(b, l, x);
       },
       [](double x) { return std::exp(x); }, -80, 80},
      {"moe_tanh",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::TanhOp::create(b, l, x);
       },
       [](double x) { return std::tanh(x); }, -8, 8},
      {"moe_erf",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::ErfOp::create(b, l, x);
       },
       [](double x) { return std::erf(x); }, -4, 4},
      {"moe_log",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::LogOp::create(b, l, x);
       },
       [](double x) { return std::log(x); }, 1e-6, 1e6},
      {"moe_log1p",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::Log1pOp::create(b, l, x);
       },
       [](double x) { return std::log1p(x); }, -0.9, 50},
      {"moe_sqrt",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::SqrtOp::create(b, l, x);
       },
       [](double x) { return std::sqrt(x); }, 0, 1e6},
      {"moe_rsqrt",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::RsqrtOp::create(b, l, x);
       },
       [](double x) { return 1 / std::sqrt(x); }, 1e-6, 1e6},
      {"moe_cos",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::CosOp::create(b, l, x);
       },
       [](double x) { return std::cos(x); }, -3, 3},
      {"moe_sin",
       [](OpBuilder &b, Location l, Value x) -> Value {
         return math::SinOp::create(b, l, x);
       },
       [](double x) { return std::sin(x); }, -3, 3},
  };
  auto kernels =
      Kernels::compile(GetParam(), [&](OpBuilder &builder, ModuleOp module) {
        Location loc = builder.getUnknownLoc();
        auto memory = MemRefType::get({lanes}, builder.getF32Type());
        auto vector = VectorType::get({lanes}, builder.getF32Type());
        for (const Function &function : functions)
          addFunction(
              builder, module, function.name, {memory},
              [&](OpBuilder &builder, ValueRange args) {
                Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
                Value x =
                    cpu::loadLanes(builder, loc, vector, args[0], zero, lanes);
                cpu::storeLanes(builder, loc, function.build(builder, loc, x),
                                args[0], zero, lanes);
              });
      });
  for (const Function &function : functions) {
    std::vector<float> x(lanes), y;
    for (int64_t i = 0; i < lanes; ++i)
      x[i] = function.low + (function.high - function.low) * i / (lanes - 1);
    y = x;
    kernels->call(function.name, Arguments().memref(y.data(), {lanes}));
    for (int64_t i = 0; i < lanes; ++i) {
      double want = function.want(x[i]);
      EXPECT_NEAR(y[i], want, 5e-7 * std::abs(want) + 2e-7)
          << function.name << "(" << x[i] << ")";
    }
  }
}

/// y = condition ? x : y, with the value carried between blocks; every bf16
/// pattern, denormals and NaNs too, must come through unchanged.
TEST_P(LowerTest, Bf16MovesKeepTheirBits) {
  auto kernels = Kernels::compile(GetParam(), [&](OpBuilder &builder,
                                                  ModuleOp module) {
    Location loc = builder.getUnknownLoc();
    Type index = builder.getIndexType();
    auto memory =
        MemRefType::get({ShapedType::kDynamic}, builder.getBF16Type());
    addFunction(
        builder, module, "moe_move", {memory, memory, index},
        [&](OpBuilder &builder, ValueRange args) {
          Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
          Value one = arith::ConstantIndexOp::create(builder, loc, 1);
          Value start = memref::LoadOp::create(builder, loc, args[0], zero);
          // Each element is stored one turn after it was loaded.
          scf::ForOp::create(
              builder, loc, zero, args[2], one, start,
              [&](OpBuilder &body, Location loc, Value i, ValueRange carried) {
                memref::StoreOp::create(body, loc, carried[0], args[1], i);
                Value next = memref::LoadOp::create(
                    body, loc, args[0],
                    ValueRange{arith::AddIOp::create(body, loc, i, one)});
                scf::YieldOp::create(body, loc, next);
              });
        });
  });
  constexpr int64_t count = 1 << 16;
  std::vector<uint16_t> from(count + 1), to(count);
  for (int64_t i = 0; i < count; ++i)
    from[i] = i;
  kernels->call("moe_move", Arguments()
                                .memref(from.data(), {count + 1})
                                .memref(to.data(), {count})
                                .index(count));
  for (int64_t i = 0; i < count; ++i)
    ASSERT_EQ(to[i], i);
}

/// Rounding to bf16 and f16 is to nearest even, whole vectors and tails.
TEST_P(LowerTest, RoundingIsToNearestEven) {
  int64_t lanes = GetParam().lanes;
  Builder types(&context());
  for (Type narrow : {Type(types.getBF16Type()), Type(types.getF16Type())})
    for (int64_t used = 1; used <= lanes; used += 3) {
      auto kernels = Kernels::compile(GetParam(), [&](OpBuilder &builder,
                                                      ModuleOp module) {
        Location loc = builder.getUnknownLoc();
        auto wide = VectorType::get({lanes}, builder.getF32Type());
        addFunction(
            builder, module, "moe_round",
            {MemRefType::get({used}, builder.getF32Type()),
             MemRefType::get({used}, narrow)},
            [&](OpBuilder &builder, ValueRange args) {
              Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
              Value x = cpu::loadLanes(builder, loc, wide, args[0], zero, used);
              cpu::storeLanes(builder, loc,
                              cpu::convertFloat(builder, loc, x, narrow),
                              args[1], zero, used);
            });
      });
      GuardedBuffer from(used * 4), to(used * 2);
      std::vector<uint16_t> want(used);
      for (int64_t i = 0; i < used; ++i) {
        from.as<float>()[i] = 1.0f + (2 * i + 1) * 0x1p-9f - 3.0f * (i % 2);
        storeRounded(narrow, want.data(), i, from.as<float>()[i]);
      }
      from.makeReadOnly();
      kernels->call("moe_round", Arguments()
                                     .memref(from.as<char>(), {used})
                                     .memref(to.as<char>(), {used}));
      for (int64_t i = 0; i < used; ++i)
        EXPECT_EQ(to.as<uint16_t>()[i], want[i]) << from.as<float>()[i];
    }
}

INSTANTIATE_TEST_SUITE_P(Levels, LowerTest, testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return describe(info.param); });

} // namespace
