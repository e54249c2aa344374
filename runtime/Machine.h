// What generated code asks about the machine: how large a core's cache is, and
// on which NUMA node a thread runs.
#ifndef MOE_RUNTIME_MACHINE_H
#define MOE_RUNTIME_MACHINE_H

#include "runtime/Abi.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moert {

/// More than this are not told apart.
constexpr int64_t mostNodes = 64;
constexpr int32_t mostThreads = 4096;

struct Machine {
  int64_t cacheBytes = 0; // L2 of a core; 0: not known
  int64_t nodes = 1;      // those with CPUs that this process may use
  /// Of every CPU; empty: threads are spread over the nodes in order, as if
  /// they ran there.
  std::vector<int32_t> nodeOfCpu;

  /// Tells a call about this, which must stay where it is.
  void describe(moert_context &context) const;
};

/// Reads the system's description. What is asked for comes first: the
/// arguments unless 0, else $MOE_L2 and $MOE_NODES. MOERT_USAGE: a variable is
/// no such number.
Machine findMachine(int64_t cacheBytes, int64_t nodes,
                    const std::string &system = "/sys/devices/system");

/// "1048576", "512K", "2M", "1G". MOERT_USAGE: another text; `what` begins the
/// message.
int64_t parseBytes(const std::string &text, const std::string &what);

} // namespace moert

#endif
