// A step loads tiles of weights and of rows and multiplies each with each. Sums
// are loop arguments, so with them 8 tiles live at most: all that there are.

#include "codegen/cpu/MatrixTiles.h"

#include "codegen/cpu/Indices.h"
#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

/// Entries of a row of A that one row of a tile holds.
static int64_t tileEntries(const PackedLayout &layout) {
  return PackedLayout::kTileSteps * layout.pairing();
}

static Type elementOf(Value memref) {
  return cast<MemRefType>(memref.getType()).getElementType();
}

PackedLayout tiledLayout(const PackedLayout &layout) {
  if (!layout.hasGroups())
    return layout;
  PackedLayout result = layout;
  result.element = BFloat16Type::get(layout.element.getContext());
  result.experts = 1;
  result.outputs = layout.level.lanes;
  result.weights = layout.vectors();
  return result;
}

MatrixRows MatrixRows::of(const PackedLayout &packed) {
  PackedLayout layout = tiledLayout(packed);
  constexpr int64_t kSumColumns = 256;
  constexpr int64_t kCache = 5 << 18, kMost = 320, kPartLines = 64;
  int64_t lines = layout.steps() / PackedLayout::kTileSteps;
  int64_t parts = llvm::divideCeil(lines, kPartLines);
  int64_t partLines = llvm::divideCeil(lines, parts);
  MatrixRows result;
  result.partSteps = partLines * PackedLayout::kTileSteps;
  result.columns = layout.columns();
  result.panels = std::max<int64_t>(1, kSumColumns / result.columns);
  result.unpackedBytes =
      packed.hasGroups() ? result.partSteps * 4 * result.columns : 0;
  result.rowBytes = (partLines | 1) * kBytes;
  int64_t rows = kCache / result.rowBytes / (2 * kRows) * (2 * kRows);
  result.rows = std::clamp<int64_t>(rows, 2 * kRows, kMost);
  return result;
}

Value roomForRows(const IndexBuilder &index, Value cacheBytes) {
  return index.mul(index.div(cacheBytes, 8), 5);
}

Value MatrixRows::fitting(OpBuilder &builder, Location loc,
                          Value cacheBytes) const {
  IndexBuilder index{builder, loc};
  Value most = index.constant(rows);
  if (!cacheBytes)
    return most;
  Value tiles = index.div(roomForRows(index, cacheBytes), rowBytes * 2 * kRows);
  Value fit = index.mul(tiles, 2 * kRows);
  fit = arith::MaxUIOp::create(builder, loc, fit, index.constant(2 * kRows));
  return arith::MinUIOp::create(builder, loc, fit, most);
}

Value rowPanelView(OpBuilder &builder, Location loc, const PackedLayout &layout,
                   Value a, Value panel) {
  MatrixRows rows = MatrixRows::of(layout);
  Type element =
      layout.hasGroups() ? tiledLayout(layout).element : elementOf(a);
  int64_t entries = rows.rowBytes * 8 / element.getIntOrFloatBitWidth();
  return memref::ViewOp::create(
      builder, loc, MemRefType::get({rows.rows, entries}, element), panel,
      IndexBuilder{builder, loc}.constant(0), ValueRange{});
}

/// Entries of a quantised row, which are i8 + 128, as bf16.
static Value withoutBias(OpBuilder &builder, Location loc, Value entries) {
  auto type = cast<VectorType>(entries.getType());
  auto integers = type.clone(builder.getI32Type());
  Value bias = arith::ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(integers, builder.getI32IntegerAttr(128)));
  Value wide = arith::ExtUIOp::create(builder, loc, integers, entries);
  Value value =
      arith::SIToFPOp::create(builder, loc, type.clone(builder.getF32Type()),
                              arith::SubIOp::create(builder, loc, wide, bias));
  // The upper half of an f32 that needs no more. MLIR would make a conversion
  // to bf16 of a truncation, and LLVM knows none.
  Value half = arith::ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(integers, builder.getI32IntegerAttr(16)));
  Value bits = arith::ShRUIOp::create(
      builder, loc, arith::BitcastOp::create(builder, loc, integers, value),
      half);
  bits = arith::TruncIOp::create(builder, loc, type.clone(builder.getI16Type()),
                                 bits);
  return arith::BitcastOp::create(builder, loc,
                                  type.clone(builder.getBF16Type()), bits);
}

