// All operations of the moe dialect, in reading order.
#ifndef MOE_OPS_TD
#define MOE_OPS_TD

include "dialect/MoeRows.td"
include "dialect/MoeRouting.td"
include "dialect/MoeMove.td"

#endif // MOE_OPS_TD
