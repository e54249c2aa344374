// A function made ready to run: params read and stacked, prepare steps done,
// code of one level chosen. Immutable afterwards, so that any number of
// sessions can share it.
#ifndef MOE_RUNTIME_PREPARE_H
#define MOE_RUNTIME_PREPARE_H

#include "runtime/Checkpoint.h"
#include "runtime/Machine.h"
#include "runtime/Module.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace moert {

struct PrepareOptions {
  int32_t function = 0;
  std::string prefix;
  std::optional<std::string> level; // else $MOE_CPU, else the best
  int32_t threads = 1;
  Machine machine;
  std::function<void(int64_t done, int64_t total)> progress;
};

struct Prepared {
  std::shared_ptr<const Module> module;
  const Function *function = nullptr;
  std::string level;
  Machine machine;
  moert_function entry = nullptr;
  moert_workspace_function workspace = nullptr;
  std::vector<Buffer> buffers; // one per constant
  std::vector<moert_tensor> constants;
  int64_t constantBytes = 0;
  std::vector<std::string>
      unused; // tensors under the prefix that no param took

  std::string functionName() const { return function->name; }
};

/// `weights` may be null for a function without params. See
/// moert_session_create for the errors.
std::shared_ptr<const Prepared> prepare(std::shared_ptr<const Module> module,
                                        const Checkpoint *weights,
                                        const PrepareOptions &options);

/// Throws what a generated function reported: MOERT_RUN_ERROR with the meaning
/// of its code.
void checkCode(int32_t code, const moert_context &context,
               std::string_view function);

} // namespace moert

#endif
