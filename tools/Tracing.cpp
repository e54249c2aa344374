// Recording and replacing routings, see Tracing.h.
#include "tools/Tracing.h"

#include <algorithm>

namespace moe::tools {

using moert::fail;

static Array copyOf(const Array &array, moert::Dtype dtype) {
  Array copy(dtype, array.shape, "the recorded routings");
  if (dtype == array.dtype)
    std::ranges::copy(array.data.span(), copy.data.data());
  else
    for (int64_t i = 0; i < array.count(); ++i)
      moert::storeElement(dtype,
                          copy.data.data() + i * moert::dtypeBytes(dtype),
                          array.element(i));
  return copy;
}

Tracing::Tracing(const moert_module *module, int32_t function,
                 const std::string &record, std::string replay)
    : replay(std::move(replay)) {
  if (!record.empty())
    writer.emplace(record);
  moert_function_info info;
  check([&](moert_error *error) {
    return moert_function_describe(module, function, &info, error);
  });
  for (int32_t i = 0; i < info.traced; ++i) {
    moert_traced_info traced;
    moert_routing_info routing;
    check([&](moert_error *error) {
      return moert_function_traced(module, function, i, &traced, error);
    });
    check([&](moert_error *error) {
      return moert_function_routing(module, function, traced.routing, &routing,
                                    error);
    });
    tensors.push_back({traced.routing, traced.dtype == MOERT_I32, traced.slots,
                       routing.experts});
  }
  routings = groupTraced(tensors);
  if (routings.empty() && (writer || !this->replay.empty()))
    fail(MOERT_USAGE, "function {} has no routing to record or replay",
         moert::quote(info.name));
}

void Tracing::give(const std::vector<moert_tensor> &types,
                   std::vector<moert_trace> &traces) {
  std::vector<RoutingShape> shapes;
  for (TracedRouting &routing : routings) {
    routing.shape.tokens = types[routing.ids].shape[0];
    shapes.push_back(routing.shape);
  }
  given = readRecording(replay, shapes);
  checkSameIds(replay, routings, given);
  for (size_t i = 0; i < routings.size(); ++i) {
    traces[routings[i].ids].in = given[i].ids.data.data();
    if (!routings[i].weights)
      continue;
    given[i].weights = copyOf(given[i].weights, MOERT_F32);
    traces[*routings[i].weights].in = given[i].weights.data.data();
  }
}

void Tracing::begin(moert_session *session,
                    const std::vector<moert_tensor> &inputs) {
  if (!writer && replay.empty())
    return;
  std::vector<moert_tensor> types(tensors.size());
  check([&](moert_error *error) {
    return moert_session_traced_types(session, inputs.data(), types.data(),
                                      error);
  });
  std::vector<moert_trace> traces(tensors.size());
  if (!replay.empty())
    give(types, traces);
  for (size_t i = 0; writer && i < tensors.size(); ++i) {
    computed.emplace_back(static_cast<moert::Dtype>(types[i].dtype),
                          moert::Shape(types[i].shape, types[i].shape + 2),
                          "the recorded routings");
    traces[i].out = computed[i].data.data();
  }
  check([&](moert_error *error) {
    return moert_session_trace(session, traces.data(), error);
  });
}

void Tracing::end(moert_session *session) {
  check([&](moert_error *error) {
    return moert_session_trace(session, nullptr, error);
  });
  if (!writer)
    return;
  std::vector<RecordedRouting> recorded;
  for (const TracedRouting &routing : routings) {
    const Array &ids = computed[routing.ids];
    recorded.push_back({copyOf(ids, MOERT_I32),
                        routing.weights
                            ? copyOf(computed[*routing.weights], MOERT_F32)
                            : unitWeights(ids)});
  }
  writer->write(recorded);
}

void Tracing::commit() {
  if (writer)
    writer->commit();
}

} // namespace moe::tools