void emitGatherRow(OpBuilder &builder, Location loc, const PackedLayout &layout,
                   Value a, Value token, Value begin, Value end,
                   Value panelView, Value to) {
  PackedLayout tiled = tiledLayout(layout);
  int64_t entries = tileEntries(tiled);
  int64_t exist = layout.isQuantized() ? layout.rowEntries() : layout.inputs;
  auto type = VectorType::get({entries}, elementOf(a));
  IndexBuilder index{builder, loc};
  begin = index.mul(begin, tiled.pairing());
  end = index.mul(end, tiled.pairing());
  auto copy = [&](Value k, int64_t count) {
    Value line = loadLanes(builder, loc, type, a, ValueRange{token, k}, count);
    if (layout.hasGroups())
      line = withoutBias(builder, loc, line);
    vector::StoreOp::create(builder, loc, line, panelView,
                            ValueRange{to, index.sub(k, begin)});
  };
  Value whole = index.constant(exist / entries * entries);
  auto loop = scf::ForOp::create(
      builder, loc, begin, arith::MinUIOp::create(builder, loc, end, whole),
      index.constant(entries));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  copy(loop.getInductionVar(), entries);
  if (exist % entries == 0)
    return;
  builder.setInsertionPointAfter(loop);
  Value rest = index.is(arith::CmpIPredicate::ugt, end, whole);
  auto last = scf::IfOp::create(builder, loc, rest);
  builder.setInsertionPointToStart(last.thenBlock());
  copy(whole, exist % entries);
}

bool hasWholeTiles(const PackedLayout &layout, Value a) {
  constexpr int64_t kPage = 4096; // 64 cache sets
  if (layout.hasGroups())
    return false;
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

/// Line number `line` of those that `prefetch` asks for in step `step`.
static void emitPrefetch(OpBuilder &builder, Location loc,
                         const PackedLayout &layout,
                         const MatrixOperands &operands,
                         const MatrixPrefetch &prefetch, Value step,
                         int64_t line) {
  IndexBuilder index{builder, loc};
  Value panel = prefetch.panel, from;
  if (prefetch.stream) {
    panel = operands.panel;
    from = index.add(step, PackedLayout::kTileSteps);
  } else {
    Value done = index.sub(step, operands.begin);
    from = index.add(prefetch.step, index.div(done, MatrixPrefetch::kParts));
  }
  memref::PrefetchOp::create(
      builder, loc, operands.view,
      ValueRange{panel, index.add(from, line / layout.vectors()),
                 index.constant(line % layout.vectors()), index.constant(0)},
      /*isWrite=*/false, /*localityHint=*/prefetch.stream ? 3 : 2,
      /*isDataCache=*/true);
}

/// Zeros in rows [first, first + rows) of `sums`, if `isFirst`.
static void emitClear(OpBuilder &builder, Location loc, const MatrixSums &sums,
                      int64_t rows) {
  auto type = cast<MemRefType>(sums.memref.getType());
  auto zeros = VectorType::get({type.getDimSize(1)}, type.getElementType());
  auto choice = scf::IfOp::create(builder, loc, sums.isFirst);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  IndexBuilder index{builder, loc};
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(zeros));
  index.loop(sums.first, index.add(sums.first, rows), 1, [&](Value row) {
    vector::StoreOp::create(builder, loc, zero, sums.memref,
                            ValueRange{row, index.constant(0)});
  });
}

