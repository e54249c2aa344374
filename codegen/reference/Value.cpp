// Tensors and routings of the interpreter, see Value.h.
#include "codegen/reference/Value.h"

using namespace mlir;

namespace moe::reference {

void fail(const Twine &message) { throw Error{message.str()}; }

std::string shapeText(ArrayRef<int64_t> shape) {
  if (shape.empty())
    return "scalar";
  std::string text;
  for (auto [d, size] : llvm::enumerate(shape))
    text += (d ? "x" : "") + std::to_string(size);
  return text;
}

int64_t elementCount(ArrayRef<int64_t> shape) {
  constexpr int64_t limit = int64_t(1) << 30;
  int64_t count = 1;
  for (int64_t size : shape)
    if (size < 0 || size > limit || (size > 0 && (count *= size) > limit))
      fail("a tensor of " + shapeText(shape) +
           " elements is beyond the limit of 2^30");
  return llvm::is_contained(shape, 0) ? 0 : count;
}

Tensor::Tensor(Type elementType, ArrayRef<int64_t> shape) : shape(shape) {
  if (isa<FloatType>(elementType))
    elements = std::vector<double>(elementCount(shape));
  else
    elements = std::vector<int64_t>(elementCount(shape));
}

Tensor::Tensor(ArrayRef<int64_t> shape, std::vector<double> elements)
    : shape(shape), elements(std::move(elements)) {
  assert(size() == elementCount(shape) && "as many elements as the shape says");
}

Tensor::Tensor(ArrayRef<int64_t> shape, std::vector<int64_t> elements)
    : shape(shape), elements(std::move(elements)) {
  assert(size() == elementCount(shape) && "as many elements as the shape says");
}

int64_t Tensor::rowSize() const {
  return elementCount(ArrayRef<int64_t>(shape).drop_front());
}

Scalar Tensor::at(int64_t flat) const {
  return isFloat() ? Scalar(floats()[flat]) : Scalar(integers()[flat]);
}

void Tensor::set(int64_t flat, Scalar value) {
  if (isFloat())
    floats()[flat] = std::get<double>(value);
  else
    integers()[flat] = std::get<int64_t>(value);
}

int64_t Tensor::flat(ArrayRef<int64_t> index) const {
  if (index.size() != shape.size())
    fail("index of " + Twine(index.size()) + " numbers into a tensor of " +
         shapeText(shape));
  int64_t position = 0;
  for (auto [i, size] : llvm::zip(index, shape)) {
    if (i < 0 || i >= size)
      fail("index " + Twine(i) + " is out of range, the dimension has " +
           Twine(size) + " elements");
    position = position * size + i;
  }
  return position;
}

Tensor reshape(Tensor tensor, ArrayRef<int64_t> shape) {
  if (elementCount(shape) != tensor.size())
    fail("cannot view " + shapeText(tensor.shape) + " as " + shapeText(shape));
  tensor.shape.assign(shape.begin(), shape.end());
  return tensor;
}

Tensor takeRows(const Tensor &tensor, ArrayRef<int64_t> rows) {
  Shape shape = tensor.shape;
  shape[0] = rows.size();
  int64_t width = tensor.rowSize();
  return std::visit(
      [&](const auto &elements) {
        std::decay_t<decltype(elements)> taken;
        taken.reserve(rows.size() * width);
        for (int64_t row : rows)
          taken.insert(taken.end(), elements.begin() + row * width,
                       elements.begin() + (row + 1) * width);
        return Tensor(shape, std::move(taken));
      },
      tensor.elements);
}

Tensor sliceRows(const Tensor &tensor, int64_t begin, int64_t end) {
  return takeRows(tensor, llvm::to_vector(llvm::seq(begin, end)));
}

Tensor concatRows(ArrayRef<std::shared_ptr<const Tensor>> tensors) {
  Tensor result = *tensors.front();
  for (const std::shared_ptr<const Tensor> &tensor : tensors.drop_front()) {
    if (ArrayRef<int64_t>(tensor->shape).drop_front() !=
        ArrayRef<int64_t>(result.shape).drop_front())
      fail("cannot put rows of " + shapeText(tensor->shape) +
           " after rows of " + shapeText(result.shape));
    result.shape[0] += tensor->shape[0];
    std::visit(
        [&](auto &elements) {
          const auto &more =
              std::get<std::decay_t<decltype(elements)>>(tensor->elements);
          elements.insert(elements.end(), more.begin(), more.end());
        },
        result.elements);
  }
  return result;
}

int64_t Routing::numPairs() const {
  int64_t pairs = 0;
  for (int64_t count : counts())
    pairs += count;
  return pairs;
}

std::vector<int64_t> Routing::counts() const {
  std::vector<int64_t> counts(experts, 0);
  for (const std::vector<Slot> &slots : tokens)
    for (const Slot &slot : slots)
      if (!slot.isEmpty())
        ++counts[slot.expert];
  return counts;
}

} // namespace moe::reference
