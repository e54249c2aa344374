// moe-interpret: runs a function of a .mlir file on the f64 reference
// interpreter, with the flags of moe-run.
#include "codegen/reference/Interpreter.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "runtime/Failure.h"
#include "runtime/moert.h"
#include "tools/ParseModel.h"
#include "tools/Recording.h"
#include "tools/RunCommand.h"
#include "tools/Stats.h"

#include <llvm/Support/SourceMgr.h>
#include <optional>

using namespace mlir;
using namespace moe::tools;
using moert::fail;
using moert::quote;

namespace {

constexpr const char *help =
    R"(Runs a mixture-of-experts model on the reference interpreter, in f64.
Usage: moe-interpret MODEL.mlir [options]      (- : standard input)
MODEL.mlir is as written, or what any phase before grouped-to-cpu left of it.
  --function=NAME          what to run; may be left out where there is only one
  --input=VALUE            one per input: 4x8xf32=1,2,...  4x8xf32=0.5  4x8xf32
                           @x.npy  +x.npy (its next array)  - (.npy on stdin)
                           @x.safetensors:tensor  4x8xf32=@raw.bin
  --weights=PATH           .safetensors file, or directory of a checkpoint
  --prefix=TEXT            put before the name of every weight
  --round                  round at every truncf and to the types of the results;
                           without it floats are f64 throughout, results too
  --output=TO              one per result: @y.npy  +y.npy (append)  - (text)
                           @- (.npy on stdout); without it, text
  --expected_output=VALUE  one per result, as --input: compares; exit 3 if different
  --expected_atol=X        |result - expected| <= atol + rtol * |expected|; defaults
  --expected_rtol=X        of the expected type: f32 1e-4 1e-5, f64 1e-9 1e-9, ...
  --output_max_element_count=N  elements printed of a result (1024)
  --stats                  load of every expert as bars
  --routing=FILE           writes the experts that tokens chose in every routing,
                           and their weights, as .npz or .jsonl
  --replay=FILE            makes tokens visit the experts of such a file instead
  --list                   print the functions of the model and their types
  --device, --threads, --level  accepted as in moe-run, and ignored
  -h,--help  --version
Examples:
  moe-interpret layer.mlir --weights=model.safetensors --input=@x.npy --output=@y.npy
  moe-opt --moe-to-grouped layer.mlir | moe-interpret - --input=4x64xf32=0.5
)";

struct Options : RunOptions {
  bool round = false;
};

//===-- Types and values of the command line and of the interpreter -------===//

std::string text(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// As types are written on the command line: "?x64xf32".
std::string commandLineType(Type type) {
  std::string written = text(type);
  StringRef name = written;
  if (isa<RankedTensorType>(type) && name.consume_front("tensor<"))
    name.consume_back(">");
  return name.str();
}

/// The element type of a tensor or scalar on the command line; none for other
/// types.
std::optional<moert::Dtype> dtypeOf(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isIndex() ? MOERT_I64 : moert::parseDtype(text(element));
}

moe::reference::Value valueOf(const Array &array, bool scalar) {
  moe::reference::Shape shape(array.shape.begin(), array.shape.end());
  if (moert::isFloat(array.dtype)) {
    std::vector<double> elements(static_cast<size_t>(array.count()));
    for (size_t i = 0; i < elements.size(); ++i)
      elements[i] = array.element(static_cast<int64_t>(i));
    if (scalar)
      return elements[0];
    return moe::reference::toValue(
        moe::reference::Tensor(shape, std::move(elements)));
  }
  std::vector<int64_t> elements(static_cast<size_t>(array.count()));
  for (size_t i = 0; i < elements.size(); ++i)
    elements[i] = moert::loadInteger(
        array.dtype, array.data.data() + static_cast<int64_t>(i) *
                                             moert::dtypeBytes(array.dtype));
  if (scalar)
    return elements[0];
  return moe::reference::toValue(
      moe::reference::Tensor(shape, std::move(elements)));
}

Array arrayOf(const moe::reference::Value &value, moert::Dtype dtype,
              const std::string &what) {
  int64_t bytes = moert::dtypeBytes(dtype);
  if (auto *number = std::get_if<double>(&value)) {
    Array array(dtype, {}, what);
    moert::storeElement(dtype, array.data.data(), *number);
    return array;
  }
  if (auto *number = std::get_if<int64_t>(&value)) {
    Array array(dtype, {}, what);
    moert::storeInteger(dtype, array.data.data(), *number);
    return array;
  }
  const auto &tensor =
      *std::get<std::shared_ptr<const moe::reference::Tensor>>(value);
  Array array(dtype, moert::Shape(tensor.shape.begin(), tensor.shape.end()),
              what);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (tensor.isFloat())
      moert::storeElement(dtype, array.data.data() + i * bytes,
                          tensor.floats()[i]);
    else
      moert::storeInteger(dtype, array.data.data() + i * bytes,
                          tensor.integers()[i]);
  }
  return array;
}

