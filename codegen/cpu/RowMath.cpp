// Element-wise operations of a row, as vector code over its columns.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/Scalars.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

void emitElementwiseRow(Frame &f, Operation *op, Value row) {
  int64_t width = mayTrap(op) ? 1 : f.lanes;
  Ref out = f.ref(op->getResult(0));
  Value to = f.rowAddress(out, row);
  SmallVector<Value> from;
  // Other operands of a splat are sizes.
  OperandRange operands = op->getOperands().take_front(
      isa<tensor::SplatOp>(op) ? 1 : op->getNumOperands());
  for (Value operand : operands)
    from.push_back(isa<RankedTensorType>(operand.getType())
                       ? f.rowAddress(f.ref(operand), row)
                       : Value());
  f.columns(
      out.rowElements,
      [&](Value column, int64_t count) {
        IRMapping mapping;
        for (auto [operand, address] : llvm::zip_equal(operands, from)) {
          Value value;
          if (address)
            value =
                f.load(f.ref(operand), f.add(address, column), count, width);
          else
            value = vector::BroadcastOp::create(
                f.builder, f.loc, VectorType::get({width}, operand.getType()),
                f.scalars.lookup(operand));
          mapping.map(operand, value);
        }
        if (isa<tensor::SplatOp>(op))
          mapping.map(op->getResult(0), mapping.lookup(op->getOperand(0)));
        else
          emitOnVectors(f.builder, f.loc, op, mapping, width, dividing(f));
        f.store(out, f.add(to, column), mapping.lookup(op->getResult(0)),
                count);
      },
      width);
}

void emitMapRow(Frame &f, MapOp op, Value row) {
  Block &body = op.getBody().front();
  bool trap = llvm::any_of(body, [](Operation &op) { return mayTrap(&op); });
  int64_t width = trap ? 1 : f.lanes;
  SmallVector<Ref> in, out;
  SmallVector<Value> from, to;
  for (Value input : op.getInputs()) {
    in.push_back(f.ref(input));
    from.push_back(f.rowAddress(in.back(), row));
  }
  for (Value result : op.getResults()) {
    out.push_back(f.ref(result));
    to.push_back(f.rowAddress(out.back(), row));
  }
  f.columns(
      out.front().rowElements,
      [&](Value column, int64_t count) {
        SmallVector<Value> values;
        for (auto [ref, address] : llvm::zip(in, from))
          values.push_back(f.load(ref, f.add(address, column), count, width));
        SmallVector<Value> made = emitBlockOnVectors(
            f.builder, f.loc, body, values, width, f.scalars, dividing(f));
        for (auto [ref, address, value] : llvm::zip(out, to, made))
          f.store(ref, f.add(address, column), value, count);
      },
      width);
}

namespace {
/// Walks the inner dimensions of a row of `shape`, the last one by vectors.
struct BroadcastWalk {
  Frame &f;
  ArrayRef<int64_t> shape;   // of the result, without rows
  ArrayRef<int64_t> strides; // of the input for these dimensions, 0: stretched
  const Ref &in, &out;

  void run(size_t d, Value from, Value to) {
    if (shape.empty())
      return lastDimension(1, 0, from, to);
    if (d + 1 == shape.size())
      return lastDimension(shape[d], strides[d], from, to);
    int64_t step = 1;
    for (int64_t size : shape.drop_front(d + 1))
      step *= size;
    f.loop(shape[d], [&](Value i) {
      run(d + 1, f.add(from, f.mul(i, strides[d])), f.add(to, f.mul(i, step)));
    });
  }

  void lastDimension(int64_t size, int64_t stride, Value from, Value to) {
    Value spread;
    if (stride == 0)
      spread = vector::BroadcastOp::create(
          f.builder, f.loc, f.vectorOf(out.type), f.loadScalar(in, from));
    f.columns(size, [&](Value column, int64_t count) {
      Value value = spread ? spread : f.load(in, f.add(from, column), count);
      f.store(out, f.add(to, column), value, count);
    });
  }
};
} // namespace

void emitBroadcastRow(Frame &f, BroadcastOp op, Value row) {
  Ref out = f.ref(op.getResult());
  Value to = f.rowAddress(out, row);
  auto type = dyn_cast<RankedTensorType>(op.getInput().getType());
  if (!type) {
    Value spread =
        vector::BroadcastOp::create(f.builder, f.loc, f.vectorOf(out.type),
                                    f.scalars.lookup(op.getInput()));
    f.columns(out.rowElements, [&](Value column, int64_t count) {
      f.store(out, f.add(to, column), spread, count);
    });
    return;
  }
  Ref in = f.ref(op.getInput());
  auto resultType = cast<RankedTensorType>(op.getResult().getType());
  int64_t rank = resultType.getRank(), missing = rank - type.getRank();
  auto strideOf = [&](int64_t d) -> int64_t {
    if (d < missing || type.getDimSize(d - missing) == 1)
      return 0;
    return in.layout.strides[d - missing];
  };
  Ref base = in;
  if (missing > 0 || rank == 0 || strideOf(0) == 0)
    base.layout.strides.clear(); // the same elements for every row
  SmallVector<int64_t> strides;
  for (int64_t d = 1; d < rank; ++d)
    strides.push_back(strideOf(d));
  BroadcastWalk{f, resultType.getShape().drop_front(rank > 0), strides, in, out}
      .run(0, f.rowAddress(base, row), to);
}

} // namespace moe::cpu
