// Compiling and calling a layer, see Layer.h.
#include "tools/bench/Layer.h"
#include "runtime/Failure.h"
#include "tools/bench/RandomWeights.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fcntl.h>
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
    std::error_code error;
    std::string name =
        (std::filesystem::temp_directory_path(error) / "moe-bench-XXXXXX")
            .string();
    if (error || !mkdtemp(name.data()))
      moert::fail(MOERT_IO, "{}: no folder for temporary files can be made: {}",
                  error ? "$TMPDIR" : name,
                  error ? error.message() : moert::errorText(errno));
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

std::string contentOf(const std::string &path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Runs the compiler; its diagnostics go to `log`.
void runCompiler(std::vector<std::string> arguments, const std::string &log) {
  std::vector<char *> argv;
  for (std::string &argument : arguments)
    argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string &compiler = arguments[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  int error = posix_spawnp(&child, compiler.c_str(), &actions, nullptr,
                           argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error)
    moert::fail(MOERT_IO,
                "{}: cannot be started: {} (--compiler=PATH names "
                "another moe-compile)",
                compiler, moert::errorText(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    std::fputs(contentOf(log).c_str(), stderr);
  if (!WIFEXITED(status))
    moert::fail(MOERT_RUN_ERROR, "{}: ended by signal {}", compiler,
                WTERMSIG(status));
  if (WEXITSTATUS(status) != 0)
    moert::fail(MOERT_RUN_ERROR, "{}: refused the model of this shape",
                compiler);
}

/// The texts behind "remark: LEVEL: ", in order.
std::vector<std::string> remarksIn(const std::string &log,
                                   const std::string &level) {
  std::string mark = fmt::format(": remark: {}: ", level);
  std::vector<std::string> remarks;
  for (size_t at = log.find(mark); at != std::string::npos;
       at = log.find(mark, at)) {
    at += mark.size();
    remarks.push_back(log.substr(at, log.find('\n', at) - at));
  }
  return remarks;
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
  moert_session *opened = nullptr;
  check(moert_session_create(module.get(), weights, &wanted, &opened, &error),
        error);
  Session session;
  session.session.reset(opened);
  moert_function_info info;
  check(moert_function_describe(module.get(), wanted.function, &info, &error),
        error);
  for (int32_t i = 0; i < info.traced; ++i) {
    moert_traced_info traced;
    check(moert_function_traced(module.get(), wanted.function, i, &traced,
                                &error),
          error);
    session.tracesIds.push_back(traced.dtype == MOERT_I32);
  }
  return session;
}

Layer::Layer(const Shape &shape, Precision precision,
             const LayerOptions &options)
    : layerShape(shape), layerPrecision(precision),
      layerThreads(options.threads) {
  ScratchDirectory scratch;
  std::string model = scratch.path / "layer.mlir";
  std::string artefact = scratch.path / "layer.so";
  std::string log = scratch.path / "log";
  std::ofstream file(model);
  file << modelText(shape, dtypeOf(precision), options.explain);
  file.close();
  if (!file)
    moert::fail(MOERT_IO, "{}: cannot be written", model);
  std::vector<std::string> command = {
      options.compiler, model, "--level=" + options.level, "-o", artefact};
  if (isQuantized(precision))
    command.push_back(fmt::format("--weights-format={}", nameOf(precision)));
  if (options.explain)
    command.emplace_back("--remarks");
  runCompiler(command, log);
  if (options.explain) {
    // Of the router in @routing, then of @layer and of @narrow.
    std::vector<std::string> all = remarksIn(contentOf(log), options.level);
    if (all.size() < 4)
      moert::fail(MOERT_RUN_ERROR,
                  "{}: --remarks tells of {} products, wanted at least 4",
                  options.compiler, all.size());
    products.assign(all.begin() + 1, all.begin() + 4);
  }

  moert_error error;
  moert_module *opened = nullptr;
  check(moert_module_open(artefact.c_str(), &opened, &error), error);
  module.reset(opened);

  RandomWeights random(shape, dtypeOf(precision));
  router = random.router();
  moert_weights *weights = nullptr;
  check(moert_weights_open(random.path().c_str(), &weights, &error), error);
  std::unique_ptr<moert_weights, Closer> owner(weights);
  sessions[0] = open("layer", weights, options);
  sessions[1] = open("routing", weights, options);
  if (options.explain)
    sessions[2] = open("narrow", weights, options);
}

std::string Layer::level() const {
  return moert_session_level(sessions[0].session.get());
}

/// Random numbers; by Zipf's law also, so many times that no other expert
/// scores higher, the router's weights of the experts that are drawn.
Array Layer::makeRows(int64_t tokens, const Traffic &traffic,
                      RandomNumbers &random) const {
  constexpr float pull = 12;
  std::vector<int32_t> drawn;
  if (traffic.kind == Traffic::Kind::Zipf)
    drawn = drawExperts(layerShape, tokens, traffic.exponent, random);
  Dtype dtype = dtypeOf(layerPrecision);
  int64_t size = moert::dtypeBytes(dtype);
  int64_t hidden = layerShape.hidden;
  Array rows(dtype, {tokens, hidden}, "the rows");
  std::vector<double> row(static_cast<size_t>(hidden));
  for (int64_t token = 0; token < tokens; ++token) {
    for (double &value : row)
      value = random.next();
    for (int64_t choice = 0; !drawn.empty() && choice < layerShape.choices;
         ++choice) {
      int64_t expert = drawn[token * layerShape.choices + choice];
      for (int64_t i = 0; i < hidden; ++i)
        row[i] += pull * router[expert * hidden + i];
    }
    for (int64_t i = 0; i < hidden; ++i)
      moert::storeElement(dtype, rows.data.data() + (token * hidden + i) * size,
                          row[i]);
  }
  return rows;
}

/// Calls the layer once and adds what its experts got.
void Layer::countLoads(Batch &batch, size_t input) const {
  moert_session *session = sessions[0].session.get();
  moert_session_reset_loads(session);
  call(Part::Layer, batch, input);
  const int64_t *loads = moert_session_loads(session, 0);
  if (!loads)
    return;
  int64_t sum = 0;
  int64_t largest = 0;
  for (int64_t expert = 0; expert < layerShape.experts; ++expert) {
    batch.activeExperts += loads[expert] > 0;
    sum += loads[expert];
    largest = std::max(largest, loads[expert]);
  }
  if (sum > 0)
    batch.largestLoad += static_cast<double>(largest * layerShape.experts) /
                         static_cast<double>(sum);
}

Batch Layer::makeBatch(int64_t tokens, const Traffic &traffic) const {
  Batch batch{};
  batch.tokens = tokens;
  batch.traffic = traffic;
  int64_t inputs = tokens <= 32 ? 8 : 1;
  RandomNumbers random(static_cast<uint64_t>(tokens));
  tools::RecordedRouting recording;
  if (traffic.kind == Traffic::Kind::File) {
    recording = std::move(tools::readRecording(
        traffic.path, {{layerShape.experts, layerShape.choices}})[0]);
    if (recording.ids.shape[0] == 0)
      moert::fail(MOERT_MALFORMED, "{}: has no tokens", traffic.path);
  }
  for (int64_t input = 0; input < inputs; ++input) {
    batch.rows.push_back(makeRows(tokens, traffic, random));
    if (traffic.kind == Traffic::Kind::File)
      batch.recorded.push_back(cutRecording(recording, input * tokens, tokens));
  }
  Dtype dtype = dtypeOf(layerPrecision);
  batch.result = Array(dtype, {tokens, layerShape.hidden}, "the result");
  batch.narrowResult =
      Array(dtype, {tokens, narrowWidth(layerShape)}, "the result");
  batch.ids = Array(MOERT_I32, {tokens, layerShape.choices}, "the choices");
  batch.weights = Array(MOERT_F32, {tokens, layerShape.choices}, "the weights");

  for (int64_t input = 0; input < inputs; ++input) {
    countLoads(batch, static_cast<size_t>(input));
    for (int64_t i = 0; i < batch.result.count(); ++i)
      if (!std::isfinite(batch.result.element(i)))
        moert::fail(MOERT_RUN_ERROR,
                    "{}, {} tokens: element {} of the result is {}, not finite",
                    layerShape.text(), tokens, i, batch.result.element(i));
  }
  batch.activeExperts /= static_cast<double>(inputs);
  batch.largestLoad /= static_cast<double>(inputs);
  return batch;
}

double Layer::call(Part part, Batch &batch, size_t input) const {
  const Session &session = sessions[static_cast<size_t>(part)];
  input %= batch.rows.size();
  std::vector<moert_trace> traces;
  if (!batch.recorded.empty()) {
    tools::RecordedRouting &recorded = batch.recorded[input];
    for (bool isIds : session.tracesIds)
      traces.push_back({nullptr, isIds ? recorded.ids.data.data()
                                       : recorded.weights.data.data()});
  }
  moert_error error;
  check(moert_session_trace(session.session.get(),
                            traces.empty() ? nullptr : traces.data(), &error),
        error);
  Array &rows = batch.rows[input];
  if (part == Part::Routing)
    return invoke(session.session.get(), rows, {&batch.ids, &batch.weights});
  return invoke(session.session.get(), rows,
                {part == Part::Layer ? &batch.result : &batch.narrowResult});
}

} // namespace moe::bench
