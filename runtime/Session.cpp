// One caller's use of a prepared function, see Session.h.
#include "runtime/Session.h"
#include "runtime/Failure.h"

#include <algorithm>

namespace moert {

namespace {
/// The function's name and argument for messages: "input 1 of 'mixtral'".
std::string argumentName(const char *kind, size_t index,
                         const Function &function) {
  return fmt::format("{} {} of {}", kind, index, quote(function.name));
}

std::string wantedType(const TypeSpec &type) {
  std::string text;
  for (const Dim &dim : type.dims)
    text += dim.symbol < 0 ? fmt::format("{}x", dim.size) : dim.text + "x";
  return text + dtypeName(type.dtype);
}

std::string givenType(const moert_tensor &tensor) {
  if (tensor.rank < 0 || tensor.rank > MOERT_MAX_RANK)
    return fmt::format("of rank {}", tensor.rank);
  std::span<const int64_t> shape(tensor.shape,
                                 static_cast<size_t>(tensor.rank));
  if (tensor.dtype < 0 || tensor.dtype >= dtypeCount)
    return fmt::format("of unknown element type {}", tensor.dtype);
  return typeName(static_cast<Dtype>(tensor.dtype), shape);
}

int64_t tensorBytes(const moert_tensor &tensor) {
  return arrayBytes(static_cast<Dtype>(tensor.dtype),
                    {tensor.shape, static_cast<size_t>(tensor.rank)});
}

/// Data must be there, aligned to an element, unless there are no elements.
void checkData(const moert_tensor &tensor, const char *kind, size_t index,
               const Function &function) {
  if (tensorBytes(tensor) == 0)
    return;
  if (!tensor.data)
    fail(MOERT_USAGE, "{} has no data", argumentName(kind, index, function));
  if (reinterpret_cast<uintptr_t>(tensor.data) %
      dtypeBytes(static_cast<Dtype>(tensor.dtype)))
    fail(MOERT_USAGE, "{} is not aligned to its elements of {} bytes",
         argumentName(kind, index, function),
         dtypeBytes(static_cast<Dtype>(tensor.dtype)));
}
} // namespace

Session::Session(std::shared_ptr<const Prepared> prepared, int32_t threads,
                 bool collectLoads)
    : shared(std::move(prepared)), threads(threads) {
  const Function &function = *shared->function;
  bound.resize(function.symbols.size());
  size_t inputs = function.inputs.size();
  arguments.resize(inputs + shared->constants.size() + function.results.size());
  std::ranges::copy(shared->constants,
                    arguments.begin() + static_cast<std::ptrdiff_t>(inputs));
  for (moert_tensor &argument : arguments)
    pointers.push_back(&argument);
  if (!collectLoads)
    return;
  slotCounters.resize(function.routings.size());
  size_t experts = 0;
  for (const Routing &routing : function.routings) {
    firstCounter.push_back(experts);
    experts += static_cast<size_t>(routing.experts);
  }
  counters.resize(experts);
}

std::unique_ptr<Session> Session::fork() const {
  return std::make_unique<Session>(shared, threads, !firstCounter.empty());
}

void Session::bindInputs(const moert_tensor *inputs) {
  const Function &function = *shared->function;
  std::ranges::fill(bound, Bound());
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    const TypeSpec &wanted = function.inputs[i];
    const moert_tensor &given = inputs[i];
    bool fits = given.dtype == wanted.dtype &&
                given.rank == static_cast<int32_t>(wanted.dims.size());
    for (size_t d = 0; fits && d < wanted.dims.size(); ++d)
      fits = given.shape[d] >= 0 && (wanted.dims[d].symbol >= 0 ||
                                     wanted.dims[d].size == given.shape[d]);
    if (!fits)
      fail(MOERT_USAGE, "{} is {}, wanted {}",
           argumentName("input", i, function), givenType(given),
           wantedType(wanted));
    if (tensorBytes(given) < 0)
      fail(MOERT_MEMORY, "{} of type {} has more than 2^63 bytes",
           argumentName("input", i, function), givenType(given));
    for (size_t d = 0; d < wanted.dims.size(); ++d) {
      int32_t symbol = wanted.dims[d].symbol;
      if (symbol < 0)
        continue;
      Bound &value = bound[symbol];
      if (value.size < 0)
        value = {given.shape[d], static_cast<int32_t>(i),
                 static_cast<int32_t>(d)};
      else if (value.size != given.shape[d])
        fail(MOERT_USAGE,
             "{}: dimension {} is {}, but dimension {} of input {} is {}, and "
             "both are {}",
             argumentName("input", i, function), d, given.shape[d],
             value.dimension, value.input, value.size,
             quote(function.symbols[symbol]));
    }
  }
}

