// --moe-lower-routing: a routing becomes two tensors (weights, ids) and one
// plan for each support.
#include "passes/LowerRouting.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "passes/Passes.h"
#include "passes/Rewriting.h"

using namespace mlir;
using namespace moe;

namespace moe {
#define GEN_PASS_DEF_LOWERROUTING
#include "passes/Passes.h.inc"
} // namespace moe

RankedTensorType moe::slotsOf(RoutingType routing, Type element) {
  int64_t slots = routing.getShape() == RoutingShape::Top
                      ? routing.getChoices()
                      : routing.getExperts();
  return RankedTensorType::get({ShapedType::kDynamic, slots}, element);
}

Value moe::weightsOf(ValueRange routing) { return routing[0]; }
Value moe::idsOf(ValueRange routing) { return routing[1]; }

bool moe::isFull(Value ids) {
  if (auto select = ids.getDefiningOp<grouped::SelectOp>())
    return select.getSelection() == Selection::Top ||
           (select.getSelection() == Selection::All && !select.getGroups());
  return isa_and_nonnull<grouped::TopKOp, grouped::AssignOp>(
      ids.getDefiningOp());
}

grouped::PlanOp moe::createPlan(OpBuilder &builder, Location loc, Value ids,
                                int64_t experts) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(ids);
  Type i32 = builder.getI32Type();
  auto rows = RankedTensorType::get({ShapedType::kDynamic}, i32);
  return grouped::PlanOp::create(builder, loc,
                                 RankedTensorType::get({experts + 1}, i32),
                                 rows, rows, ids.getType(), ids, experts);
}

Value moe::splitColumns(OpBuilder &builder, Location loc, Value value,
                        int64_t ones, bool before) {
  SmallVector<int64_t> shape(tensorOf(value).getShape());
  shape.insert(before ? shape.end() - 1 : shape.end(), ones, 1);
  return SplitOp::create(builder, loc, tensorOf(value).clone(shape), value);
}

Value moe::flatRows(OpBuilder &builder, Location loc, Value value) {
  SmallVector<ReassociationIndices> groups = {{0, 1}};
  for (int64_t i = 2; i < tensorOf(value).getRank(); ++i)
    groups.push_back({i});
  return tensor::CollapseShapeOp::create(builder, loc, value, groups);
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

Value moe::whereFilled(OpBuilder &builder, Location loc, Value id, Value value,
                       Value other) {
  Value zero = arith::ConstantOp::create(builder, loc,
                                         builder.getZeroAttr(id.getType()));
  Value filled =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, id, zero);
  return arith::SelectOp::create(builder, loc, filled, value, other);
}

Value moe::fillEmpty(OpBuilder &builder, Location loc, Value weights, Value ids,
                     double empty) {
  if (isFull(ids))
    return weights;
  return createMap(builder, loc, {weights, ids}, builder.getF32Type(),
                   [&](ValueRange slot) {
                     return whereFilled(builder, loc, slot[1], slot[0],
                                        f32Constant(builder, loc, empty));
                   });
}

Value moe::f32Constant(OpBuilder &builder, Location loc, double value) {
  return arith::ConstantOp::create(
      builder, loc, builder.getF32FloatAttr(static_cast<float>(value)));
}

namespace {
class LowerRouting : public moe::impl::LowerRoutingBase<LowerRouting> {
public:
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (failed(checkTypes(function)))
      return signalPassFailure();
    if (!hasRoutings(function)) // plans keep their numbers
      return;
    TypeConverter converter;
    converter.addConversion([](Type type) { return type; });
    converter.addConversion([](RoutingType type, SmallVectorImpl<Type> &types)
                                -> std::optional<LogicalResult> {
      types.push_back(slotsOf(type, Float32Type::get(type.getContext())));
      types.push_back(slotsOf(type, IntegerType::get(type.getContext(), 32)));
      return success();
    });
    ConversionTarget target(getContext());
    target.markUnknownOpDynamicallyLegal([&](Operation *op) {
      return !isa<ExpertOp>(op) && converter.isLegal(op);
    });
    RewritePatternSet patterns(&getContext());
    populateRoutingSelect(converter, patterns);
    populateRoutingWeights(converter, patterns);
    populateRoutingEdit(converter, patterns);
    populateRoutingRead(converter, patterns);
    populateRoutingMove(converter, patterns);
    scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns,
                                                         target);
    if (failed(applyPartialConversion(function, target, std::move(patterns))))
      return signalPassFailure();

    IRRewriter rewriter(&getContext());
    DominanceInfo dominance(function);
    eliminateCommonSubExpressions(rewriter, dominance,
                                  function); // one plan for each support
    int64_t number = 0;
    function.walk([&](grouped::PlanOp plan) {
      plan->setAttr("moe.routing", rewriter.getI64IntegerAttr(number++));
    });
  }

private:
  static bool hasRoutings(func::FuncOp function) {
    return function
        .walk([](Operation *op) {
          return llvm::any_of(op->getResultTypes(), llvm::IsaPred<RoutingType>)
                     ? WalkResult::interrupt()
                     : WalkResult::advance();
        })
        .wasInterrupted();
  }

  /// A routing has no form outside of the compiler.
  static LogicalResult checkTypes(func::FuncOp function) {
    FunctionType type = function.getFunctionType();
    for (Type part :
         llvm::concat<const Type>(type.getInputs(), type.getResults()))
      if (isa<RoutingType>(part))
        return function.emitOpError("takes or returns ")
               << part
               << ", which has no form outside: use the tensors of moe.indices "
                  "and moe.weights";
    return success();
  }
};
} // namespace
