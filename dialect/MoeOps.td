// All operations of the moe dialect, in reading order.
#ifndef MOE_OPS_TD
#define MOE_OPS_TD

include "dialect/MoeRows.td"
include "dialect/MoeSelect.td"
include "dialect/MoeRouting.td"
include "dialect/MoeEdit.td"
include "dialect/MoeRead.td"
include "dialect/MoeLosses.td"
include "dialect/MoeRandom.td"
include "dialect/MoeAttention.td"
include "dialect/MoeMove.td"

#endif // MOE_OPS_TD
