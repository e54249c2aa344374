// What the interpreter computes with: every float is an f64 and every integer
// an i64, whatever its type in the text.
#ifndef MOE_CODEGEN_REFERENCE_VALUE_H
#define MOE_CODEGEN_REFERENCE_VALUE_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/Twine.h"

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace moe::reference {

/// Thrown by the function of an operation; the interpreter adds the operation
/// and its location.
struct Error {
  std::string message;
};
[[noreturn]] void fail(const llvm::Twine &message);

using Shape = llvm::SmallVector<int64_t, 4>;
using Scalar = std::variant<double, int64_t>;

/// "3x4"; "scalar" for rank 0.
std::string shapeText(llvm::ArrayRef<int64_t> shape);
/// The product of the sizes. Throws Error if it exceeds 2^30 elements (8 GiB).
int64_t elementCount(llvm::ArrayRef<int64_t> shape);

/// A dense row-major tensor of floats or of integers (booleans are 0 and 1).
struct Tensor {
  Shape shape;
  std::variant<std::vector<double>, std::vector<int64_t>> elements;

  /// Zeros of the kind (float or integer) of `elementType`.
  Tensor(mlir::Type elementType, llvm::ArrayRef<int64_t> shape);
  Tensor(llvm::ArrayRef<int64_t> shape, std::vector<double> elements);
  Tensor(llvm::ArrayRef<int64_t> shape, std::vector<int64_t> elements);

  bool isFloat() const { return elements.index() == 0; }
  int64_t rank() const { return shape.size(); }
  int64_t size() const {
    return isFloat() ? floats().size() : integers().size();
  }
  int64_t rows() const { return shape.front(); }
  /// Elements of one row: the product of all sizes but the first.
  int64_t rowSize() const;

  std::vector<double> &floats() { return std::get<0>(elements); }
  const std::vector<double> &floats() const { return std::get<0>(elements); }
  std::vector<int64_t> &integers() { return std::get<1>(elements); }
  const std::vector<int64_t> &integers() const { return std::get<1>(elements); }

  Scalar at(int64_t flat) const;
  void set(int64_t flat, Scalar value);
  /// Row-major position of an index. Throws Error, naming both, if it is out of
  /// range.
  int64_t flat(llvm::ArrayRef<int64_t> index) const;
};

/// Calls `visit(index)` for every index of `shape` in row-major order.
template <typename Visit>
void forEachIndex(llvm::ArrayRef<int64_t> shape, Visit visit) {
  for (int64_t size : shape)
    if (size == 0)
      return;
  Shape index(shape.size(), 0);
  while (true) {
    visit(llvm::ArrayRef<int64_t>(index));
    int64_t d = shape.size() - 1;
    for (; d >= 0 && ++index[d] == shape[d]; --d)
      index[d] = 0;
    if (d < 0)
      return;
  }
}

/// A tensor of `shape` whose element at `index` is `source` at the flat
/// position `from(index)`.
template <typename From>
Tensor rearrange(const Tensor &source, llvm::ArrayRef<int64_t> shape,
                 From from) {
  return std::visit(
      [&](const auto &elements) {
        std::decay_t<decltype(elements)> moved;
        moved.reserve(elementCount(shape));
        forEachIndex(shape, [&](llvm::ArrayRef<int64_t> index) {
          moved.push_back(elements[from(index)]);
        });
        return Tensor(shape, std::move(moved));
      },
      source.elements);
}

/// The same elements under another shape of the same size.
Tensor reshape(Tensor tensor, llvm::ArrayRef<int64_t> shape);
/// Rows begin ... end-1 of dimension 0.
Tensor sliceRows(const Tensor &tensor, int64_t begin, int64_t end);
/// Rows rows[0], rows[1], ... of dimension 0, all in range.
Tensor takeRows(const Tensor &tensor, llvm::ArrayRef<int64_t> rows);
/// All rows of all tensors, one after the other. At least one tensor; the other
/// dimensions agree.
Tensor concatRows(llvm::ArrayRef<std::shared_ptr<const Tensor>> tensors);

/// One choice of a token.
struct Slot {
  int64_t expert = -1; // -1: empty
  double weight = 0;
  bool isEmpty() const { return expert < 0; }
};

/// The pairs of a routing, which edits of its weights keep.
struct Support {
  size_t load;            // in Interpreter::loads
  bool isCounted = false; // there
};

/// A routing by rows: the slots of every token, in order of choice.
struct Routing {
  int64_t experts = 0;
  int64_t choices = 0;
  std::vector<std::vector<Slot>> tokens;
  std::shared_ptr<Support> support = nullptr;

  int64_t numPairs() const;
  std::vector<int64_t> counts() const; // tokens per expert
};

/// A prefix into the checkpoint.
struct Scope {
  std::string prefix;
};

/// Weights that share their rows, each [groups, outputs, inputs].
struct Packed {
  std::vector<std::shared_ptr<const Tensor>> weights;
};

using Value = std::variant<double, int64_t, std::shared_ptr<const Tensor>,
                           std::shared_ptr<const Routing>, Scope,
                           std::shared_ptr<const Packed>>;

inline Value toValue(Scalar scalar) {
  return std::visit([](auto number) -> Value { return number; }, scalar);
}
inline Value toValue(Tensor tensor) {
  return std::make_shared<const Tensor>(std::move(tensor));
}
inline Value toValue(Routing routing) {
  return std::make_shared<const Routing>(std::move(routing));
}
inline Value toValue(Packed packed) {
  return std::make_shared<const Packed>(std::move(packed));
}

} // namespace moe::reference

#endif // MOE_CODEGEN_REFERENCE_VALUE_H