void emitMatrixTiles(OpBuilder &builder, Location loc,
                     const PackedLayout &layout, const MatrixOperands &operands,
                     const MatrixPrefetch &prefetch, const MatrixSums &sums) {
  constexpr int64_t kRows = MatrixRows::kRows;
  int64_t entries = tileEntries(layout), vectors = layout.vectors();
  int64_t tiles = operands.tiles;
  bool integer = layout.isQuantized();
  Type element = layout.element;
  auto operandType = amx::TileType::get({kRows, entries}, element);
  auto sumType = amx::TileType::get({kRows, kRows}, elementOf(sums.memref));
  IndexBuilder index{builder, loc};
  Value apart = index.constant(vectors * layout.level.lanes * layout.pairing());
  if (sums.isFirst)
    emitClear(builder, loc, sums, tiles * kRows);

  for (int64_t first = 0; first < vectors; first += 2) {
    int64_t columns = std::min<int64_t>(2, vectors - first);
    SmallVector<SmallVector<Value, 2>> places;
    SmallVector<Value> initial;
    for (int64_t r = 0; r < tiles; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        places.push_back({index.add(sums.first, r * kRows),
                          index.add(sums.column, (first + c) * kRows)});
        if (sums.isFirst)
          initial.push_back(amx::TileLoadOp::create(
              builder, loc, sumType, sums.memref, places.back()));
        else
          initial.push_back(amx::TileZeroOp::create(builder, loc, sumType));
      }
    auto emitStep = [&](OpBuilder &b, Location loc, Value step,
                        ValueRange carried) {
      // So many lines, divided among the loads.
      int64_t lines = PackedLayout::kTileSteps * vectors;
      if (!prefetch.stream)
        lines /= MatrixPrefetch::kParts;
      if (first > 0 || !prefetch.panel)
        lines = 0;
      bool keeps = tiles * columns + columns + 1 <= 8;
      int64_t loads = tiles + (keeps ? columns : 1 + tiles * (columns - 1));
      int64_t line = 0, load = 0;
      auto loaded = [&](Value tile) {
        for (++load; line < lines * load / loads; ++line)
          emitPrefetch(b, loc, layout, operands, prefetch, step, line);
        return tile;
      };
      auto loadWeights = [&](int64_t c) {
        return loaded(amx::TileLoadOp::create(
            b, loc, operandType, operands.view,
            ValueRange{operands.panel, step, index.constant(first + c),
                       index.constant(0)},
            apart));
      };
      Value k = index.mul(index.sub(step, operands.aStep), layout.pairing());
      auto loadRows = [&](int64_t r) {
        return loaded(amx::TileLoadOp::create(
            b, loc, operandType, operands.a,
            ValueRange{index.add(operands.row, r * kRows), k}));
      };
      // A product stands behind the second tile that it needs. Six sums leave
      // room for one tile of weights, which then comes once more from L1 unless
      // the product before has had it.
      SmallVector<Value> weights(columns), products(carried);
      int64_t last = -1;
      auto multiply = [&](Value rows, int64_t r, int64_t c) {
        Value &sum = products[r * columns + c];
        if (integer)
          sum = amx::TileMulIOp::create(b, loc, sumType, rows, weights[c], sum,
                                        /*isZextLhs=*/true,
                                        /*isZextRhs=*/false);
        else
          sum = amx::TileMulFOp::create(b, loc, sumType, rows, weights[c], sum);
      };
      for (int64_t r = 0; r < tiles; ++r) {
        if (r == 0)
          weights[last = 0] = loadWeights(0);
        Value rows = loadRows(r);
        for (int64_t i = 0; i < columns; ++i) {
          int64_t c = keeps || r % 2 == 0 ? i : columns - 1 - i;
          if (keeps ? !weights[c] : c != last)
            weights[c] = loadWeights(c);
          multiply(rows, r, last = c);
        }
      }
      assert(load == loads && line == lines);
      scf::YieldOp::create(b, loc, products);
    };
    auto loop = scf::ForOp::create(builder, loc, operands.begin, operands.end,
                                   index.constant(PackedLayout::kTileSteps),
                                   initial, emitStep);
    for (auto [place, sum] : llvm::zip_equal(places, loop.getResults()))
      amx::TileStoreOp::create(builder, loc, sums.memref, place, sum);
  }
}

} // namespace moe::cpu
