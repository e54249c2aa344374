// Says in words how a product is computed: instructions, tile, packing, bytes.

#ifndef MOE_CODEGEN_CPU_REMARKS_H
#define MOE_CODEGEN_CPU_REMARKS_H

#include "codegen/cpu/Target.h"

#include "mlir/IR/BuiltinOps.h"

namespace moe::cpu {

/// Emits a remark at every grouped.matmul of a level-2 module, for every level.
void remarkOnProducts(mlir::ModuleOp module, llvm::ArrayRef<Level> levels);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_REMARKS_H
