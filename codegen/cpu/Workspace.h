// Where the storages of a schedule lie in the workspace of a call.

#ifndef MOE_CODEGEN_CPU_WORKSPACE_H
#define MOE_CODEGEN_CPU_WORKSPACE_H

#include "codegen/cpu/Frame.h"

namespace moe::cpu {

/// Task counters that the workspace has for each node: the schedule's, and
/// one by which the threads of a node are counted.
int64_t countersInMemory(const Schedule &schedule);

/// Offsets in bytes, of type index. First come the task counters, a cache line
/// each, then what Workspace storages hold, then for each thread its scratch
/// rows and what Private storages hold.
struct Workspace {
  llvm::DenseMap<unsigned, mlir::Value> offsets;        // of Workspace storages
  mlir::Value scratch;                                  // of thread 0
  mlir::Value scratchBytes;                             // of one thread
  llvm::DenseMap<unsigned, mlir::Value> scratchOffsets; // Scratch, Private
  mlir::Value bytes;                                    // of everything
};

/// Emits the arithmetic; needs the frame's symbols, threads and nodes.
Workspace layOutWorkspace(Frame &frame);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_WORKSPACE_H