/// -1: beyond 63 bits.
int64_t Session::sizeOf(const Dim &dim) const {
  if (dim.symbol < 0)
    return dim.size;
  int64_t size = 0;
  if (__builtin_mul_overflow(bound[dim.symbol].size, dim.factor, &size))
    return -1;
  size /= dim.divisor;
  if (__builtin_mul_overflow(size, dim.times, &size) ||
      __builtin_add_overflow(size, dim.more, &size))
    return -1;
  return size;
}

void Session::resultTypes(const moert_tensor *inputs, moert_tensor *results) {
  bindInputs(inputs);
  const Function &function = *shared->function;
  for (size_t i = 0; i < function.results.size(); ++i) {
    const TypeSpec &type = function.results[i];
    results[i].dtype = type.dtype;
    results[i].rank = static_cast<int32_t>(type.dims.size());
    for (size_t d = 0; d < type.dims.size(); ++d)
      results[i].shape[d] = sizeOf(type.dims[d]);
    if (tensorBytes(results[i]) < 0)
      fail(MOERT_MEMORY, "{} of type {} would have more than 2^63 bytes",
           argumentName("result", i, function), givenType(results[i]));
  }
}

void Session::tracedTypes(const moert_tensor *inputs, moert_tensor *traced) {
  bindInputs(inputs);
  const Function &function = *shared->function;
  for (size_t i = 0; i < function.traced.size(); ++i) {
    const Traced &spec = function.traced[i];
    traced[i].dtype = spec.type.dtype;
    traced[i].rank = 2;
    traced[i].shape[1] = spec.type.dims[1].size;
    if (__builtin_mul_overflow(sizeOf(spec.type.dims[0]), spec.times,
                               &traced[i].shape[0]) ||
        tensorBytes(traced[i]) < 0)
      fail(MOERT_MEMORY, "routing {} of {} would have more than 2^63 bytes",
           spec.routing, quote(function.name));
  }
}

void Session::trace(const moert_trace *wanted) {
  const Function &function = *shared->function;
  traces.assign(wanted, wanted ? wanted + function.traced.size() : wanted);
  int64_t experts = 0;
  for (const Traced &traced : function.traced)
    experts = std::max(experts, function.routings[traced.routing].experts);
  lastRow.resize(traces.empty() ? 0 : static_cast<size_t>(experts));
}

/// Experts in range, distinct in a row; -1 is an empty slot.
void Session::checkGivenIds() {
  const Function &function = *shared->function;
  for (size_t i = 0; i < traces.size(); ++i) {
    const Traced &traced = function.traced[i];
    if (traced.type.dtype != MOERT_I32 || !traces[i].in)
      continue;
    const auto *ids = static_cast<const int32_t *>(traces[i].in);
    int64_t experts = function.routings[traced.routing].experts;
    int64_t slots = traced.type.dims[1].size;
    int64_t rows = sizeOf(traced.type.dims[0]) * traced.times;
    std::ranges::fill(lastRow, -1);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t slot = 0; slot < slots; ++slot) {
        int64_t id = ids[row * slots + slot];
        if (id < -1 || id >= experts)
          fail(MOERT_USAGE,
               "routing {} of {}: token {} is given expert {}, wanted -1 to {}",
               traced.routing, quote(function.name), row, id, experts - 1);
        if (id >= 0 && std::exchange(lastRow[id], row) == row)
          fail(MOERT_USAGE,
               "routing {} of {}: token {} is given expert {} twice",
               traced.routing, quote(function.name), row, id);
      }
  }
}

