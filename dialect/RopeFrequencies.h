// The numbers of moe.rope_frequencies, for the interpreter and for constants in
// code.

#ifndef MOE_DIALECT_ROPEFREQUENCIES_H
#define MOE_DIALECT_ROPEFREQUENCIES_H

#include "dialect/MoeDialect.h"

namespace moe {
/// theta^(-2i/dim), divided by the factor where it turns slowly.
llvm::SmallVector<double> ropeFrequencies(RopeFrequenciesOp op);
} // namespace moe

#endif // MOE_DIALECT_ROPEFREQUENCIES_H