/// An input has the element type of the argument, or is f64 where that is a
/// float.
moe::reference::Value inputOf(const Array &array, Type type, size_t index,
                              StringRef function) {
  moert::Dtype wanted = *dtypeOf(type);
  auto tensor = dyn_cast<RankedTensorType>(type);
  bool fits = array.dtype == wanted ||
              (array.dtype == MOERT_F64 && moert::isFloat(wanted));
  fits &= tensor
              ? succeeded(verifyCompatibleShape(array.shape, tensor.getShape()))
              : array.shape.empty();
  if (!fits)
    fail(MOERT_USAGE, "input {} of {} is {}, wanted {}", index,
         quote(function.str()), array.type(), commandLineType(type));
  return valueOf(array, !tensor);
}

//===-- The model ---------------------------------------------------------===//

std::vector<func::FuncOp> entriesOf(ModuleOp module) {
  std::vector<func::FuncOp> entries;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal() &&
        !function->hasAttr("moe.prepare_of"))
      entries.push_back(function);
  return entries;
}

func::FuncOp chooseFunction(ModuleOp module, const Options &options) {
  std::vector<func::FuncOp> entries = entriesOf(module);
  StringRef wanted = options.function;
  wanted.consume_front("@"); // as it is written in the .mlir
  if (wanted.empty() && entries.size() == 1)
    return entries[0];
  std::string names;
  for (func::FuncOp entry : entries) {
    if (!wanted.empty() && entry.getName() == wanted)
      return entry;
    names += (names.empty() ? "" : ", ") + moert::quote(entry.getName().str());
  }
  if (wanted.empty())
    fail(MOERT_USAGE, "{}: has {} functions ({}): choose with --function",
         options.model, entries.size(), names.empty() ? "none" : names);
  fail(MOERT_USAGE, "{}: has no function {}; it has {}", options.model,
       quote(wanted.str()), names.empty() ? "none" : names);
}

/// Reads params from the checkpoint of --weights.
moe::reference::ParamProvider
paramsOf(const std::optional<moert::Checkpoint> &weights,
         const std::string &prefix) {
  return [&](StringRef name, RankedTensorType type) {
    std::optional<moert::Dtype> dtype = dtypeOf(type);
    if (!weights)
      fail(MOERT_USAGE,
           "the model needs the weight {}, but no weights were "
           "given",
           quote(name.str()));
    if (!dtype)
      fail(MOERT_MALFORMED,
           "weight {} has the type {}, which no checkpoint has",
           quote(name.str()), text(type));
    moert::ParamSpec spec;
    spec.name = name.str();
    spec.dtype = *dtype;
    spec.shape.assign(type.getShape().begin(), type.getShape().end());
    spec.stack = moert::stackAxes(spec.name, "the model");
    Array array = moert::readParam(*weights, spec, prefix);
    return *std::get<std::shared_ptr<const moe::reference::Tensor>>(
        valueOf(array, /*scalar=*/false));
  };
}

