// Linking or preloading the emulator installs it.

#ifndef MOE_TEST_AMX_EMULATOR_H
#define MOE_TEST_AMX_EMULATOR_H

#include <cstdint>

extern "C" {
/// Takes SIGILL again, after LLVM's linker has taken it for its own ends.
__attribute__((visibility("default"))) void moe_amx_install();

/// Products of tiles that were emulated so far.
__attribute__((visibility("default"))) uint64_t moe_amx_products();
}

#endif // MOE_TEST_AMX_EMULATOR_H
