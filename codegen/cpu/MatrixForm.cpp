// Blocks of many rows on matrix tiles (AMX).

#include "codegen/cpu/BlockEmitter.h"
#include "codegen/cpu/MatrixTiles.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::cpu {

/// Some rows of a block, and the part of K that is multiplied of them.
struct BlockEmitter::MatrixBlock {
  Value panelView; // gathered rows
  bool inPlace;    // rows of whole tiles are read where they lie
  Value first;     // first row
  Value count;     // rows
  /// Those from this one on lie in `panelView`, which begins with it and with
  /// the first input of the part.
  Value gatheredFrom;
  Value stepBegin, stepEnd; // of the part
  Value unpacked;           // null, or where panels are unpacked
  /// Null: sums are finished. Otherwise those of each panel begin so many rows
  /// after those of the one before, and the first ones begin with zeros.
  Value sumRows, isFirst, isLast;
};

/// What product number `product` asks for if it does not stream: the first ones
/// for a part each of `next`, the panel, and the step that the part of K begins
/// with, that come after `packedPanel`; the others for what they use
/// themselves.
MatrixPrefetch BlockEmitter::prefetchOf(const MatrixBlock &rows, Value product,
                                        Value packedPanel,
                                        std::pair<Value, Value> next) {
  if (rows.unpacked) // packed weights are read one after the other
    return {};
  Value parts = constant(MatrixPrefetch::kParts);
  Value more = is(Compare::ult, product, parts);
  Value steps = div(sub(rows.stepEnd, rows.stepBegin), parts);
  auto choose = [&](Value yes, Value no) {
    return arith::SelectOp::create(builder, loc, more, yes, no);
  };
  return {choose(next.first, packedPanel),
          choose(add(next.second, mul(product, steps)), rows.stepBegin)};
}

/// A block of n tiles of 16 rows is cut into products of 2 and of 3 tiles: of 3
/// as many as possible, since they load less, but the first of 2, since it
/// waits for a cold panel. A single tile is left only where there is no other.
struct BlockEmitter::MatrixCut {
  Value twos, products;
};

BlockEmitter::MatrixCut BlockEmitter::cutRows(Value count) {
  constexpr int64_t kRows = MatrixRows::kRows;
  Value tiles = div(add(count, kRows - 1), kRows);
  Value two = constant(2), three = constant(3);
  auto choose = [&](Value value, int64_t equals, int64_t yes, Value no) {
    Value condition = is(Compare::eq, value, equals);
    return Value(
        arith::SelectOp::create(builder, loc, condition, constant(yes), no));
  };
  // The least number, but for 0, that leaves a multiple of 3.
  Value twos = rem(mul(tiles, two), three);
  twos = choose(twos, 0, 3, twos);
  twos = choose(tiles, 3, 0, twos);
  twos = choose(tiles, 1, 1, twos);
  Value rest =
      sub(tiles, arith::MinUIOp::create(builder, loc, tiles, mul(twos, two)));
  return {twos, add(twos, div(rest, three))};
}

/// The first row of product number `product`.
Value BlockEmitter::rowOfProduct(const MatrixCut &cut, Value product) {
  Value ofTwos = mul(product, 2);
  Value ofThrees = sub(mul(product, 3), cut.twos);
  return mul(arith::MaxSIOp::create(builder, loc, ofTwos, ofThrees),
             MatrixRows::kRows);
}

