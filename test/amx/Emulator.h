// Linking or preloading the emulator installs it; this says whether it worked.

#ifndef MOE_TEST_AMX_EMULATOR_H
#define MOE_TEST_AMX_EMULATOR_H

#include <cstdint>

/// Products of tiles that were emulated so far.
extern "C" uint64_t moe_amx_products();

#endif // MOE_TEST_AMX_EMULATOR_H
