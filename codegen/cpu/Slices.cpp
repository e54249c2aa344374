// Slices, single elements and rows from several tensors, also at places that
// only a run knows, which are checked.

#include "codegen/cpu/Call.h"
#include "codegen/cpu/Linalg.h"
#include "codegen/cpu/Rows.h"
#include "codegen/cpu/Scalars.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace moe::cpu {

void copyStrided(Frame &f, const Ref &in, const Ref &out,
                 ArrayRef<int64_t> shape, size_t d, Value from, Value to) {
  if (d == in.layout.strides.size() || shape.empty()) {
    f.storeScalar(out, to, f.loadScalar(in, from));
    return;
  }
  if (d + 1 == shape.size() && in.layout.strides[d] == 1 &&
      out.layout.strides[d] == 1)
    return f.columns(shape[d], [&](Value column, int64_t lanes) {
      f.store(out, f.add(to, column), f.load(in, f.add(from, column), lanes),
              lanes);
    });
  f.loop(shape[d], [&](Value i) {
    copyStrided(f, in, out, shape, d + 1,
                f.add(from, f.mul(i, in.layout.strides[d])),
                f.add(to, f.mul(i, out.layout.strides[d])));
  });
}

static Value both(Frame &f, Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  return arith::AndIOp::create(f.builder, f.loc, a, b);
}

/// 0 <= index < limit; reports an error if not.
static Value checkIndex(Frame &f, Value index, Value limit) {
  OpBuilder &b = f.builder;
  Value inside = both(f, f.less(f.constant(-1), index), f.less(index, limit));
  Value outside = arith::XOrIOp::create(
      b, f.loc, inside, arith::ConstantIntOp::create(b, f.loc, 1, 1));
  f.ifThen(outside, [&] { reportError(f, MOERT_CODE_INDEX, {index, limit}); });
  return inside;
}

static void ifInside(Frame &f, Value inside, llvm::function_ref<void()> body) {
  if (inside)
    f.ifThen(inside, body);
  else
    body();
}

namespace {
/// A slice of a tensor.
struct Slice {
  Ref ref;       // with the strides of the slice
  Value row;     // of the tensor, where the slice begins
  Value columns; // from there to where its first element lies
  Value inside;  // whether all of it exists; null: it does
};
} // namespace

/// The slice of `whole` that `op` cuts out or puts in; `part` has its elements.
static Slice sliceOf(Frame &f, OffsetSizeAndStrideOpInterface op,
                     const llvm::SmallBitVector &dropped, Value whole,
                     Value part) {
  Slice slice{f.ref(whole), Value(), f.constant(0), Value()};
  SmallVector<int64_t> strides = slice.ref.layout.strides;
  slice.ref.layout.strides.clear();
  ValueRange offsets = op.getOffsets();
  const Extents &extents = f.schedule.extents();
  bool rowsExist = !op.isDynamicOffset(0) &&
                   cpu::rowsExist(extents.of(whole), op.getStaticOffset(0),
                                  dropped[0] ? Extent{} : extents.of(part),
                                  op.getStaticStride(0));
  for (auto [d, stride] : llvm::enumerate(strides)) {
    if (!dropped[d])
      slice.ref.layout.strides.push_back(op.getStaticStride(d) * stride);
    bool known = !op.isDynamicOffset(d);
    Value offset = known ? f.constant(op.getStaticOffset(d))
                         : f.scalars.lookup(offsets.front());
    if (!known)
      offsets = offsets.drop_front();
    if (d == 0)
      slice.row = offset;
    else
      slice.columns = f.add(slice.columns, f.mul(offset, stride));
    if (d == 0 ? rowsExist : known)
      continue;
    Value size = d == 0 && !dropped[0] ? sizeOf(f, part, 0)
                                       : f.constant(op.getStaticSize(d));
    Value last = f.mul(f.add(size, -1), op.getStaticStride(d));
    Value limit = f.sub(sizeOf(f, whole, d), last);
    slice.inside = both(f, slice.inside, checkIndex(f, offset, limit));
  }
  return slice;
}

/// A row as the tensor counts it: from the first of the group, inside a group.
static Value numberOf(Frame &f, const Ref &ref, Value row) {
  return ref.groupRows ? f.sub(row, f.groupBegin) : row;
}

void emitExtractSlice(Frame &f, tensor::ExtractSliceOp op, Value row) {
  Ref out = f.ref(op.getResult()), in = f.ref(op.getSource());
  Value number = numberOf(f, out, row);
  Slice slice =
      sliceOf(f, op, op.getDroppedDims(), op.getSource(), op.getResult());
  Value from;
  if (op.getDroppedDims()[0]) {
    from = f.wholeRowAddress(in, slice.row);
    if (!slice.ref.layout.strides.empty())
      from = f.add(from, f.mul(number, slice.ref.layout.strides.front()));
  } else {
    from = f.wholeRowAddress(
        in, f.add(slice.row, f.mul(number, op.getStaticStride(0))));
  }
  from = f.add(from, slice.columns);
  Value to = f.rowAddress(out, row);
  ifInside(f, slice.inside, [&] {
    copyStrided(f, slice.ref, out, op.getType().getShape(), 1, from, to);
  });
}

static void copyRow(Frame &f, const Ref &from, const Ref &to, Value row) {
  Value source = f.rowAddress(from, row), target = f.rowAddress(to, row);
  f.columns(to.rowElements, [&](Value column, int64_t lanes) {
    f.store(to, f.add(target, column),
            f.load(from, f.add(source, column), lanes), lanes);
  });
}

