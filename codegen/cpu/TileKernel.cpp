// One step of the loop is one row of the packed panel: K entry k, or the two or
// four entries that are stored together. All sums are loop-carried vectors, so
// they stay in registers; K is static, so its tail is straight-line code.

#include "codegen/cpu/TileKernel.h"

#include "codegen/cpu/Dot.h"
#include "codegen/cpu/Indices.h"
#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

namespace {

class TileEmitter : IndexBuilder {
public:
  TileEmitter(OpBuilder &builder, Location loc, const PackedLayout &layout,
              Value a, ValueRange rows, Value view, ValueRange panels)
      : IndexBuilder{builder, loc}, layout(layout), a(a), rows(rows),
        view(view), panels(panels), family(chooseFamily(layout, a.getType())) {}

  using Sums = SmallVector<Value>;

  Sums emit(const Prefetch &prefetch, const KPart *part) const;

private:
  int64_t unrolledSteps(size_t sums) const;

  VectorType vectorOf(int64_t lanes, Type element) const {
    return VectorType::get({lanes}, element);
  }

  void emitStep(Value step, bool half, Sums &sums) const;
  void emitPrefetch(Value step) const;
  void emitPrefetchElsewhere(Value step, const Prefetch &prefetch) const;
  Value loadWeights(Value step, int64_t entry, size_t vector) const;
  Value loadRow(Value step, int64_t entry, bool half, size_t row) const;
  Value widen(Value packed, int64_t entry) const;
  Value broadcastHalf(Value row, Value k) const;
  /// Whether one instruction takes all entries of a step.
  bool isDot() const { return family != Family::Fma; }
  bool isInteger() const {
    return family == Family::Int16Dot || family == Family::Int8Dot;
  }

  /// Position in the sums: `vector` counts all panels' vectors.
  size_t at(size_t row, size_t vector) const {
    size_t panel = vector / layout.vectors();
    return (panel * rows.size() + row) * layout.vectors() +
           vector % layout.vectors();
  }

  const PackedLayout &layout;
  Value a;
  ValueRange rows;
  Value view;
  ValueRange panels;
  Family family;
};

} // namespace

/// The f32 vector of one K entry in a packed vector: of bf16 pairs entry 0 is
/// the low half, shifted up, and entry 1 the high half, masked.
Value TileEmitter::widen(Value packed, int64_t entry) const {
  if (layout.pairing() == 1)
    return convertFloat(builder, loc, packed, builder.getF32Type());
  VectorType bits = vectorOf(layout.level.lanes, builder.getI32Type());
  auto splat = [&](uint32_t value) -> Value {
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(
            bits, builder.getI32IntegerAttr(static_cast<int32_t>(value))));
  };
  Value pairs = vector::BitCastOp::create(builder, loc, bits, packed);
  Value wide;
  if (entry == 0)
    wide = arith::ShLIOp::create(builder, loc, pairs, splat(16));
  else
    wide = arith::AndIOp::create(builder, loc, pairs, splat(0xffff0000));
  return vector::BitCastOp::create(
      builder, loc, vectorOf(layout.level.lanes, builder.getF32Type()), wide);
}

/// The bf16 entry k of a row and zero in every lane of 32 bits, since k + 1
/// lies beyond the row.
Value TileEmitter::broadcastHalf(Value row, Value k) const {
  int64_t lanes = layout.level.lanes;
  Type i32 = builder.getI32Type();
  Value entry = memref::LoadOp::create(builder, loc, a, ValueRange{row, k});
  Value bits =
      arith::BitcastOp::create(builder, loc, builder.getI16Type(), entry);
  Value all = vector::BroadcastOp::create(
      builder, loc, vectorOf(lanes, i32),
      arith::ExtUIOp::create(builder, loc, i32, bits));
  return vector::BitCastOp::create(
      builder, loc, vectorOf(2 * lanes, builder.getBF16Type()), all);
}

/// One vector of weights of one entry of a step: f32, or pairs. `vector` counts
/// all panels' vectors.
Value TileEmitter::loadWeights(Value step, int64_t entry, size_t vector) const {
  VectorType packedType =
      vectorOf(layout.level.lanes * layout.pairing(), layout.element);
  Value packed = vector::LoadOp::create(
      builder, loc, packedType, view,
      ValueRange{panels[vector / layout.vectors()], step,
                 constant(vector % layout.vectors()), constant(0)});
  if (family == Family::Int16Dot)
    return arith::ExtSIOp::create(
        builder, loc,
        vectorOf(layout.level.lanes * layout.pairing(), builder.getI16Type()),
        packed);
  if (isDot())
    return packed;
  return widen(packed, entry);
}

/// One entry of one row, or a pair of them, broadcast to a vector.
Value TileEmitter::loadRow(Value step, int64_t entry, bool half,
                           size_t row) const {
  Value k = mul(step, layout.pairing());
  if (isDot())
    return half ? broadcastHalf(rows[row], k)
                : broadcastEntries(builder, loc, a, rows[row], k,
                                   layout.level.lanes);
  Type f32 = builder.getF32Type();
  Value value = memref::LoadOp::create(builder, loc, a,
                                       ValueRange{rows[row], add(k, entry)});
  return vector::BroadcastOp::create(builder, loc,
                                     vectorOf(layout.level.lanes, f32),
                                     convertFloat(builder, loc, value, f32));
}

