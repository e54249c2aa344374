// What the row operations of the moe dialect compute.
#include "codegen/reference/Elementwise.h"
#include "dialect/MoeDialect.h"

#include <cmath>
#include <numbers>

using namespace mlir;

namespace moe::reference {

/// Around one dimension of a tensor: flat = (outer * size + i) * inner + rest.
struct Dimension {
  int64_t outer, size, inner;
  Dimension(ArrayRef<int64_t> shape, int64_t d)
      : outer(elementCount(shape.take_front(d))), size(shape[d]),
        inner(elementCount(shape.drop_front(d + 1))) {}
  int64_t flat(int64_t o, int64_t i, int64_t rest) const {
    return (o * size + i) * inner + rest;
  }
};

// y[..., o] = sum_i x[..., i] * w[o, i] + b[o]
static void linear(LinearOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getInput()),
               &w = frame.tensor(op.getWeight());
  const Tensor *b = op.getBias() ? &frame.tensor(op.getBias()) : nullptr;
  bool inOut = op.getInOut();
  int64_t in = w.shape[inOut ? 0 : 1], out = w.shape[inOut ? 1 : 0];
  if (x.shape.back() != in)
    fail("input has " + Twine(x.shape.back()) +
         " columns, but the weight takes " + Twine(in));
  if (b && b->size() != out)
    fail("bias has " + Twine(b->size()) + " values, but the weight gives " +
         Twine(out));
  Shape shape = x.shape;
  shape.back() = out;
  Tensor y(op.getType().getElementType(), shape);
  int64_t rows = elementCount(ArrayRef<int64_t>(shape).drop_back());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < out; ++o) {
      double sum = 0;
      for (int64_t i = 0; i < in; ++i)
        sum += x.floats()[r * in + i] *
               w.floats()[inOut ? i * out + o : o * in + i];
      y.floats()[r * out + o] = b ? sum + b->floats()[o] : sum;
    }
  frame.set(op.getResult(), std::move(y));
}

// y = exp(x - max x) / sum exp(x - max x)
static void softmax(SoftmaxOp op, Frame &frame) {
  Tensor y = frame.tensor(op.getInput());
  Dimension d(y.shape, op.getReducedDimension());
  for (int64_t o = 0; o < d.outer; ++o)
    for (int64_t rest = 0; rest < d.inner; ++rest) {
      double max = -INFINITY, sum = 0;
      for (int64_t i = 0; i < d.size; ++i)
        max = std::fmax(max, y.floats()[d.flat(o, i, rest)]);
      for (int64_t i = 0; i < d.size; ++i)
        sum += std::exp(y.floats()[d.flat(o, i, rest)] - max);
      for (int64_t i = 0; i < d.size; ++i) {
        double &element = y.floats()[d.flat(o, i, rest)];
        element = std::exp(element - max) / sum;
      }
    }
  frame.set(op.getResult(), std::move(y));
}

// y = x / sqrt(mean(x^2) + eps) * w
static void rmsNorm(RmsNormOp op, Frame &frame) {
  Tensor y = frame.tensor(op.getInput());
  const Tensor &w = frame.tensor(op.getWeight());
  int64_t width = y.shape.back();
  if (w.size() != width)
    fail("weight has " + Twine(w.size()) + " values, but the rows have " +
         Twine(width) + " columns");
  double eps = op.getEps().convertToDouble();
  int64_t rows = elementCount(ArrayRef<int64_t>(y.shape).drop_back());
  for (int64_t r = 0; r < rows; ++r) {
    MutableArrayRef<double> row =
        MutableArrayRef<double>(y.floats()).slice(r * width, width);
    double squares = 0;
    for (double x : row)
      squares += x * x;
    double root = std::sqrt(squares / static_cast<double>(width) + eps);
    for (int64_t i = 0; i < width; ++i)
      row[i] = row[i] / root * w.floats()[i];
  }
  frame.set(op.getResult(), std::move(y));
}