void emitInsertSlice(Frame &f, tensor::InsertSliceOp op, Value row) {
  Ref in = f.ref(op.getSource()), out = f.ref(op.getResult());
  if (!op.getDest().getDefiningOp<tensor::EmptyOp>())
    copyRow(f, f.ref(op.getDest()), out, row);
  Slice slice =
      sliceOf(f, op, op.getDroppedDims(), op.getResult(), op.getSource());
  Value to = f.add(f.rowAddress(out, row), slice.columns);
  ArrayRef<int64_t> shape = op.getSourceType().getShape();
  if (keepsRows(op, f.schedule.extents()))
    return ifInside(f, slice.inside, [&] {
      copyStrided(f, in, slice.ref, shape, 1, f.rowAddress(in, row), to);
    });

  Value behind = f.sub(numberOf(f, out, row), slice.row);
  if (op.getDroppedDims()[0]) {
    Value here = f.is(Frame::Compare::eq, behind, 0);
    return f.ifThen(both(f, slice.inside, here), [&] {
      copyStrided(f, in, slice.ref, shape, 0,
                  f.wholeRowAddress(in, f.constant(0)), to);
    });
  }
  int64_t stride = op.getStaticStride(0);
  Value number = f.div(behind, stride);
  Value here = both(f, f.less(f.constant(-1), behind),
                    f.less(number, sizeOf(f, op.getSource(), 0)));
  if (stride != 1)
    here =
        both(f, here, f.is(Frame::Compare::eq, f.mul(number, stride), behind));
  f.ifThen(both(f, slice.inside, here), [&] {
    copyStrided(f, in, slice.ref, shape, 1, f.wholeRowAddress(in, number), to);
  });
}

void emitInsertNumber(Frame &f, tensor::InsertOp op) {
  Ref old = f.ref(op.getDest()), out = f.ref(op.getResult());
  if (op.getType().getRank() == 0)
    return f.storeScalar(out, f.rowAddress(out, f.constant(0)),
                         f.scalars.lookup(op.getScalar()));
  auto [begin, end] = f.rowRange(op.getResult());
  f.loop(begin, end, [&](Value row) { copyRow(f, old, out, row); });
  Value inside, address;
  for (auto [d, operand] : llvm::enumerate(op.getIndices())) {
    Value index = f.scalars.lookup(operand);
    inside =
        both(f, inside, checkIndex(f, index, sizeOf(f, op.getResult(), d)));
    address = d == 0 ? f.wholeRowAddress(out, index)
                     : f.add(address, f.mul(index, out.layout.strides[d]));
  }
  f.ifThen(inside, [&] {
    f.storeScalar(out, address, f.scalars.lookup(op.getScalar()));
  });
}

/// Inputs one below the other: the one that has the row.
static void emitConcatOfRows(Frame &f, tensor::ConcatOp op, Value row) {
  Ref out = f.ref(op.getResult());
  Value to = f.rowAddress(out, row), number = numberOf(f, out, row);
  Value begin = f.constant(0);
  for (Value input : op.getInputs()) {
    Ref in = f.ref(input);
    ArrayRef<int64_t> shape =
        cast<RankedTensorType>(input.getType()).getShape();
    Value end = f.add(begin, sizeOf(f, input, 0));
    Value here = both(f, f.less(f.add(begin, -1), number), f.less(number, end));
    f.ifThen(here, [&] {
      copyStrided(f, in, out, shape, 1,
                  f.wholeRowAddress(in, f.sub(number, begin)), to);
    });
    begin = end;
  }
}

void emitConcat(Frame &f, tensor::ConcatOp op, Value row) {
  if (op.getDim() == 0)
    return emitConcatOfRows(f, op, row);
  Ref out = f.ref(op.getResult());
  Value to = f.rowAddress(out, row);
  for (Value input : op.getInputs()) {
    Ref in = f.ref(input);
    ArrayRef<int64_t> shape =
        cast<RankedTensorType>(input.getType()).getShape();
    copyStrided(f, in, out, shape, 1, f.rowAddress(in, row), to);
    to = f.add(to, shape[op.getDim()] * out.layout.strides[op.getDim()]);
  }
}

/// Elements from dimension `d` on, each a number of its own.
static void emitGenerated(Frame &f, tensor::GenerateOp op, const Ref &out,
                          unsigned d, Value address) {
  Block &body = op.getBody().front();
  if (d >= body.getNumArguments()) {
    IRMapping outside = f.scalars;
    Value number = body.getTerminator()->getOperand(0);
    f.storeScalar(out, address, emitScalar(f, number));
    f.scalars = outside;
    return;
  }
  f.loop(f.constant(0), sizeOf(f, op.getResult(), d), [&](Value index) {
    f.scalars.map(body.getArgument(d), index);
    emitGenerated(f, op, out, d + 1,
                  f.add(address, f.mul(index, out.layout.strides[d])));
  });
}

void emitGenerateRow(Frame &f, tensor::GenerateOp op, Value row) {
  Ref out = f.ref(op.getResult());
  f.scalars.map(op.getBody().getArgument(0), numberOf(f, out, row));
  emitGenerated(f, op, out, 1, f.rowAddress(out, row));
}

} // namespace moe::cpu
