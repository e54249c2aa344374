// A function made ready to run, see Prepare.h.
#include "runtime/Prepare.h"
#include "runtime/Cpu.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <cstdlib>
#include <set>

namespace moert {

namespace {
moert_tensor tensorOf(Dtype dtype, std::span<const int64_t> shape, void *data) {
  moert_tensor tensor = {};
  tensor.data = data;
  tensor.rank = static_cast<int32_t>(shape.size());
  tensor.dtype = dtype;
  std::ranges::copy(shape, tensor.shape);
  return tensor;
}

/// Does the work of prepare() for one function; keeps count of the bytes read.
class Preparation {
public:
  Preparation(const Checkpoint *weights, const PrepareOptions &options,
              Prepared &made)
      : weights(weights), options(options), made(made),
        function(*made.function) {}

  void run() {
    chooseCode();
    resolve();
    checkMemory();
    made.buffers.resize(function.constants.size());
    made.constants.resize(function.constants.size());
    for (size_t i = 0; i < function.constants.size(); ++i)
      if (int32_t param = function.constants[i].param; param >= 0) {
        made.buffers[i] = read(param);
        const ParamSpec &spec = function.params[param];
        made.constants[i] =
            tensorOf(spec.dtype, spec.shape, made.buffers[i].data());
      }
    for (const Step &step : function.steps)
      runStep(step);
    findUnused();
    if (options.progress)
      options.progress(total, total);
  }

private:
  void chooseCode() {
    std::optional<std::string> wanted = options.level;
    if (const char *variable = std::getenv("MOE_CPU");
        !wanted && variable && *variable)
      wanted = variable;
    const std::vector<std::string> &levels = made.module->description().levels;
    std::vector<std::string_view> supported = supportedLevels();
    made.level = chooseLevel(levels, supported, hasAmx(), wanted);
    level = static_cast<size_t>(std::ranges::find(levels, made.level) -
                                levels.begin());
    made.entry = reinterpret_cast<moert_function>(symbol(function.entry));
    made.workspace =
        reinterpret_cast<moert_workspace_function>(symbol(function.workspace));
    for (const Step &step : function.steps)
      symbol(step.symbol);
  }

  void *symbol(const std::string &name) const {
    return made.module->symbol(name + "_" + made.level);
  }

  void resolve() {
    if (function.params.empty())
      return;
    if (!weights)
      fail(MOERT_USAGE,
           "function {} needs weights ({} params, the first is {}), but none "
           "were given",
           quote(function.name), function.params.size(),
           quote(function.params[0].name));
    for (const ParamSpec &param : function.params)
      params.push_back(resolveParam(*weights, param, options.prefix));
  }

  int64_t paramBytes(int32_t param) const {
    return static_cast<int64_t>(params[param].parts.size()) *
           params[param].partBytes;
  }

  /// All at once: the system would grant each part and fail in the middle of
  /// filling them.
  void checkMemory() {
    int64_t largestStep = 0;
    bool overflow = false;
    auto add = [&](int64_t bytes) {
      overflow |= __builtin_add_overflow(made.constantBytes, bytes,
                                         &made.constantBytes);
    };
    for (const Constant &constant : function.constants)
      if (constant.param >= 0) {
        add(paramBytes(constant.param));
        total += paramBytes(constant.param);
      }
    for (const Step &step : function.steps) {
      for (int64_t bytes : step.bytes[level])
        add(bytes);
      int64_t temporary = 0;
      for (int32_t param : step.params)
        overflow |=
            __builtin_add_overflow(temporary, paramBytes(param), &temporary);
      overflow |= __builtin_add_overflow(total, temporary, &total);
      largestStep = std::max(largestStep, temporary);
    }
    int64_t peak = 0;
    overflow |= __builtin_add_overflow(made.constantBytes, largestStep, &peak);
    requireMemory(
        overflow ? -1 : peak,
        fmt::format("preparing the weights of {}", quote(function.name)));
  }

  Buffer read(int32_t param) {
    Buffer buffer(paramBytes(param),
                  fmt::format("param {}", quote(function.params[param].name)));
    readParam(*weights, params[param], buffer.data(), [&](int64_t bytes) {
      done += bytes;
      if (options.progress)
        options.progress(done, total);
    });
    return buffer;
  }

  void runStep(const Step &step) {
    std::vector<Buffer> temporary;
    std::vector<moert_tensor> arguments;
    for (int32_t param : step.params) {
      temporary.push_back(read(param));
      const ParamSpec &spec = function.params[param];
      arguments.push_back(
          tensorOf(spec.dtype, spec.shape, temporary.back().data()));
    }
    for (size_t i = 0; i < step.results.size(); ++i) {
      int64_t bytes = step.bytes[level][i];
      Buffer &buffer = made.buffers[step.results[i]];
      buffer = Buffer(bytes, fmt::format("constant {} of {}", step.results[i],
                                         quote(function.name)));
      made.constants[step.results[i]] =
          tensorOf(MOERT_U8, {&bytes, 1}, buffer.data());
      arguments.push_back(made.constants[step.results[i]]);
    }
    std::vector<moert_tensor *> pointers;
    for (moert_tensor &argument : arguments)
      pointers.push_back(&argument);
    moert_context context = {};
    context.threads = options.threads;
    made.machine.describe(context);
    auto *code = reinterpret_cast<moert_function>(symbol(step.symbol));
    checkCode(code(&context, pointers.data()), context,
              step.params.size() == 1 ? function.params[step.params[0]].name
                                      : step.symbol);
  }

