// Verifying regions that run once per expert, and regions over scalars, for
// both dialects.
#include "dialect/Regions.h"
#include "dialect/GroupedDialect.h"

using namespace mlir;
using namespace moe;

Type moe::dropFirst(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getRank() < 1)
    return type;
  return RankedTensorType::get(tensor.getShape().drop_front(),
                               tensor.getElementType());
}

/// A tensor of any number of rows.
static bool isRagged(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() > 0 && tensor.isDynamicDim(0);
}

OperandRange Ranges::eachOf(unsigned range) const {
  int64_t begin = 0;
  for (int64_t count : eachCounts.take_front(range))
    begin += count;
  return each.slice(begin, eachCounts[range]);
}

// The labels are those of moe.expert, grouped.loop.
LogicalResult moe::verifyRanges(const Ranges &ranges) {
  Operation *op = ranges.op;
  size_t regions = op->getNumRegions();
  ArrayRef<int64_t> bounds = ranges.bounds;
  // moe.expert, grouped.loop (C1)
  if (regions == 0 || bounds.size() != regions + 1 ||
      ranges.eachCounts.size() != regions)
    return op->emitOpError("has ") << regions << " regions, " << bounds.size()
                                   << " bounds and " << ranges.eachCounts.size()
                                   << " each counts, expected n, n + 1 and n";
  if (bounds.front() != 0 || bounds.back() != ranges.experts)
    return op->emitOpError("ranges cover experts ")
           << bounds.front() << " to " << bounds.back() << ", expected 0 to "
           << ranges.experts;
  for (size_t i = 0; i < regions; ++i)
    if (bounds[i + 1] <= bounds[i])
      return op->emitOpError("range ")
             << i << " is experts " << bounds[i] << " to " << bounds[i + 1]
             << ", expected at least one";
  // moe.expert, grouped.loop (C2)
  int64_t total = 0;
  for (int64_t count : ranges.eachCounts) {
    if (count < 0 || count > static_cast<int64_t>(ranges.each.size()))
      return op->emitOpError("each count is ")
             << count << ", but there are " << ranges.each.size() << " tensors";
    total += count;
  }
  if (total != static_cast<int64_t>(ranges.each.size()))
    return op->emitOpError("each counts add up to ")
           << total << ", but there are " << ranges.each.size() << " tensors";
  // moe.expert, grouped.loop (C3)
  for (Type row : ranges.rows.getTypes())
    if (!isRagged(row))
      return op->emitOpError("rows tensor is ")
             << row << ", expected a dynamic number of rows";
  // moe.expert, grouped.loop (C4)
  for (size_t i = 0; i < regions; ++i) {
    int64_t size = bounds[i + 1] - bounds[i];
    for (auto [position, type] : llvm::enumerate(ranges.eachOf(i).getTypes())) {
      auto tensor = cast<RankedTensorType>(type);
      if (tensor.getRank() < 1 || tensor.getDimSize(0) != size)
        return op->emitOpError("each tensor ")
               << position << " is " << tensor
               << ", expected dimension 0 to be " << size
               << " (one slice for every expert)";
    }
  }
  return success();
}

