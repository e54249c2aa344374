// All threads of a parallel region walk through the same code and divide its
// loops among them; barriers stand where one reads what another wrote.

#ifndef MOE_CODEGEN_CPU_TEAM_H
#define MOE_CODEGEN_CPU_TEAM_H

#include "codegen/cpu/Frame.h"

namespace moe::cpu {

struct Team {
  Frame &f;
  mlir::Value thread, size; // of type index

  void barrier() const;
  /// On the first thread alone.
  void first(llvm::function_ref<void()> body) const;
  /// body(i) for the i of [0, count) that are this thread's.
  void each(mlir::Value count, Frame::Body body) const;
  /// This thread's part [first, second) of [0, count), cut at multiples of 16.
  std::pair<mlir::Value, mlir::Value> part(mlir::Value count) const;
  /// As Frame::columns, for this thread's part of the columns.
  void columns(int64_t count,
               llvm::function_ref<void(mlir::Value, int64_t)> body) const;
};

/// A step of kind Team.
void emitTeam(const Team &team, const Step &step);

/// grouped.take, Take.cpp.
void emitTake(const Team &team, const Step &step);
/// grouped.assign, Assign.cpp.
void emitAssign(const Team &team, const Step &step);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_TEAM_H
