// Rows are cut into ceil(m / maxRows) tiles whose sizes differ by at most one,
// so no row is padded. A panel, or the part of it that fits, stays in the cache
// while all tiles pass over it.

#include "codegen/cpu/BlockEmitter.h"
#include "codegen/cpu/MatrixTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

bool hasMatrixForm(const PackedLayout &layout, Type a) {
  return tiledLayout(layout).hasTiles() &&
         chooseFamily(layout, a) != Family::Fma;
}

MemRefType resultsType(MLIRContext *context) {
  int64_t dynamic = ShapedType::kDynamic;
  auto strided = StridedLayoutAttr::get(context, dynamic, {dynamic, 1});
  return MemRefType::get({dynamic, dynamic}, Float32Type::get(context),
                         strided);
}

int64_t matrixRowsFrom(const PackedLayout &layout) {
  constexpr int64_t kUnpacked = 24;
  return layout.hasGroups() ? kUnpacked : layout.level.matrixRows;
}

void BlockEmitter::switchOnRows(Value rows, int64_t largest,
                                llvm::function_ref<void(int64_t)> body) {
  SmallVector<int64_t> cases;
  for (int64_t size = 1; size < largest; ++size)
    cases.push_back(size);
  auto choice = scf::IndexSwitchOp::create(builder, loc, TypeRange{}, rows,
                                           cases, cases.size());
  OpBuilder::InsertionGuard guard(builder);
  auto fill = [&](Region &region, int64_t size) {
    builder.createBlock(&region);
    body(size);
    scf::YieldOp::create(builder, loc);
  };
  for (auto [region, size] : llvm::zip_equal(choice.getCaseRegions(), cases))
    fill(region, size);
  fill(choice.getDefaultRegion(), largest);
}

/// The columns of one panel that start at `column`, of which `columns` exist.
void BlockEmitter::emitColumns(ArrayRef<Value> sums, Value row, Value token,
                               Value column, int64_t columns) {
  int64_t lanes = layout.level.lanes;
  int64_t perWeight = layout.vectorsPerWeight();
  for (int64_t v = 0; v < perWeight && v * lanes < columns; ++v) {
    SmallVector<Value> accumulators;
    for (int64_t w = 0; w < layout.weights; ++w)
      accumulators.push_back(sums[w * perWeight + v]);
    Value first = add(column, v * lanes);
    epilogue(builder, loc,
             EpilogueSite{accumulators, row, token, block.group, first,
                          std::min(lanes, columns - v * lanes)});
  }
}

/// Only the last panel can be partial; whether it is is known statically.
void BlockEmitter::emitEpilogue(ArrayRef<Value> sums, Value row, Value token,
                                Value panel) {
  int64_t columns = layout.panelColumns();
  int64_t partial = layout.outputs % columns;
  Value column = mul(panel, columns);
  if (partial == 0)
    return emitColumns(sums, row, token, column, columns);
  if (layout.panels() == 1)
    return emitColumns(sums, row, token, column, partial);
  Value last = is(Compare::eq, panel, layout.panels() - 1);
  auto choice = scf::IfOp::create(builder, loc, last, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  emitColumns(sums, row, token, column, partial);
  builder.setInsertionPointToStart(choice.elseBlock());
  emitColumns(sums, row, token, column, columns);
}

Value BlockEmitter::tokenOf(Value row) {
  if (!block.rowIds)
    return row;
  Value id = memref::LoadOp::create(builder, loc, block.rowIds, row);
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), id);
}

SmallVector<Value> BlockEmitter::emitTile(Value firstRow, int64_t rows,
                                          Value firstPanel, int64_t panels,
                                          const Prefetch &prefetch) {
  Value groupPanels = mul(block.group, layout.panels());
  SmallVector<Value> packedPanels, tokens;
  for (int64_t p = 0; p < panels; ++p) {
    packedPanels.push_back(add(groupPanels, add(firstPanel, p)));
  }
  for (int64_t r = 0; r < rows; ++r)
    tokens.push_back(tokenOf(add(firstRow, r)));
  KPart part{partBegin, partEnd, {}};
  const KPart *given = nullptr;
  if (partBegin) {
    part.sums = sumsSoFar(panels * rows * layout.vectors());
    given = &part;
  }
  return layout.hasGroups()
             ? emitGroupTileSums(builder, loc, layout, block.a, tokens,
                                 block.packed, packedPanels, prefetch, given)
             : emitTileSums(builder, loc, layout, block.a, tokens, view,
                            packedPanels, prefetch, given);
}

