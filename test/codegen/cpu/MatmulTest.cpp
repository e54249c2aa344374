// Packs weights and multiplies with generated code, and compares every result
// with a sum in f64: all types, shapes with tails, tiles and levels.

#include "KernelHarness.h"

#include "codegen/cpu/MatrixTiles.h"
#include "codegen/cpu/Pack.h"
#include "codegen/cpu/VectorAccess.h"
#include "test/amx/Emulator.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace mlir;
using namespace moe;
using namespace moe::test;

namespace {

struct Case {
  int64_t experts, outputs, inputs, weights;
  const char *a, *stored, *packed; // element types; rows of i8: quantised
  bool inOut, gathered;
  int64_t padding;        // of rows of A, in elements
  int64_t part = 0;       // inputs of a part of K; 0: all at once
  bool direct = false;    // whole matrix tiles of one weight skip the epilogue
  int64_t cacheBytes = 0; // that blocks of rows are for; 0: not known
};

Type typeOf(StringRef name) {
  Builder builder(&context());
  if (name == "f32")
    return builder.getF32Type();
  if (name == "ui4")
    return builder.getIntegerType(4, /*isSigned=*/false);
  if (name == "si8")
    return builder.getIntegerType(8, /*isSigned=*/true);
  if (name.starts_with("i"))
    return builder.getIntegerType(name == "i8" ? 8 : 4);
  return name == "f16" ? Type(builder.getF16Type())
                       : Type(builder.getBF16Type());
}

/// Packing and multiplication of one case, compiled for one level.
class CompiledCase {
public:
  CompiledCase(const cpu::Level &level, const Case &test);

  /// Multiplies rows [first, end) of `tokens` rows with all panels, in blocks
  /// of `panelsABlock`, and checks them.
  void check(int64_t tokens, int64_t first, int64_t end, int64_t panelsABlock);

  cpu::PackedLayout layout;
  int64_t skipped = 0; // rows of the last check without any epilogue

private:
  double weight(int64_t w, int64_t e, int64_t n, int64_t k) const {
    return values[((w * test.experts + e) * test.outputs + n) * test.inputs +
                  k];
  }
  void pack();
  /// What quantising leaves of the weights of one output.
  void quantizeWeights(double *weights) const;
  /// Writes entry k of a quantised row; returns what it stands for.
  double storeEntry(void *row, int64_t k, float scale);

