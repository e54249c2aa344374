// The grouped dialect (see GroupedOps.td).
#ifndef MOE_DIALECT_GROUPEDDIALECT_H
#define MOE_DIALECT_GROUPEDDIALECT_H

#include "dialect/MoeDialect.h"

#include "dialect/GroupedDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/GroupedTypes.h.inc"
#define GET_OP_CLASSES
#include "dialect/GroupedOps.h.inc"

#endif // MOE_DIALECT_GROUPEDDIALECT_H