void BlockEmitter::keepSums(ArrayRef<Value> sums) {
  auto type = VectorType::get({layout.level.lanes}, builder.getF32Type());
  for (auto [i, sum] : llvm::enumerate(sums)) {
    // i32 of quantised weights; f32 stays as it is.
    Value bits = vector::BitCastOp::create(builder, loc, type, sum);
    vector::StoreOp::create(
        builder, loc, bits, finished,
        ValueRange{sumAt(static_cast<int64_t>(i)), constant(0)});
  }
}

/// What the parts before have left of a tile, or zeros.
SmallVector<Value> BlockEmitter::sumsSoFar(size_t count) {
  bool integers = layout.isQuantized() && !layout.hasGroups();
  auto stored = VectorType::get({layout.level.lanes}, builder.getF32Type());
  auto type = integers ? stored.clone(builder.getI32Type()) : stored;
  Value isFirst = is(Compare::eq, partBegin, 0);
  auto choice =
      scf::IfOp::create(builder, loc, SmallVector<Type>(count, type), isFirst,
                        /*addThenBlock=*/true, /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  scf::YieldOp::create(builder, loc, SmallVector<Value>(count, zero));
  builder.setInsertionPointToStart(choice.elseBlock());
  SmallVector<Value> sums;
  for (size_t i = 0; i < count; ++i) {
    Value sum = vector::LoadOp::create(
        builder, loc, stored, finished,
        ValueRange{sumAt(static_cast<int64_t>(i)), constant(0)});
    if (integers)
      sum = vector::BitCastOp::create(builder, loc, type, sum);
    sums.push_back(sum);
  }
  scf::YieldOp::create(builder, loc, sums);
  return SmallVector<Value>(choice.getResults());
}

/// (sum - 128 * sum of the weights) * scale of the column * scale of the row;
/// scales of groups are in the sum already.
Value BlockEmitter::dequantize(Value sum, Value token, Value panel,
                               int64_t vector) {
  int64_t lanes = layout.level.lanes;
  auto floats = VectorType::get({lanes}, builder.getF32Type());
  auto integers = VectorType::get({lanes}, builder.getI32Type());
  Value first =
      mul(add(mul(block.group, layout.panels()), panel), layout.panelBytes());
  auto ofColumns = [&](int64_t offset, VectorType type) -> Value {
    auto bytes = VectorType::get({4 * lanes}, builder.getI8Type());
    Value raw = vector::LoadOp::create(builder, loc, bytes, block.packed,
                                       add(first, offset + 4 * lanes * vector));
    return vector::BitCastOp::create(builder, loc, type, raw);
  };
  Value scale = vector::BroadcastOp::create(
      builder, loc, floats,
      memref::LoadOp::create(builder, loc, block.rowScales, token));
  if (layout.hasGroups()) {
    if (layout.level.int8Dot && !onTiles) // those have unbiased rows
      sum = arith::SubFOp::create(builder, loc, sum,
                                  ofColumns(layout.sumsOffset(), floats));
    return arith::MulFOp::create(builder, loc, sum, scale);
  }
  sum = vector::BitCastOp::create(builder, loc, integers, sum);
  if (layout.level.int8Dot)
    sum = arith::SubIOp::create(builder, loc, sum,
                                ofColumns(layout.sumsOffset(), integers));
  Value value = arith::SIToFPOp::create(builder, loc, floats, sum);
  scale = arith::MulFOp::create(builder, loc, scale,
                                ofColumns(layout.scalesOffset(), floats));
  return arith::MulFOp::create(builder, loc, value, scale);
}

/// What follows the sums of one row and panel.
void BlockEmitter::finishRow(ArrayRef<Value> sums, Value row, Value panel) {
  Value token = tokenOf(row);
  SmallVector<Value> values(sums);
  if (layout.isQuantized())
    for (int64_t v = 0; v < layout.vectors(); ++v)
      values[v] = dequantize(values[v], token, panel, v);
  emitEpilogue(values, row, token, panel);
}

/// The epilogues of a tile whose sums are in registers.
void BlockEmitter::finishTile(ArrayRef<Value> sums, Value firstRow,
                              int64_t rows, Value firstPanel, int64_t panels) {
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t r = 0; r < rows; ++r) {
      finishRow(sums.take_front(layout.vectors()), add(firstRow, r),
                add(firstPanel, p));
      sums = sums.drop_front(layout.vectors());
    }
}

/// The epilogues of the tile of one panel whose sums lie in `finished`.
void BlockEmitter::finishKept(Value firstRow, Value rows, Value panel) {
  auto type = VectorType::get({layout.level.lanes}, builder.getF32Type());
  loop(constant(0), rows, 1, [&](Value r) {
    Value first = mul(r, layout.vectors());
    if (firstSum)
      first = add(first, firstSum);
    SmallVector<Value> sums;
    for (int64_t v = 0; v < layout.vectors(); ++v)
      sums.push_back(
          vector::LoadOp::create(builder, loc, type, finished,
                                 ValueRange{add(first, v), constant(0)}));
    finishRow(sums, add(firstRow, r), panel);
  });
}

