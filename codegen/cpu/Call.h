// How generated code reads moert_context and moert_tensor (runtime/Abi.h).

#ifndef MOE_CODEGEN_CPU_CALL_H
#define MOE_CODEGEN_CPU_CALL_H

#include "codegen/cpu/Frame.h"

#include "runtime/Abi.h"

namespace moe::cpu {

enum class ContextField {
  Workspace,
  WorkspaceBytes,
  Threads,
  Loads,
  Slots,
  Traces,
  CacheBytes,
  Nodes,
  Node,
  Observe
};

/// The value of a field of the call's context: i64, i32, or else !llvm.ptr.
mlir::Value contextField(Frame &frame, ContextField field);

/// Stores an error code and its values (index), unless one is there already;
/// the caller decides how to go on.
void reportError(Frame &frame, moert_code code,
                 llvm::ArrayRef<mlir::Value> values);

/// Sets the error code of the context to 0, or reads it (i32).
void clearError(Frame &frame);
mlir::Value readError(Frame &frame);

/// Data (!llvm.ptr) and size of dimension `d` (index) of argument `number`.
mlir::Value argumentData(Frame &frame, mlir::Value arguments, unsigned number);
mlir::Value argumentSize(Frame &frame, mlir::Value arguments, unsigned number,
                         unsigned d);

/// The address of the sizes of argument `number`.
mlir::Value argumentSizes(Frame &frame, mlir::Value arguments, unsigned number);

/// The module of the code that is emitted.
mlir::ModuleOp moduleOf(Frame &frame);

/// The declaration of an outside function, made when first asked for.
mlir::func::FuncOp declareFunction(Frame &frame, llvm::StringRef name,
                                   mlir::TypeRange inputs,
                                   mlir::TypeRange results);

/// memref<?xelement> at a pointer. Its size is not used by any code, so it is
/// given as 2^62.
mlir::Value flatMemref(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value pointer, mlir::Type element);

/// What the caller wants of a traced tensor: addresses, or null.
struct Trace {
  mlir::Value out, in;
};
/// One for each traced tensor.
llvm::SmallVector<Trace> loadTraces(Frame &frame, unsigned count);
/// Whether a pointer is not null (i1).
mlir::Value isGiven(Frame &frame, mlir::Value pointer);

/// Where the loads of a plan's experts stand among all of its routing: expert e
/// at first + e / block * stride + e % block.
struct Counters {
  int64_t all, first, block, stride;
};
Counters countersOf(grouped::PlanOp plan);

/// A plan of every routing that reports loads, in the order of
/// moert_context.loads.
llvm::SmallVector<grouped::PlanOp> reportedPlans(const Extents &extents);

/// The tensors that a caller may record or replace, in the order of
/// moert_context.traces: those of a reported routing whose number of rows is a
/// multiple of an input's.
llvm::SmallVector<grouped::TraceOp> tracedTensors(mlir::func::FuncOp function,
                                                  const Extents &extents);
/// The place of its routing among the reported ones.
std::optional<int64_t> routingOf(grouped::TraceOp trace,
                                 const Extents &extents);

/// The number of a plan and its first counter, if it reports loads.
struct LoadCounters {
  int64_t number, first;
};
std::optional<LoadCounters> loadCounters(const Schedule &schedule,
                                         grouped::PlanOp plan);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_CALL_H
