// Packing transposes tiles of 8 steps in registers, so that both sides move
// whole vectors; edges and exotic strides take a loop over single elements.

#include "codegen/cpu/Pack.h"

#include "codegen/cpu/Indices.h"
#include "codegen/cpu/PackQuantized.h"
#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {

/// Steps of a tile, and lanes of the square that is transposed at a time.
constexpr int64_t kTile = 8;

class Packer : IndexBuilder {
public:
  Packer(OpBuilder &builder, Location loc, const PackedLayout &layout,
         ValueRange sources, bool inOut, Value packed)
      : IndexBuilder{builder, loc}, layout(layout), sources(sources),
        inOut(inOut) {
    view = memref::ViewOp::create(builder, loc, layout.viewType(), packed,
                                  constant(0), ValueRange{});
  }

  void emitPanels(Value begin, Value end);

private:
  /// One vector of columns of one weight: where it comes from and goes to.
  struct Columns {
    Value source;
    Value expert;
    Value first; // column of the weight
    Value panel; // of all panels
    Value vector;
  };
  void forEachVector(Value panel, llvm::function_ref<void(Columns)> body);
  SmallVector<Value> sourceIndex(const Columns &columns, Value column, Value k);
  void emitElements(const Columns &columns, Value firstStep, Value lastStep);
  void emitTile(const Columns &columns, Value firstStep);
  void emitTransposed(const Columns &columns, Value firstStep);
  void emitInterleaved(const Columns &columns, Value firstStep);
  bool hasVectorTiles() const;

  const PackedLayout &layout;
  ValueRange sources;
  bool inOut;
  Value view;
};

} // namespace

/// Whether the last dimension of every source is contiguous: K, or N if inOut.
bool Packer::hasVectorTiles() const {
  return llvm::all_of(sources, [](Value source) {
    return cast<MemRefType>(source.getType()).isLastDimUnitStride();
  });
}

void Packer::forEachVector(Value panel,
                           llvm::function_ref<void(Columns)> body) {
  int64_t panels = layout.panels();
  Value expert = div(panel, panels);
  Value first = mul(rem(panel, panels), layout.panelColumns());
  int64_t perWeight = layout.vectorsPerWeight();
  for (auto [w, source] : llvm::enumerate(sources))
    loop(constant(0), constant(perWeight), 1, [&](Value j) {
      body({source, expert, add(first, mul(j, layout.level.lanes)), panel,
            add(j, w * perWeight)});
    });
}

SmallVector<Value> Packer::sourceIndex(const Columns &columns, Value column,
                                       Value k) {
  SmallVector<Value> index;
  if (cast<MemRefType>(columns.source.getType()).getRank() == 3)
    index.push_back(columns.expert);
  if (inOut)
    index.append({k, column});
  else
    index.append({column, k});
  return index;
}

/// Element by element, zero where the weight has no such column or input.
void Packer::emitElements(const Columns &columns, Value firstStep,
                          Value lastStep) {
  int64_t pairing = layout.pairing();
  loop(firstStep, lastStep, 1, [&](Value step) {
    loop(constant(0), constant(layout.level.lanes), 1, [&](Value lane) {
      for (int64_t entry = 0; entry < pairing; ++entry) {
        Value column = add(columns.first, lane);
        Value k = add(mul(step, pairing), entry);
        Value exists = arith::AndIOp::create(
            builder, loc, is(Compare::ult, column, layout.outputs),
            is(Compare::ult, k, layout.inputs));
        auto choice = scf::IfOp::create(builder, loc, layout.element, exists,
                                        /*withElseRegion=*/true);
        {
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPointToStart(choice.thenBlock());
          Value value = memref::LoadOp::create(builder, loc, columns.source,
                                               sourceIndex(columns, column, k));
          scf::YieldOp::create(
              builder, loc, convertFloat(builder, loc, value, layout.element));
          builder.setInsertionPointToStart(choice.elseBlock());
          Value zero = arith::ConstantOp::create(
              builder, loc, builder.getZeroAttr(layout.element));
          scf::YieldOp::create(builder, loc, zero);
        }
        memref::StoreOp::create(builder, loc, choice.getResult(0), view,
                                ValueRange{columns.panel, step, columns.vector,
                                           add(mul(lane, pairing), entry)});
      }
    });
  });
}

/// Transposes a square of vectors by log2(size) stages of two-vector shuffles.
static void transpose(OpBuilder &builder, Location loc,
                      MutableArrayRef<Value> rows) {
  int64_t size = rows.size();
  for (int64_t stride = 1; stride < size; stride *= 2)
    for (int64_t i = 0; i < size; ++i) {
      if (i & stride)
        continue;
      SmallVector<int64_t> low, high;
      for (int64_t j = 0; j < size; ++j) {
        low.push_back(j & stride ? size + j - stride : j);
        high.push_back(j & stride ? size + j : j + stride);
      }
      Value a = rows[i], b = rows[i + stride];
      rows[i] = vector::ShuffleOp::create(builder, loc, a, b, low);
      rows[i + stride] = vector::ShuffleOp::create(builder, loc, a, b, high);
    }
}

