// Looks up one folder.
#include "dialect/Ops.h"
#include "../codegen/cpu/Kernel.h"
