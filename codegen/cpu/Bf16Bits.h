// bf16 values that only move become 16-bit integers.

#ifndef MOE_CODEGEN_CPU_BF16BITS_H
#define MOE_CODEGEN_CPU_BF16BITS_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace moe::cpu {

/// Replaces the type bf16 by i16 in a module of the LLVM dialect, except at
/// conversions and intrinsics.
///
/// LLVM carries a bf16 value between basic blocks as f32 and rounds it again
/// with __truncsfbf2, a function that libgcc 12 lacks, or with an instruction
/// that flushes denormals. Integers move as they are.
std::unique_ptr<mlir::Pass> createBf16BitsPass();

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_BF16BITS_H
