// Inputs that meet in one row-wise operation must have equally many rows, so
// their symbols are united; one that meets a constant gets its size.

#include "codegen/cpu/Extents.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numeric>
#include <utility>

using namespace mlir;

namespace moe::cpu {

int64_t rowElements(RankedTensorType type) {
  int64_t elements = 1;
  for (int64_t size : type.getShape().drop_front(type.getRank() > 0))
    elements *= size;
  return elements;
}

unsigned innerRows(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getNumDynamicDims() != 1 || tensor.isDynamicDim(0))
    return 0;
  return llvm::find_if(tensor.getShape(), ShapedType::isDynamic) -
         tensor.getShape().begin();
}

Extent Extent::reduced() const {
  Extent result = *this;
  if (factor * times == 0)
    return constant(kind == Kind::Constant ? 0 : more);
  int64_t common = std::gcd(factor, divisor);
  result.factor /= common;
  result.divisor /= common;
  if (result.divisor == 1) {
    result.exact = true;
    result.factor *= std::exchange(result.times, 1);
  }
  return result;
}

Extent Extent::multiplied(int64_t by) const {
  Extent result = *this;
  (exact ? result.factor : result.times) *= by;
  result.more *= by;
  return result.reduced();
}

Extent Extent::plus(int64_t rows) const {
  Extent result = *this;
  (kind == Kind::Constant ? result.factor : result.more) += rows;
  return result;
}

std::optional<Extent> Extent::plus(const Extent &rows) const {
  if (rows.kind == Kind::Constant)
    return plus(rows.factor);
  if (kind == Kind::Constant)
    return rows.plus(factor);
  if (kind != rows.kind || id != rows.id || divisor != rows.divisor || !exact ||
      !rows.exact)
    return std::nullopt;
  Extent result = plus(rows.more);
  result.factor += rows.factor;
  return result.reduced();
}

std::optional<Extent> Extent::divided(int64_t by) const {
  if (by < 1 || more % by != 0)
    return std::nullopt;
  Extent result = *this;
  result.more /= by;
  if (kind == Kind::Constant) {
    result.factor /= by;
  } else if (times % by == 0) {
    result.times /= by;
  } else if (times == 1) {
    result.divisor *= by;
    result.exact = false;
  } else {
    return std::nullopt;
  }
  return result.reduced();
}

bool rowsExist(Extent whole, int64_t offset, Extent part, int64_t stride) {
  using Kind = Extent::Kind;
  if (offset < 0)
    return false;
  if (whole.kind == Kind::Constant && part.kind == Kind::Constant)
    return part.factor == 0 ||
           offset + (part.factor - 1) * stride < whole.factor;
  if (stride > 1)
    return offset < stride && whole.divided(stride) == part;
  int64_t rest = whole.more - part.more;
  whole.more = part.more;
  return whole == part && offset <= rest;
}

Extent Extents::resolve(Extent extent) const {
  if (extent.kind != Extent::Kind::Input)
    return extent;
  while (parents[extent.id] != extent.id)
    extent.id = parents[extent.id];
  if (sizes[extent.id])
    return Extent::constant(*sizes[extent.id] * extent.factor / extent.divisor *
                                extent.times +
                            extent.more);
  extent = extent.reduced();
  if (extent.kind == Extent::Kind::Input && !numbers.empty())
    extent.id = numbers[extent.id];
  return extent;
}

Extent Extents::of(Value tensor) const {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type || type.getRank() == 0)
    return Extent{};
  if (!type.isDynamicDim(0))
    return Extent::constant(type.getDimSize(0));
  return resolve(known.at(tensor));
}

Extent Extents::size(Value tensor, unsigned d) const {
  auto type = cast<RankedTensorType>(tensor.getType());
  return type.isDynamicDim(d) ? resolve(known.at(tensor))
                              : Extent::constant(type.getDimSize(d));
}

unsigned Extents::planNumber(grouped::PlanOp plan) const {
  return llvm::find(plans, plan) - plans.begin();
}

Extent Extents::bound(Extent extent) const {
  Extent most = extent;
  if (extent.kind == Extent::Kind::Grouped) {
    grouped::PlanOp maker = plan(extent);
    Extent slots = bound(of(maker.getIds()))
                       .multiplied(maker.getIds().getType().getDimSize(1));
    if (slots.kind == Extent::Kind::Constant)
      return Extent::constant(slots.factor * extent.factor / extent.divisor *
                                  extent.times +
                              extent.more);
    // floor(x + y) is at most floor(x) plus y rounded up.
    int64_t scale = extent.factor * extent.times;
    most = slots;
    most.factor *= scale;
    most.divisor *= extent.divisor;
    most.more =
        llvm::divideCeil(slots.more * scale, extent.divisor) + extent.more;
  }
  if (most.kind != Extent::Kind::Input)
    return most;
  most.factor *= std::exchange(most.times, 1);
  return most.reduced();
}