//===-- Recorded routings -------------------------------------------------===//

/// Routings get their numbers where they are lowered; everything before that is
/// done too, so that moe-run and moe-interpret mean the same ones.
LogicalResult numberRoutings(ModuleOp module) {
  bool lowered = true;
  module.walk([&](Operation *op) {
    lowered &= llvm::none_of(op->getResultTypes(), [](Type type) {
      return isa<moe::RoutingType>(type);
    });
  });
  if (lowered)
    return success();
  PassManager manager(module.getContext());
  moe::buildNumberedRoutings(manager);
  return manager.run(module);
}

/// All experts of a routing, of which a plan may sort a part.
int64_t expertsOf(moe::grouped::PlanOp plan) {
  auto part = plan->getAttrOfType<DenseI64ArrayAttr>("moe.loads");
  return part ? part[0] : static_cast<int64_t>(plan.getExperts());
}

/// What --routing and --replay do at the traced tensors of a function.
class Tracing {
public:
  Tracing(func::FuncOp function, const Options &options) : options(options) {
    if (options.routing.empty() && options.replay.empty())
      return;
    if (!options.routing.empty())
      writer.emplace(options.routing);
    std::vector<TracedTensor> tensors;
    llvm::DenseMap<int64_t, int64_t> experts;
    function.walk([&](moe::grouped::PlanOp plan) {
      if (auto number = plan->getAttrOfType<IntegerAttr>("moe.routing"))
        experts[number.getInt()] = expertsOf(plan);
    });
    for (auto op : function.getOps<moe::grouped::TraceOp>()) {
      auto number = static_cast<int64_t>(op.getRouting());
      places[op] = tensors.size();
      tensors.push_back({number, op.isOfIds(),
                         op.getInput().getType().getDimSize(1),
                         experts.lookup(number)});
    }
    routings = groupTraced(tensors);
    computed.resize(tensors.size());
    if (routings.empty())
      fail(MOERT_USAGE, "function {} has no routing to record or replay",
           quote(function.getName().str()));
    if (options.replay.empty())
      return;
    std::vector<RoutingShape> shapes;
    for (const TracedRouting &routing : routings)
      shapes.push_back(routing.shape);
    given = readRecording(options.replay, shapes);
    checkSameIds(options.replay, routings, given);
  }

  moe::reference::TraceHook hook() {
    if (routings.empty())
      return nullptr;
    return
        [this](moe::grouped::TraceOp op, const moe::reference::Tensor &tensor) {
          return trace(op, tensor);
        };
  }

  void write() {
    if (!writer)
      return;
    std::vector<RecordedRouting> recorded;
    for (const TracedRouting &routing : routings) {
      Array ids = arrayOf(computed[routing.ids], MOERT_I32, "recorded ids");
      moert::Dtype dtype = options.round ? MOERT_F32 : MOERT_F64;
      Array weights = routing.weights ? arrayOf(computed[*routing.weights],
                                                dtype, "recorded weights")
                                      : unitWeights(ids);
      recorded.push_back({std::move(ids), std::move(weights)});
    }
    writer->write(recorded);
  }
  void commit() {
    if (writer)
      writer->commit();
  }

private:
  std::optional<moe::reference::Tensor>
  trace(moe::grouped::TraceOp op, const moe::reference::Tensor &tensor) {
    size_t place = places.lookup(op);
    computed[place] = moe::reference::toValue(tensor);
    if (options.replay.empty())
      return std::nullopt;
    for (size_t i = 0; i < routings.size(); ++i) {
      bool ids = routings[i].ids == place;
      if (!ids && routings[i].weights != place)
        continue;
      const Array &array = ids ? given[i].ids : given[i].weights;
      if (array.shape[0] != tensor.rows())
        fail(MOERT_MALFORMED, "{}: routing {} has {} tokens, wanted {}",
             options.replay, i, array.shape[0], tensor.rows());
      return *std::get<std::shared_ptr<const moe::reference::Tensor>>(
          valueOf(array, /*scalar=*/false));
    }
    return std::nullopt;
  }

