// The moe dialect: types, enumerations and operations (see MoeDialect.td,
// MoeRows.td, MoeRouting.td, MoeMove.td).
#ifndef MOE_DIALECT_MOEDIALECT_H
#define MOE_DIALECT_MOEDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/MoeDialect.h.inc"
#include "dialect/MoeEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/MoeTypes.h.inc"
#define GET_OP_CLASSES
#include "dialect/MoeOps.h.inc"

namespace moe {
/// The shape of `like` with the element type of `input` (a scalar or tensor):
/// the type `broadcast` returns.
mlir::RankedTensorType broadcastType(mlir::Type input,
                                     mlir::RankedTensorType like);
/// `tensor` with dimension 0 dynamic: what dispatch and combine return.
mlir::RankedTensorType withDynamicRows(mlir::RankedTensorType tensor);
} // namespace moe

#endif // MOE_DIALECT_MOEDIALECT_H