/// Gives an input the size that makes `rows` be `size`.
bool Extents::bind(Extent rows, int64_t size) {
  int64_t whole = (size - rows.more) * rows.divisor;
  if (!rows.exact || whole < 0 || whole % rows.factor != 0)
    return false;
  sizes[rows.id] = whole / rows.factor;
  return true;
}

/// Whether a call can check it: not for a branch that may not be taken.
bool Extents::check(const RowCheck &wanted) {
  auto isKnown = [&](Extent extent) {
    return extent.kind == Extent::Kind::Constant ||
           (extent.kind == Extent::Kind::Input && flows == 0);
  };
  if (!isKnown(wanted.rows) || !isKnown(wanted.other))
    return false;
  rowChecks.push_back(wanted);
  return true;
}

LogicalResult Extents::unify(Operation *op, Extent left, Extent right) {
  using Kind = Extent::Kind;
  left = resolve(left);
  right = resolve(right);
  if (left == right)
    return success();
  if (right.kind == Kind::Input && left.kind != Kind::Input)
    std::swap(left, right);
  if (left.kind == Kind::Input && right.kind == Kind::Constant &&
      bind(left, right.factor))
    return success();
  if (left.kind == Kind::Input && right.kind == Kind::Input) {
    Extent same = right;
    same.id = left.id;
    if (same == left && left.exact) {
      parents[std::max(left.id, right.id)] = std::min(left.id, right.id);
      return success();
    }
    if (check({RowCheck::Kind::Equal, left, right, 0, op}))
      return success();
  }
  if (left.kind == Kind::Constant && right.kind == Kind::Constant)
    return op->emitOpError("uses tensors of ")
           << left.factor << " and " << right.factor
           << " rows as if they had equally many";
  return op->emitOpError("uses tensors whose numbers of rows have nothing to "
                         "do with each other: ")
         << text(left) << ", and " << text(right);
}

std::string Extents::text(Extent rows) const {
  switch (rows.kind) {
  case Extent::Kind::Constant:
    return std::to_string(rows.factor);
  case Extent::Kind::Input:
    return "a number made of the rows of argument " +
           std::to_string(numbers.empty() ? dynamicArguments[rows.id]
                                          : symbolArguments[rows.id].first);
  case Extent::Kind::Grouped:
    return "a number made of the rows that a routing dispatches";
  case Extent::Kind::Group:
    return "the rows of one expert";
  }
  return {};
}

/// The rows that a size counts: those of a tensor, or a number that is made of
/// them and constants.
std::optional<Extent> Extents::rowsOfSize(Value size) const {
  llvm::APInt number;
  if (matchPattern(size, m_ConstantInt(&number)))
    return Extent::constant(number.getSExtValue());
  Operation *op = size.getDefiningOp();
  if (auto tokens = dyn_cast_or_null<TokensOp>(op))
    return of(tokens.getInput());
  if (auto dim = dyn_cast_or_null<tensor::DimOp>(op))
    return dim.getConstantIndex() == 0 ? std::optional(of(dim.getSource()))
                                       : std::nullopt;
  if (!isa_and_nonnull<arith::AddIOp, arith::MulIOp, arith::DivUIOp,
                       arith::DivSIOp>(op))
    return std::nullopt;
  std::optional<Extent> left = rowsOfSize(op->getOperand(0)),
                        right = rowsOfSize(op->getOperand(1));
  if (!left || !right)
    return std::nullopt;
  auto isNegative = [](const Extent &rows) {
    return rows.kind == Extent::Kind::Constant && rows.factor < 0;
  };
  if (isNegative(*left) || isNegative(*right))
    return std::nullopt;
  if (isa<arith::AddIOp>(op))
    return left->plus(*right);
  if (left->kind == Extent::Kind::Constant && isa<arith::MulIOp>(op))
    std::swap(left, right);
  if (right->kind != Extent::Kind::Constant)
    return std::nullopt;
  if (isa<arith::MulIOp>(op))
    return left->multiplied(right->factor);
  return left->divided(right->factor);
}

/// Whether a type can be described outside of the artefact (moert_dtype).
static bool hasForm(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (!isa<RankedTensorType>(type) && !type.isIntOrIndexOrFloat())
    return false;
  if (auto number = dyn_cast<IntegerType>(element))
    return number.isUnsigned()
               ? number.getWidth() == 8
               : number.isSignless() &&
                     llvm::is_contained({1, 8, 32, 64}, number.getWidth());
  return element.isIndex() || element.isF64() || element.isF32() ||
         element.isF16() || element.isBF16();
}

