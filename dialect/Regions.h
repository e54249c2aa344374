// What both dialects share about regions: ranges of experts, regions over
// scalars, inlining.
#ifndef MOE_DIALECT_REGIONS_H
#define MOE_DIALECT_REGIONS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "mlir/Interfaces/FoldInterfaces.h"
#include "mlir/Transforms/InliningUtils.h"

namespace moe {

/// A tensor's type without its first dimension (a type without dimensions is
/// returned as it is).
mlir::Type dropFirst(mlir::Type type);

/// A region that runs once per expert: moe.expert and grouped.loop. Range i is
/// experts bounds[i] ... bounds[i+1]-1.
struct Ranges {
  mlir::Operation *op;
  llvm::ArrayRef<int64_t> bounds, eachCounts;
  mlir::OperandRange rows, each;
  int64_t experts;

  mlir::OperandRange eachOf(unsigned range) const;
};

/// Checks attributes and operands.
mlir::LogicalResult verifyRanges(const Ranges &ranges);
/// Checks region arguments and yields; Yield is the terminator of the op's
/// dialect.
template <typename Yield>
mlir::LogicalResult verifyRangeRegions(const Ranges &ranges);

/// Checks a region over scalars: one argument of each type, Yield of one scalar
/// for each result of op, scalars inside.
template <typename Yield>
mlir::LogicalResult verifyScalarRegion(mlir::Operation *op,
                                       mlir::Region &region,
                                       llvm::ArrayRef<mlir::Type> arguments);

/// Everything may be inlined everywhere, but our regions hold one block.
struct OneBlockInliner : mlir::DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(mlir::Operation *, mlir::Operation *, bool) const final {
    return true;
  }
  bool isLegalToInline(mlir::Operation *, mlir::Region *, bool,
                       mlir::IRMapping &) const final {
    return true;
  }
  bool isLegalToInline(mlir::Region *, mlir::Region *callee, bool,
                       mlir::IRMapping &) const final {
    return callee->hasOneBlock();
  }
};

/// Constants stay in their region, so that an epilogue uses nothing from
/// outside.
struct ConstantsStay : mlir::DialectFoldInterface {
  using DialectFoldInterface::DialectFoldInterface;
  bool shouldMaterializeInto(mlir::Region *) const final { return true; }
};

} // namespace moe

#endif // MOE_DIALECT_REGIONS_H
