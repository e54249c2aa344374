// moe-random-evaluate: the oracle of the random programs. Interprets all
// functions of modules, and of the first module after given pass pipelines, in
// one process; a process for each would take hours.
#include "codegen/reference/Interpreter.h"
#include "passes/Passes.h"
#include "runtime/Checkpoint.h"
#include "runtime/Failure.h"
#include "tools/ParseModel.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <cstdio>
#include <map>

using namespace mlir;
using namespace moe::reference;

namespace {

constexpr const char *help =
    R"(usage: moe-random-evaluate DATA.safetensors [--pipeline=PIPELINE]... MODEL.mlir...
Inputs of a function f are the tensors f.in0, f.in1, ..., of rank 0 for numbers. Prints, for every model and then every pipeline (applied to the
first model), records `R <number> <function> <result> <f|i> <sizes,>` and a line feed, followed by the elements as f64;
of a pipeline only results that differ from those of the first model by more than 1e-9 of the largest element of the row.
`E <number> <function> <text>` stands for a function that could not be run, `P <number> <text>` for a pipeline that failed.
)";

moe::reference::Tensor toTensor(const moert::Array &array) {
  Shape shape(array.shape.begin(), array.shape.end());
  if (moert::isFloat(array.dtype)) {
    std::vector<double> elements(array.count());
    for (int64_t i = 0; i < array.count(); ++i)
      elements[i] = array.element(i);
    return moe::reference::Tensor(shape, std::move(elements));
  }
  std::vector<int64_t> elements(array.count());
  for (int64_t i = 0; i < array.count(); ++i)
    elements[i] = static_cast<int64_t>(array.element(i));
  return moe::reference::Tensor(shape, std::move(elements));
}

/// A tensor, or the number that an argument of another type wants.
moe::reference::Value toValue(const moert::Array &array, Type type) {
  if (isa<ShapedType>(type))
    return moe::reference::toValue(toTensor(array));
  if (isa<FloatType>(type))
    return array.element(0);
  return static_cast<int64_t>(array.element(0));
}

moert::Dtype dtypeOf(Type element) {
  if (element.isF32())
    return MOERT_F32;
  if (element.isF16())
    return MOERT_F16;
  if (element.isBF16())
    return MOERT_BF16;
  if (element.isF64())
    return MOERT_F64;
  return element.isInteger(64) ? MOERT_I64 : MOERT_I32;
}

using Results = std::map<std::string, SmallVector<moe::reference::Value>>;

/// All entries of a module; `messages` gets what went wrong.
Results evaluate(ModuleOp module, const moert::Checkpoint &data, int number) {
  auto provider = [&](StringRef name, RankedTensorType type) {
    moert::ParamSpec spec;
    spec.name = name.str();
    spec.dtype = dtypeOf(type.getElementType());
    spec.shape.assign(type.getShape().begin(), type.getShape().end());
    spec.stack = moert::stackAxes(name.str(), "param");
    return toTensor(moert::readParam(data, spec, ""));
  };
  Interpreter interpreter(module, provider);
  Results results;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isPrivate() || function->hasAttr("moe.prepare_of"))
      continue;
    std::string name = function.getName().str(), message;
    ScopedDiagnosticHandler handler(
        module.getContext(), [&](Diagnostic &diagnostic) {
          message += (message.empty() ? "" : "; ") + diagnostic.str();
        });
    try {
      SmallVector<moe::reference::Value> inputs;
      for (unsigned i : Interpreter::inputsOf(function)) {
        moert::Array array = moert::readTensor(
            data, name + ".in" + std::to_string(inputs.size()));
        inputs.push_back(toValue(array, function.getArgumentTypes()[i]));
      }
      auto values = interpreter.run(function, inputs);
      if (succeeded(values)) {
        results[name] = std::move(*values);
        continue;
      }
    } catch (const moert::Failure &failure) {
      message = failure.what();
    }
    for (char &c : message)
      c = c == '\n' ? ' ' : c;
    std::printf("E %d %s %s\n", number, name.c_str(), message.c_str());
  }
  return results;
}

/// A number is a tensor of rank 0.
moe::reference::Tensor tensorOf(const moe::reference::Value &value) {
  if (auto *number = std::get_if<double>(&value))
    return moe::reference::Tensor(Shape{}, std::vector<double>{*number});
  if (auto *number = std::get_if<int64_t>(&value))
    return moe::reference::Tensor(Shape{}, std::vector<int64_t>{*number});
  return *std::get<std::shared_ptr<const moe::reference::Tensor>>(value);
}

