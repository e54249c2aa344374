// moe-run: runs a function of an artefact on given inputs and weights, over the
// C interface of libmoert.
#include "runtime/Cpu.h"
#include "runtime/Failure.h"
#include "runtime/Machine.h"
#include "tools/Cache.h"
#include "tools/RunCommand.h"
#include "tools/Stats.h"
#include "tools/ToolMain.h"
#include "tools/Tracing.h"

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

using namespace moe::tools;
using moert::fail;

namespace {

constexpr const char *help = R"(Runs a compiled mixture-of-experts model.
Usage: moe-run MODEL.so|MODEL.mlir [options]       (.mlir: compiled first, cached)
  --function=NAME          what to run; may be left out where there is only one
  --input=VALUE            one per input: 4x8xf32=1,2,...  4x8xf32=0.5  4x8xf32
                           @x.npy  +x.npy (its next array)  - (.npy on stdin)
                           @x.safetensors:tensor  4x8xf32=@raw.bin
  --weights=PATH           .safetensors file, or directory of a checkpoint
  --prefix=TEXT            put before the name of every weight
  --output=TO              one per result: @y.npy  +y.npy (append)  - (text)
                           @- (.npy on stdout); without it, text
  --expected_output=VALUE  one per result, as --input: compares; exit 3 if different
  --expected_atol=X        |result - expected| <= atol + rtol * |expected|; defaults:
  --expected_rtol=X        f32 1e-4 1e-5, f16 1e-3 2^-9, bf16 1e-2 2^-7, f64 1e-9 1e-9
  --output_max_element_count=N  elements printed of a result (1024)
  --device=cpu             where to run
  --threads=N              0: all of this machine (default)
  --weights-format=FORMAT  q8, q8g, q4 or q4z: experts' weights of a .mlir model as 8- or 4-bit entries
  --l2=BYTES               L2 cache of a core, as 512K (default $MOE_L2, else the machine's)
  --nodes=N                spreads weights and threads as over N NUMA nodes (default $MOE_NODES, else the machine's)
  --level=LEVEL            avx2, avxvnni, avx512, avx512bf16 or amx (default $MOE_CPU, else best)
  --stats                  load of every expert as bars, and time per token
  --routing=FILE           writes the experts that tokens chose in every routing,
                           and their weights, as .npz or .jsonl
  --replay=FILE            makes tokens visit the experts of such a file instead
  --list                   print the functions of the model, their types and params
  -v,--verbose  -h,--help  --version
Exit status: 0 ok, 1 error while it compiled or ran, 2 wrong command line or input, 3 other
values than expected, 4 broken file or one that lacks something, 5 file that cannot be read
or written, 6 too little memory, 7 no such device or instructions
Examples:
  moe-run layer.mlir --weights=model.safetensors --input=@x.npy --output=@y.npy
  moe-run layer.so --weights=ckpt/ --prefix=model.layers.0.mlp. --input=4x64xf32=0.5
)";

struct Options : RunOptions {
  std::string device = "cpu";
  std::string level;
  std::string weightsFormat;
  std::string l2;
  int threads = 0;
  int nodes = 0;
  bool verbose = false;
};

template <auto Close> struct Closer {
  template <typename Handle> void operator()(Handle *handle) const {
    Close(handle);
  }
};
using Module = std::unique_ptr<moert_module, Closer<moert_module_close>>;
using Weights = std::unique_ptr<moert_weights, Closer<moert_weights_close>>;
using Session = std::unique_ptr<moert_session, Closer<moert_session_close>>;

Module openModule(const Options &options) {
  const std::string &model = options.model;
  std::unique_ptr<Artefact> compiled;
  std::vector<std::string> compilation;
  if (!options.weightsFormat.empty())
    compilation.push_back("--weights-format=" + options.weightsFormat);
  if (model.ends_with(".mlir") || model.ends_with(".mlirbc"))
    compiled = compileCached(model, compilation);
  else if (!compilation.empty())
    moert::fail(MOERT_USAGE,
                "--weights-format={}: {} is compiled already, expected a .mlir "
                "model",
                options.weightsFormat, moert::quote(model));
  moert_module *module = nullptr;
  check([&](moert_error *error) {
    return moert_module_open(
        compiled ? compiled->path().c_str() : model.c_str(), &module, error);
  });
  return Module(module);
}

std::string typeText(const moert_type &type) {
  std::string text;
  for (int32_t i = 0; i < type.rank; ++i)
    text += (type.symbols[i] ? std::string(type.symbols[i])
                             : fmt::to_string(type.shape[i])) +
            "x";
  return text + moert_dtype_name(type.dtype);
}

/// "mixtral(d0x64xf32) -> (d0x64xf32)" and its params, one a line.
std::string functionText(const moert_module *module, int32_t function) {
  moert_function_info info;
  check([&](moert_error *error) {
    return moert_function_describe(module, function, &info, error);
  });
  moert_type type;
  auto types = [&](int32_t count, auto get) {
    std::string text;
    for (int32_t i = 0; i < count; ++i) {
      check([&](moert_error *error) {
        return get(module, function, i, &type, error);
      });
      text += (i ? ", " : "") + typeText(type);
    }
    return text;
  };
  std::string text = fmt::format("{}({}) -> ({})\n", info.name,
                                 types(info.inputs, moert_function_input),
                                 types(info.results, moert_function_result));
  for (int32_t i = 0; i < info.params; ++i) {
    const char *name;
    check([&](moert_error *error) {
      return moert_function_param(module, function, i, &name, &type, error);
    });
    text += fmt::format("  {} : {}\n", name, typeText(type));
  }
  return text;
}

int32_t chooseFunction(const moert_module *module, const Options &options) {
  int32_t count = moert_module_function_count(module);
  if (options.function.empty() && count == 1)
    return 0;
  if (options.function.empty() && count == 0)
    fail(MOERT_MALFORMED, "{}: has no functions", options.model);
  if (options.function.empty()) {
    std::string names;
    moert_function_info info;
    for (int32_t i = 0; i < count; ++i) {
      check([&](moert_error *error) {
        return moert_function_describe(module, i, &info, error);
      });
      names += (i ? ", " : "") + moert::quote(info.name);
    }
    fail(MOERT_USAGE, "{}: has {} functions ({}): choose with --function",
         options.model, count, names);
  }
  int32_t index = -1;
  std::string name = options.function;
  if (name.starts_with('@'))
    name.erase(0, 1); // as it is written in the .mlir
  check([&](moert_error *error) {
    return moert_module_find_function(module, name.c_str(), &index, error);
  });
  return index;
}

Session createSession(moert_module *module, int32_t function,
                      const Options &options) {
  Weights weights;
  if (!options.weights.empty()) {
    moert_weights *opened = nullptr;
    check([&](moert_error *error) {
      return moert_weights_open(options.weights.c_str(), &opened, error);
    });
    weights.reset(opened);
  }
  ProgressBar bar("loading weights");
  moert_options wanted = {};
  wanted.function = function;
  wanted.threads = options.threads;
  wanted.prefix = options.prefix.c_str();
  wanted.level = options.level.empty() ? nullptr : options.level.c_str();
  wanted.collect_loads = options.stats;
  wanted.nodes = options.nodes;
  if (!options.l2.empty())
    wanted.cache_bytes = moert::parseBytes(options.l2, "--l2");
  wanted.progress = [](void *data, int64_t done, int64_t total) {
    static_cast<ProgressBar *>(data)->show(done, total);
  };
  wanted.progress_data = &bar;
  moert_session *session = nullptr;
  check([&](moert_error *error) {
    return moert_session_create(module, weights.get(), &wanted, &session,
                                error);
  });
  return Session(session);
}

moert_tensor tensorOf(Array &array) {
  moert_tensor tensor = {};
  tensor.data = array.data.data();
  tensor.rank = static_cast<int32_t>(array.shape.size());
  tensor.dtype = array.dtype;
  std::ranges::copy(array.shape, tensor.shape);
  return tensor;
}

/// Room for the results, of the shapes that the runtime computes from the
/// inputs.
std::vector<Array> allocateResults(moert_session *session,
                                   const std::vector<moert_tensor> &inputs,
                                   int32_t count) {
  std::vector<moert_tensor> types(static_cast<size_t>(count));
  check([&](moert_error *error) {
    return moert_session_result_types(session, inputs.data(), types.data(),
                                      error);
  });
  std::vector<Array> results;
  for (int32_t i = 0; i < count; ++i)
    results.emplace_back(
        static_cast<moert_dtype>(types[i].dtype),
        moert::Shape(types[i].shape, types[i].shape + types[i].rank),
        fmt::format("result {}", i));
  return results;
}

double invokeTimed(moert_session *session,
                   const std::vector<moert_tensor> &inputs,
                   const std::vector<moert_tensor> &results) {
  auto start = std::chrono::steady_clock::now();
  check([&](moert_error *error) {
    return moert_session_invoke(session, inputs.data(), results.data(), error);
  });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Where the data decide how many rows a result has, there was room for more.
void cutResults(const moert_session *session, std::vector<Array> &results) {
  for (size_t i = 0; i < results.size(); ++i) {
    const moert_tensor *made =
        moert_session_result(session, static_cast<int32_t>(i));
    moert::Shape shape(made->shape, made->shape + made->rank);
    if (shape == results[i].shape)
      continue;
    Array cut(results[i].dtype, shape, fmt::format("result {}", i));
    std::copy_n(results[i].data.data(), cut.data.size(), cut.data.data());
    results[i] = std::move(cut);
  }
}

/// Loads of one call, and the median time of up to 20 more calls within half a
/// second.
std::string statsText(moert_module *module, int32_t function,
                      moert_session *session,
                      const std::vector<moert_tensor> &inputs,
                      const std::vector<moert_tensor> &results,
                      double firstTime) {
  std::string text;
  moert_function_info info;
  check([&](moert_error *error) {
    return moert_function_describe(module, function, &info, error);
  });
  for (int32_t i = 0; i < info.routings; ++i) {
    moert_routing_info routing;
    check([&](moert_error *error) {
      return moert_function_routing(module, function, i, &routing, error);
    });
    text += loadText(
        i,
        {moert_session_loads(session, i), static_cast<size_t>(routing.experts)},
        routing.choices, moert_session_slots(session, i));
  }
  std::vector<double> times;
  double spent = firstTime;
  while (times.size() < 20 && spent < 0.5) {
    times.push_back(invokeTimed(session, inputs, results));
    spent += times.back();
  }
  if (times.empty())
    times.push_back(firstTime);
  int64_t tokens =
      inputs.empty() || inputs[0].rank == 0 ? 1 : inputs[0].shape[0];
  return text + timeText(times, tokens, moert_session_threads(session),
                         moert_session_level(session));
}

void reportLoading(const moert_session *session) {
  fmt::print(stderr,
             "level {}, {} threads, {} nodes, {} of L2 a core, {} of "
             "constants\n",
             moert_session_level(session), moert_session_threads(session),
             moert_session_nodes(session),
             moert::bytesText(moert_session_cache_bytes(session)),
             moert::bytesText(moert_session_constant_bytes(session)));
  for (int64_t i = 0; const char *name = moert_session_unused(session, i); ++i)
    fmt::print(stderr, "unused: {}\n", moert::quote(name));
}

int run(const Options &options) {
  if (!options.level.empty())
    moert::checkLevel(options.level);
  if (options.device != "cpu")
    fail(MOERT_NO_DEVICE, "no device {}; there is 'cpu'",
         moert::quote(options.device));
  Module module = openModule(options);
  if (options.list) {
    std::string text;
    for (int32_t i = 0; i < moert_module_function_count(module.get()); ++i)
      text += functionText(module.get(), i);
    moert::AtomicFile("-").write(text);
    return MOERT_OK;
  }
  int32_t function = chooseFunction(module.get(), options);
  moert_function_info info;
  check([&](moert_error *error) {
    return moert_function_describe(module.get(), function, &info, error);
  });
  RunValues run(options, info.name, static_cast<size_t>(info.inputs),
                static_cast<size_t>(info.results));
  std::vector<Array> inputs = run.takeInputs();
  Tracing tracing(module.get(), function, options.routing, options.replay);

  Session session = createSession(module.get(), function, options);
  if (options.verbose)
    reportLoading(session.get());
  std::vector<moert_tensor> inputTensors, resultTensors;
  for (Array &input : inputs)
    inputTensors.push_back(tensorOf(input));
  std::vector<Array> results =
      allocateResults(session.get(), inputTensors, info.results);
  for (Array &result : results)
    resultTensors.push_back(tensorOf(result));
  tracing.begin(session.get(), inputTensors);
  double time = invokeTimed(session.get(), inputTensors, resultTensors);
  tracing.end(session.get());
  std::string report;
  if (options.stats)
    report = statsText(module.get(), function, session.get(), inputTensors,
                       resultTensors, time);
  cutResults(session.get(), results);

  return run.finish(results, report, [&] { tracing.commit(); });
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  auto addOptions = [&](CLI::App &app) {
    app.add_flag("-v,--verbose", options.verbose);
    app.add_option("--device", options.device);
    app.add_option("--l2", options.l2);
    app.add_option("--nodes", options.nodes)->check(CLI::Range(1, 64));
    app.add_option("--level", options.level);
    app.add_option("--weights-format", options.weightsFormat)
        ->check(CLI::IsMember({"q8", "q8g", "q4", "q4z"}));
    app.add_option("--threads", options.threads)
        ->check(CLI::Range(0, moert::mostThreads));
  };
  return runCommand("moe-run", help, argc, argv, options, addOptions,
                    [&] { return run(options); });
}