  const Options &options;
  std::optional<RecordingWriter> writer;
  llvm::DenseMap<Operation *, size_t> places;
  std::vector<TracedRouting> routings;
  std::vector<RecordedRouting> given;
  std::vector<moe::reference::Value> computed;
};

std::string statsText(const moe::reference::Interpreter &interpreter) {
  std::string text;
  int number = 0;
  for (const moe::reference::Load &load : interpreter.loads())
    text += loadText(number++, load.counts, load.choices, load.slots);
  return text;
}

int interpret(ModuleOp module, const Options &options) {
  if (options.list) {
    std::string list;
    for (func::FuncOp entry : entriesOf(module))
      list += fmt::format("{} : {}\n", entry.getName().str(),
                          text(entry.getFunctionType()));
    moert::AtomicFile("-").write(list);
    return MOERT_OK;
  }
  llvm::SourceMgr sources; // shows the line of an error
  SourceMgrDiagnosticHandler handler(sources, module.getContext());
  bool traced = !options.routing.empty() || !options.replay.empty();
  if (traced && failed(numberRoutings(module)))
    return MOERT_RUN_ERROR;
  func::FuncOp function = chooseFunction(module, options);
  std::string name = function.getName().str();
  SmallVector<unsigned> positions =
      moe::reference::Interpreter::inputsOf(function);
  SmallVector<Type> types(function.getResultTypes());
  for (unsigned position : positions)
    types.push_back(function.getArgumentTypes()[position]);
  for (Type type : types)
    if (!dtypeOf(type) ||
        !(isa<RankedTensorType>(type) || type.isIntOrIndexOrFloat()))
      fail(MOERT_USAGE, "function {} has a {}, wanted only tensors and numbers",
           quote(name), text(type));

  RunValues run(options, name, positions.size(), function.getNumResults());
  SmallVector<moe::reference::Value> inputs;
  for (auto [i, input] : llvm::enumerate(run.takeInputs()))
    inputs.push_back(
        inputOf(input, function.getArgumentTypes()[positions[i]], i, name));
  std::optional<moert::Checkpoint> weights;
  if (!options.weights.empty())
    weights.emplace(options.weights);

  Tracing tracing(function, options);

  moe::reference::Interpreter interpreter(module,
                                          paramsOf(weights, options.prefix),
                                          {options.round, tracing.hook()});
  FailureOr<SmallVector<moe::reference::Value>> values =
      interpreter.run(function, inputs);
  if (failed(values))
    return MOERT_RUN_ERROR;
  tracing.write();

  std::vector<Array> results;
  for (auto [i, value] : llvm::enumerate(*values)) {
    moert::Dtype dtype = *dtypeOf(function.getResultTypes()[i]);
    if (moert::isFloat(dtype) && !options.round)
      dtype = MOERT_F64;
    results.push_back(arrayOf(value, dtype, fmt::format("result {}", i)));
  }
  std::string report = options.stats ? statsText(interpreter) : "";
  return run.finish(results, report, [&] { tracing.commit(); });
}

int run(const Options &options) {
  DialectRegistry registry;
  moe::registerDialects(registry);
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  int exitCode = 0;
  OwningOpRef<ModuleOp> module =
      parseModel(options.model, context, exitCode, "moe-interpret");
  if (module)
    onLargeStack([&] { exitCode = interpret(*module, options); });
  return exitCode;
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  auto addOptions = [&](CLI::App &app) {
    app.add_flag("--round", options.round);
    static std::string ignored;
    for (const char *option : {"--device", "--threads", "--level"})
      app.add_option(option, ignored);
  };
  return runCommand("moe-interpret", help, argc, argv, options, addOptions,
                    [&] { return run(options); });
}
