// Applies a function of scalars to scalars, or element by element to tensors of
// one shape.
#ifndef MOE_CODEGEN_REFERENCE_ELEMENTWISE_H
#define MOE_CODEGEN_REFERENCE_ELEMENTWISE_H

#include "codegen/reference/Interpreter.h"

#include <array>
#include <utility>

namespace moe::reference {

/// The scalar, or element `flat` of the tensor.
template <typename T> T elementOf(const Value &value, int64_t flat) {
  if (auto *tensor = std::get_if<std::shared_ptr<const Tensor>>(&value))
    return std::get<std::vector<T>>((*tensor)->elements)[flat];
  return std::get<T>(value);
}

template <typename... Args, typename Function, size_t... I>
void elementwise(mlir::Operation *op, Frame &frame, Function function,
                 std::index_sequence<I...>) {
  mlir::Type type = mlir::getElementTypeOrSelf(op->getResult(0).getType());
  std::array<const Value *, sizeof...(Args)> operands = {
      &frame.get(op->getOperand(I))...};
  auto compute = [&](int64_t flat) -> Scalar {
    auto result = function(elementOf<Args>(*operands[I], flat)...);
    if constexpr (std::is_same_v<decltype(result), double>)
      return result;
    else
      return wrapTo(type, static_cast<int64_t>(result));
  };
  const Tensor *shaped = nullptr; // the operand that gives the shape
  for (const Value *operand : operands) {
    auto *tensor = std::get_if<std::shared_ptr<const Tensor>>(operand);
    if (tensor && shaped && (*tensor)->shape != shaped->shape)
      fail("operands have shapes " + shapeText(shaped->shape) + " and " +
           shapeText((*tensor)->shape));
    if (tensor)
      shaped = tensor->get();
  }
  if (!shaped)
    return frame.set(op->getResult(0), toValue(compute(0)));
  Tensor result(type, shaped->shape);
  for (int64_t i = 0, size = result.size(); i < size; ++i)
    result.set(i, compute(i));
  frame.set(op->getResult(0), std::move(result));
}

/// result = function(operands...), where Args (double or int64_t) are the kinds
/// of the operands. Integer results wrap to the width of their type.
template <typename... Args, typename Function>
void elementwise(mlir::Operation *op, Frame &frame, Function function) {
  elementwise<Args...>(op, frame, function, std::index_sequence_for<Args...>());
}

} // namespace moe::reference

#endif // MOE_CODEGEN_REFERENCE_ELEMENTWISE_H
