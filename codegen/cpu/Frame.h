// What every emitter of one function needs: the builder, the run-time values of
// the call, and loads and stores of tensor elements wherever they lie.

#ifndef MOE_CODEGEN_CPU_FRAME_H
#define MOE_CODEGEN_CPU_FRAME_H

#include "codegen/cpu/Indices.h"
#include "codegen/cpu/Schedule.h"

#include <functional>

namespace moe::cpu {

/// A tensor as code sees it: flat memory, and where in it an element lies.
struct Ref {
  mlir::Value memref; // memref<?x(memory type of element)>; null: a splat
  mlir::Type type;    // element type of the tensor
  int64_t rowElements = 1;
  Layout layout;
  bool scratch = false; // holds one row only
  bool groupRows =
      false; // rows are those of one group, numbered from its first
  mlir::Attribute splat;
};

class Frame : public IndexBuilder {
public:
  Frame(mlir::OpBuilder &builder, mlir::Location loc, const Schedule &schedule)
      : IndexBuilder{builder, loc}, schedule(schedule),
        lanes(schedule.level().lanes) {}

  const Schedule &schedule;
  const int64_t lanes; // of a vector of f32

  // Values of the call, of type index unless said otherwise.
  mlir::Value context;                    // !llvm.ptr
  llvm::SmallVector<mlir::Value> symbols; // sizes of inputs
  mlir::Value threads;
  mlir::Value nodes;        // NUMA nodes, at least 1
  mlir::Value thread, node; // in the parallel region: own number and node
  llvm::SmallVector<mlir::Value> memrefs; // flat, of every storage
  mlir::Value counters;     // memref<?xi64>, one a cache line, `nodes` a number
  mlir::Value counterShift; // in loops over phases: added to their numbers
  mlir::Value group, groupBegin, groupEnd; // in bodies of grouped.loop
  mlir::IRMapping scalars;                 // values of Scalar operations

  mlir::Value min(mlir::Value a, mlir::Value b); // signed
  mlir::Value max(mlir::Value a, mlir::Value b);
  mlir::Value toIndex(mlir::Value integer);
  mlir::Value less(mlir::Value a, mlir::Value b); // signed
  mlir::VectorType vectorOf(mlir::Type element);

  /// A tensor of the source function, or the same at another place.
  Ref ref(mlir::Value tensor);
  Ref ref(mlir::Value tensor, const Layout &layout);
  /// A whole storage, as a dense tensor.
  Ref ref(unsigned storage, mlir::Type type);

  /// The element number of the first element of a row.
  mlir::Value rowAddress(const Ref &ref, mlir::Value row);
  /// The same for a row counted from the first of the group, inside a group.
  mlir::Value wholeRowAddress(const Ref &ref, mlir::Value row);

  /// Vector of the tensor's element type; the first `count` lanes are loaded,
  /// the others 0. `width`: lanes of the vector, by default those of f32.
  mlir::Value load(const Ref &ref, mlir::Value address, int64_t count,
                   int64_t width = 0);
  void store(const Ref &ref, mlir::Value address, mlir::Value vector,
             int64_t count);
  mlir::Value loadScalar(const Ref &ref, mlir::Value address);
  void storeScalar(const Ref &ref, mlir::Value address, mlir::Value value);

  /// Rows [first, second) of a tensor at run time.
  std::pair<mlir::Value, mlir::Value> rowRange(mlir::Value tensor);
  mlir::Value extent(Extent rows);

  using Body = llvm::function_ref<void(mlir::Value)>;
  using IndexBuilder::loop;
  void loop(mlir::Value begin, mlir::Value end, Body body);
  void loop(int64_t count, Body body);
  using Fold = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::Value, mlir::ValueRange)>;
  llvm::SmallVector<mlir::Value> fold(mlir::Value begin, mlir::Value end,
                                      mlir::ValueRange initial, Fold body);
  void ifThen(mlir::Value condition, llvm::function_ref<void()> body);

  /// body(first column, columns that exist) for all columns [0, count), by
  /// vectors of `width` lanes; few are written out, many become a loop.
  void columns(int64_t count,
               llvm::function_ref<void(mlir::Value, int64_t)> body,
               int64_t width = 0);
  /// The same with values carried from one vector to the next.
  llvm::SmallVector<mlir::Value> foldColumns(
      int64_t count, mlir::ValueRange initial,
      llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, int64_t,
                                                        mlir::ValueRange)>
          body);
  /// `vector` with the lanes from `count` on replaced.
  mlir::Value fillLanes(mlir::Value vector, int64_t count, mlir::Value other);

  /// Runs body(task) for the tasks [0, count) that this thread draws from
  /// counter number `counter`.
  void tasks(unsigned counter, mlir::Value count, Body body);

  /// The address of a counter in `counters`; `first` is a node.
  mlir::Value counterAddress(mlir::Value number, mlir::Value first);
  /// Sets `count` counters from number `first` on to 0.
  void clearCounters(mlir::Value first, mlir::Value count);
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_FRAME_H
