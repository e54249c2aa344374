// What the scheduler must know about attention of one row: its scratch.

#ifndef MOE_CODEGEN_CPU_ATTENTION_H
#define MOE_CODEGEN_CPU_ATTENTION_H

#include "dialect/MoeDialect.h"

namespace moe::cpu {

/// Key rows that a query row looks at before it adds their values; a multiple
/// of the lanes of every level.
constexpr int64_t kAttentionBlock = 64;

/// Numbers (f32) that the sums of all heads and one block need.
int64_t attentionScratch(AttentionOp op);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_ATTENTION_H
