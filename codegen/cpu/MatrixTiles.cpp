// A step loads two tiles of weights and two of rows, then multiplies each with
// each. Sums are loop arguments, so with them 8 tiles live: all that there are.

#include "codegen/cpu/MatrixTiles.h"

#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

static Value constant(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

static Value plus(OpBuilder &builder, Location loc, Value value, int64_t by) {
  if (by == 0)
    return value;
  return arith::AddIOp::create(builder, loc, value, constant(builder, loc, by));
}

static Value times(OpBuilder &builder, Location loc, Value value, int64_t by) {
  return arith::MulIOp::create(builder, loc, value, constant(builder, loc, by));
}

/// Entries of a row of A that one row of a tile holds.
static int64_t tileEntries(const PackedLayout &layout) {
  return PackedLayout::kTileSteps * layout.pairing();
}

static Type elementOf(Value memref) {
  return cast<MemRefType>(memref.getType()).getElementType();
}

MatrixRows MatrixRows::of(const PackedLayout &layout) {
  constexpr int64_t kCache = 1 << 20, kMost = 256;
  int64_t lines = layout.steps() / PackedLayout::kTileSteps;
  MatrixRows result;
  result.rowBytes = (lines | 1) * kBytes;
  int64_t rows = kCache / result.rowBytes / (2 * kRows) * (2 * kRows);
  result.rows = std::clamp<int64_t>(rows, 2 * kRows, kMost);
  return result;
}

Value rowPanelView(OpBuilder &builder, Location loc, const PackedLayout &layout,
                   Value a, Value panel) {
  MatrixRows rows = MatrixRows::of(layout);
  Type element = elementOf(a);
  int64_t entries = rows.rowBytes * 8 / element.getIntOrFloatBitWidth();
  return memref::ViewOp::create(builder, loc,
                                MemRefType::get({rows.rows, entries}, element),
                                panel, constant(builder, loc, 0), ValueRange{});
}

void emitGatherRow(OpBuilder &builder, Location loc, const PackedLayout &layout,
                   Value a, Value token, Value panelView, Value to) {
  int64_t entries = tileEntries(layout);
  int64_t exist = layout.isQuantized() ? layout.rowEntries() : layout.inputs;
  auto type = VectorType::get({entries}, elementOf(a));
  auto copy = [&](Value k, int64_t count) {
    Value line = loadLanes(builder, loc, type, a, ValueRange{token, k}, count);
    vector::StoreOp::create(builder, loc, line, panelView, ValueRange{to, k});
  };
  int64_t whole = exist / entries * entries;
  if (whole > 0) {
    auto loop = scf::ForOp::create(builder, loc, constant(builder, loc, 0),
                                   constant(builder, loc, whole),
                                   constant(builder, loc, entries));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    copy(loop.getInductionVar(), entries);
  }
  if (whole < exist)
    copy(constant(builder, loc, whole), exist - whole);
}

bool hasWholeTiles(const PackedLayout &layout, Value a) {
  constexpr int64_t kPage = 4096; // 64 cache sets
  auto type = cast<MemRefType>(a.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)) ||
      ShapedType::isDynamic(strides.front()))
    return false;
  int64_t bytes = strides.front() * type.getElementTypeBitWidth() / 8;
  bool whole = layout.isQuantized() || layout.inputs % tileEntries(layout) == 0;
  return whole && bytes % kPage != 0;
}

/// Half of the block of the next panel that lies where this step reads; over
/// two tiles of rows the whole panel comes.
static void emitPrefetch(OpBuilder &builder, Location loc,
                         const PackedLayout &layout, Value view, Value panel,
                         Value part, Value step) {
  int64_t half = PackedLayout::kTileSteps / 2;
  Value next = plus(builder, loc, panel, 1);
  Value first = arith::AddIOp::create(builder, loc, step,
                                      times(builder, loc, part, half));
  for (int64_t i = 0; i < half; ++i)
    for (int64_t v = 0; v < layout.vectors(); ++v)
      memref::PrefetchOp::create(
          builder, loc, view,
          ValueRange{next, plus(builder, loc, first, i),
                     constant(builder, loc, v), constant(builder, loc, 0)},
          /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
}

void emitMatrixTiles(OpBuilder &builder, Location loc,
                     const PackedLayout &layout, Value a, Value firstRow,
                     int64_t tiles, Value view, Value panel, Value part,
                     Value sums) {
  constexpr int64_t kRows = MatrixRows::kRows;
  int64_t entries = tileEntries(layout), vectors = layout.vectors();
  bool integer = layout.isQuantized();
  Type element = layout.element;
  auto operandType = amx::TileType::get({kRows, entries}, element);
  auto sumType = amx::TileType::get({kRows, kRows}, elementOf(sums));
  Value apart =
      constant(builder, loc, vectors * layout.level.lanes * layout.pairing());

  for (int64_t first = 0; first < vectors; first += 2) {
    int64_t columns = std::min<int64_t>(2, vectors - first);
    SmallVector<Value> zeros;
    for (int64_t i = 0; i < tiles * columns; ++i)
      zeros.push_back(amx::TileZeroOp::create(builder, loc, sumType));
    auto emitStep = [&](OpBuilder &b, Location loc, Value step,
                        ValueRange carried) {
      if (first == 0)
        emitPrefetch(b, loc, layout, view, panel, part, step);
      SmallVector<Value> weights, rows, products;
      for (int64_t c = 0; c < columns; ++c)
        weights.push_back(amx::TileLoadOp::create(
            b, loc, operandType, view,
            ValueRange{panel, step, constant(b, loc, first + c),
                       constant(b, loc, 0)},
            apart));
      Value k = times(b, loc, step, layout.pairing());
      for (int64_t r = 0; r < tiles; ++r)
        rows.push_back(amx::TileLoadOp::create(
            b, loc, operandType, a,
            ValueRange{plus(b, loc, firstRow, r * kRows), k}));
      for (int64_t r = 0; r < tiles; ++r)
        for (int64_t c = 0; c < columns; ++c) {
          Value sum = carried[r * columns + c];
          if (integer)
            products.push_back(amx::TileMulIOp::create(
                b, loc, sumType, rows[r], weights[c], sum,
                /*isZextLhs=*/true, /*isZextRhs=*/false));
          else
            products.push_back(amx::TileMulFOp::create(b, loc, sumType, rows[r],
                                                       weights[c], sum));
        }
      scf::YieldOp::create(b, loc, products);
    };
    auto loop = scf::ForOp::create(
        builder, loc, constant(builder, loc, 0),
        constant(builder, loc, layout.steps()),
        constant(builder, loc, PackedLayout::kTileSteps), zeros, emitStep);
    for (int64_t r = 0; r < tiles; ++r)
      for (int64_t c = 0; c < columns; ++c)
        amx::TileStoreOp::create(
            builder, loc, sums,
            ValueRange{constant(builder, loc, r * kRows),
                       constant(builder, loc, (first + c) * kRows)},
            loop.getResult(r * columns + c));
  }
}

} // namespace moe::cpu