/// Whether a tensor, or one row of it, has more bytes than any memory.
static bool isTooLarge(Type type) {
  ArrayRef<int64_t> shape;
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    shape = tensor.getShape();
  if (auto packed = dyn_cast<grouped::PackedType>(type))
    shape = packed.getShape();
  constexpr int64_t most = int64_t{1} << 44; // elements: of 8 bytes, 2^47
  int64_t elements = 1;
  for (int64_t size : shape) {
    if (ShapedType::isDynamic(size) || size == 0)
      continue;
    if (size > most / elements)
      return !llvm::is_contained(shape, 0);
    elements *= size;
  }
  return false;
}

static constexpr StringLiteral forms =
    ": entries take and return numbers and tensors of f64, f32, f16, bf16, i1, "
    "i8, ui8, i32, i64 and index";

/// Sizes that became constants are checked here.
LogicalResult Extents::finishChecks() {
  SmallVector<RowCheck> left;
  for (RowCheck check : rowChecks) {
    check.rows = resolve(check.rows);
    check.other = resolve(check.other);
    if (check.rows.kind != Extent::Kind::Constant ||
        check.other.kind != Extent::Kind::Constant) {
      left.push_back(check);
      continue;
    }
    int64_t rows = check.rows.factor, other = check.other.factor;
    switch (check.kind) {
    case RowCheck::Kind::Equal:
      if (failed(unify(check.op, check.rows, check.other)))
        return failure();
      break;
    case RowCheck::Kind::AtLeast:
      if (rows < other + check.number)
        return check.op->emitOpError("takes row ")
               << other + check.number - 1 << " of " << rows << " rows";
      break;
    case RowCheck::Kind::Multiple:
      if (rows % check.number != 0)
        return check.op->emitOpError("splits ")
               << rows << " rows into parts of " << check.number;
      break;
    }
  }
  rowChecks = std::move(left);
  return success();
}

LogicalResult Extents::finish(func::FuncOp function) {
  SmallVector<unsigned> roots(parents.size());
  SmallVector<std::pair<unsigned, unsigned>> arguments;
  unsigned seen = 0;
  for (BlockArgument argument : function.getArguments()) {
    auto found = known.find(argument);
    if (found == known.end())
      continue;
    unsigned id = found->second.id;
    if (parents[id] == id && !sizes[id]) {
      roots[id] = seen++;
      arguments.push_back(
          {argument.getArgNumber(), innerRows(argument.getType())});
    }
  }
  numbers = std::move(roots);
  symbolArguments = std::move(arguments);
  if (failed(finishChecks()))
    return failure();
  auto leave = cast<func::ReturnOp>(function.front().getTerminator());
  for (auto [i, value] : llvm::enumerate(leave.getOperands())) {
    if (isa<grouped::PackedType>(value.getType()))
      continue;
    if (!hasForm(value.getType()))
      return leave.emitOpError("returns ")
             << value.getType() << " as result " << i << forms;
    if (innerRows(value.getType()))
      return leave.emitOpError("returns ")
             << value.getType() << " as result " << i
             << ": only the first dimension may be dynamic in CPU code";
  }
  return success();
}

LogicalResult Extents::addArgument(BlockArgument argument) {
  Operation *function = argument.getOwner()->getParentOp();
  auto refuse = [&] {
    return function->emitOpError("argument ")
           << argument.getArgNumber() << " is " << argument.getType();
  };
  if (isTooLarge(argument.getType()))
    return refuse() << ": larger than any memory";
  if (isa<grouped::PackedType>(argument.getType()))
    return success();
  if (!hasForm(argument.getType()))
    return refuse() << forms;
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type || type.getRank() == 0)
    return success();
  if (type.hasStaticShape())
    return success();
  if (type.getNumDynamicDims() > 1)
    return refuse() << ": only one dimension may be dynamic in CPU code";
  unsigned id = parents.size();
  parents.push_back(id);
  dynamicArguments.push_back(argument.getArgNumber());
  sizes.emplace_back();
  set(argument, Extent{Extent::Kind::Input, 1, id});
  return success();
}

FailureOr<Extents> Extents::analyse(func::FuncOp function) {
  Extents extents;
  for (BlockArgument argument : function.getArguments())
    if (failed(extents.addArgument(argument)))
      return failure();
  WalkResult large = function.walk([](Operation *op) {
    for (Type type : op->getResultTypes())
      if (isTooLarge(type)) {
        op->emitOpError("makes a ") << type << ": larger than any memory";
        return WalkResult::interrupt();
      }
    return WalkResult::advance();
  });
  if (large.wasInterrupted() || failed(extents.visitBody(function.front())) ||
      failed(extents.finish(function)))
    return failure();
  return extents;
}

} // namespace moe::cpu