template <typename Yield>
LogicalResult moe::verifyRangeRegions(const Ranges &ranges) {
  Operation *op = ranges.op;
  std::optional<size_t> numRowResults;
  for (auto [i, region] : llvm::enumerate(op->getRegions())) {
    Block &body = region.front();
    // moe.expert, grouped.loop (C5)
    SmallVector<Type> expected(ranges.rows.getTypes());
    for (Type type : ranges.eachOf(i).getTypes())
      expected.push_back(dropFirst(type));
    if (!llvm::equal(body.getArgumentTypes(), expected))
      return op->emitOpError("region ")
             << i << " has arguments " << body.getArgumentTypes()
             << ", expected " << TypeRange(expected);
    // moe.expert, grouped.loop (C6)
    auto yield = dyn_cast<Yield>(body.getTerminator());
    if (!yield)
      return op->emitOpError("region ")
             << i << " ends with '" << body.getTerminator()->getName()
             << "', expected '" << Yield::getOperationName() << "'";
    if (!numRowResults)
      numRowResults = yield.getRows().size();
    if (yield.getRows().size() != *numRowResults ||
        yield->getNumOperands() != op->getNumResults())
      return op->emitOpError("region ")
             << i << " yields " << yield.getRows().size() << " row and "
             << yield.getEach().size() << " per-expert values for "
             << op->getNumResults() << " results";
    // moe.expert, grouped.loop (C7)
    for (auto [value, result] :
         llvm::zip(yield.getRows().getTypes(), op->getResultTypes())) {
      if (value != result)
        return op->emitOpError("region ")
               << i << " yields " << value << " for a result of " << result;
      if (!isRagged(result))
        return op->emitOpError("result is ")
               << result << ", expected a dynamic number of rows";
    }
    // moe.expert, grouped.loop (C8)
    for (auto [value, result] :
         llvm::zip(yield.getEach().getTypes(),
                   op->getResults().drop_front(*numRowResults).getTypes())) {
      auto stacked = cast<RankedTensorType>(result);
      if (stacked.getRank() < 1 || stacked.getDimSize(0) != ranges.experts ||
          value != dropFirst(stacked))
        return op->emitOpError("region ")
               << i << " yields " << value << " per expert for a result of "
               << stacked << ", expected them stacked along " << ranges.experts
               << " experts";
    }
  }
  return success();
}

template <typename Yield>
LogicalResult moe::verifyScalarRegion(Operation *op, Region &region,
                                      ArrayRef<Type> arguments) {
  Block &body = region.front();
  // moe.map (C3), grouped.matmul (C8)
  if (body.getNumArguments() != arguments.size())
    return op->emitOpError("region has ")
           << body.getNumArguments() << " arguments, expected "
           << arguments.size();
  for (auto [i, found, expected] :
       llvm::enumerate(body.getArgumentTypes(), arguments))
    if (found != expected)
      return op->emitOpError("region argument ")
             << i << " is " << found << ", expected " << expected;
  // moe.map (C4), grouped.matmul (C9)
  auto yield = dyn_cast<Yield>(body.getTerminator());
  if (!yield)
    return op->emitOpError("region ends with '")
           << body.getTerminator()->getName() << "', expected '"
           << Yield::getOperationName() << "'";
  if (!yield.getEach().empty() || yield.getRows().size() != op->getNumResults())
    return op->emitOpError("yields ")
           << yield.getRows().size() << " scalars and "
           << yield.getEach().size() << " per-expert values for "
           << op->getNumResults() << " results";
  for (auto [value, result] :
       llvm::zip(yield.getRows().getTypes(), op->getResultTypes()))
    if (value != getElementTypeOrSelf(result))
      return op->emitOpError("yields ")
             << value << " for a result of " << result;
  // moe.map (C5), grouped.matmul (C10)
  WalkResult scalars = body.walk([&](Operation *inner) {
    for (Type type : inner->getResultTypes())
      if (isa<ShapedType>(type)) {
        op->emitOpError("region computes ")
            << type << " in '" << inner->getName() << "', expected scalars";
        return WalkResult::interrupt();
      }
    return WalkResult::advance();
  });
  return failure(scalars.wasInterrupted());
}

template LogicalResult moe::verifyRangeRegions<YieldOp>(const Ranges &);
template LogicalResult
moe::verifyRangeRegions<grouped::YieldOp>(const Ranges &);
template LogicalResult moe::verifyScalarRegion<YieldOp>(Operation *, Region &,
                                                        ArrayRef<Type>);
template LogicalResult
moe::verifyScalarRegion<grouped::YieldOp>(Operation *, Region &,
                                          ArrayRef<Type>);
