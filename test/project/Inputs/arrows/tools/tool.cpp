// A tool may use everything.
#include "codegen/cpu/Kernel.h"
#include "dialect/Ops.h"
#include "runtime/Abi.h"
