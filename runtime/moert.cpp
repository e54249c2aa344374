// The C interface over the classes: catches every exception and turns it into a
// status and a message.
#include "runtime/moert.h"
#include "runtime/Checkpoint.h"
#include "runtime/Cpu.h"
#include "runtime/Failure.h"
#include "runtime/Module.h"
#include "runtime/Session.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

struct moert_module {
  std::shared_ptr<const moert::Module> module;
};

struct moert_weights {
  moert::Checkpoint checkpoint;
};

struct moert_session {
  std::unique_ptr<moert::Session> session;
};

namespace {
using namespace moert;

/// Copies the text into the caller's record without allocating; cuts at the
/// start of a UTF-8 sequence.
moert_status report(moert_error *error, moert_status status,
                    std::string_view message) noexcept {
  if (!error)
    return status;
  error->status = status;
  size_t length = std::min(message.size(), sizeof(error->message) - 1);
  while (length > 0 && length < message.size() &&
         (static_cast<unsigned char>(message[length]) & 0xc0) == 0x80)
    --length;
  std::memcpy(error->message, message.data(), length);
  error->message[length] = 0;
  for (char *c = error->message; *c; ++c)
    if (static_cast<unsigned char>(*c) < 0x20 || *c == 0x7f)
      *c = '?';
  return status;
}

template <typename Call>
moert_status guarded(moert_error *error, Call call) noexcept {
  try {
    call();
    return report(error, MOERT_OK, "");
  } catch (const Failure &failure) {
    return report(error, failure.status(), failure.message());
  } catch (const std::bad_alloc &) {
    return report(error, MOERT_MEMORY, "out of memory");
  } catch (const std::exception &exception) {
    return report(error, MOERT_RUN_ERROR, exception.what());
  } catch (...) {
    return report(error, MOERT_RUN_ERROR, "unknown exception");
  }
}

const Function &functionAt(const moert_module *module, int32_t function) {
  const std::vector<Function> &functions =
      module->module->description().functions;
  if (function < 0 || function >= static_cast<int64_t>(functions.size()))
    fail(MOERT_USAGE, "{}: has no function {}; it has {}",
         module->module->path(), function, functions.size());
  return functions[function];
}

template <typename Item>
const Item &itemAt(const std::vector<Item> &items, int32_t index,
                   const char *what, const Function &function) {
  if (index < 0 || index >= static_cast<int64_t>(items.size()))
    fail(MOERT_USAGE, "function {} has no {} {}; it has {}",
         quote(function.name), what, index, items.size());
  return items[index];
}

void describeType(const TypeSpec &from, moert_type &to) {
  to = {};
  to.dtype = from.dtype;
  to.rank = static_cast<int32_t>(from.dims.size());
  for (size_t i = 0; i < from.dims.size(); ++i) {
    const Dim &dim = from.dims[i];
    to.shape[i] = dim.text.empty() ? dim.size : -1;
    to.symbols[i] = dim.text.empty() ? nullptr : dim.text.c_str();
  }
}
} // namespace

