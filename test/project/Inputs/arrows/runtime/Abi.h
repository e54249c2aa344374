// The runtime stands alone.
#include "Memory.h"
#include "dialect/Ops.h"
#include <llvm/Support/Error.h>
