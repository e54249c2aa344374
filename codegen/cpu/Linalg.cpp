// A loop nest with one element at a time, for what vectors cannot walk:
// general, not fast. Rows run in parallel where the indexing maps allow it.

#include "codegen/cpu/Linalg.h"

#include "codegen/cpu/Scalars.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

static bool isTensor(Value value) {
  return isa<RankedTensorType>(value.getType());
}

std::pair<OpOperand *, unsigned> lengthOf(linalg::LinalgOp op, unsigned loop) {
  for (OpOperand &operand : op->getOpOperands())
    if (isTensor(operand.get()))
      for (auto [d, index] :
           llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
        if (auto dim = dyn_cast<AffineDimExpr>(index))
          if (dim.getPosition() == loop)
            return {&operand, d};
  return {nullptr, 0};
}

bool isSupportedLinalg(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics())
    return false;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
    if (!lengthOf(op, loop).first)
      return false;
  return llvm::all_of(op.getBlock()->without_terminator(), [](Operation &in) {
    return isa<linalg::IndexOp>(in) || worksOnVectors(&in);
  });
}

bool walksRows(linalg::LinalgOp op, OpOperand &input, unsigned rows) {
  AffineMap map = op.getMatchingIndexingMap(&input);
  return map.getNumResults() > 0 &&
         map.getResult(0) == getAffineDimExpr(rows, op->getContext());
}

std::optional<unsigned> rowLoop(linalg::LinalgOp op) {
  AffineMap first = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (first.getNumResults() == 0)
    return std::nullopt;
  auto rows = dyn_cast<AffineDimExpr>(first.getResult(0));
  if (!rows)
    return std::nullopt;
  unsigned loop = rows.getPosition();
  if (op.getIteratorTypesArray()[loop] != utils::IteratorType::parallel)
    return std::nullopt;
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    bool walks = walksRows(op, operand, loop);
    if (!walks && op.isDpsInit(&operand))
      return std::nullopt;
    for (AffineExpr index : map.getResults().drop_front(walks))
      if (index.isFunctionOfDim(loop))
        return std::nullopt;
  }
  return loop;
}

bool readsInit(linalg::LinalgOp op, OpOperand &init) {
  return op.payloadUsesValueFromOperand(&init) ||
         !init.get().getDefiningOp<tensor::EmptyOp>();
}

Value sizeOf(Frame &f, Value tensor, unsigned dimension) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return type.isDynamicDim(dimension)
             ? f.extent(f.schedule.extents().of(tensor))
             : f.constant(type.getDimSize(dimension));
}

namespace {
struct LinalgEmitter {
  Frame &f;
  linalg::LinalgOp op;
  std::optional<unsigned> rows; // the loop that is one row
  SmallVector<Value> indices;

  /// Rows of a group are counted from its first one here.
  Value address(const Ref &ref, ValueRange at) {
    if (at.empty())
      return f.rowAddress(ref, f.constant(0));
    Value result = f.wholeRowAddress(ref, at.front());
    for (auto [index, stride] :
         llvm::zip(at.drop_front(), ArrayRef(ref.layout.strides).drop_front()))
      result = f.add(result, f.mul(index, stride));
    return result;
  }

  SmallVector<Value> evaluate(AffineMap map) {
    SmallVector<Value> result;
    for (AffineExpr index : map.getResults())
      result.push_back(
          affine::expandAffineExpr(f.builder, f.loc, index, indices, {}));
    return result;
  }

  /// body(indices) for all elements of a tensor, or of its row.
  void forElements(Value tensor, Value row, SmallVector<Value> &at,
                   llvm::function_ref<void()> body) {
    unsigned d = at.size();
    if (d == cast<RankedTensorType>(tensor.getType()).getRank())
      return body();
    auto next = [&](Value index) {
      at.push_back(index);
      forElements(tensor, row, at, body);
      at.pop_back();
    };
    if (d == 0 && row)
      next(row);
    else
      f.loop(f.constant(0), sizeOf(f, tensor, d), next);
  }

  void copyInit(OpOperand &init, Value row) {
    if (!readsInit(op, init))
      return;
    Ref from = f.ref(init.get());
    Ref to = f.ref(op.getTiedOpResult(&init));
    SmallVector<Value> at;
    forElements(init.get(), row, at, [&] {
      f.store(to, address(to, at), f.load(from, address(from, at), 1, 1), 1);
    });
  }

  void loops(unsigned loop, Value row) {
    if (loop == op.getNumLoops())
      return body();
    auto next = [&](Value index) {
      indices.push_back(index);
      loops(loop + 1, row);
      indices.pop_back();
    };
    if (row && loop == rows)
      return next(row);
    auto [operand, dimension] = lengthOf(op, loop);
    f.loop(f.constant(0), sizeOf(f, operand->get(), dimension), next);
  }

  /// Vectors of one lane share the code of row operations.
  Value spread(Value scalar) {
    return vector::BroadcastOp::create(
        f.builder, f.loc, VectorType::get({1}, scalar.getType()), scalar);
  }

  void body() {
    Block &block = *op.getBlock();
    IRMapping mapping;
    for (OpOperand &operand : op->getOpOperands()) {
      BlockArgument argument = op.getMatchingBlockArgument(&operand);
      if (argument.use_empty())
        continue;
      Value value;
      if (isTensor(operand.get())) {
        Ref ref = op.isDpsInit(&operand) ? f.ref(op.getTiedOpResult(&operand))
                                         : f.ref(operand.get());
        AffineMap map = op.getMatchingIndexingMap(&operand);
        value = f.load(ref, address(ref, evaluate(map)), 1, 1);
      } else {
        value = spread(f.scalars.lookup(operand.get()));
      }
      mapping.map(argument, value);
    }
    auto fromOutside = [&](Value value) {
      if (!mapping.contains(value))
        mapping.map(value, spread(f.scalars.lookup(value)));
    };
    for (Operation &in : block.without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(in)) {
        mapping.map(index.getResult(), spread(indices[index.getDim()]));
        continue;
      }
      llvm::for_each(in.getOperands(), fromOutside);
      emitOnVectors(f.builder, f.loc, &in, mapping, 1, dividing(f));
    }
    llvm::for_each(block.getTerminator()->getOperands(), fromOutside);
    for (auto [init, yielded] : llvm::zip_equal(
             op.getDpsInitsMutable(), block.getTerminator()->getOperands())) {
      Ref to = f.ref(op.getTiedOpResult(&init));
      AffineMap map = op.getMatchingIndexingMap(&init);
      f.store(to, address(to, evaluate(map)), mapping.lookup(yielded), 1);
    }
  }
};
} // namespace

void emitLinalg(Frame &f, linalg::LinalgOp op, Value row, const Team *team) {
  if (row && f.ref(op->getResult(0)).groupRows)
    row = f.sub(row, f.groupBegin);
  if (vectorLoop(op))
    return emitLinalgTiles(f, op, row, team);
  LinalgEmitter emitter{f, op, rowLoop(op), {}};
  for (OpOperand &init : op.getDpsInitsMutable())
    emitter.copyInit(init, row);
  emitter.loops(0, row);
}

} // namespace moe::cpu