  Case test;
  Type a, stored;
  std::unique_ptr<Kernels> kernels;
  std::vector<double> values;
  std::unique_ptr<GuardedBuffer> packed;
  std::mt19937 random{1};
};

CompiledCase::CompiledCase(const cpu::Level &level, const Case &test)
    : test(test), a(typeOf(test.a)), stored(typeOf(test.stored)) {
  layout = {test.experts, test.outputs,        test.inputs,
            test.weights, typeOf(test.packed), level};
  if (layout.isQuantized()) {
    a = IntegerType::get(&context(), level.int8Dot ? 8 : 16);
    this->test.padding = layout.rowEntries() - test.inputs + test.padding;
  }
  kernels = Kernels::compile(level, [&](OpBuilder &builder, ModuleOp module) {
    Location loc = builder.getUnknownLoc();
    int64_t dynamic = ShapedType::kDynamic;
    Type index = builder.getIndexType();
    Type bytes = MemRefType::get({dynamic}, builder.getI8Type());
    Type ids = MemRefType::get({dynamic}, builder.getI32Type());

    SmallVector<int64_t> shape{test.experts, test.outputs, test.inputs};
    if (test.inOut)
      std::swap(shape[1], shape[2]);
    SmallVector<Type> packTypes(test.weights, MemRefType::get(shape, stored));
    packTypes.append({bytes, index, index});
    addFunction(builder, module, "moe_pack", packTypes,
                [&](OpBuilder &builder, ValueRange args) {
                  cpu::emitPack(builder, loc, layout,
                                args.take_front(test.weights), test.inOut,
                                args[test.weights], args[test.weights + 1],
                                args[test.weights + 2]);
                });

    Type rows = MemRefType::get(
        {dynamic, test.inputs}, a,
        StridedLayoutAttr::get(&context(), 0,
                               {test.inputs + this->test.padding, 1}));
    Type results = MemRefType::get({test.weights, dynamic, test.outputs},
                                   builder.getF32Type());
    addFunction(
        builder, module, "moe_matmul",
        {rows, ids, bytes, index, index, index, index, index, results, ids,
         MemRefType::get({dynamic}, builder.getF32Type()), bytes},
        [&](OpBuilder &builder, ValueRange args) {
          cpu::MatmulBlock block{args[0],
                                 layout.isQuantized() ? args[10] : Value(),
                                 test.gathered ? args[1] : Value(),
                                 args[2],
                                 args[3],
                                 args[4],
                                 args[5],
                                 args[6],
                                 args[7],
                                 args[11],
                                 Value()};
          if (test.part > 0)
            block.partInputs =
                arith::ConstantIndexOp::create(builder, loc, test.part);
          if (test.cacheBytes > 0)
            block.cacheBytes =
                arith::ConstantIndexOp::create(builder, loc, test.cacheBytes);
          if (test.direct) {
            SmallVector<OpFoldResult> sizes = {
                builder.getIndexAttr(int64_t(1) << 31),
                builder.getIndexAttr(test.outputs)};
            SmallVector<OpFoldResult> strides = {sizes[1],
                                                 builder.getIndexAttr(1)};
            Value rows = memref::ReinterpretCastOp::create(
                builder, loc, args[8], builder.getIndexAttr(0), sizes, strides);
            block.results = memref::CastOp::create(
                builder, loc, cpu::resultsType(&context()), rows);
          }
          cpu::emitMatmul(
              builder, loc, layout, block,
              [&](OpBuilder &builder, Location loc,
                  const cpu::EpilogueSite &site) {
                for (auto [w, sum] : llvm::enumerate(site.accumulators))
                  cpu::storeLanes(builder, loc, sum, args[8],
                                  ValueRange{arith::ConstantIndexOp::create(
                                                 builder, loc, w),
                                             site.row, site.column},
                                  site.lanes);
                Value token = arith::IndexCastOp::create(
                    builder, loc, builder.getI32Type(), site.token);
                memref::StoreOp::create(builder, loc, token, args[9], site.row);
              });
        });
  });
  pack();
}

void CompiledCase::quantizeWeights(double *weights) const {
  int64_t step = layout.hasGroups() ? layout.kGroup : test.inputs;
  float most = layout.hasNibbles() ? 7 : 127;
  for (int64_t first = 0; first < test.inputs; first += step) {
    int64_t end = std::min(first + step, test.inputs);
    float largest = 0, low = -most, high = most, smallest = 0;
    for (int64_t k = first; k < end; ++k) {
      auto weight = static_cast<float>(weights[k]);
      smallest = std::min(smallest, weight);
      largest =
          std::max(largest, layout.hasZeroPoints() ? weight : std::abs(weight));
    }
    float scale = largest / most, inverse = largest > 0 ? most / largest : 0;
    if (layout.hasZeroPoints())
      scale = (largest - smallest) / 15;
    if (layout.hasGroups()) {
      char space[8];
      scale = static_cast<float>(storeRounded(typeOf("bf16"), space, 0, scale));
      inverse = scale > 0 ? 1 / scale : 0;
    }
    if (layout.hasZeroPoints()) {
      low = -std::clamp(std::nearbyint(-smallest * inverse), 0.0f, 15.0f);
      high = 15 + low;
    }
    for (int64_t k = first; k < end; ++k) {
      float entry = std::nearbyint(static_cast<float>(weights[k]) * inverse);
      weights[k] = static_cast<double>(scale) * std::clamp(entry, low, high);
    }
  }
}

double CompiledCase::storeEntry(void *row, int64_t k, float scale) {
  int64_t entry = static_cast<int64_t>(random() % 255) - 127;
  if (a.isInteger(16))
    static_cast<int16_t *>(row)[k] = static_cast<int16_t>(entry);
  else
    static_cast<uint8_t *>(row)[k] = static_cast<uint8_t>(entry + 128);
  return static_cast<double>(scale) * static_cast<double>(entry);
}

void CompiledCase::pack() {
  std::normal_distribution<double> normal;
  int64_t size = test.experts * test.outputs * test.inputs;
  std::vector<std::unique_ptr<GuardedBuffer>> sources;
  values.resize(test.weights * size);
  std::vector<char> scratch(8);
  for (int64_t w = 0; w < test.weights; ++w) {
    auto &source = sources.emplace_back(std::make_unique<GuardedBuffer>(
        size * stored.getIntOrFloatBitWidth() / 8));
    for (int64_t e = 0; e < test.experts; ++e)
      for (int64_t n = 0; n < test.outputs; ++n)
        for (int64_t k = 0; k < test.inputs; ++k) {
          int64_t at = test.inOut ? (e * test.inputs + k) * test.outputs + n
                                  : (e * test.outputs + n) * test.inputs + k;
          double value =
              storeRounded(stored, source->as<char>(), at, normal(random));
          values[((w * test.experts + e) * test.outputs + n) * test.inputs +
                 k] =
              layout.isQuantized()
                  ? value
                  : storeRounded(layout.element, scratch.data(), 0, value);
        }
    source->makeReadOnly();
  }
  if (layout.isQuantized())
    for (size_t row = 0; row < values.size(); row += test.inputs)
      quantizeWeights(values.data() + row);
  packed = std::make_unique<GuardedBuffer>(layout.bytes());
  memset(packed->as<char>(), 0x7f, layout.bytes());
  // In two ranges, as two threads would.
  int64_t panels = test.experts * layout.panels();
  for (auto [begin, end] :
       {std::pair(panels / 2, panels), std::pair(int64_t(0), panels / 2)}) {
    Arguments arguments;
    std::vector<int64_t> shape{test.experts, test.outputs, test.inputs};
    if (test.inOut)
      std::swap(shape[1], shape[2]);
    for (auto &source : sources)
      arguments.memref(source->as<char>(), shape);
    arguments.memref(packed->as<char>(), {layout.bytes()});
    arguments.index(begin).index(end);
    kernels->call("moe_pack", arguments);
  }
  packed->makeReadOnly();
}

void CompiledCase::check(int64_t tokens, int64_t first, int64_t end,
                         int64_t panelsABlock) {
  SCOPED_TRACE(testing::Message()
               << "tokens " << tokens << ", rows [" << first << ", " << end
               << "), panels a block " << panelsABlock);
  std::normal_distribution<double> normal;
  int64_t stride = test.inputs + test.padding;
  int64_t elements = tokens == 0 ? 0 : (tokens - 1) * stride + test.inputs;
  size_t width = a.getIntOrFloatBitWidth() / 8;
  if (layout.isQuantized()) // whole steps are read
    elements = tokens * stride;
  GuardedBuffer rows(elements * width), scales(tokens * 4);
  std::vector<double> rowValues(tokens * test.inputs);
  for (int64_t t = 0; t < tokens; ++t) {
    float scale = scales.as<float>()[t] = std::abs(normal(random));
    for (int64_t k = 0; k < test.inputs; ++k)
      rowValues[t * test.inputs + k] =
          layout.isQuantized()
              ? storeEntry(rows.as<char>() + t * stride * width, k, scale)
              : storeRounded(a, rows.as<char>(), t * stride + k,
                             normal(random));
  }
  rows.makeReadOnly();
  int64_t count = test.gathered ? end : tokens;
  GuardedBuffer ids(count * 4), seen(count * 4);
  for (int64_t r = 0; r < count; ++r)
    ids.as<int32_t>()[r] = test.gathered ? random() % tokens : r;
  ids.makeReadOnly();
  memset(seen.as<char>(), 0xff, seen.size());
  GuardedBuffer results(test.weights * count * test.outputs * 4);
  memset(results.as<char>(), 0xff, results.size());
  GuardedBuffer panel(
      cpu::hasMatrixForm(layout, a) ? cpu::MatrixRows::of(layout).bytes() : 0);
  memset(panel.as<char>(), 0xff, panel.size());

  int64_t expert = test.experts - 1;
  for (int64_t p = 0; p < layout.panels(); p += panelsABlock) {
    Arguments arguments;
    arguments.memref(rows.as<char>(), {tokens, test.inputs}, {stride, 1})
        .memref(ids.as<char>(), {count})
        .memref(packed->as<char>(), {layout.bytes()})
        .index(expert)
        .index(first)
        .index(end)
        .index(p)
        .index(std::min(p + panelsABlock, layout.panels()))
        .memref(results.as<char>(), {test.weights, count, test.outputs})
        .memref(seen.as<char>(), {count})
        .memref(scales.as<char>(), {tokens})
        .memref(panel.as<char>(), {static_cast<int64_t>(panel.size())});
    kernels->call("moe_matmul", arguments);
  }
  bool unpacked = layout.hasGroups() && cpu::hasMatrixForm(layout, a) &&
                  end - first >= cpu::matrixRowsFrom(layout);
  char space[8];
  skipped = 0;
  for (int64_t w = 0; w < test.weights; ++w)
    for (int64_t r = 0; r < count; ++r) {
      bool done = r >= first && r < end;
      int64_t token = ids.as<int32_t>()[r];
      if (test.direct && done && seen.as<int32_t>()[r] == -1)
        ++skipped;
      else
        ASSERT_EQ(seen.as<int32_t>()[r], done ? token : -1) << "row " << r;
      for (int64_t n = 0; n < test.outputs; ++n) {
        float got = results.as<float>()[(w * count + r) * test.outputs + n];
        if (!done) {
          ASSERT_TRUE(std::isnan(got)) << "row " << r << " must be untouched";
          continue;
        }
        double want = 0, size = 0;
        for (int64_t k = 0; k < test.inputs; ++k) {
          double factor = weight(w, expert, n, k);
          if (unpacked)
            factor = storeRounded(typeOf("bf16"), space, 0, factor);
          double product = rowValues[token * test.inputs + k] * factor;
          want += product;
          size += std::abs(product);
        }
        ASSERT_NEAR(got, want, 1e-6 * size + 1e-30)
            << "weight " << w << ", row " << r << ", column " << n;
      }
    }
}

class MatmulTest : public testing::TestWithParam<cpu::Level> {
protected:
  /// Whether rows and weights of this type take other code than on avx512.
  static bool isNewCode(StringRef type) {
    if (GetParam().int8Dot && !GetParam().bf16Dot)
      return false; // the code of avx2
    return !GetParam().bf16Dot || type == "bf16";
  }
};

TEST_P(MatmulTest, EveryRowVariantAndBlockOfPanels) {
  for (const char *type : {"f32", "bf16"})
    for (int64_t weights : {1, 2, 3}) {
      // bf16 without dot products has the tiles of f32.
      if (!isNewCode(type) ||
          (type[0] == 'b' && !GetParam().bf16Dot && weights != 2))
        continue;
      SCOPED_TRACE(testing::Message() << type << ", weights " << weights);
      CompiledCase compiled(
          GetParam(), {2, 150, 37, weights, type, type, type, false, true, 5});
      for (int64_t rows = 0; rows <= 14; ++rows)
        compiled.check(17, 3, 3 + rows, 100);
      for (int64_t panels : {1, 2, 3, 5})
        compiled.check(9, 0, 1, panels);
    }
}

// Every kind of N with a K of another kind: less than, exactly, and more than
// whole vectors, panels and steps. Types, layouts and numbers of weights take
// turns.
TEST_P(MatmulTest, EveryTail) {
  int64_t turn = 0;
  for (auto [outputs, inputs] : {std::pair<int64_t, int64_t>(1, 19),
                                 {31, 1},
                                 {64, 16},
                                 {67, 19},
                                 {31, 16}}) {
    SCOPED_TRACE(testing::Message() << "N " << outputs << ", K " << inputs);
    const char *type = turn % 2 && isNewCode("f32") ? "f32" : "bf16";
    CompiledCase compiled(GetParam(), {1, outputs, inputs, 1 + turn % 3, type,
                                       type, type, turn % 2 == 1, false, 0});
    compiled.check(5, 0, 5, 2);
    ++turn;
  }
}

TEST_P(MatmulTest, EveryMixOfTypes) {
  if (!isNewCode("f32"))
    return;
  // Each packed type, from each stored one, in both layouts.
  struct Mix {
    const char *stored, *packed;
    bool inOut;
  };
  for (auto [stored, packed, inOut] : {Mix{"bf16", "f32", false},
                                       {"f32", "f16", true},
                                       {"f16", "bf16", false},
                                       {"f32", "bf16", true}}) {
    SCOPED_TRACE(testing::Message() << stored << " packed as " << packed
                                    << (inOut ? ", in_out" : ""));
    CompiledCase compiled(
        GetParam(), {3, 45, 50, 2, "f32", stored, packed, inOut, !inOut, 0});
    compiled.check(8, 0, 8, 100);
  }
}

TEST_P(MatmulTest, NarrowRows) {
  for (auto [a, packed] : {std::pair("f16", "bf16"), std::pair("bf16", "f32"),
                           std::pair("bf16", "bf16")}) {
    if (!isNewCode(a) || !isNewCode(packed))
      continue;
    SCOPED_TRACE(testing::Message() << a << " times " << packed);
    CompiledCase compiled(GetParam(),
                          {1, 33, 21, 1, a, packed, packed, false, true, 0});
    compiled.check(7, 0, 7, 100);
  }
}

TEST_P(MatmulTest, LongSums) {
  CompiledCase compiled(
      GetParam(), {1, 64, 4099, 2, "f32", "bf16", "bf16", false, true, 16});
  compiled.check(40, 0, 31, 3);
}

// Sums that are put aside between parts of K: every family, a last part that is
// whole, odd and short, every height of tiles, and more rows than are kept.
TEST_P(MatmulTest, PartsOfK) {
  for (const char *type : {"f32", "bf16", "i8", "si8", "i4"})
    for (int64_t inputs : {193, 288, 291}) {
      bool isInteger = StringRef(type).contains('i');
      if (isInteger != (inputs == 291) || (!isInteger && !isNewCode(type)))
        continue;
      SCOPED_TRACE(testing::Message() << type << ", K " << inputs);
      const char *stored = isInteger ? "bf16" : type;
      CompiledCase compiled(GetParam(), {2, 70, inputs, 2, type, stored, type,
                                         false, true, 0, cpu::kPartUnit});
      for (int64_t rows : {0, 1, 2, 5, 7, 8, 9, 11, 12, 13})
        compiled.check(17, 3, 3 + rows, 2);
      compiled.check(300, 0, 290, 2);
    }
}

// Blocks of 300 rows, which fit the cache, also with parts of K.
TEST_P(MatmulTest, BlocksOfRows) {
  int64_t perByte = GetParam().int8Dot ? 1 : 2; // a quantised row's
  for (auto [type, bytes] : {std::pair<const char *, int64_t>("f32", 4),
                             {"bf16", 2},
                             {"i8", perByte}})
    for (int64_t part : {int64_t(0), cpu::kPartUnit}) {
      if (type[0] != 'i' && !isNewCode(type))
        continue;
      SCOPED_TRACE(testing::Message() << type << ", parts of " << part);
      CompiledCase compiled(
          GetParam(), {1, 150, 193, 1, type, type[0] == 'i' ? "bf16" : type,
                       type, false, true, 0, part, false, 480 * 193 * bytes});
      for (int64_t rows : {1, 7, 280, 607})
        compiled.check(620, 3, 3 + rows, 2);
    }
}

// Every number of rows, tails of N, K and groups, both layouts.
TEST_P(MatmulTest, QuantizedWeights) {
  for (StringRef format : {"i8", "si8", "i4", "ui4"}) {
    bool grouped = format != "i8";
    if (grouped && GetParam().matrixRows != 0)
      continue; // the code of avx512bf16
    int64_t turn = 0;
    for (auto [outputs, inputs] : {std::pair<int64_t, int64_t>(150, 37),
                                   {1, 1},
                                   {31, 16},
                                   {64, 64},
                                   {67, 51}}) {
      bool both = format == "i4"; // others have a part of its code
      if (grouped && (turn == 1 || turn == 2 || (turn == 3 && !both))) {
        ++turn; // slow to compile, and nothing of its own
        continue;
      }
      SCOPED_TRACE(testing::Message()
                   << format.data() << ", N " << outputs << ", K " << inputs);
      CompiledCase compiled(GetParam(),
                            {2, outputs, inputs, 1 + turn % 3, format.data(),
                             turn % 2 ? "bf16" : "f32", format.data(),
                             turn % 2 == 1, turn != 1, 0});
      for (int64_t rows = 0; rows <= (turn == 0 ? 14 : 5); ++rows)
        compiled.check(17, 3, 3 + rows, turn == 2 ? 1 : 100);
      ++turn;
    }
  }
}

TEST_P(MatmulTest, LongQuantizedSums) {
  for (const char *format : {"i8", "si8", "i4"}) {
    if (StringRef(format) != "i8" && GetParam().matrixRows != 0)
      continue;
    CompiledCase compiled(
        GetParam(), {1, 64, 4099, 2, format, "bf16", format, false, true, 0});
    compiled.check(40, 0, 31, 3);
  }
}

// Products of 1, 2 and 3 tiles of 16 rows, whole and in part, blocks of rows, K
// of whole tiles (rows in order are not gathered) and others, one panel and
// several.
TEST_P(MatmulTest, MatrixTiles) {
  if (GetParam().matrixRows == 0)
    GTEST_SKIP() << "the level has no matrix tiles";
  uint64_t before = moe_amx_products();
  for (const char *type : {"bf16", "i8"}) {
    const char *stored = "bf16";
    int64_t turn = 0;
    for (auto [outputs, inputs] : {std::pair<int64_t, int64_t>(37, 64),
                                   {1, 1},
                                   {16, 128},
                                   {33, 67},
                                   {50, 31}}) {
      for (bool gathered : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << type << ", N " << outputs << ", K " << inputs
                     << (gathered ? ", gathered" : ""));
        CompiledCase compiled(GetParam(),
                              {2, outputs, inputs, 1 + turn % 3, type, stored,
                               type, turn % 2 == 1, gathered, 32});
        for (int64_t rows : {3, 4, 16, 17, 31, 32, 33, 48, 49, 64, 65, 80, 97})
          compiled.check(101, 3, 3 + rows, rows == 33 ? 1 : 100);
      }
      ++turn;
    }
    // More rows than a block has.
    CompiledCase compiled(GetParam(),
                          {1, 5, 64, 1, type, stored, type, false, false, 32});
    compiled.check(700, 1, 1 + 320 + 320 + 7, 100);
    // Parts of K, and more panels than have sums between them.
    for (bool gathered : {false, true}) {
      SCOPED_TRACE(testing::Message() << type << " in parts");
      int64_t inputs = gathered ? 400 : 448;
      CompiledCase parts(GetParam(), {2, 150, inputs, 2, type, stored, type,
                                      false, gathered, 32, cpu::kPartUnit});
      for (int64_t rows : {5, 32, 50})
        parts.check(60, 3, 3 + rows, rows == 32 ? 1 : 100);
    }
  }
  // Unpacked for tiles; parts of K; zero points, tails of N, K and groups.
  for (const char *type : {"i4", "ui4", "si8"})
    for (bool parts : {false, true}) {
      SCOPED_TRACE(testing::Message() << type << (parts ? " in parts" : ""));
      CompiledCase compiled(GetParam(),
                            {2, parts ? 150 : 37, parts ? 400 : 67,
                             parts ? 2 : 1, type, "bf16", type, false, parts,
                             32, parts ? cpu::kPartUnit : 0});
      for (int64_t rows : {23, 24, 33, 50})
        compiled.check(60, 3, 3 + rows, rows == 24 ? 1 : 100);
    }
  if (!moe_amx_is_native())
    EXPECT_GT(moe_amx_products(), before);
}