static void silu(SiluOp op, Frame &frame) {
  elementwise<double>(op, frame,
                      [](double x) { return x / (1 + std::exp(-x)); });
}
static void sigmoid(SigmoidOp op, Frame &frame) {
  elementwise<double>(op, frame,
                      [](double x) { return 1 / (1 + std::exp(-x)); });
}
static void relu2(Relu2Op op, Frame &frame) {
  elementwise<double>(
      op, frame, [](double x) { return x < 0 ? 0 : x * x; }); // NaN stays NaN
}
static void softplus(
    SoftplusOp op,
    Frame &frame) { // log(1 + e^x) = max(x, 0) + log(1 + e^-|x|): no overflow
  elementwise<double>(op, frame, [](double x) {
    return (x < 0 ? 0 : x) + std::log1p(std::exp(-std::fabs(x)));
  });
}
static void gelu(GeluOp op, Frame &frame) {
  if (op.getForm() ==
      GeluForm::Exact) // x Phi(x), Phi(x) = erfc(-x / sqrt 2) / 2
    return elementwise<double>(op, frame, [](double x) {
      return x * std::erfc(-x / std::numbers::sqrt2) / 2;
    });
  elementwise<double>(op, frame, [](double x) {
    return x *
           (1 + std::tanh(std::sqrt(2 / std::numbers::pi) *
                          (x + 0.044715 * x * x * x))) /
           2;
  });
}

// results[i] = region(inputs[i]...), for every index i
static void map(MapOp op, Frame &frame) {
  SmallVector<std::shared_ptr<const Tensor>> inputs;
  for (mlir::Value input : op.getInputs()) {
    inputs.push_back(frame.share(input));
    if (inputs.back()->shape != inputs.front()->shape)
      fail("inputs have shapes " + shapeText(inputs.front()->shape) + " and " +
           shapeText(inputs.back()->shape));
  }
  SmallVector<Tensor> results;
  for (Type type : op.getResultTypes())
    results.emplace_back(getElementTypeOrSelf(type), inputs.front()->shape);
  for (int64_t i = 0, size = inputs.front()->size(); i < size; ++i) {
    SmallVector<Value> arguments;
    for (const std::shared_ptr<const Tensor> &input : inputs)
      arguments.push_back(toValue(input->at(i)));
    for (auto [result, value] :
         llvm::zip(results, frame.run(op.getBody(), arguments)))
      result.set(i, result.isFloat() ? Scalar(std::get<double>(value))
                                     : Scalar(std::get<int64_t>(value)));
  }
  for (auto [result, tensor] : llvm::zip(op.getResults(), results))
    frame.set(result, std::move(tensor));
}

// result[i] = input[i's trailing dimensions, 0 where the input's type says 1]
static void broadcast(BroadcastOp op, Frame &frame) {
  const Value &value = frame.get(op.getInput());
  ArrayRef<int64_t> shape = frame.tensor(op.getLike()).shape;
  Tensor input = Tensor(op.getType().getElementType(), {});
  ArrayRef<int64_t> written; // static sizes of the input
  if (auto *tensor = std::get_if<std::shared_ptr<const Tensor>>(&value)) {
    input = **tensor;
    written = cast<RankedTensorType>(op.getInput().getType()).getShape();
  } else if (auto *number = std::get_if<double>(&value)) {
    input.set(0, *number);
  } else {
    input.set(0, std::get<int64_t>(value));
  }
  size_t added = shape.size() - written.size();
  for (auto [d, size] : llvm::enumerate(written))
    if (size != 1 && input.shape[d] != shape[added + d])
      fail("cannot stretch " + shapeText(input.shape) + " to " +
           shapeText(shape));
  frame.set(op.getResult(),
            rearrange(input, shape, [&](ArrayRef<int64_t> index) {
              Shape from(index.drop_front(added));
              for (auto [i, size] : llvm::zip(from, written))
                i = size == 1 ? 0 : i;
              return input.flat(from);
            }));
}

/// One step of a reduction; a NaN makes the result NaN, as in arith.maximumf.
static double accumulate(Reduction kind, double sum, double element) {
  switch (kind) {
  case Reduction::Sum:
    return sum + element;
  case Reduction::Prod:
    return sum * element;
  case Reduction::Max:
    return element > sum || std::isnan(element) ? element : sum;
  case Reduction::Min:
    return element < sum || std::isnan(element) ? element : sum;
  }
  llvm_unreachable("all reductions are handled");
}