/// [N, K]: rows of 8 steps of 8 columns become 8 vectors of one step each.
void Packer::emitTransposed(const Columns &columns, Value firstStep) {
  int64_t pairing = layout.pairing();
  Type from = cast<MemRefType>(columns.source.getType()).getElementType();
  auto read = VectorType::get({kTile * pairing}, from);
  auto written = VectorType::get({kTile * pairing}, layout.element);
  // A step of a column moves as one unit of 16 or 32 bits.
  auto units = VectorType::get(
      {kTile},
      builder.getIntegerType(pairing * layout.element.getIntOrFloatBitWidth()));
  Value k = mul(firstStep, pairing);
  for (int64_t lane = 0; lane < layout.level.lanes; lane += kTile) {
    SmallVector<Value> rows;
    for (int64_t i = 0; i < kTile; ++i) {
      Value column = add(columns.first, lane + i);
      Value row = vector::LoadOp::create(builder, loc, read, columns.source,
                                         sourceIndex(columns, column, k));
      row = convertFloat(builder, loc, row, layout.element);
      rows.push_back(vector::BitCastOp::create(builder, loc, units, row));
    }
    transpose(builder, loc, rows);
    for (int64_t i = 0; i < kTile; ++i) {
      Value row = vector::BitCastOp::create(builder, loc, written, rows[i]);
      vector::StoreOp::create(builder, loc, row, view,
                              ValueRange{columns.panel, add(firstStep, i),
                                         columns.vector,
                                         constant(lane * pairing)});
    }
  }
}

/// [K, N]: a step is one row of A^T, or two interleaved ones.
void Packer::emitInterleaved(const Columns &columns, Value firstStep) {
  int64_t pairing = layout.pairing();
  Type from = cast<MemRefType>(columns.source.getType()).getElementType();
  auto read = VectorType::get({layout.level.lanes}, from);
  for (int64_t i = 0; i < kTile; ++i) {
    Value step = add(firstStep, i);
    SmallVector<Value> rows;
    for (int64_t entry = 0; entry < pairing; ++entry) {
      Value k = add(mul(step, pairing), entry);
      Value row =
          vector::LoadOp::create(builder, loc, read, columns.source,
                                 sourceIndex(columns, columns.first, k));
      rows.push_back(convertFloat(builder, loc, row, layout.element));
    }
    Value row = rows[0];
    if (pairing == 2)
      row = vector::InterleaveOp::create(builder, loc, rows[0], rows[1]);
    vector::StoreOp::create(
        builder, loc, row, view,
        ValueRange{columns.panel, step, columns.vector, constant(0)});
  }
}

/// kTile steps of one vector of columns.
void Packer::emitTile(const Columns &columns, Value firstStep) {
  Value whole =
      is(Compare::ule, add(columns.first, layout.level.lanes), layout.outputs);
  auto choice = scf::IfOp::create(builder, loc, whole, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(choice.thenBlock());
  if (inOut)
    emitInterleaved(columns, firstStep);
  else
    emitTransposed(columns, firstStep);
  builder.setInsertionPointToStart(choice.elseBlock());
  emitElements(columns, firstStep, add(firstStep, kTile));
}

void Packer::emitPanels(Value begin, Value end) {
  int64_t tiled = 0;
  if (hasVectorTiles())
    tiled = layout.inputs / layout.pairing() / kTile * kTile;
  loop(begin, end, 1, [&](Value panel) {
    if (tiled > 0)
      loop(constant(0), constant(tiled), kTile, [&](Value step) {
        forEachVector(panel,
                      [&](const Columns &columns) { emitTile(columns, step); });
      });
    if (tiled < layout.steps())
      forEachVector(panel, [&](const Columns &columns) {
        emitElements(columns, constant(tiled), constant(layout.steps()));
      });
  });
}

void emitPack(OpBuilder &builder, Location loc, const PackedLayout &layout,
              ValueRange sources, bool inOut, Value packed, Value begin,
              Value end) {
  assert(static_cast<int64_t>(sources.size()) == layout.weights &&
         "one source per weight");
  if (layout.isQuantized())
    return emitQuantizedPack(builder, loc, layout, sources, inOut, packed,
                             begin, end);
  Packer(builder, loc, layout, sources, inOut, packed).emitPanels(begin, end);
}

} // namespace moe::cpu