double element(const moe::reference::Tensor &tensor, int64_t i) {
  return tensor.isFloat() ? tensor.floats()[i]
                          : static_cast<double>(tensor.integers()[i]);
}

bool agree(const moe::reference::Tensor &a, const moe::reference::Tensor &b) {
  if (a.shape != b.shape)
    return false;
  int64_t width = a.rank() ? a.rowSize() : 1;
  for (int64_t begin = 0; begin < a.size(); begin += width) {
    double largest = 0;
    for (int64_t i = begin; i < begin + width; ++i)
      if (std::isfinite(element(a, i)))
        largest = std::fmax(largest, std::fabs(element(a, i)));
    for (int64_t i = begin; i < begin + width; ++i) {
      double x = element(a, i), y = element(b, i);
      if (x == y || (std::isnan(x) && std::isnan(y)))
        continue;
      if (!(std::fabs(x - y) <= 1e-9 * largest))
        return false;
    }
  }
  return true;
}

void print(int number, const std::string &function, unsigned result,
           const moe::reference::Tensor &tensor) {
  std::printf("R %d %s %u %c ", number, function.c_str(), result,
              tensor.isFloat() ? 'f' : 'i');
  for (int64_t size : tensor.shape)
    std::printf("%lld,", static_cast<long long>(size));
  std::printf("\n");
  for (int64_t i = 0; i < tensor.size(); ++i) {
    double value = element(tensor, i);
    std::fwrite(&value, sizeof value, 1, stdout);
  }
}

/// Runs a pipeline; returns what went wrong.
std::string transform(ModuleOp module, StringRef pipeline) {
  std::string message;
  llvm::raw_string_ostream stream(message);
  ScopedDiagnosticHandler handler(
      module.getContext(),
      [&](Diagnostic &diagnostic) { stream << diagnostic << "; "; });
  FailureOr<OpPassManager> parsed = parsePassPipeline(pipeline, stream);
  if (failed(parsed))
    return message;
  PassManager manager(module.getContext(), module->getName().getStringRef());
  static_cast<OpPassManager &>(manager) = std::move(*parsed);
  if (succeeded(manager.run(module)))
    return "";
  for (char &c : message)
    c = c == '\n' ? ' ' : c;
  return message.empty() ? "failed without a message" : message;
}

int run(ArrayRef<std::string> arguments) {
  std::vector<std::string> pipelines, models;
  for (const std::string &argument : arguments.drop_front())
    if (StringRef(argument).starts_with("--pipeline="))
      pipelines.push_back(argument.substr(sizeof("--pipeline=") - 1));
    else
      models.push_back(argument);
  if (models.empty()) {
    llvm::errs() << help;
    return 2;
  }
  moe::registerMoePasses();
  mlir::registerTransformsPasses();
  moe::registerPipelines();
  DialectRegistry registry;
  moe::registerDialects(registry);
  MLIRContext context(registry);
  context.disableMultithreading();
  moert::Checkpoint data(arguments[0]);
  OwningOpRef<ModuleOp> first;
  Results expected;
  int number = 0;
  for (const std::string &path : models) {
    int exitCode = 0;
    OwningOpRef<ModuleOp> module =
        moe::tools::parseModel(path, context, exitCode);
    if (!module)
      return exitCode;
    Results results = evaluate(*module, data, number);
    for (const auto &[name, values] : results)
      for (unsigned i = 0; i < values.size(); ++i)
        print(number, name, i, tensorOf(values[i]));
    if (number++ == 0) {
      first = std::move(module);
      expected = std::move(results);
    }
  }
  for (const std::string &pipeline : pipelines) {
    OwningOpRef<ModuleOp> module = first->clone();
    std::string message = transform(*module, pipeline);
    if (!message.empty()) {
      std::printf("P %d %s\n", number, message.c_str());
    } else {
      for (const auto &[name, values] : evaluate(*module, data, number))
        for (unsigned i = 0; i < values.size(); ++i)
          if (!expected.contains(name) ||
              !agree(tensorOf(expected[name][i]), tensorOf(values[i])))
            print(number, name, i, tensorOf(values[i]));
    }
    ++number;
  }
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2) {
    llvm::errs() << help;
    return 2;
  }
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const moert::Failure &failure) {
    llvm::errs() << "moe-random-evaluate: " << failure.what() << "\n";
    return 1;
  }
}
