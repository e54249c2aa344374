// Linalg operations on vectors along their last loop, with sums in registers:
// some vectors of four rows at a time.

#include "codegen/cpu/Linalg.h"

#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <map>
#include <tuple>

using namespace mlir;

namespace moe::cpu {

static constexpr int64_t kRows = 4; // of a tile

static RankedTensorType tensorOf(OpOperand &operand) {
  return dyn_cast<RankedTensorType>(operand.get().getType());
}

/// Whether any tensor is as long in this loop as it has rows.
static bool walksDynamic(linalg::LinalgOp op, unsigned loop) {
  for (OpOperand &operand : op->getOpOperands())
    if (RankedTensorType type = tensorOf(operand))
      for (auto [d, index] :
           llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
        if (type.isDynamicDim(d) && index.isFunctionOfDim(loop))
          return true;
  return false;
}

std::optional<unsigned> vectorLoop(linalg::LinalgOp op) {
  AffineMap first = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (first.getNumResults() == 0)
    return std::nullopt;
  auto last = dyn_cast<AffineDimExpr>(first.getResults().back());
  if (!last || llvm::any_of(op.getBlock()->without_terminator(),
                            [](Operation &in) { return mayTrap(&in); }))
    return std::nullopt;
  unsigned loop = last.getPosition();
  if (op.getIteratorTypesArray()[loop] != utils::IteratorType::parallel ||
      walksDynamic(op, loop))
    return std::nullopt;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!tensorOf(operand))
      continue;
    ArrayRef<AffineExpr> map = op.getMatchingIndexingMap(&operand).getResults();
    bool along = !map.empty() && map.back() == last;
    if (!along && op.isDpsInit(&operand))
      return std::nullopt;
    for (AffineExpr index : map.drop_back(along))
      if (index.isFunctionOfDim(loop))
        return std::nullopt;
  }
  return loop;
}

bool sumsOverRows(linalg::LinalgOp op) {
  if (!vectorLoop(op))
    return false;
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray()))
    if ((kind == utils::IteratorType::reduction) != walksDynamic(op, loop))
      return false;
  return true;
}

namespace {
class TileEmitter {
public:
  TileEmitter(Frame &f, linalg::LinalgOp op, Value row, const Team *team)
      : f(f), op(op), team(team), columns(*vectorLoop(op)),
        indices(op.getNumLoops()) {
    std::optional<unsigned> rows = row ? rowLoop(op) : std::nullopt;
    if (rows)
      indices[*rows] = row;
    for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray()))
      if (kind == utils::IteratorType::reduction)
        reductions.push_back(loop);
      else if (loop != columns && loop != rows)
        outer.push_back(loop);
    // Several rows at once share what does not depend on them.
    if (!reductions.empty() && !outer.empty() &&
        !walksDynamic(op, outer.back()))
      block = outer.pop_back_val();
    vectors = block && f.lanes < 16 ? 2 : 4; // all sums in 16 or 32 registers
  }

  void emit() { outerLoops(0); }