static int64_t accumulate(Reduction kind, int64_t sum, int64_t element) {
  auto bits = static_cast<uint64_t>(sum);
  switch (kind) {
  case Reduction::Sum:
    return static_cast<int64_t>(bits + static_cast<uint64_t>(element));
  case Reduction::Prod:
    return static_cast<int64_t>(bits * static_cast<uint64_t>(element));
  case Reduction::Max:
    return std::max(sum, element);
  case Reduction::Min:
    return std::min(sum, element);
  }
  llvm_unreachable("all reductions are handled");
}

/// What a reduction over nothing gives.
static Scalar neutral(Reduction kind, Type type) {
  bool isFloat = isa<FloatType>(type);
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  switch (kind) {
  case Reduction::Sum:
    return isFloat ? Scalar(0.0) : Scalar(int64_t(0));
  case Reduction::Prod:
    return isFloat ? Scalar(1.0) : Scalar(int64_t(1));
  case Reduction::Max:
    return isFloat ? Scalar(-INFINITY) : Scalar(llvm::minIntN(width));
  case Reduction::Min:
    return isFloat ? Scalar(+INFINITY) : Scalar(llvm::maxIntN(width));
  }
  llvm_unreachable("all reductions are handled");
}

// result[..., ...] = kind over i of input[..., i, ...]
static void reduce(ReduceOp op, Frame &frame) {
  const Tensor &input = frame.tensor(op.getInput());
  Dimension d(input.shape, op.getDimension());
  Shape shape = input.shape;
  shape.erase(shape.begin() + op.getDimension());
  Type type = cast<RankedTensorType>(op.getType()).getElementType();
  Tensor result(type, shape);
  auto reduceAll = [&](auto &sums, const auto &elements, auto start) {
    for (int64_t o = 0; o < d.outer; ++o)
      for (int64_t rest = 0; rest < d.inner; ++rest) {
        auto sum = start;
        for (int64_t i = 0; i < d.size; ++i)
          sum = accumulate(op.getKind(), sum, elements[d.flat(o, i, rest)]);
        sums[o * d.inner + rest] = sum;
      }
  };
  Scalar start = neutral(op.getKind(), type);
  if (input.isFloat()) {
    reduceAll(result.floats(), input.floats(), std::get<double>(start));
  } else {
    reduceAll(result.integers(), input.integers(), std::get<int64_t>(start));
    for (int64_t &sum : result.integers())
      sum = wrapTo(type, sum);
  }
  frame.set(op.getResult(), std::move(result));
}

static void split(SplitOp op, Frame &frame) {
  const Tensor &input = frame.tensor(op.getInput());
  Shape shape(ArrayRef<int64_t>(input.shape).drop_back());
  llvm::append_range(
      shape,
      cast<RankedTensorType>(op.getType()).getShape().drop_front(shape.size()));
  frame.set(op.getResult(), reshape(input, shape));
}

// result[i, ...] = table[indices[i], ...]
static void gather(GatherOp op, Frame &frame) {
  const Tensor &table = frame.tensor(op.getTable()),
               &indices = frame.tensor(op.getIndices());
  for (int64_t index : indices.integers())
    if (index < 0 || index >= table.rows())
      fail("index " + Twine(index) + " is out of range, the table has " +
           Twine(table.rows()) + " rows");
  Shape shape = indices.shape;
  llvm::append_range(shape, ArrayRef<int64_t>(table.shape).drop_front());
  frame.set(op.getResult(),
            reshape(takeRows(table, indices.integers()), shape));
}

void addRowOps(OpTable &table) {
  table.add<LinearOp>(linear);
  table.add<SoftmaxOp>(softmax);
  table.add<RmsNormOp>(rmsNorm);
  table.add<SiluOp>(silu);
  table.add<SigmoidOp>(sigmoid);
  table.add<Relu2Op>(relu2);
  table.add<SoftplusOp>(softplus);
  table.add<GeluOp>(gelu);
  table.add<MapOp>(map);
  table.add<BroadcastOp>(broadcast);
  table.add<ReduceOp>(reduce);
  table.add<SplitOp>(split);
  table.add<GatherOp>(gather);
}

} // namespace moe::reference