// Whole tiles of sums that are the results go there themselves, all others, of
// parts of K too, by way of the epilogue.
TEST_P(MatmulTest, WholeTilesAreResults) {
  if (GetParam().matrixRows == 0)
    GTEST_SKIP() << "the level has no matrix tiles";
  for (bool gathered : {false, true}) {
    CompiledCase whole(GetParam(), {2, 64, 96, 1, "bf16", "bf16", "bf16", false,
                                    gathered, 32, 0, true});
    // Rows, and those of the products whose tiles are whole.
    for (auto [rows, direct] : {std::pair<int64_t, int64_t>(3, 0),
                                {16, 16},
                                {17, 0},
                                {32, 32},
                                {48, 48},
                                {50, 32},
                                {96, 96},
                                {97, 64}}) {
      whole.check(101, 3, 3 + rows, rows == 48 ? 1 : 100);
      EXPECT_EQ(whole.skipped, direct) << rows << " rows";
    }
    // The last panel has 5 columns.
    CompiledCase tail(GetParam(), {1, 37, 64, 1, "bf16", "bf16", "bf16", false,
                                   gathered, 32, 0, true});
    tail.check(101, 3, 67, 100);
    EXPECT_EQ(tail.skipped, 0);
    CompiledCase parts(GetParam(), {1, 64, 400, 1, "bf16", "bf16", "bf16",
                                    false, gathered, 32, cpu::kPartUnit, true});
    parts.check(60, 3, 51, 100);
    EXPECT_EQ(parts.skipped, 0);
  }
}

// Sums of whole rows, and the rounding that they may have.
TEST_P(MatmulTest, LongMatrixSums) {
  if (GetParam().matrixRows == 0)
    GTEST_SKIP() << "the level has no matrix tiles";
  for (const char *type : {"bf16", "i8"}) {
    CompiledCase compiled(
        GetParam(), {1, 40, 4099, 2, type, "bf16", type, false, true, 16});
    compiled.check(40, 0, 33, 3);
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, MatmulTest,
                         testing::ValuesIn(runnableLevels()),
                         [](const auto &info) { return describe(info.param); });

} // namespace
