// Compiles functions made by the kernel emitters, loads them, and calls them on
// buffers that end at an inaccessible page.

#ifndef MOE_TEST_CODEGEN_CPU_KERNELHARNESS_H
#define MOE_TEST_CODEGEN_CPU_KERNELHARNESS_H

#include "codegen/cpu/Target.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace moe::cpu {
/// What GoogleTest prints for a parameter.
void PrintTo(const Level &level, std::ostream *stream);
} // namespace moe::cpu

namespace moe::test {

/// The levels whose code can run here: those of this CPU, and each emulated.
std::vector<cpu::Level> runnableLevels();

/// "avx512bf16_emulated", for names of tests.
std::string describe(const cpu::Level &level);

/// Memory whose last byte is followed, and whose first page is preceded, by a
/// page that must not be touched.
class GuardedBuffer {
public:
  explicit GuardedBuffer(size_t bytes);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer &) = delete;
  GuardedBuffer &operator=(const GuardedBuffer &) = delete;

  template <typename T> T *as() { return reinterpret_cast<T *>(start); }
  size_t size() const { return bytes; }
  /// Ends writing: a later store is a fault.
  void makeReadOnly();

private:
  size_t bytes;
  size_t mapped;
  char *mapping;
  char *start;
};

/// Arguments in the order in which LLVM takes them: a memref is its two
/// pointers, offset, sizes and strides.
class Arguments {
public:
  Arguments &index(int64_t value);
  Arguments &memref(void *data, std::vector<int64_t> shape,
                    std::vector<int64_t> strides = {});

  std::vector<int64_t> words;
};

/// A loaded shared object with one module's code.
class Kernels {
public:
  /// `build` fills the module. Aborts with a message if anything fails.
  static std::unique_ptr<Kernels>
  compile(const cpu::Level &level,
          llvm::function_ref<void(mlir::OpBuilder &, mlir::ModuleOp)> build);
  ~Kernels();

  void call(const char *function, const Arguments &arguments) const;
  /// The address of an exported function; aborts if there is none.
  void *find(const char *function) const;

private:
  explicit Kernels(void *library) : library(library) {}
  void *library;
};

/// Adds an exported function; `body` is called at its start with its arguments.
void addFunction(
    mlir::OpBuilder &builder, mlir::ModuleOp module, llvm::StringRef name,
    mlir::TypeRange arguments,
    llvm::function_ref<void(mlir::OpBuilder &, mlir::ValueRange)> body);

/// A context with everything registered, shared by all tests of the program.
mlir::MLIRContext &context();

/// Rounds to `type` (f32, f16 or bf16), writes it at `data[at]`, and returns
/// the rounded value.
double storeRounded(mlir::Type type, void *data, int64_t at, double value);

} // namespace moe::test

#endif // MOE_TEST_CODEGEN_CPU_KERNELHARNESS_H
