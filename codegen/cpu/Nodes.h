// Tasks on machines of several NUMA nodes: weights are spread over the nodes,
// and threads prefer those of their own.

#ifndef MOE_CODEGEN_CPU_NODES_H
#define MOE_CODEGEN_CPU_NODES_H

#include "codegen/cpu/Frame.h"

namespace moe::cpu {

/// Sets `frame.node` at the start of the parallel region. `present`: also
/// counts the threads of each node, by a counter behind all others, and waits
/// until all are counted.
void emitNode(Frame &frame, bool present);

/// The first of `count` things (experts, panels) that a node holds; all of them
/// for the number of nodes.
mlir::Value firstOfNode(Frame &frame, mlir::Value node, mlir::Value count);

/// Runs body(task) for tasks [first, end) that this thread draws from the
/// counter of a node.
void drawTasks(Frame &frame, unsigned counter, mlir::Value node,
               mlir::Value first, mlir::Value end, Frame::Body body);

enum class Steal {
  Always,   // when the own node has no tasks left
  IfNobody, // only from nodes without threads: who writes decides where
};

/// Runs body(task) for the tasks [first(n), first(n + 1)) of the own node n,
/// then for what is left of the others.
void nodeTasks(Frame &frame, unsigned counter, Steal steal,
               llvm::function_ref<mlir::Value(mlir::Value)> first,
               Frame::Body body);

/// Tells the caller, who may want it, what this thread begins; `expert` null:
/// all.
void observeTask(Frame &frame, unsigned counter, mlir::Value expert,
                 mlir::Value firstPanel, mlir::Value endPanel);

/// Whether the panels of packed weights, rather than their experts, are spread
/// over the nodes: where a task of the product takes a panel of all experts.
bool isSpreadByPanel(grouped::PackOp pack);
bool isSpreadByPanel(grouped::MatmulOp matmul);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_NODES_H