private:
  struct Columns {
    Value begin;
    int64_t count; // that exist
  };
  using Indices = SmallVector<Value>;

  Value size(unsigned loop) {
    auto [operand, dimension] = lengthOf(op, loop);
    return sizeOf(f, operand->get(), dimension);
  }
  int64_t staticSize(unsigned loop) {
    auto [operand, dimension] = lengthOf(op, loop);
    return tensorOf(*operand).getDimSize(dimension);
  }

  void outerLoops(size_t number) {
    if (number == outer.size())
      return blocks();
    f.loop(f.constant(0), size(outer[number]), [&](Value i) {
      indices[outer[number]] = i;
      outerLoops(number + 1);
    });
  }

  void blocks() {
    if (!block)
      return columnsOf({Value()}, f.constant(0));
    int64_t count = staticSize(*block), whole = count / kRows;
    auto from = [&](Value begin, int64_t rows) {
      Indices block;
      for (int64_t i = 0; i < rows; ++i)
        block.push_back(f.add(begin, i));
      return block;
    };
    f.loop(whole, [&](Value i) { columnsOf(from(f.mul(i, kRows), kRows), i); });
    if (int64_t rest = count - whole * kRows)
      columnsOf(from(f.constant(whole * kRows), rest), f.constant(whole));
  }

  void columnsOf(const Indices &rows, Value number) {
    int64_t count = staticSize(columns), width = vectors * f.lanes;
    int64_t whole = count / width, all = (count + width - 1) / width;
    auto from = [&](Value begin, int64_t count) {
      SmallVector<Columns> vectors;
      for (int64_t c = 0; c < count; c += f.lanes)
        vectors.push_back({f.add(begin, c), std::min(f.lanes, count - c)});
      return vectors;
    };
    Value first = f.mul(number, all);
    f.loop(whole, [&](Value i) {
      mine(f.add(first, i), [&] { tile(rows, from(f.mul(i, width), width)); });
    });
    if (int64_t rest = count - whole * width)
      mine(f.add(first, whole),
           [&] { tile(rows, from(f.constant(whole * width), rest)); });
  }

  /// Tile `number` is one thread's.
  void mine(Value number, llvm::function_ref<void()> body) {
    if (!team)
      return body();
    Value owner = f.rem(number, team->size);
    f.ifThen(f.is(Frame::Compare::eq, owner, team->thread), body);
  }

  Value address(const Ref &ref, AffineMap map) {
    Value result;
    for (auto [d, index] : llvm::enumerate(map.getResults())) {
      Value i = affine::expandAffineExpr(f.builder, f.loc, index, indices, {});
      result = d == 0 ? f.wholeRowAddress(ref, i)
                      : f.add(result, f.mul(i, ref.layout.strides[d]));
    }
    return result ? result : f.rowAddress(ref, f.constant(0));
  }

  Ref refOf(OpOperand &operand) {
    return op.isDpsInit(&operand) ? f.ref(op.getTiedOpResult(&operand))
                                  : f.ref(operand.get());
  }

  /// All elements of a tile, one vector for each result, row and columns.
  void tile(const Indices &rows, ArrayRef<Columns> vectors) {
    auto forTile = [&](llvm::function_ref<void(OpOperand &, int64_t)> body) {
      for (OpOperand &init : op.getDpsInitsMutable())
        for (Value row : rows)
          for (const Columns &part : vectors) {
            place(row, part);
            body(init, part.count);
          }
    };
    SmallVector<Value> sums;
    forTile([&](OpOperand &init, int64_t count) {
      AffineMap map = op.getMatchingIndexingMap(&init);
      if (readsInit(op, init)) {
        Ref from = f.ref(init.get());
        sums.push_back(f.load(from, address(from, map), count));
        return;
      }
      Type element = getElementTypeOrSelf(init.get().getType());
      sums.push_back(arith::ConstantOp::create(
          f.builder, f.loc, f.builder.getZeroAttr(f.vectorOf(element))));
    });
    sums = reduce(0, sums, rows, vectors);
    Value *next = sums.begin();
    forTile([&](OpOperand &init, int64_t count) {
      Ref to = refOf(init);
      f.store(to, address(to, op.getMatchingIndexingMap(&init)), *next++,
              count);
    });
  }

  void place(Value row, const Columns &part) {
    if (block)
      indices[*block] = row;
    indices[columns] = part.begin;
  }

  SmallVector<Value> reduce(size_t number, ValueRange sums, const Indices &rows,
                            ArrayRef<Columns> vectors) {
    if (number == reductions.size())
      return evaluate(sums, rows, vectors);
    return f.fold(f.constant(0), size(reductions[number]), sums,
                  [&](Value i, ValueRange so) {
                    indices[reductions[number]] = i;
                    return reduce(number + 1, so, rows, vectors);
                  });
  }

  /// The body once for each row and vector, with what they share loaded once.
  SmallVector<Value> evaluate(ValueRange sums, const Indices &rows,
                              ArrayRef<Columns> vectors) {
    std::map<std::tuple<unsigned, size_t, size_t>, Value> loaded;
    size_t tiles = rows.size() * vectors.size();
    SmallVector<Value> result(sums.size());
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t c = 0; c < vectors.size(); ++c) {
        place(rows[r], vectors[c]);
        IRMapping mapping;
        for (OpOperand &operand : op->getOpOperands()) {
          BlockArgument argument = op.getMatchingBlockArgument(&operand);
          if (argument.use_empty())
            continue;
          if (op.isDpsInit(&operand)) {
            unsigned number = operand.getOperandNumber() - op.getNumDpsInputs();
            mapping.map(argument,
                        sums[number * tiles + r * vectors.size() + c]);
            continue;
          }
          AffineMap map = op.getMatchingIndexingMap(&operand);
          bool byRow = block && map.isFunctionOfDim(*block);
          bool byColumn = map.isFunctionOfDim(columns);
          Value &value = loaded[{operand.getOperandNumber(), byRow ? r : 0,
                                 byColumn ? c : 0}];
          if (!value)
            value = load(operand, map, byColumn ? vectors[c].count : 0);
          mapping.map(argument, value);
        }
        SmallVector<Value> values = body(mapping);
        for (auto [number, value] : llvm::enumerate(values))
          result[number * tiles + r * vectors.size() + c] = value;
      }
    return result;
  }

  Value spread(Value scalar) {
    return vector::BroadcastOp::create(f.builder, f.loc,
                                       f.vectorOf(scalar.getType()), scalar);
  }

  /// `count` elements along a vector, or one for all lanes.
  Value load(OpOperand &operand, AffineMap map, int64_t count) {
    if (!tensorOf(operand))
      return spread(f.scalars.lookup(operand.get()));
    Ref ref = f.ref(operand.get());
    Value at = address(ref, map);
    return count > 0 ? f.load(ref, at, count) : spread(f.loadScalar(ref, at));
  }

  Value index(linalg::IndexOp index) {
    Value value = spread(indices[index.getDim()]);
    if (index.getDim() != columns)
      return value;
    SmallVector<Attribute> numbers;
    for (int64_t lane = 0; lane < f.lanes; ++lane)
      numbers.push_back(f.builder.getIndexAttr(lane));
    Value lane = arith::ConstantOp::create(
        f.builder, f.loc,
        DenseElementsAttr::get(cast<VectorType>(value.getType()), numbers));
    return arith::AddIOp::create(f.builder, f.loc, value, lane);
  }

  /// a * b + c as one instruction, or null.
  Value multiplyAdd(arith::AddFOp sum, const IRMapping &mapping) {
    if (!sum.getType().isF32() && !sum.getType().isF64())
      return {};
    for (OpOperand &term : sum->getOpOperands()) {
      auto product = term.get().getDefiningOp<arith::MulFOp>();
      if (!product || product->getBlock() != op.getBlock())
        continue;
      Value other = sum->getOperand(1 - term.getOperandNumber());
      return vector::FMAOp::create(
          f.builder, f.loc, mapping.lookup(product.getLhs()),
          mapping.lookup(product.getRhs()), mapping.lookup(other));
    }
    return {};
  }

  SmallVector<Value> body(IRMapping &mapping) {
    auto fromOutside = [&](Value value) {
      if (!mapping.contains(value))
        mapping.map(value, spread(f.scalars.lookup(value)));
    };
    for (Operation &in : op.getBlock()->without_terminator()) {
      if (auto number = dyn_cast<linalg::IndexOp>(in)) {
        mapping.map(number.getResult(), index(number));
        continue;
      }
      llvm::for_each(in.getOperands(), fromOutside);
      auto sum = dyn_cast<arith::AddFOp>(in);
      if (Value fused = sum ? multiplyAdd(sum, mapping) : Value())
        mapping.map(sum.getResult(), fused);
      else
        emitOnVectors(f.builder, f.loc, &in, mapping, f.lanes);
    }
    SmallVector<Value> yielded;
    for (Value value : op.getBlock()->getTerminator()->getOperands()) {
      fromOutside(value);
      yielded.push_back(mapping.lookup(value));
    }
    return yielded;
  }

  Frame &f;
  linalg::LinalgOp op;
  const Team *team;
  unsigned columns;              // the loop along vectors
  std::optional<unsigned> block; // the loop of which a tile has several
  int64_t vectors;
  SmallVector<unsigned> outer, reductions;
  Indices indices;
};
} // namespace

void emitLinalgTiles(Frame &frame, linalg::LinalgOp op, Value row,
                     const Team *team) {
  TileEmitter(frame, op, row, team).emit();
}

} // namespace moe::cpu