/// Blocks of so few rows that one panel does not keep the units busy take
/// several panels at once. Returns the first panel that is left to do.
Value BlockEmitter::emitFewRows(Value rows) {
  int64_t vectors = layout.vectors();
  int64_t largest = 0;
  while (largest < maxRows &&
         layout.level.panelsAtOnce(largest + 1, vectors) > 1)
    ++largest;
  if (largest == 0)
    return block.panelBegin;

  Value few = is(Compare::ule, rows, largest);
  auto choice = scf::IfOp::create(builder, loc, builder.getIndexType(), few,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(builder, loc, block.panelBegin);

  builder.setInsertionPointToStart(choice.thenBlock());
  SmallVector<int64_t> cases;
  for (int64_t size = 1; size < largest; ++size)
    cases.push_back(size);
  auto sizes = scf::IndexSwitchOp::create(builder, loc, builder.getIndexType(),
                                          rows, cases, cases.size());
  scf::YieldOp::create(builder, loc, sizes.getResults());
  auto fill = [&](Region &region, int64_t size) {
    builder.createBlock(&region);
    int64_t at = layout.level.panelsAtOnce(size, vectors);
    Value panels = sub(block.panelEnd, block.panelBegin);
    Value grouped = mul(div(panels, at), at);
    Value end = add(block.panelBegin, grouped);
    // One row is so fast that the hardware's own prefetching does better.
    loop(block.panelBegin, end, at, [&](Value panel) {
      SmallVector<Value> sums =
          emitTile(block.rowBegin, size, panel, at, {.stream = size > 1});
      finishTile(sums, block.rowBegin, size, panel, at);
    });
    scf::YieldOp::create(builder, loc, end);
  };
  for (auto [region, size] : llvm::zip_equal(sizes.getCaseRegions(), cases))
    fill(region, size);
  fill(sizes.getDefaultRegion(), largest);
  return choice.getResult(0);
}

/// On the stack of the thread, outside of all loops.
void BlockEmitter::allocateSums() {
  bool inRegisters = maxRows * layout.vectors() <= kDirectSums;
  if (inRegisters && !partInputs && !matrixForm)
    return;
  Operation *scope = builder.getInsertionBlock()->getParentOp();
  while (!isa<func::FuncOp, omp::ParallelOp>(scope))
    scope = scope->getParentOp();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&scope->getRegion(0).front());
  int64_t lanes = layout.level.lanes;
  int64_t sums = std::max(layout.level.accumulators, layout.vectors());
  Type f32 = builder.getF32Type();
  if (partInputs)
    sums = std::max(sums, kPartRows * layout.vectors());
  if (!matrixForm) {
    finished = memref::AllocaOp::create(builder, loc,
                                        MemRefType::get({sums, lanes}, f32),
                                        builder.getI64IntegerAttr(64));
    return;
  }
  constexpr int64_t kRows = MatrixRows::kTiles * MatrixRows::kRows;
  sums = std::max(sums, kRows * layout.vectors());
  Value bytes = memref::AllocaOp::create(
      builder, loc, MemRefType::get({sums * lanes * 4}, builder.getI8Type()),
      builder.getI64IntegerAttr(64));
  auto as = [&](ArrayRef<int64_t> shape, Type element) -> Value {
    return memref::ViewOp::create(builder, loc, MemRefType::get(shape, element),
                                  bytes, constant(0), ValueRange{});
  };
  finished = as({sums, lanes}, f32);
  matrixSums = as({kRows, layout.columns()},
                  tiled.isQuantized() ? builder.getI32Type() : f32);
}

void BlockEmitter::emit() {
  Value rows = sub(block.rowEnd, block.rowBegin);
  Value some = is(Compare::sgt, rows, 0);
  Value columns = is(Compare::sgt, block.panelEnd, block.panelBegin);
  some = arith::AndIOp::create(builder, loc, some, columns);
  auto guarded = scf::IfOp::create(builder, loc, some);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(guarded.thenBlock());

  if (!layout.hasGroups())
    view = memref::ViewOp::create(builder, loc, layout.viewType(), block.packed,
                                  constant(0), ValueRange{});
  allocateSums();
  if (!matrixForm)
    return emitVectorForm(rows);
  Value many = is(Compare::uge, block.allRows ? block.allRows : rows,
                  matrixRowsFrom(layout));
  auto choice = scf::IfOp::create(builder, loc, many, /*withElseRegion=*/true);
  builder.setInsertionPointToStart(choice.thenBlock());
  emitMatrixForm(rows);
  builder.setInsertionPointToStart(choice.elseBlock());
  emitVectorForm(rows);
}

