// Which level runs here, see Cpu.h.
#include "runtime/Cpu.h"
#include "runtime/Failure.h"

#include <algorithm>
#include <cpuid.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace moert {

namespace {
constexpr std::string_view levels[] = {"avx2", "avxvnni", "avx512",
                                       "avx512bf16", "amx"};

template <typename Names> std::string joined(const Names &names) {
  std::string text;
  for (const auto &name : names)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", quote(name));
  return text.empty() ? "none" : text;
}

bool supportsAvxVnni() {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}

/// If the system saves the tile registers and lets this process use them: their
/// state is large, so Linux wants to be asked.
bool supportsAmx() {
  constexpr unsigned kHasXgetbv = 1u << 27, kStates = 1u << 17 | 1u << 18;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  unsigned a, b, c, d, saved, high;
  if (!hasAmx() || !__get_cpuid(1, &a, &b, &c, &d) || (c & kHasXgetbv) == 0)
    return false;
  asm("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  return (saved & kStates) == kStates &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
} // namespace

bool hasAmx() {
  constexpr unsigned kFeatures = 1u << 22 | 1u << 24 | 1u << 25;
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
         (d & kFeatures) == kFeatures;
}

std::vector<std::string_view> supportedLevels() {
  // These also ask whether the system saves the registers.
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512cd");
  // Every CPU with the first has the second.
  bool avx512bf16 = avx512 && __builtin_cpu_supports("avx512bf16") &&
                    __builtin_cpu_supports("avx512vnni");
  std::vector<std::string_view> found;
  if (avx2)
    found.push_back(levels[0]);
  if (avx2 && supportsAvxVnni())
    found.push_back(levels[1]);
  if (avx512)
    found.push_back(levels[2]);
  if (avx512bf16)
    found.push_back(levels[3]);
  if (avx512bf16 && supportsAmx())
    found.push_back(levels[4]);
  return found;
}

static bool has(const auto &names, std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

void checkLevel(std::string_view name) {
  if (!has(levels, name))
    fail(MOERT_USAGE, "unknown instruction set level {}; there are {}",
         quote(name), joined(levels));
}

std::string chooseLevel(std::span<const std::string> offered,
                        std::span<const std::string_view> supported,
                        bool cpuHasAmx,
                        std::optional<std::string_view> wanted) {
  if (wanted) {
    checkLevel(*wanted);
    if (!has(supported, *wanted))
      fail(MOERT_NO_DEVICE,
           "this CPU does not support the level {}; it supports {}",
           quote(*wanted), joined(supported));
    if (!has(offered, *wanted))
      fail(MOERT_NO_DEVICE,
           "the artefact has no code for the level {}; it has {}",
           quote(*wanted), joined(offered));
    return std::string(*wanted);
  }
  // Code for avx512bf16 does not prefetch, which costs these CPUs much. Without
  // products for tiles there are none for its dot products either.
  if (cpuHasAmx && !has(offered, "amx") && has(offered, "avx512") &&
      has(supported, "avx512"))
    return "avx512";
  for (size_t i = supported.size(); i-- > 0;)
    if (has(offered, supported[i]))
      return std::string(supported[i]);
  fail(MOERT_NO_DEVICE,
       "the artefact has code for the levels {}, this CPU supports {}",
       joined(offered), joined(supported));
}

int availableThreads() {
  // Machines with more CPUs than a cpu_set_t holds: the call fails, and the
  // plain count is good enough.
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

} // namespace moert
