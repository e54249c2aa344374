// Looks up from the bottom.
#include "passes/Passes.h"
