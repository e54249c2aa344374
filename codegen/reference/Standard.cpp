// What the operations of tensor, scf and func compute.
#include "codegen/reference/Interpreter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace moe::reference {

//===-- func, scf ---------------------------------------------------------===//

static void setAll(Frame &frame, ResultRange results, ArrayRef<Value> values) {
  for (auto [result, value] : llvm::zip(results, values))
    frame.set(result, value);
}

static SmallVector<Value> getAll(Frame &frame, OperandRange operands) {
  SmallVector<Value> values;
  for (mlir::Value operand : operands)
    values.push_back(frame.get(operand));
  return values;
}

static void call(func::CallOp op, Frame &frame) {
  func::FuncOp function = frame.interpreter.lookup(op, op.getCalleeAttr());
  setAll(frame, op.getResults(),
         frame.interpreter.call(function, getAll(frame, op.getOperands()), op));
}

static void forLoop(scf::ForOp op, Frame &frame) {
  int64_t begin = frame.integer(op.getLowerBound()),
          end = frame.integer(op.getUpperBound()),
          step = frame.integer(op.getStep());
  mlir::Type type = op.getStep().getType();
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  bool isUnsigned = op.getUnsignedCmp();
  if (isUnsigned ? step == 0 : step <= 0)
    fail("has step " + Twine(step) + ", expected at least 1");
  // Unsigned, so that nothing overflows on the way past the end.
  auto bits = [&](int64_t number) {
    return static_cast<uint64_t>(number) &
           llvm::maskTrailingOnes<uint64_t>(isUnsigned ? width : 64);
  };
  bool some = isUnsigned ? bits(begin) < bits(end) : begin < end;
  uint64_t distance = some ? bits(end) - bits(begin) : 0;
  SmallVector<Value> carried = getAll(frame, op.getInitArgs());
  for (uint64_t at = 0; at < distance; at += bits(step)) {
    SmallVector<Value> arguments = {
        llvm::SignExtend64(bits(begin) + at, width)};
    llvm::append_range(arguments, carried);
    carried = frame.run(op.getRegion(), arguments);
    if (bits(step) > distance - at)
      break;
  }
  setAll(frame, op.getResults(), carried);
}

static void whileLoop(scf::WhileOp op, Frame &frame) {
  SmallVector<Value> carried = getAll(frame, op.getInits());
  while (true) {
    SmallVector<Value> onward = frame.run(op.getBefore(), carried);
    bool again = std::get<int64_t>(onward.front());
    onward.erase(onward.begin());
    if (!again)
      return setAll(frame, op.getResults(), onward);
    carried = frame.run(op.getAfter(), onward);
  }
}

static void branch(scf::IfOp op, Frame &frame) {
  Region &region = frame.integer(op.getCondition()) ? op.getThenRegion()
                                                    : op.getElseRegion();
  if (!region.empty())
    setAll(frame, op.getResults(), frame.run(region, {}));
}

//===-- tensor ------------------------------------------------------------===//

static Shape indices(Frame &frame, ValueRange values) {
  Shape shape;
  for (mlir::Value value : values)
    shape.push_back(frame.integer(value));
  return shape;
}

static Shape mixed(Frame &frame, ArrayRef<OpFoldResult> values) {
  Shape shape;
  for (OpFoldResult value : values)
    shape.push_back(isa<Attribute>(value)
                        ? cast<IntegerAttr>(cast<Attribute>(value)).getInt()
                        : frame.integer(cast<mlir::Value>(value)));
  return shape;
}

/// A type's shape with its dynamic sizes filled in, in order.
static Shape filledShape(Frame &frame, RankedTensorType type,
                         ValueRange dynamic) {
  Shape shape(type.getShape()), sizes = indices(frame, dynamic);
  size_t next = 0;
  for (int64_t &size : shape)
    if (ShapedType::isDynamic(size))
      size = sizes[next++];
  return shape;
}

/// The element of a scalar value.
static Scalar scalar(const Value &value) {
  if (auto *number = std::get_if<double>(&value))
    return *number;
  return std::get<int64_t>(value);
}

static void empty(tensor::EmptyOp op,
                  Frame &frame) { // zeros: any content is right
  frame.set(op.getResult(),
            Tensor(op.getType().getElementType(),
                   filledShape(frame, op.getType(), op.getDynamicSizes())));
}

static void dim(tensor::DimOp op, Frame &frame) {
  const Tensor &source = frame.tensor(op.getSource());
  int64_t index = frame.integer(op.getIndex());
  if (index < 0 || index >= source.rank())
    fail("asks for dimension " + Twine(index) + " of a tensor of rank " +
         Twine(source.rank()));
  frame.set(op.getResult(), Value(source.shape[index]));
}

static void castTensor(tensor::CastOp op, Frame &frame) {
  frame.set(op.getResult(), frame.get(op.getSource()));
}

static void extract(tensor::ExtractOp op, Frame &frame) {
  const Tensor &source = frame.tensor(op.getTensor());
  frame.set(op.getResult(),
            toValue(source.at(source.flat(indices(frame, op.getIndices())))));
}

static void insert(tensor::InsertOp op, Frame &frame) {
  Tensor result = frame.tensor(op.getDest());
  result.set(result.flat(indices(frame, op.getIndices())),
             scalar(frame.get(op.getScalar())));
  frame.set(op.getResult(), std::move(result));
}

static void fromElements(tensor::FromElementsOp op, Frame &frame) {
  Tensor result(op.getType().getElementType(), op.getType().getShape());
  for (auto [i, element] : llvm::enumerate(op.getElements()))
    result.set(i, scalar(frame.get(element)));
  frame.set(op.getResult(), std::move(result));
}