extern "C" {

const char *moert_version(void) { return "0.1.0"; }

const char *moert_dtype_name(int32_t dtype) {
  return dtype >= 0 && dtype < dtypeCount ? dtypeName(static_cast<Dtype>(dtype))
                                          : nullptr;
}

int64_t moert_dtype_bytes(int32_t dtype) {
  return dtype >= 0 && dtype < dtypeCount
             ? dtypeBytes(static_cast<Dtype>(dtype))
             : 0;
}

moert_status moert_module_open(const char *path, moert_module **module,
                               moert_error *error) {
  *module = nullptr;
  return guarded(error, [&] {
    *module = new moert_module{std::make_shared<const Module>(path)};
  });
}

void moert_module_close(moert_module *module) { delete module; }

const char *moert_module_producer(const moert_module *module) {
  return module->module->description().producer.c_str();
}

int32_t moert_module_function_count(const moert_module *module) {
  return static_cast<int32_t>(module->module->description().functions.size());
}

moert_status moert_module_find_function(const moert_module *module,
                                        const char *name, int32_t *index,
                                        moert_error *error) {
  *index = -1;
  return guarded(error, [&] { *index = module->module->findFunction(name); });
}

moert_status moert_function_describe(const moert_module *module,
                                     int32_t function,
                                     moert_function_info *info,
                                     moert_error *error) {
  return guarded(error, [&] {
    const Function &found = functionAt(module, function);
    *info = {found.name.c_str(),
             static_cast<int32_t>(found.inputs.size()),
             static_cast<int32_t>(found.results.size()),
             static_cast<int32_t>(found.params.size()),
             static_cast<int32_t>(found.routings.size()),
             static_cast<int32_t>(found.traced.size())};
  });
}

moert_status moert_function_input(const moert_module *module, int32_t function,
                                  int32_t input, moert_type *type,
                                  moert_error *error) {
  return guarded(error, [&] {
    const Function &found = functionAt(module, function);
    describeType(itemAt(found.inputs, input, "input", found), *type);
  });
}

moert_status moert_function_result(const moert_module *module, int32_t function,
                                   int32_t result, moert_type *type,
                                   moert_error *error) {
  return guarded(error, [&] {
    const Function &found = functionAt(module, function);
    describeType(itemAt(found.results, result, "result", found), *type);
  });
}

moert_status moert_function_param(const moert_module *module, int32_t function,
                                  int32_t param, const char **name,
                                  moert_type *type, moert_error *error) {
  return guarded(error, [&] {
    const Function &found = functionAt(module, function);
    const ParamSpec &spec = itemAt(found.params, param, "param", found);
    *name = spec.name.c_str();
    *type = {};
    type->dtype = spec.dtype;
    type->rank = static_cast<int32_t>(spec.shape.size());
    std::ranges::copy(spec.shape, type->shape);
  });
}

moert_status moert_function_routing(const moert_module *module,
                                    int32_t function, int32_t routing,
                                    moert_routing_info *info,
                                    moert_error *error) {
  return guarded(error, [&] {
    const Function &found = functionAt(module, function);
    const Routing &spec = itemAt(found.routings, routing, "routing", found);
    *info = {spec.experts, spec.choices};
  });
}

moert_status moert_function_traced(const moert_module *module, int32_t function,
                                   int32_t traced, moert_traced_info *info,
                                   moert_error *error) {
  return guarded(error, [&] {
    const Function &found = functionAt(module, function);
    const Traced &spec = itemAt(found.traced, traced, "traced tensor", found);
    *info = {spec.routing, spec.type.dtype, spec.type.dims[1].size};
  });
}

moert_status moert_weights_open(const char *path, moert_weights **weights,
                                moert_error *error) {
  *weights = nullptr;
  return guarded(error,
                 [&] { *weights = new moert_weights{Checkpoint(path)}; });
}

void moert_weights_close(moert_weights *weights) { delete weights; }

int64_t moert_weights_count(const moert_weights *weights) {
  return static_cast<int64_t>(weights->checkpoint.size());
}

moert_status moert_session_create(moert_module *module,
                                  const moert_weights *weights,
                                  const moert_options *options,
                                  moert_session **session, moert_error *error) {
  *session = nullptr;
  return guarded(error, [&] {
    moert_options given = options ? *options : moert_options{};
    if (given.threads < 0 || given.threads > mostThreads)
      fail(MOERT_USAGE, "{} threads; wanted 1 to {}, or 0 for all",
           given.threads, mostThreads);
    if (given.cache_bytes < 0)
      fail(MOERT_USAGE,
           "{} bytes of cache; wanted 1 or more, or 0 for those "
           "of the machine",
           given.cache_bytes);
    if (given.nodes < 0 || given.nodes > mostNodes)
      fail(MOERT_USAGE,
           "{} nodes; wanted 1 to {}, or 0 for those of the "
           "machine",
           given.nodes, mostNodes);
    PrepareOptions wanted;
    wanted.function = given.function;
    wanted.prefix = given.prefix ? given.prefix : "";
    if (given.level)
      wanted.level = given.level;
    wanted.threads = given.threads ? given.threads : availableThreads();
    wanted.machine = findMachine(given.cache_bytes, given.nodes);
    if (given.progress)
      wanted.progress = [&](int64_t done, int64_t total) {
        given.progress(given.progress_data, done, total);
      };
    auto prepared = prepare(module->module,
                            weights ? &weights->checkpoint : nullptr, wanted);
    auto made = std::make_unique<moert_session>();
    made->session = std::make_unique<Session>(
        std::move(prepared), wanted.threads, given.collect_loads != 0);
    *session = made.release();
  });
}

moert_status moert_session_fork(const moert_session *session,
                                moert_session **fork, moert_error *error) {
  *fork = nullptr;
  return guarded(error, [&] {
    auto made = std::make_unique<moert_session>();
    made->session = session->session->fork();
    *fork = made.release();
  });
}

void moert_session_close(moert_session *session) { delete session; }

moert_status moert_session_result_types(moert_session *session,
                                        const struct moert_tensor *inputs,
                                        struct moert_tensor *results,
                                        moert_error *error) {
  return guarded(error,
                 [&] { session->session->resultTypes(inputs, results); });
}

moert_status moert_session_invoke(moert_session *session,
                                  const struct moert_tensor *inputs,
                                  const struct moert_tensor *results,
                                  moert_error *error) {
  return guarded(error, [&] { session->session->invoke(inputs, results); });
}

const struct moert_tensor *moert_session_result(const moert_session *session,
                                                int32_t result) {
  return session->session->result(result);
}

moert_status moert_session_traced_types(moert_session *session,
                                        const struct moert_tensor *inputs,
                                        struct moert_tensor *traced,
                                        moert_error *error) {
  return guarded(error, [&] { session->session->tracedTypes(inputs, traced); });
}

moert_status moert_session_trace(moert_session *session,
                                 const struct moert_trace *traces,
                                 moert_error *error) {
  return guarded(error, [&] { session->session->trace(traces); });
}

const int64_t *moert_session_loads(const moert_session *session,
                                   int32_t routing) {
  return session->session->loads(routing);
}

int64_t moert_session_slots(const moert_session *session, int32_t routing) {
  return session->session->slots(routing);
}

void moert_session_reset_loads(moert_session *session) {
  session->session->resetLoads();
}

const char *moert_session_level(const moert_session *session) {
  return session->session->prepared().level.c_str();
}

int32_t moert_session_threads(const moert_session *session) {
  return session->session->threadCount();
}

int64_t moert_session_cache_bytes(const moert_session *session) {
  return session->session->prepared().machine.cacheBytes;
}

int32_t moert_session_nodes(const moert_session *session) {
  return static_cast<int32_t>(session->session->prepared().machine.nodes);
}

int64_t moert_session_constant_bytes(const moert_session *session) {
  return session->session->prepared().constantBytes;
}

int64_t moert_session_workspace_bytes(const moert_session *session) {
  return session->session->workspaceBytes();
}

const char *moert_session_unused(const moert_session *session, int64_t index) {
  const std::vector<std::string> &unused = session->session->prepared().unused;
  return index >= 0 && index < static_cast<int64_t>(unused.size())
             ? unused[index].c_str()
             : nullptr;
}

} // extern "C"
