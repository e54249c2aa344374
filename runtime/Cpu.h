// Which of an artefact's instruction set levels runs here.
#ifndef MOE_RUNTIME_CPU_H
#define MOE_RUNTIME_CPU_H

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moert {

/// Levels that this CPU and system support, lowest first: "avx2", "avxvnni",
/// "avx512", "avx512bf16", "amx".
///   avx2        AVX2, FMA, F16C, BMI2: x86-64-v3
///   avxvnni     and AVX-VNNI
///   avx512      AVX2 and AVX-512 F, BW, DQ, VL, CD: x86-64-v4
///   avx512bf16  and AVX-512-BF16, VNNI
///   amx         and AMX-TILE, BF16, INT8, which are requested from the system
std::vector<std::string_view> supportedLevels();

/// Whether this CPU has the instructions of "amx", whatever the system allows.
bool hasAmx();

/// MOERT_USAGE if there is no level of this name anywhere; names those there
/// are.
void checkLevel(std::string_view name);

/// The highest level both offered and supported, but on CPUs with AMX "avx512"
/// before "avx512bf16" if "amx" is not offered; with `wanted`, that one.
/// MOERT_NO_DEVICE names what there is; `wanted` is checked as by checkLevel.
std::string chooseLevel(std::span<const std::string> offered,
                        std::span<const std::string_view> supported,
                        bool cpuHasAmx, std::optional<std::string_view> wanted);

/// CPUs that this process may run on, at least 1.
int availableThreads();

} // namespace moert

#endif