/// As many rows as stay in the cache while the panels pass by; all of them
/// where they are read for so many columns at once that panels are as much to
/// read.
Value BlockEmitter::mostRowsOfBlock(Value rows) {
  if (!block.cacheBytes || matrixForm)
    return rows;
  Type element = getElementTypeOrSelf(block.a);
  Value most = div(roomForRows(*this, block.cacheBytes),
                   layout.inputs * element.getIntOrFloatBitWidth() / 8);
  Value pays = is(Compare::uge, most, 4 * layout.panelColumns());
  return arith::SelectOp::create(builder, loc, pays, most, rows);
}

void BlockEmitter::emitVectorForm(Value rows) {
  Value firstPanel = emitFewRows(rows);
  loopOverBlocks(block.rowBegin, rows, mostRowsOfBlock(rows),
                 [&](Value begin, Value count) {
                   loop(firstPanel, block.panelEnd, 1, [&](Value panel) {
                     if (partInputs)
                       emitInParts(panel, begin, count);
                     else
                       emitTiles(panel, begin, count, /*isLast=*/nullptr);
                   });
                 });
}

/// All tiles of some rows; `isLast` (null: yes) tells whether their sums are
/// finished.
void BlockEmitter::emitTiles(Value panel, Value rowBegin, Value rows,
                             Value isLast) {
  // The sums of these many rows are finished in registers.
  int64_t direct =
      isLast ? 0 : std::min(maxRows, kDirectSums / layout.vectors());
  Value tiles = div(add(rows, maxRows - 1), maxRows);
  Value smaller = div(rows, tiles);
  Value larger = rem(rows, tiles);
  // While a panel is used, its tiles ask for the next one, each for a part. A
  // single tile has no time for it, and tiles with groups ask for their own.
  Value perTile, perStep;
  if (layout.level.ahead.bytes > 0 && !layout.hasGroups()) {
    Value several = is(Compare::ugt, tiles, 1);
    Value bytes = arith::SelectOp::create(
        builder, loc, several, constant(layout.panelBytes()), constant(0));
    perTile = div(bytes, tiles);
    perStep = div(perTile, layout.steps());
  }
  loop(constant(0), tiles, 1, [&](Value tile) {
    // The first `larger` tiles have one row more.
    Value isLarger = is(Compare::ult, tile, larger);
    Value size =
        add(smaller, arith::IndexCastUIOp::create(
                         builder, loc, builder.getIndexType(), isLarger));
    Value before = add(mul(tile, smaller),
                       arith::MinUIOp::create(builder, loc, tile, larger));
    Value firstRow = add(rowBegin, before);
    if (isLast) // sums of all tiles are kept
      firstSum = mul(before, layout.vectors());
    Prefetch prefetch{.stream = true};
    if (perStep) {
      Value next = add(add(mul(block.group, layout.panels()), panel), 1);
      prefetch.packed = block.packed;
      prefetch.begin = add(mul(next, layout.panelBytes()), mul(tile, perTile));
      prefetch.perStep = perStep;
    }
    switchOnRows(size, maxRows, [&](int64_t rows) {
      SmallVector<Value> sums = emitTile(firstRow, rows, panel, 1, prefetch);
      if (rows <= direct)
        finishTile(sums, firstRow, rows, panel, 1);
      else
        keepSums(sums);
    });
    if (direct == maxRows)
      return;
    Value kept = isLast ? isLast : is(Compare::ugt, size, direct);
    auto done = scf::IfOp::create(builder, loc, kept);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(done.thenBlock());
    finishKept(firstRow, size, panel);
  });
  firstSum = nullptr;
}

/// Some rows at a time, as many as there is room for their sums: all tiles by
/// one part of the panel, then by the next.
void BlockEmitter::emitInParts(Value panel, Value rowBegin, Value rows) {
  Value inputs = constant(layout.inputs);
  loopOverBlocks(
      rowBegin, rows, constant(kPartRows), [&](Value begin, Value count) {
        // A single tile needs no part again.
        Value single = is(Compare::ule, count, maxRows);
        Value step =
            arith::SelectOp::create(builder, loc, single, inputs, partInputs);
        auto overParts =
            scf::ForOp::create(builder, loc, constant(0), inputs, step);
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPointToStart(overParts.getBody());
        partBegin = overParts.getInductionVar();
        partEnd = add(partBegin, step);
        Value isLast = is(Compare::uge, partEnd, inputs);
        emitTiles(panel, begin, count, isLast);
        partBegin = partEnd = nullptr;
      });
}

void emitMatmul(OpBuilder &builder, Location loc, const PackedLayout &layout,
                const MatmulBlock &block, const Epilogue &epilogue) {
  BlockEmitter(builder, loc, layout, block, epilogue).emit();
}

} // namespace moe::cpu
