// Functions of a little model, interpreted in f64 and called as machine code on
// inputs, results and a workspace that end at inaccessible pages.

#ifndef MOE_TEST_CODEGEN_CPU_MODELHARNESS_H
#define MOE_TEST_CODEGEN_CPU_MODELHARNESS_H

#include "KernelHarness.h"

#include "codegen/reference/Interpreter.h"

#include "mlir/IR/OwningOpRef.h"

#include <map>

namespace moe::test {

/// Elements of a tensor of any number type as doubles; integers are exact.
struct Array {
  std::vector<int64_t> shape;
  std::vector<double> values;

  int64_t rows() const { return shape.front(); }
  int64_t columns() const { return shape.back(); }
  double at(int64_t row, int64_t column) const {
    return values[row * columns() + column];
  }
};

class Model {
public:
  /// Text of level 1 or 2 whose functions take and return tensors alone; fails
  /// the test if it does not compile.
  explicit Model(const std::string &text);

  /// Its functions in order.
  std::vector<std::string> functions();

  /// Results of the reference; inputs are rounded to their types first.
  std::vector<Array> interpret(const std::string &function,
                               const std::vector<Array> &inputs);

  /// Results of the code of one level. Results and workspace are full of
  /// rubbish at first.
  std::vector<Array> call(const cpu::Level &level, const std::string &function,
                          const std::vector<Array> &inputs, int threads);

  /// The error code of the last call, and its values.
  int32_t code = 0;
  std::vector<int64_t> codeValues;

private:
  mlir::func::FuncOp find(const std::string &function);
  const Kernels &kernels(const cpu::Level &level);

  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::map<std::string, std::unique_ptr<Kernels>> compiled; // by level
};

} // namespace moe::test

#endif // MOE_TEST_CODEGEN_CPU_MODELHARNESS_H
