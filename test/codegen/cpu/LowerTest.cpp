// Values of bf16 and f16 on their way through branches and conversions, against
// exact bits.

#include "KernelHarness.h"

#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace moe;
using namespace moe::test;

namespace {

class LowerTest : public testing::TestWithParam<cpu::Level> {};

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
