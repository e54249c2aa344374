// A little .mlir text run by the interpreter, and its values compared with
// numbers.
#ifndef MOE_TEST_CODEGEN_REFERENCE_PROGRAM_H
#define MOE_TEST_CODEGEN_REFERENCE_PROGRAM_H

#include "codegen/reference/Interpreter.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <map>
#include <string>
#include <vector>

namespace moe::test {

using Numbers = std::vector<double>;
using Integers = std::vector<int64_t>;

class Program {
public:
  explicit Program(const std::string &text, reference::Options options = {});

  /// Results of the only or first function; fails the test on an error.
  std::vector<reference::Value> run(llvm::ArrayRef<reference::Value> inputs);
  /// The message of the error that the function must end with.
  std::string error(llvm::ArrayRef<reference::Value> inputs);

  /// What moe.param finds, by name.
  std::map<std::string, reference::Tensor> params;
  /// Tokens per expert of every routing of the last run.
  std::vector<Integers> loads;
  Integers slots;

private:
  mlir::FailureOr<llvm::SmallVector<reference::Value>>
  interpret(llvm::ArrayRef<reference::Value> inputs);

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  reference::Options options;
};

reference::Value floats(llvm::ArrayRef<int64_t> shape, Numbers elements);
reference::Value integers(llvm::ArrayRef<int64_t> shape, Integers elements);

void expectFloats(const reference::Value &value, llvm::ArrayRef<int64_t> shape,
                  const Numbers &expected, double tolerance = 1e-12);
void expectIntegers(const reference::Value &value,
                    llvm::ArrayRef<int64_t> shape, const Integers &expected);

} // namespace moe::test

#endif // MOE_TEST_CODEGEN_REFERENCE_PROGRAM_H
