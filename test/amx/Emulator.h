// Linking or preloading the emulator installs it. On a CPU with AMX it asks for
// leave to use tiles instead and takes no part, unless $MOE_AMX_EMULATE is set.

#ifndef MOE_TEST_AMX_EMULATOR_H
#define MOE_TEST_AMX_EMULATOR_H

#include <cstdint>

extern "C" {
/// Takes SIGILL again, after LLVM's linker has taken it for its own ends.
__attribute__((visibility("default"))) void moe_amx_install();

/// Whether the CPU executes tile instructions itself.
__attribute__((visibility("default"))) bool moe_amx_is_native();

/// Products of tiles that were emulated so far.
__attribute__((visibility("default"))) uint64_t moe_amx_products();
}

#endif // MOE_TEST_AMX_EMULATOR_H
