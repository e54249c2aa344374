// One caller's use of a prepared function: argument checks, the reusable
// workspace, expert loads. After the first call with given shapes, a call
// allocates nothing.
#ifndef MOE_RUNTIME_SESSION_H
#define MOE_RUNTIME_SESSION_H

#include "runtime/Prepare.h"

#include <memory>
#include <vector>

namespace moert {

class Session {
public:
  Session(std::shared_ptr<const Prepared> prepared, int32_t threads,
          bool collectLoads);

  std::unique_ptr<Session> fork() const;

  /// Fills dtype, rank and shape of the results. MOERT_USAGE where inputs do
  /// not fit the function.
  void resultTypes(const moert_tensor *inputs, moert_tensor *results);
  /// See moert_session_invoke.
  void invoke(const moert_tensor *inputs, const moert_tensor *results);

  /// See moert_session_result.
  const moert_tensor *result(int32_t number) const;

  /// Fills dtype, rank and shape of the traced tensors, as resultTypes does.
  void tracedTypes(const moert_tensor *inputs, moert_tensor *traced);
  /// For the calls that follow; null for none. See moert_session_trace.
  void trace(const moert_trace *traces);

  /// Null if loads are not collected.
  const int64_t *loads(int32_t routing) const;
  /// 0 if loads are not collected.
  int64_t slots(int32_t routing) const;
  void resetLoads();

  const Prepared &prepared() const { return *shared; }
  int32_t threadCount() const { return threads; }
  int64_t workspaceBytes() const { return workspace.size(); }

private:
  void bindInputs(const moert_tensor *inputs);
  int64_t sizeOf(const Dim &dim) const;
  void growWorkspace();
  void checkGivenIds();

  /// The value of a symbol and where it came from, for messages.
  struct Bound {
    int64_t size = -1;
    int32_t input = 0;
    int32_t dimension = 0;
  };

  std::shared_ptr<const Prepared> shared;
  int32_t threads;
  std::vector<Bound> bound;
  std::vector<moert_tensor> arguments; // inputs, constants, results
  std::vector<moert_tensor *> pointers;
  std::vector<int64_t> counters; // of all routings
  std::vector<int64_t> slotCounters;
  std::vector<size_t> firstCounter;
  std::vector<moert_trace> traces; // empty: nothing is traced
  std::vector<int64_t> lastRow;    // with an expert, while ids are checked
  Buffer workspace;
};

} // namespace moert

#endif
