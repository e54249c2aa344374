// Compiling and calling a layer, see Layer.h.
#include "tools/bench/Layer.h"
#include "runtime/Failure.h"
#include "tools/bench/RandomWeights.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

namespace moe::bench {

using moert::Array;
using moert::Dtype;

namespace {
void check(moert_status status, const moert_error &error) {
  if (status != MOERT_OK)
    throw moert::Failure(status, error.message);
}

/// A directory that goes away with everything in it.
class ScratchDirectory {
public:
  ScratchDirectory() {
    std::string name =
        (std::filesystem::temp_directory_path() / "moe-bench-XXXXXX").string();
    if (!mkdtemp(name.data()))
      moert::fail(MOERT_IO, "{}: cannot be made: {}", name,
                  moert::errorText(errno));
    path = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  ScratchDirectory(const ScratchDirectory &) = delete;
  ScratchDirectory &operator=(const ScratchDirectory &) = delete;

  std::filesystem::path path;
};

/// Compiles for one level. The compiler's diagnostics go to our standard error.
void runCompiler(const std::string &compiler, const std::string &level,
                 Precision precision, const std::string &model,
                 const std::string &artefact) {
  std::vector<std::string> arguments = {compiler, model, "--level=" + level,
                                        "-o", artefact};
  if (isQuantized(precision))
    arguments.push_back(fmt::format("--weights-format={}", nameOf(precision)));
  std::vector<char *> argv;
  for (std::string &argument : arguments)
    argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  if (int error = posix_spawnp(&child, compiler.c_str(), nullptr, nullptr,
                               argv.data(), environ))
    moert::fail(MOERT_IO,
                "{}: cannot be started: {} (--compiler=PATH names "
                "another moe-compile)",
                compiler, moert::errorText(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status))
    moert::fail(MOERT_RUN_ERROR, "{}: ended by signal {}", compiler,
                WTERMSIG(status));
  if (WEXITSTATUS(status) != 0)
    moert::fail(MOERT_RUN_ERROR, "{}: refused the model of this shape",
                compiler);
}

moert_tensor tensorOf(Array &array) {
  moert_tensor tensor{};
  tensor.data = array.data.data();
  tensor.rank = static_cast<int32_t>(array.shape.size());
  tensor.dtype = array.dtype;
  std::copy(array.shape.begin(), array.shape.end(), tensor.shape);
  return tensor;
}

double invoke(moert_session *session, Array &input,
              std::initializer_list<Array *> outputs) {
  moert_tensor rows = tensorOf(input);
  moert_tensor results[2];
  size_t count = 0;
  for (Array *output : outputs)
    results[count++] = tensorOf(*output);
  moert_error error;
  auto begin = std::chrono::steady_clock::now();
  moert_status status = moert_session_invoke(session, &rows, results, &error);
  std::chrono::duration<double> taken =
      std::chrono::steady_clock::now() - begin;
  check(status, error);
  return taken.count();
}
} // namespace

Layer::Session Layer::open(const char *function, const moert_weights *weights,
                           const LayerOptions &options) const {
  moert_error error;
  moert_options wanted{};
  check(moert_module_find_function(module.get(), function, &wanted.function,
                                   &error),
        error);
  wanted.threads = options.threads;
  wanted.level = options.level.c_str();
  wanted.collect_loads = 1;
  moert_session *session = nullptr;
  check(moert_session_create(module.get(), weights, &wanted, &session, &error),
        error);
  return Session(session);
}

Layer::Layer(const Shape &shape, Precision precision,
             const LayerOptions &options)
    : layerShape(shape), layerPrecision(precision) {
  ScratchDirectory scratch;
  std::string model = scratch.path / "layer.mlir";
  std::string artefact = scratch.path / "layer.so";
  std::ofstream file(model);
  file << modelText(shape, dtypeOf(precision));
  file.close();
  if (!file)
    moert::fail(MOERT_IO, "{}: cannot be written", model);
  runCompiler(options.compiler, options.level, precision, model, artefact);

  moert_error error;
  moert_module *opened = nullptr;
  check(moert_module_open(artefact.c_str(), &opened, &error), error);
  module.reset(opened);

  RandomWeights random(shape, dtypeOf(precision));
  moert_weights *weights = nullptr;
  check(moert_weights_open(random.path().c_str(), &weights, &error), error);
  std::unique_ptr<moert_weights, Closer> owner(weights);
  layer = open("layer", weights, options);
  routing = open("routing", weights, options);
}

std::string Layer::level() const { return moert_session_level(layer.get()); }

Batch Layer::makeBatch(int64_t tokens) const {
  Batch batch{tokens, {}, {}, {}, {}};
  Dtype dtype = dtypeOf(layerPrecision);
  int64_t inputs = tokens <= 32 ? 8 : 1;
  RandomNumbers random(static_cast<uint64_t>(tokens));
  for (int64_t input = 0; input < inputs; ++input) {
    Array rows(dtype, {tokens, layerShape.hidden}, "the rows");
    for (int64_t i = 0; i < rows.count(); ++i)
      moert::storeElement(dtype,
                          rows.data.data() + i * moert::dtypeBytes(dtype),
                          random.next());
    batch.rows.push_back(std::move(rows));
  }
  batch.result = Array(dtype, {tokens, layerShape.hidden}, "the result");
  batch.ids = Array(MOERT_I32, {tokens, layerShape.choices}, "the choices");
  batch.weights = Array(MOERT_F32, {tokens, layerShape.choices}, "the weights");

  for (int64_t input = 0; input < inputs; ++input) {
    moert_session_reset_loads(layer.get());
    callLayer(batch, static_cast<size_t>(input));
    const int64_t *loads = moert_session_loads(layer.get(), 0);
    for (int64_t expert = 0; loads && expert < layerShape.experts; ++expert)
      batch.activeExperts += loads[expert] > 0;
    for (int64_t i = 0; i < batch.result.count(); ++i)
      if (!std::isfinite(batch.result.element(i)))
        moert::fail(MOERT_RUN_ERROR,
                    "{}, {} tokens: element {} of the result is {}, not finite",
                    layerShape.text(), tokens, i, batch.result.element(i));
  }
  batch.activeExperts /= static_cast<double>(inputs);
  return batch;
}

double Layer::callLayer(Batch &batch, size_t input) const {
  return invoke(layer.get(), batch.rows[input % batch.rows.size()],
                {&batch.result});
}

double Layer::callRouting(Batch &batch, size_t input) const {
  return invoke(routing.get(), batch.rows[input % batch.rows.size()],
                {&batch.ids, &batch.weights});
}

} // namespace moe::bench
