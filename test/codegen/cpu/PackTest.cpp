// Every element of a packed buffer against the layout's formula, from sources
// with strides as checkpoints have them.

#include "KernelHarness.h"

#include "codegen/cpu/Pack.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace moe;
using namespace moe::test;

namespace {

struct Source {
  const char *name;
  bool inOut;
  int64_t rank;
  /// Strides of expert, output and input, and the distance between weights.
  int64_t expert, output, input, weight;
};

constexpr int64_t kExperts = 2, kOutputs = 37, kInputs = 27, kWeights = 2;

class PackTest : public testing::TestWithParam<cpu::Level> {};

TEST_P(PackTest, PlacesEveryElement) {
  constexpr int64_t n = kOutputs, k = kInputs;
  const Source sources[] = {
      {"halves of one tensor", false, 3, 2 * n * k, k, 1, n * k},
      {"interleaved rows", false, 3, 2 * n * k, 2 * k, 1, k},
      {"transposed halves", true, 3, 2 * n * k, 1, 2 * n, n},
      {"transposed, interleaved columns", true, 3, 2 * n * k, 2, 2 * n, 1},
      {"one matrix", false, 2, 0, k, 1, n * k},
  };
  for (const Source &source : sources) {
    SCOPED_TRACE(source.name);
    int64_t experts = source.rank == 3 ? kExperts : 1;
    Builder types(&context());
    Type bf16 = types.getBF16Type();
    cpu::PackedLayout layout{experts, n, k, kWeights, bf16, GetParam()};
    auto kernels = Kernels::compile(GetParam(), [&](OpBuilder &builder,
                                                    ModuleOp module) {
      SmallVector<int64_t> shape{experts, n, k};
      SmallVector<int64_t> strides{source.expert, source.output, source.input};
      if (source.inOut) {
        std::swap(shape[1], shape[2]);
        std::swap(strides[1], strides[2]);
      }
      if (source.rank == 2) {
        shape.erase(shape.begin());
        strides.erase(strides.begin());
      }
      Type weight = MemRefType::get(
          shape, bf16, StridedLayoutAttr::get(&context(), 0, strides));
      Type index = builder.getIndexType();
      Type bytes = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
      addFunction(builder, module, "moe_pack",
                  {weight, weight, bytes, index, index},
                  [&](OpBuilder &builder, ValueRange args) {
                    cpu::emitPack(builder, builder.getUnknownLoc(), layout,
                                  args.take_front(2), source.inOut, args[2],
                                  args[3], args[4]);
                  });
    });

    int64_t size = experts * kWeights * n * k;
    GuardedBuffer stored(size * 2), packed(layout.bytes());
    for (int64_t i = 0; i < size; ++i)
      stored.as<uint16_t>()[i] = 1 + i;
    stored.makeReadOnly();
    Arguments arguments;
    for (int64_t w = 0; w < kWeights; ++w) {
      std::vector<int64_t> unused(source.rank, 1);
      arguments.memref(stored.as<uint16_t>() + w * source.weight, unused);
    }
    kernels->call("moe_pack",
                  arguments.memref(packed.as<char>(), {layout.bytes()})
                      .index(0)
                      .index(experts * layout.panels()));

    int64_t lanes = GetParam().lanes, at = 0;
    for (int64_t e = 0; e < experts; ++e)
      for (int64_t p = 0; p < layout.panels(); ++p)
        for (int64_t step = 0; step < layout.steps(); ++step)
          for (int64_t v = 0; v < layout.vectors(); ++v)
            for (int64_t lane = 0; lane < lanes; ++lane)
              for (int64_t entry = 0; entry < 2; ++entry, ++at) {
                int64_t w = v / layout.vectorsPerWeight();
                int64_t column = p * layout.panelColumns() +
                                 v % layout.vectorsPerWeight() * lanes + lane;
                int64_t input = 2 * step + entry;
                uint16_t want = 0;
                if (column < n && input < k)
                  want = stored.as<uint16_t>()[e * source.expert +
                                               w * source.weight +
                                               column * source.output +
                                               input * source.input];
                ASSERT_EQ(packed.as<uint16_t>()[at], want)
                    << "expert " << e << ", weight " << w << ", column "
                    << column << ", input " << input;
              }
    EXPECT_EQ(at * 2, layout.bytes());
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, PackTest, testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return describe(info.param); });

} // namespace
