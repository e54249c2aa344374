// See ModelHarness.h.

#include "ModelHarness.h"

#include "codegen/cpu/Compile.h"
#include "codegen/cpu/Description.h"
#include "passes/Passes.h"
#include "runtime/Abi.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace mlir;

namespace moe::test {

static int64_t elementsOf(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

static size_t bytesOf(Type element) {
  return element.isInteger(1) ? 1 : element.getIntOrFloatBitWidth() / 8;
}

static void write(Type element, void *data, int64_t at, double value) {
  if (isa<FloatType>(element)) {
    storeRounded(element, data, at, value);
    return;
  }
  auto whole = static_cast<int64_t>(value);
  memcpy(static_cast<char *>(data) + at * bytesOf(element), &whole,
         bytesOf(element));
}

static double read(Type element, const void *data, int64_t at) {
  uint64_t bits = 0;
  size_t size = bytesOf(element);
  memcpy(&bits, static_cast<const char *>(data) + at * size, size);
  if (auto type = dyn_cast<FloatType>(element)) {
    llvm::APFloat number(type.getFloatSemantics(),
                         llvm::APInt(type.getWidth(), bits));
    bool lost;
    number.convert(llvm::APFloat::IEEEdouble(),
                   llvm::APFloat::rmNearestTiesToEven, &lost);
    return number.convertToDouble();
  }
  return static_cast<double>(llvm::SignExtend64(bits, 8 * size));
}

/// The shape of a tensor whose dynamic size is `rows`.
static std::vector<int64_t> shapeOf(RankedTensorType type, int64_t rows) {
  std::vector<int64_t> shape(type.getShape());
  for (int64_t &size : shape)
    if (ShapedType::isDynamic(size))
      size = rows;
  return shape;
}

Model::Model(const std::string &text) {
  module = parseSourceString<ModuleOp>(text, &context());
  bool works = static_cast<bool>(module);
  if (works) {
    PassManager manager(&context());
    buildMoeToGrouped(manager);
    works = succeeded(manager.run(*module));
  }
  EXPECT_TRUE(works) << text;
}

std::vector<std::string> Model::functions() {
  std::vector<std::string> names;
  for (auto function : module->getOps<func::FuncOp>())
    names.push_back(function.getSymName().str());
  return names;
}

func::FuncOp Model::find(const std::string &function) {
  return module->lookupSymbol<func::FuncOp>(function);
}

std::vector<Array> Model::interpret(const std::string &function,
                                    const std::vector<Array> &inputs) {
  func::FuncOp entry = find(function);
  std::vector<reference::Value> arguments;
  for (auto [input, type] : llvm::zip_equal(inputs, entry.getArgumentTypes())) {
    Type element = getElementTypeOrSelf(type);
    if (!isa<FloatType>(element)) {
      arguments.push_back(reference::toValue(reference::Tensor(
          input.shape,
          std::vector<int64_t>(input.values.begin(), input.values.end()))));
      continue;
    }
    std::vector<double> rounded;
    char scratch[8];
    for (double value : input.values)
      rounded.push_back(storeRounded(element, scratch, 0, value));
    arguments.push_back(
        reference::toValue(reference::Tensor(input.shape, rounded)));
  }
  reference::Interpreter interpreter(
      *module, [](StringRef name, RankedTensorType) -> reference::Tensor {
        reference::fail("no param '" + name + "'");
      });
  auto results = interpreter.run(entry, arguments);
  EXPECT_TRUE(succeeded(results)) << function;
  std::vector<Array> arrays;
  if (failed(results))
    return arrays;
  for (const reference::Value &result : *results) {
    const auto &tensor =
        *std::get<std::shared_ptr<const reference::Tensor>>(result);
    Array &array = arrays.emplace_back();
    array.shape.assign(tensor.shape.begin(), tensor.shape.end());
    if (tensor.isFloat())
      array.values = tensor.floats();
    else
      array.values.assign(tensor.integers().begin(), tensor.integers().end());
  }
  return arrays;
}

const Kernels &Model::kernels(const cpu::Level &level) {
  std::unique_ptr<Kernels> &made = compiled[describe(level)];
  if (!made)
    made = Kernels::compile(level, [&](OpBuilder &, ModuleOp target) {
      OwningOpRef<ModuleOp> code = cpu::emitLevel(*module, level);
      if (code)
        target.getBody()->getOperations().splice(
            target.getBody()->begin(), code->getBody()->getOperations());
    });
  return *made;
}

std::vector<Array> Model::call(const cpu::Level &level,
                               const std::string &function,
                               const std::vector<Array> &inputs, int threads) {
  func::FuncOp entry = find(function);
  std::vector<std::unique_ptr<GuardedBuffer>> buffers;
  std::vector<moert_tensor> tensors;
  auto add = [&](Type type, const std::vector<int64_t> &shape) {
    int64_t count = elementsOf(shape);
    size_t bytes = count * bytesOf(getElementTypeOrSelf(type));
    buffers.push_back(std::make_unique<GuardedBuffer>(bytes));
    memset(buffers.back()->as<char>(), 0x5b, bytes);
    moert_tensor &tensor = tensors.emplace_back();
    tensor.data = buffers.back()->as<char>();
    tensor.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), tensor.shape);
  };
  for (auto [input, type] : llvm::zip_equal(inputs, entry.getArgumentTypes())) {
    add(type, input.shape);
    for (auto [i, value] : llvm::enumerate(input.values))
      write(getElementTypeOrSelf(type), tensors.back().data, i, value);
    buffers.back()->makeReadOnly();
  }
  for (Type type : entry.getResultTypes())
    add(type, shapeOf(cast<RankedTensorType>(type), inputs.front().rows()));
  std::vector<moert_tensor *> arguments;
  for (moert_tensor &tensor : tensors)
    arguments.push_back(&tensor);

  std::string suffix = ("_" + level.name).str();
  auto symbol = [&](const std::string &name) {
    return kernels(level).find((name + suffix).c_str());
  };
  moert_context context = {};
  context.threads = threads;
  auto size = reinterpret_cast<moert_workspace_function>(
      symbol(cpu::workspaceSymbol(entry)));
  context.workspace_bytes = size(&context, arguments.data());
  EXPECT_EQ(context.workspace_bytes % MOERT_ALIGNMENT, 0);
  GuardedBuffer workspace(context.workspace_bytes);
  memset(workspace.as<char>(), 0x5b, workspace.size());
  context.workspace = workspace.as<uint8_t>();
  code = reinterpret_cast<moert_function>(symbol(cpu::entrySymbol(entry)))(
      &context, arguments.data());
  codeValues.assign(context.error_values, context.error_values + 4);

  std::vector<Array> results;
  for (size_t i = 0; i < entry.getNumResults(); ++i) {
    const moert_tensor &tensor = tensors[inputs.size() + i];
    Array &array = results.emplace_back();
    array.shape.assign(tensor.shape, tensor.shape + tensor.rank);
    Type element = getElementTypeOrSelf(entry.getResultTypes()[i]);
    for (int64_t j = 0; j < elementsOf(array.shape); ++j)
      array.values.push_back(read(element, tensor.data, j));
  }
  return results;
}

} // namespace moe::test