static void splat(tensor::SplatOp op, Frame &frame) {
  Tensor result(op.getType().getElementType(),
                filledShape(frame, op.getType(), op.getDynamicSizes()));
  for (int64_t i = 0; i < result.size(); ++i)
    result.set(i, scalar(frame.get(op.getInput())));
  frame.set(op.getResult(), std::move(result));
}

static void generate(tensor::GenerateOp op, Frame &frame) {
  auto type = cast<RankedTensorType>(op.getType());
  Tensor result(type.getElementType(),
                filledShape(frame, type, op.getDynamicExtents()));
  int64_t next = 0;
  forEachIndex(result.shape, [&](ArrayRef<int64_t> index) {
    SmallVector<Value> arguments(index.begin(), index.end());
    result.set(next++, scalar(frame.run(op.getBody(), arguments)[0]));
  });
  frame.set(op.getResult(), std::move(result));
}

/// A slice of a tensor: element i of the slice is element offsets + i *
/// strides.
struct Slice {
  Shape offsets, sizes, strides;
  Slice(Frame &frame, OffsetSizeAndStrideOpInterface op)
      : offsets(mixed(frame, op.getMixedOffsets())),
        sizes(mixed(frame, op.getMixedSizes())),
        strides(mixed(frame, op.getMixedStrides())) {}
  Shape indexOf(ArrayRef<int64_t> i) const {
    Shape index;
    for (auto [offset, element, stride] : llvm::zip(offsets, i, strides))
      index.push_back(offset + element * stride);
    return index;
  }
};

static void extractSlice(tensor::ExtractSliceOp op, Frame &frame) {
  const Tensor &source = frame.tensor(op.getSource());
  Slice slice(frame, op);
  Tensor result = rearrange(source, slice.sizes, [&](ArrayRef<int64_t> i) {
    return source.flat(slice.indexOf(i));
  });
  llvm::SmallBitVector dropped =
      op.getDroppedDims(); // sizes of 1 that the result does without
  Shape shape;
  for (auto [d, size] : llvm::enumerate(slice.sizes))
    if (!dropped[d])
      shape.push_back(size);
  frame.set(op.getResult(), reshape(std::move(result), shape));
}

static void insertSlice(tensor::InsertSliceOp op, Frame &frame) {
  const Tensor &source = frame.tensor(op.getSource());
  Tensor result = frame.tensor(op.getDest());
  Slice slice(frame, op);
  if (elementCount(slice.sizes) != source.size())
    fail("inserts " + shapeText(source.shape) + " into a slice of " +
         shapeText(slice.sizes));
  int64_t next = 0;
  forEachIndex(slice.sizes, [&](ArrayRef<int64_t> i) {
    result.set(result.flat(slice.indexOf(i)), source.at(next++));
  });
  frame.set(op.getResult(), std::move(result));
}

static void collapse(tensor::CollapseShapeOp op, Frame &frame) {
  const Tensor &source = frame.tensor(op.getSrc());
  Shape shape;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    int64_t size = 1;
    for (int64_t d : group)
      size *= source.shape[d];
    shape.push_back(size);
  }
  frame.set(op.getResult(), reshape(source, shape));
}

static void expand(tensor::ExpandShapeOp op, Frame &frame) {
  frame.set(op.getResult(), reshape(frame.tensor(op.getSrc()),
                                    mixed(frame, op.getMixedOutputShape())));
}

static void concat(tensor::ConcatOp op, Frame &frame) {
  int64_t d = op.getDim();
  SmallVector<std::shared_ptr<const Tensor>> inputs;
  for (mlir::Value input : op.getInputs())
    inputs.push_back(frame.share(input));
  Shape shape = inputs.front()->shape;
  shape[d] = 0;
  for (const std::shared_ptr<const Tensor> &input : inputs) {
    Shape other = input->shape;
    shape[d] += other[d];
    other[d] = shape[d];
    if (other != shape)
      fail("joins tensors of " + shapeText(inputs.front()->shape) + " and " +
           shapeText(input->shape));
  }
  Tensor result(op.getResultType().getElementType(), shape);
  int64_t begin = 0;
  for (const std::shared_ptr<const Tensor> &input : inputs) {
    forEachIndex(input->shape, [&](ArrayRef<int64_t> i) {
      Shape to(i);
      to[d] += begin;
      result.set(result.flat(to), input->at(input->flat(i)));
    });
    begin += input->shape[d];
  }
  frame.set(op.getResult(), std::move(result));
}

void addStandardOps(OpTable &table) {
  table.add<func::CallOp>(call);
  table.add<scf::ForOp>(forLoop);
  table.add<scf::WhileOp>(whileLoop);
  table.add<scf::IfOp>(branch);
  table.add<tensor::EmptyOp>(empty);
  table.add<tensor::DimOp>(dim);
  table.add<tensor::CastOp>(castTensor);
  table.add<tensor::ExtractOp>(extract);
  table.add<tensor::InsertOp>(insert);
  table.add<tensor::FromElementsOp>(fromElements);
  table.add<tensor::SplatOp>(splat);
  table.add<tensor::GenerateOp>(generate);
  table.add<tensor::ExtractSliceOp>(extractSlice);
  table.add<tensor::InsertSliceOp>(insertSlice);
  table.add<tensor::CollapseShapeOp>(collapse);
  table.add<tensor::ExpandShapeOp>(expand);
  table.add<tensor::ConcatOp>(concat);
}

} // namespace moe::reference
