// Emits the phases of a schedule inside the parallel region.

#ifndef MOE_CODEGEN_CPU_PHASES_H
#define MOE_CODEGEN_CPU_PHASES_H

#include "codegen/cpu/Frame.h"

namespace moe::cpu {

/// Emits the phases of a sequence with the barriers between them. `thread`: the
/// number of this thread, of type index.
void emitPhases(Frame &frame, unsigned sequence, mlir::Value thread);

// The phases that are more than a loop over rows.

/// One grouped.matmul. Tasks: (group x row block x panel block), or, if the
/// results are combined, blocks of panels for all groups.
void emitMatmulPhase(Frame &frame, unsigned counter, const Step &step);

/// One scf.for, scf.while or scf.if; begins and ends with a barrier.
void emitFlowPhase(Frame &frame, const Phase &phase, mlir::Value thread);

/// One grouped.loop. Tasks: groups.
void emitLoopPhase(Frame &frame, unsigned counter, const Step &step);

/// One grouped.pack. Tasks: blocks of panels.
void emitPackPhase(Frame &frame, unsigned counter, const Step &step);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_PHASES_H
