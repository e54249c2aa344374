// What several passes share (see Rewriting.h).
#include "passes/Rewriting.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace moe;

RankedTensorType moe::tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

Value moe::castFloat(OpBuilder &builder, Location loc, Value value,
                     Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  Type type = element;
  if (auto tensor = dyn_cast<RankedTensorType>(value.getType()))
    type = tensor.clone(element);
  unsigned fromWidth = from.getIntOrFloatBitWidth(),
           toWidth = element.getIntOrFloatBitWidth();
  if (fromWidth < toWidth)
    return arith::ExtFOp::create(builder, loc, type, value);
  if (fromWidth > toWidth)
    return arith::TruncFOp::create(builder, loc, type, value);
  // f16 and bf16: through f32.
  return castFloat(builder, loc,
                   castFloat(builder, loc, value, builder.getF32Type()),
                   element);
}

bool moe::isElementwise(Operation *op) {
  if (isa<MapOp>(op))
    return true;
  return OpTrait::hasElementwiseMappableTraits(op) &&
         op->getNumResults() == 1 &&
         isa<RankedTensorType>(op->getResult(0).getType());
}

void moe::cloneOverScalars(OpBuilder &builder, Operation *op,
                           IRMapping &scalars) {
  if (auto map = dyn_cast<MapOp>(op)) {
    Block &body = map.getBody().front();
    for (auto [argument, input] :
         llvm::zip(body.getArguments(), map.getInputs()))
      scalars.map(argument, scalars.lookup(input));
    for (Operation &inner : body.without_terminator())
      builder.clone(inner, scalars);
    for (auto [result, value] :
         llvm::zip(map.getResults(), body.getTerminator()->getOperands()))
      scalars.map(result, scalars.lookupOrDefault(value));
    return;
  }
  Operation *scalar = builder.clone(*op, scalars);
  scalar->getResult(0).setType(
      getElementTypeOrSelf(op->getResult(0).getType()));
}

SmallVector<Value> moe::capturedScalars(Operation *op) {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  return captured.takeVector();
}

Value moe::createLinear(OpBuilder &builder, Location loc, Value rows,
                        Value offsets, Value weight, Value bias, bool inOut,
                        Type element) {
  RankedTensorType stored = tensorOf(weight);
  SmallVector<int64_t> shape(stored.getShape());
  if (shape.size() == 2)
    shape.insert(shape.begin(), 1);
  if (inOut)
    std::swap(shape[1], shape[2]);
  SmallVector<int64_t> rowShape = {tensorOf(rows).getDimSize(0), shape[2]};
  rows = castShape(builder, loc, rows, tensorOf(rows).clone(rowShape));
  if (bias) {
    auto biasShape = ArrayRef(shape).take_front(2);
    if (tensorOf(bias).getRank() == 1)
      biasShape = biasShape.drop_front();
    bias = castShape(builder, loc, bias, tensorOf(bias).clone(biasShape));
  }
  auto packedType = grouped::PackedType::get(builder.getContext(), shape,
                                             stored.getElementType(), 1);
  auto pack = grouped::PackOp::create(builder, loc, packedType, weight, inOut);
  auto type =
      RankedTensorType::get({tensorOf(rows).getDimSize(0), shape[1]}, element);
  auto matmul = grouped::MatmulOp::create(
      builder, loc, TypeRange{type}, rows, /*tokens=*/Value(), offsets, pack,
      bias ? ValueRange{bias} : ValueRange{}, /*combine_rows=*/Value(),
      /*combine_slots=*/Value(), /*combine_weights=*/Value());
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&matmul.getEpilogue());
  Value value = body->addArgument(builder.getF32Type(), loc);
  if (bias) {
    Value scalar = body->addArgument(tensorOf(bias).getElementType(), loc);
    scalar = castFloat(builder, loc, scalar, builder.getF32Type());
    value = arith::AddFOp::create(builder, loc, value, scalar);
  }
  grouped::YieldOp::create(builder, loc,
                           castFloat(builder, loc, value, element));
  return matmul.getResult(0);
}

bool moe::isUnpacked(LinearOp linear) {
  auto isF64 = [](Type type) { return getElementTypeOrSelf(type).isF64(); };
  return llvm::any_of(linear->getOperandTypes(), isF64) ||
         isF64(linear.getType()) ||
         llvm::is_contained(linear.getWeight().getType().getShape(), 0);
}

Value moe::castShape(OpBuilder &builder, Location loc, Value value, Type type) {
  return value.getType() == type
             ? value
             : tensor::CastOp::create(builder, loc, type, value).getResult();
}

Value moe::splitColumns(OpBuilder &builder, Location loc, Value value,
                        int64_t ones, bool before) {
  SmallVector<int64_t> shape(tensorOf(value).getShape());
  shape.insert(before ? shape.end() - 1 : shape.end(), ones, 1);
  return SplitOp::create(builder, loc, tensorOf(value).clone(shape), value);
}

SmallVector<ReassociationIndices> moe::firstTwo(int64_t rank) {
  if (rank == 1)
    return {};
  SmallVector<ReassociationIndices> groups = {{0, 1}};
  for (int64_t d = 2; d < rank; ++d)
    groups.push_back({d});
  return groups;
}

Value moe::flatRows(OpBuilder &builder, Location loc, Value value) {
  return tensor::CollapseShapeOp::create(builder, loc, value,
                                         firstTwo(tensorOf(value).getRank()));
}

Value moe::createMap(OpBuilder &builder, Location loc, ValueRange inputs,
                     Type element,
                     llvm::function_ref<Value(ValueRange scalars)> expression) {
  Type type = tensorOf(inputs.front()).clone(element);
  auto map = MapOp::create(builder, loc, TypeRange{type}, inputs);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&map.getBody());
  for (Value input : inputs)
    body->addArgument(getElementTypeOrSelf(input.getType()), loc);
  moe::YieldOp::create(builder, loc, expression(body->getArguments()));
  return map.getResult(0);
}

Value moe::f32Constant(OpBuilder &builder, Location loc, double value) {
  return arith::ConstantOp::create(
      builder, loc, builder.getF32FloatAttr(static_cast<float>(value)));
}

grouped::PlanOp moe::planOf(grouped::MatmulOp matmul) {
  return matmul.getOffsets()
             ? matmul.getOffsets().getDefiningOp<grouped::PlanOp>()
             : grouped::PlanOp();
}

bool moe::isExpertOfRow(Value value, grouped::PlanOp plan) {
  auto gather = value.getDefiningOp<GatherOp>();
  if (!gather || gather.getIndices() != plan.getSlots())
    return false;
  auto flat = gather.getTable().getDefiningOp<tensor::CollapseShapeOp>();
  return flat && flat.getSrc() == plan.getIds();
}
