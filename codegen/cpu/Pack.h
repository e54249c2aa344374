// The loops that pack weights once, when a model is loaded.

#ifndef MOE_CODEGEN_CPU_PACK_H
#define MOE_CODEGEN_CPU_PACK_H

#include "codegen/cpu/PackedLayout.h"

#include "mlir/IR/Builders.h"

namespace moe::cpu {

/// Emits the loops that pack the panels [begin, end) of the experts * panels
/// panels of `layout` (panel p of expert e is e * panels + p). Disjoint ranges
/// may be packed at the same time by different threads.
///
/// `sources`: one memref per weight, any strides, element type f32, f16 or bf16
/// (converted when it differs from the packed one): [experts, N, K], or
/// [experts, K, N] if `inOut`; rank 2 without the first dimension is allowed
/// for one expert. `packed`: memref<?xi8> of layout.bytes() bytes or more.
void emitPack(mlir::OpBuilder &builder, mlir::Location loc,
              const PackedLayout &layout, mlir::ValueRange sources, bool inOut,
              mlir::Value packed, mlir::Value begin, mlir::Value end);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_PACK_H
