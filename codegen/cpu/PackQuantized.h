// What Pack.cpp does not pack itself.

#ifndef MOE_CODEGEN_CPU_PACKQUANTIZED_H
#define MOE_CODEGEN_CPU_PACKQUANTIZED_H

#include "codegen/cpu/PackedLayout.h"

#include "mlir/IR/Builders.h"

namespace moe::cpu {

/// emitPack for quantised layouts.
void emitQuantizedPack(mlir::OpBuilder &builder, mlir::Location loc,
                       const PackedLayout &layout, mlir::ValueRange sources,
                       bool inOut, mlir::Value packed, mlir::Value begin,
                       mlir::Value end);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_PACKQUANTIZED_H