  void findUnused() {
    if (!weights)
      return;
    std::set<std::pair<uint32_t, uint32_t>> used;
    for (const ResolvedParam &param : params)
      for (Checkpoint::Tensor part : param.parts)
        used.emplace(part.shard, part.index);
    weights->forEach([&](Checkpoint::Tensor tensor) {
      std::string_view name = weights->describe(tensor).name;
      if (name.starts_with(options.prefix) &&
          !used.contains({tensor.shard, tensor.index}))
        made.unused.emplace_back(name);
    });
  }

  const Checkpoint *weights;
  const PrepareOptions &options;
  Prepared &made;
  const Function &function;
  std::vector<ResolvedParam> params;
  size_t level = 0;
  int64_t done = 0;
  int64_t total = 0;
};
} // namespace

std::shared_ptr<const Prepared> prepare(std::shared_ptr<const Module> module,
                                        const Checkpoint *weights,
                                        const PrepareOptions &options) {
  const std::vector<Function> &functions = module->description().functions;
  if (options.function < 0 ||
      options.function >= static_cast<int64_t>(functions.size()))
    fail(MOERT_USAGE, "{}: has no function {}; it has {}", module->path(),
         options.function, functions.size());
  auto made = std::make_shared<Prepared>();
  made->function = &functions[options.function];
  made->machine = options.machine;
  made->module = std::move(module);
  Preparation(weights, options, *made).run();
  return made;
}

void checkCode(int32_t code, const moert_context &context,
               std::string_view function) {
  switch (code) {
  case MOERT_CODE_OK:
    return;
  case MOERT_CODE_WORKSPACE:
    fail(MOERT_RUN_ERROR, "{}: needs a workspace of {} bytes, got {}",
         quote(function), context.error_values[0], context.error_values[1]);
  case MOERT_CODE_INDEX:
    fail(MOERT_RUN_ERROR, "{}: index {} is outside [0, {})", quote(function),
         context.error_values[0], context.error_values[1]);
  case MOERT_CODE_EXPERT:
    fail(MOERT_RUN_ERROR,
         "{}: expert {} of row {} is out of range, there are {} experts",
         quote(function), context.error_values[0], context.error_values[2],
         context.error_values[1]);
  case MOERT_CODE_REPEATED:
    fail(MOERT_RUN_ERROR,
         "{}: expert {} stands twice in row {}, expected distinct experts",
         quote(function), context.error_values[0], context.error_values[1]);
  case MOERT_CODE_CAPACITY:
    fail(MOERT_RUN_ERROR, "{}: capacity of {} tokens is {}, expected 1 or more",
         quote(function), context.error_values[0], context.error_values[1]);
  case MOERT_CODE_DIVISION:
    fail(MOERT_RUN_ERROR, "{}: divides {} by 0", quote(function),
         context.error_values[0]);
  case MOERT_CODE_SEGMENT:
    fail(MOERT_RUN_ERROR, "{}: capacity is both {} and {} in one segment",
         quote(function), context.error_values[0], context.error_values[1]);
  case MOERT_CODE_ROWS:
    fail(MOERT_RUN_ERROR, "{}: a tensor of {} rows meets one of {} rows",
         quote(function), context.error_values[0], context.error_values[1]);
  case MOERT_CODE_SPLIT:
    fail(MOERT_RUN_ERROR, "{}: splits {} rows into parts of {}",
         quote(function), context.error_values[0], context.error_values[1]);
  case MOERT_CODE_SHARE:
    fail(MOERT_RUN_ERROR,
         "{}: assigns {} tokens, which is no multiple of {} experts",
         quote(function), context.error_values[0], context.error_values[1]);
  case MOERT_CODE_FINITE:
    fail(MOERT_RUN_ERROR, "{}: scores are not all finite in f32",
         quote(function));
  case MOERT_CODE_AUCTION:
    fail(MOERT_RUN_ERROR, "{}: the auction has no end after {} rounds",
         quote(function), context.error_values[0]);
  case MOERT_CODE_STEP:
    fail(MOERT_RUN_ERROR, "{}: a loop has step {}, expected at least 1",
         quote(function), context.error_values[0]);
  default: // codes of later versions
    fail(MOERT_RUN_ERROR, "{}: failed with code {} (values {}, {}, {}, {})",
         quote(function), code, context.error_values[0],
         context.error_values[1], context.error_values[2],
         context.error_values[3]);
  }
}

} // namespace moert