/// Multiplies the rows of a block from number `first` on, up to three tiles of
/// them, with a panel.
void BlockEmitter::emitMatrixProduct(const MatrixBlock &rows, Value first,
                                     Value isTwo, Value packedPanel,
                                     const MatrixPrefetch &prefetch,
                                     const MatrixSums &sums) {
  auto ifElse = [&](Value condition, llvm::function_ref<void()> yes,
                    llvm::function_ref<void()> no) {
    auto choice = scf::IfOp::create(builder, loc, condition,
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(choice.thenBlock());
    yes();
    builder.setInsertionPointToStart(choice.elseBlock());
    no();
  };
  // A panel comes from memory for its first product, but for what has been
  // asked for while the one before was multiplied.
  Value isCold = is(Compare::ult, first, 1);
  auto multiply = [&](Value a, Value row, Value aStep, int64_t tiles) {
    MatrixOperands operands{a,    row,         aStep,          tiles,
                            view, packedPanel, rows.stepBegin, rows.stepEnd};
    if (rows.unpacked) { // begins with the part
      operands.view = rows.unpacked;
      operands.panel = operands.begin = operands.aStep = constant(0);
      operands.end = sub(rows.stepEnd, rows.stepBegin);
    }
    MatrixPrefetch stream = prefetch;
    stream.stream = true;
    auto emit = [&](const MatrixPrefetch &prefetch) {
      emitMatrixTiles(builder, loc, tiled, operands, prefetch, sums);
    };
    if (rows.unpacked)
      emit(prefetch);
    else if (tiles == 1)
      emit(stream);
    else if (tiles == 3) // rarely cold, and no register to spare
      emit(prefetch);
    else
      ifElse(isCold, [&] { emit(stream); }, [&] { emit(prefetch); });
  };
  auto gathered = [&] {
    Value row = sub(first, rows.gatheredFrom);
    auto ofTiles = [&](int64_t tiles) {
      multiply(rows.panelView, row, rows.stepBegin, tiles);
    };
    ifElse(
        isTwo,
        [&] {
          ifElse(
              is(Compare::ult, rows.count, MatrixRows::kRows + 1),
              [&] { ofTiles(1); }, [&] { ofTiles(2); });
        },
        [&] { ofTiles(3); });
  };
  if (!rows.inPlace)
    return gathered();
  auto inPlace = [&](int64_t tiles) {
    multiply(block.a, add(rows.first, first), constant(0), tiles);
  };
  ifElse(
      is(Compare::ult, first, rows.gatheredFrom),
      [&] { ifElse(isTwo, [&] { inPlace(2); }, [&] { inPlace(3); }); },
      gathered);
}

/// Lets a product of `count` rows from `row` on store its sums to the results
/// if all its tiles are whole; returns whether they are.
Value BlockEmitter::storeDirectly(Value row, Value count, Value panel,
                                  MatrixSums &sums) {
  Value direct = is(Compare::eq, rem(count, MatrixRows::kRows), 0);
  if (layout.outputs % layout.panelColumns() != 0) {
    Value whole = is(Compare::ult, panel, layout.panels() - 1);
    direct = arith::AndIOp::create(builder, loc, direct, whole);
  }
  auto choose = [&](Value yes, Value no) {
    return arith::SelectOp::create(builder, loc, direct, yes, no);
  };
  Value buffer = memref::CastOp::create(builder, loc, block.results.getType(),
                                        sums.memref);
  sums.memref = choose(block.results, buffer);
  sums.first = choose(row, sums.first);
  sums.column = choose(mul(panel, layout.panelColumns()), sums.column);
  return direct;
}

/// Gathers the rows that need it and multiplies all with panels [panelBegin,
/// panelEnd).
void BlockEmitter::emitMatrixPanels(const MatrixBlock &rows,
                                    const MatrixCut &cut, Value panelBegin,
                                    Value panelEnd) {
  Value groupPanels = mul(block.group, layout.panels());
  loop(rows.gatheredFrom, rows.count, 1, [&](Value r) {
    emitGatherRow(builder, loc, layout, block.a, tokenOf(add(rows.first, r)),
                  rows.stepBegin, rows.stepEnd, rows.panelView,
                  sub(r, rows.gatheredFrom));
  });
  loop(panelBegin, panelEnd, 1, [&](Value panel) {
    Value packedPanel = add(groupPanels, panel);
    if (rows.unpacked)
      emitUnpackPanel(builder, loc, layout, block.packed, packedPanel,
                      rows.stepBegin, rows.stepEnd, rows.unpacked);
    std::pair<Value, Value> next(add(packedPanel, 1), rows.stepBegin);
    MatrixSums sums{matrixSums, constant(0), Value(), constant(0)};
    if (rows.isLast) {
      // After the last panel comes the next part of the first one.
      Value back = is(Compare::eq, add(panel, 1), panelEnd);
      Value more = arith::XOrIOp::create(
          builder, loc, rows.isLast,
          arith::ConstantIntOp::create(builder, loc, 1, 1));
      back = arith::AndIOp::create(builder, loc, back, more);
      next.first = arith::SelectOp::create(
          builder, loc, back, add(groupPanels, panelBegin), next.first);
      next.second = arith::SelectOp::create(builder, loc, back, rows.stepEnd,
                                            next.second);
      sums.first = mul(sub(panel, panelBegin), rows.sumRows);
      sums.isFirst = rows.isFirst;
    }
    loop(constant(0), cut.products, 1, [&](Value product) {
      Value row = rowOfProduct(cut, product);
      Value after = rowOfProduct(cut, add(product, 1));
      Value exist =
          sub(arith::MinUIOp::create(builder, loc, after, rows.count), row);
      Value isTwo = is(Compare::ult, product, cut.twos);
      MatrixSums own = sums;
      if (rows.isLast)
        own.first = add(sums.first, row);
      Value direct;
      if (block.results && !rows.isLast)
        direct = storeDirectly(add(rows.first, row), exist, panel, own);
      emitMatrixProduct(rows, row, isTwo, packedPanel,
                        prefetchOf(rows, product, packedPanel, next), own);
      if (!rows.isLast && !direct)
        return finishKept(add(rows.first, row), exist, panel);
      Value finish =
          rows.isLast ? rows.isLast
                      : arith::XOrIOp::create(
                            builder, loc, direct,
                            arith::ConstantIntOp::create(builder, loc, 1, 1));
      auto done = scf::IfOp::create(builder, loc, finish);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(done.thenBlock());
      if (rows.isLast)
        firstSum = mul(own.first, layout.vectors());
      finishKept(add(rows.first, row), exist, panel);
      firstSum = nullptr;
    });
  });
}

/// Some panels by one part of K after the other, with the sums of all of them
/// behind the gathered rows.
void BlockEmitter::emitMatrixParts(MatrixBlock rows, const MatrixCut &cut,
                                   Value part) {
  MatrixRows geometry = MatrixRows::of(layout);
  int64_t pairing = tiled.pairing();
  Value steps = constant(tiled.steps());
  Value partSteps = div(part, pairing);
  auto as = [&](int64_t columns, Type element) -> Value {
    int64_t count = geometry.sumRows() * layout.columns() / columns;
    return memref::ViewOp::create(
        builder, loc, MemRefType::get({count, columns}, element),
        block.rowPanel, constant(geometry.sumsOffset()), ValueRange{});
  };
  Type sum = cast<MemRefType>(matrixSums.getType()).getElementType();
  auto outer = std::pair(finished, matrixSums);
  finished = as(layout.level.lanes, builder.getF32Type());
  matrixSums = as(layout.columns(), sum);
  loop(block.panelBegin, block.panelEnd, geometry.panels, [&](Value panel) {
    Value end = arith::MinUIOp::create(
        builder, loc, add(panel, geometry.panels), block.panelEnd);
    auto overParts =
        scf::ForOp::create(builder, loc, constant(0), steps, partSteps);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(overParts.getBody());
    rows.stepBegin = overParts.getInductionVar();
    Value after = add(rows.stepBegin, partSteps);
    rows.stepEnd = arith::MinUIOp::create(builder, loc, after, steps);
    rows.isFirst = is(Compare::eq, rows.stepBegin, 0);
    rows.isLast = is(Compare::uge, after, steps);
    emitMatrixPanels(rows, cut, panel, end);
  });
  std::tie(finished, matrixSums) = outer;
}

/// Rows are taken in blocks, as equal as tiles allow, that stay in the cache.
/// They are gathered for tiles unless they lie so already; then only those of a
/// last product whose tiles are not whole are, because tiles read all rows.
void BlockEmitter::emitMatrixForm(Value rows) {
  constexpr int64_t kRows = 2 * MatrixRows::kRows;
  MatrixRows geometry = MatrixRows::of(layout);
  Value most = geometry.fitting(builder, loc, block.cacheBytes);
  Value tiles = ceilDiv(rows, constant(kRows));
  Value blockRows = mul(ceilDiv(tiles, ceilDiv(rows, most)), kRows);
  MatrixBlock part;
  part.inPlace = !block.rowIds && hasWholeTiles(layout, block.a);
  part.panelView = rowPanelView(builder, loc, layout, block.a, block.rowPanel);
  part.stepBegin = constant(0);
  part.stepEnd = constant(tiled.steps());
  if (geometry.unpackedBytes > 0)
    part.unpacked = memref::ViewOp::create(
        builder, loc,
        MemRefType::get({1, geometry.partSteps, tiled.vectors(),
                         layout.level.lanes * tiled.pairing()},
                        tiled.element),
        block.rowPanel, constant(geometry.unpackedOffset()), ValueRange{});
  part.sumRows = blockRows;
  auto overRows =
      scf::ForOp::create(builder, loc, constant(0), rows, blockRows);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(overRows.getBody());
  Value before = overRows.getInductionVar();
  part.first = add(block.rowBegin, before);
  part.count =
      arith::MinUIOp::create(builder, loc, blockRows, sub(rows, before));
  MatrixCut cut = cutRows(part.count);
  part.gatheredFrom = constant(0);
  if (part.inPlace) {
    // All, or all but the last product; no single tile.
    Value tile = constant(MatrixRows::kRows);
    Value noRest = is(Compare::eq, rem(part.count, tile), 0);
    Value last = arith::SelectOp::create(
        builder, loc, noRest, part.count,
        rowOfProduct(cut, sub(cut.products, constant(1))));
    part.gatheredFrom = arith::SelectOp::create(
        builder, loc, is(Compare::ule, part.count, tile), constant(0), last);
  }
  Value inputs = block.partInputs;
  if (!inputs && geometry.partSteps < tiled.steps())
    inputs = constant(geometry.partSteps * tiled.pairing());
  onTiles = true;
  if (inputs)
    emitMatrixParts(part, cut, inputs);
  else
    emitMatrixPanels(part, cut, block.panelBegin, block.panelEnd);
  onTiles = false;
}

} // namespace moe::cpu
