// Records and replaces the routings of a session's calls: moe-run --routing and
// --replay, over the C interface of libmoert.
#ifndef MOE_TOOLS_TRACING_H
#define MOE_TOOLS_TRACING_H

#include "runtime/Failure.h"
#include "tools/Recording.h"

namespace moe::tools {

/// Calls a function of the C interface and turns its error into an exception.
template <typename Call> void check(Call call) {
  moert_error error;
  if (call(&error) != MOERT_OK)
    throw moert::Failure(error.status, error.message);
}

class Tracing {
public:
  /// Files to write and to read; empty: none. MOERT_USAGE if one is wanted and
  /// the function has no routing.
  Tracing(const moert_module *module, int32_t function,
          const std::string &record, std::string replay);

  /// Before a call, when the numbers of rows are known.
  void begin(moert_session *session, const std::vector<moert_tensor> &inputs);
  /// After it; writes the file.
  void end(moert_session *session);
  /// Makes the file visible.
  void commit();

private:
  void give(const std::vector<moert_tensor> &types,
            std::vector<moert_trace> &traces);

  std::optional<RecordingWriter> writer;
  std::string replay;
  std::vector<TracedTensor> tensors;
  std::vector<TracedRouting> routings;
  std::vector<RecordedRouting> given;
  std::vector<Array> computed; // of every traced tensor
};

} // namespace moe::tools

#endif