void Session::growWorkspace() {
  moert_context context = {};
  context.threads = threads;
  shared->machine.describe(context);
  int64_t bytes = shared->workspace(&context, pointers.data());
  if (bytes >= 0 && bytes <= workspace.size())
    return;
  // The caller's results are probably still untouched, so they count as memory
  // to come.
  const Function &function = *shared->function;
  int64_t total = bytes;
  bool overflow = bytes < 0;
  for (size_t i = arguments.size() - function.results.size();
       i < arguments.size(); ++i)
    overflow |=
        __builtin_add_overflow(total, tensorBytes(arguments[i]), &total);
  std::string what = fmt::format("{} on inputs {}", quote(function.name), [&] {
    std::string types;
    for (size_t i = 0; i < function.inputs.size(); ++i)
      types += fmt::format("{}{}", i ? ", " : "", givenType(arguments[i]));
    return types;
  }());
  workspace = Buffer(); // the old one is of no use any more
  requireMemory(overflow ? -1 : total, what);
  workspace = Buffer(bytes, what);
}

void Session::invoke(const moert_tensor *inputs, const moert_tensor *results) {
  const Function &function = *shared->function;
  size_t inputCount = function.inputs.size();
  moert_tensor *firstResult =
      arguments.data() + arguments.size() - function.results.size();
  resultTypes(inputs, firstResult);
  for (size_t i = 0; i < function.results.size(); ++i) {
    const moert_tensor &given = results[i];
    const moert_tensor &wanted = firstResult[i];
    if (given.dtype != wanted.dtype || given.rank != wanted.rank ||
        !std::equal(given.shape, given.shape + given.rank, wanted.shape))
      fail(MOERT_USAGE, "{} is {}, wanted {}",
           argumentName("result", i, function), givenType(given),
           givenType(wanted));
    checkData(given, "result", i, function);
    firstResult[i].data = given.data;
  }
  for (size_t i = 0; i < inputCount; ++i) {
    checkData(inputs[i], "input", i, function);
    arguments[i] = inputs[i];
  }
  checkGivenIds();
  growWorkspace();
  // Arrays without elements still get an address.
  for (moert_tensor &argument : arguments)
    if (!argument.data)
      argument.data = workspace.data();

  moert_context context = {};
  context.workspace = workspace.data();
  context.workspace_bytes = workspace.size();
  context.threads = threads;
  shared->machine.describe(context);
  context.loads = firstCounter.empty() ? nullptr : counters.data();
  context.slots = firstCounter.empty() ? nullptr : slotCounters.data();
  context.traces = traces.empty() ? nullptr : traces.data();
  checkCode(shared->entry(&context, pointers.data()), context, function.name);
}

const moert_tensor *Session::result(int32_t number) const {
  size_t count = shared->function->results.size();
  if (number < 0 || static_cast<size_t>(number) >= count)
    return nullptr;
  return &arguments[arguments.size() - count + static_cast<size_t>(number)];
}

const int64_t *Session::loads(int32_t routing) const {
  if (routing < 0 || routing >= static_cast<int64_t>(firstCounter.size()))
    return nullptr;
  return counters.data() + firstCounter[routing];
}

int64_t Session::slots(int32_t routing) const {
  if (routing < 0 || routing >= static_cast<int64_t>(slotCounters.size()))
    return 0;
  return slotCounters[routing];
}

void Session::resetLoads() {
  std::ranges::fill(counters, 0);
  std::ranges::fill(slotCounters, 0);
}

} // namespace moert
