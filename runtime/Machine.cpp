// What generated code asks about the machine, see Machine.h.
#include "runtime/Machine.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sched.h>

namespace moert {

namespace {
/// The first line of a file of the system; empty if there is none.
std::string readLine(const std::string &path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The numbers of a list such as "0-3,8"; none from where it is malformed.
std::vector<int> parseList(const std::string &text) {
  std::vector<int> numbers;
  const char *at = text.data(), *end = at + text.size();
  while (at < end) {
    int first = 0, last = 0;
    auto [after, error] = std::from_chars(at, end, first);
    if (error != std::errc() || first < 0)
      break;
    last = first;
    if (after < end && *after == '-') {
      auto [behind, wrong] = std::from_chars(after + 1, end, last);
      if (wrong != std::errc())
        break;
      after = behind;
    }
    constexpr int mostCpus = 1 << 16;
    for (int i = first; i <= last && i < mostCpus; ++i)
      numbers.push_back(i);
    at = after < end && *after == ',' ? after + 1 : end;
  }
  return numbers;
}

bool mayRunOn(int cpu) {
  static const auto allowed = [] {
    cpu_set_t set;
    bool known = sched_getaffinity(0, sizeof(set), &set) == 0;
    return std::pair(known, set);
  }();
  return !allowed.first ||
         (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &allowed.second));
}

/// Numbers the nodes that have usable CPUs from 0.
void readNodes(Machine &machine, const std::string &system) {
  machine.nodes = 0;
  for (int node : parseList(readLine(system + "/node/online"))) {
    bool used = false;
    for (int cpu : parseList(
             readLine(fmt::format("{}/node/node{}/cpulist", system, node)))) {
      if (machine.nodes == mostNodes || !mayRunOn(cpu))
        continue;
      used = true;
      if (static_cast<size_t>(cpu) >= machine.nodeOfCpu.size())
        machine.nodeOfCpu.resize(static_cast<size_t>(cpu) + 1);
      machine.nodeOfCpu[cpu] = static_cast<int32_t>(machine.nodes);
    }
    machine.nodes += used;
  }
  machine.nodes = std::max<int64_t>(1, machine.nodes);
}

/// The unified or data cache of level 2 of the first CPU.
int64_t readCache(const std::string &system) {
  for (int index = 0; index < 8; ++index) {
    std::string cache =
        fmt::format("{}/cpu/cpu0/cache/index{}/", system, index);
    if (readLine(cache + "level") != "2" ||
        readLine(cache + "type") == "Instruction")
      continue;
    std::string size = readLine(cache + "size");
    return size.empty() ? 0 : parseBytes(size, cache + "size");
  }
  return 0;
}

const char *variable(const char *name) {
  const char *text = std::getenv(name);
  return text && *text ? text : nullptr;
}

/// Called by threads of generated code.
int64_t nodeOf(const moert_context *context, int64_t thread) {
  const Machine &machine = *static_cast<const Machine *>(context->data);
  if (machine.nodeOfCpu.empty())
    return thread * machine.nodes / std::max(1, context->threads);
  int cpu = sched_getcpu();
  return cpu >= 0 && static_cast<size_t>(cpu) < machine.nodeOfCpu.size()
             ? machine.nodeOfCpu[cpu]
             : 0;
}
} // namespace

int64_t parseBytes(const std::string &text, const std::string &what) {
  int64_t number = 0;
  const char *end = text.data() + text.size();
  auto [after, error] = std::from_chars(text.data(), end, number);
  std::string_view unit(after, end);
  int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : 30;
  if (error != std::errc() || number < 1 || number > INT64_MAX >> shift ||
      (shift == 30 && unit != "G"))
    fail(MOERT_USAGE, "{}: {}; wanted bytes, as 1048576, 512K or 2M", what,
         quote(text));
  return number << shift;
}

void Machine::describe(moert_context &context) const {
  context.cache_bytes = cacheBytes;
  context.nodes = nodes;
  context.node = nodeOf;
  context.data = const_cast<Machine *>(this);
}

Machine findMachine(int64_t cacheBytes, int64_t nodes,
                    const std::string &system) {
  Machine machine;
  machine.cacheBytes = cacheBytes;
  if (const char *text = variable("MOE_L2"); text && cacheBytes == 0)
    machine.cacheBytes = parseBytes(text, "$MOE_L2");
  else if (cacheBytes == 0)
    machine.cacheBytes = readCache(system);
  if (const char *text = variable("MOE_NODES"); text && nodes == 0) {
    std::string_view digits = text;
    auto [after, error] =
        std::from_chars(text, text + digits.size(), machine.nodes);
    if (error != std::errc() || *after || machine.nodes < 1 ||
        machine.nodes > mostNodes)
      fail(MOERT_USAGE, "$MOE_NODES: {}; wanted 1 to {}", quote(text),
           mostNodes);
  } else if (nodes == 0) {
    readNodes(machine, system);
  } else {
    machine.nodes = nodes;
  }
  return machine;
}

} // namespace moert
