// Only the ABI header is allowed.
#include "runtime/Abi.h"
#include "runtime/Memory.h"
#include <mlir/Pass/Pass.h>