/// Asks for the cache lines of the weights some steps ahead. Beyond the end of
/// a panel the next one begins; a prefetch beyond the buffer does nothing.
void TileEmitter::emitPrefetch(Value step) const {
  constexpr int64_t kLine = 64;
  int64_t vectorBytes = layout.level.lanes * layout.pairing() *
                        layout.element.getIntOrFloatBitWidth() / 8;
  int64_t steps = layout.level.ahead.bytes / (vectorBytes * layout.vectors());
  if (steps == 0)
    return;
  Value ahead = add(step, steps);
  for (Value panel : panels)
    for (int64_t v = 0; v < layout.vectors(); ++v)
      if (v * vectorBytes % kLine == 0)
        memref::PrefetchOp::create(
            builder, loc, view,
            ValueRange{panel, ahead, constant(v), constant(0)},
            /*isWrite=*/false, layout.level.ahead.locality,
            /*isDataCache=*/true);
}

void TileEmitter::emitPrefetchElsewhere(Value step,
                                        const Prefetch &prefetch) const {
  Value at = add(prefetch.begin, mul(step, prefetch.perStep));
  memref::PrefetchOp::create(builder, loc, prefetch.packed, at,
                             /*isWrite=*/false, /*localityHint=*/2,
                             /*isDataCache=*/true);
}

void TileEmitter::emitStep(Value step, bool half, Sums &sums) const {
  int64_t entries = isDot() || half ? 1 : layout.pairing();
  size_t vectors = panels.size() * layout.vectors();
  for (int64_t entry = 0; entry < entries; ++entry) {
    auto accumulate = [&](size_t row, Value value, size_t vector,
                          Value weights) {
      Value &sum = sums[at(row, vector)];
      sum = emitDot(builder, loc, layout.level, family, sum, value, weights);
    };
    // The second half of a pair is loaded again rather than kept.
    emitFence(builder, loc);
    // The shorter list of operands stays in registers, the longer one streams.
    SmallVector<Value> kept;
    if (rows.size() < vectors) {
      for (size_t row = 0; row < rows.size(); ++row)
        kept.push_back(loadRow(step, entry, half, row));
      for (size_t vector = 0; vector < vectors; ++vector) {
        Value weights = loadWeights(step, entry, vector);
        for (size_t row = 0; row < rows.size(); ++row)
          accumulate(row, kept[row], vector, weights);
      }
    } else {
      for (size_t vector = 0; vector < vectors; ++vector)
        kept.push_back(loadWeights(step, entry, vector));
      for (size_t row = 0; row < rows.size(); ++row) {
        Value value = loadRow(step, entry, half, row);
        for (size_t vector = 0; vector < vectors; ++vector)
          accumulate(row, value, vector, kept[vector]);
      }
    }
  }
}

/// Steps that a loop body writes out: enough multiply-adds to hide the loop's
/// own instructions, and no more, because code is slow to compile.
int64_t TileEmitter::unrolledSteps(size_t sums) const {
  constexpr int64_t kBody = 24;
  int64_t entries = isDot() ? 1 : layout.pairing();
  int64_t steps = llvm::divideCeil(kBody, sums * entries);
  return std::min(steps, layout.level.unroll);
}

/// All steps from zero sums, or those of a part.
TileEmitter::Sums TileEmitter::emit(const Prefetch &prefetch,
                                    const KPart *part) const {
  VectorType sumType =
      vectorOf(layout.level.lanes, isInteger() ? Type(builder.getI32Type())
                                               : Type(builder.getF32Type()));
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getZeroAttr(sumType));
  Sums sums(panels.size() * rows.size() * layout.vectors(), zero);
  if (part)
    sums = part->sums;

  // The last step is special if K is odd and entries are paired; quantised rows
  // are as long as the steps, and what is beyond K meets weights of 0.
  int64_t steps = llvm::divideCeil(layout.inputs, layout.pairing());
  int64_t wholeSteps = isInteger() ? steps : layout.inputs / layout.pairing();
  int64_t unroll = unrolledSteps(sums.size());
  int64_t looped = wholeSteps / unroll * unroll;
  assert(kPartUnit / layout.pairing() % unroll == 0 &&
         "parts begin between bodies of the loop");
  Value first = constant(0);
  Value last = constant(looped);
  if (part) {
    Value pairing = constant(layout.pairing());
    first = div(part->begin, pairing);
    last = arith::MinUIOp::create(builder, loc, last, div(part->end, pairing));
  }
  if (looped > 0) {
    auto loop = scf::ForOp::create(
        builder, loc, first, last, constant(unroll), sums,
        [&](OpBuilder &, Location, Value step, ValueRange carried) {
          Sums inner(carried);
          if (prefetch.begin)
            emitPrefetchElsewhere(step, prefetch);
          for (int64_t u = 0; u < unroll; ++u) {
            Value unrolled = add(step, u);
            if (prefetch.stream)
              emitPrefetch(unrolled);
            emitStep(unrolled, false, inner);
          }
          scf::YieldOp::create(builder, loc, inner);
        });
    sums.assign(loop.result_begin(), loop.result_end());
  }
  auto emitRest = [&](Sums &sums) {
    for (int64_t step = looped; step < steps; ++step)
      emitStep(constant(step), step >= wholeSteps, sums);
  };
  if (!part || looped == steps) {
    emitRest(sums);
    return sums;
  }
  Value isLast = is(Compare::uge, part->end, layout.inputs);
  auto rest = scf::IfOp::create(
      builder, loc, isLast,
      [&](OpBuilder &, Location) {
        Sums inner(sums);
        emitRest(inner);
        scf::YieldOp::create(builder, loc, inner);
      },
      [&](OpBuilder &, Location) { scf::YieldOp::create(builder, loc, sums); });
  return Sums(rest.getResults());
}

SmallVector<Value> emitTileSums(OpBuilder &builder, Location loc,
                                const PackedLayout &layout, Value a,
                                ValueRange rows, Value view, ValueRange panels,
                                const Prefetch &prefetch, const KPart *part) {
  return TileEmitter(builder, loc, layout, a, rows, view, panels)
      .emit(prefetch, part);
}

} // namespace moe::cpu
