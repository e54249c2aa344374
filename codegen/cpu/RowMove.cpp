// Rows made from other rows: copies, gathers, sums over slots, and plain
// products inside loops over groups.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/Call.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

void emitCopyRow(Frame &f, const Step &step, Value row) {
  auto type = cast<RankedTensorType>(step.value.getType());
  Ref in = f.ref(step.value, step.from), out = f.ref(step.value, step.to);
  Value from = f.rowAddress(in, row), to = f.rowAddress(out, row);
  bool contiguous = true;
  int64_t expected = 1;
  for (int64_t d = type.getRank() - 1; d > 0; --d) {
    contiguous &= type.getDimSize(d) == 1 || in.layout.strides[d] == expected;
    expected *= type.getDimSize(d);
  }
  if (!contiguous)
    return copyStrided(f, in, out, type.getShape(), 1, from, to);
  f.columns(in.rowElements, [&](Value column, int64_t lanes) {
    f.store(out, f.add(to, column), f.load(in, f.add(from, column), lanes),
            lanes);
  });
}

void emitGatherRow(Frame &f, GatherOp op, Value row) {
  Ref table = f.ref(op.getTable()), ids = f.ref(op.getIndices());
  Ref out = f.ref(op.getResult());
  int64_t width = table.rowElements;
  Value from = f.rowAddress(ids, row), to = f.rowAddress(out, row);
  Value rows = f.extent(f.schedule.extents().of(op.getTable()));
  auto plan = op.getIndices().getDefiningOp<grouped::PlanOp>();
  f.loop(ids.rowElements, [&](Value c) {
    Value id = f.toIndex(f.loadScalar(ids, f.add(from, c)));
    if (!plan) { // a plan's numbers are right by construction
      Value inside = f.is(Frame::Compare::ult, id, rows);
      Value outside = arith::XOrIOp::create(
          f.builder, f.loc, inside,
          arith::ConstantIntOp::create(f.builder, f.loc, 1, 1));
      f.ifThen(outside, [&] { reportError(f, MOERT_CODE_INDEX, {id, rows}); });
      id = arith::SelectOp::create(f.builder, f.loc, inside, id, f.constant(0));
    }
    // With an empty table there is nothing to read.
    f.ifThen(f.less(f.constant(0), rows), [&] {
      Value source = f.wholeRowAddress(table, id);
      Value target = f.add(to, f.mul(c, width));
      f.columns(width, [&](Value column, int64_t lanes) {
        f.store(out, f.add(target, column),
                f.load(table, f.add(source, column), lanes), lanes);
      });
    });
  });
}

void emitCombineRow(Frame &f, grouped::CombineOp op, Value row) {
  OpBuilder &b = f.builder;
  Ref in = f.ref(op.getInput()), out = f.ref(op.getResult());
  Ref slots = f.ref(op.getRows());
  Value firstSlot = f.rowAddress(slots, row), to = f.rowAddress(out, row);
  Type wide = wideType(in.type);
  Value zero = splatConstant(b, f.loc, wide, 0, f.lanes);
  Ref weights;
  Value firstWeight;
  if (op.getWeights()) {
    weights = f.ref(op.getWeights());
    firstWeight = f.rowAddress(weights, row);
  }
  f.columns(in.rowElements, [&](Value column, int64_t lanes) {
    SmallVector<Value> total = f.fold(
        f.constant(0), f.constant(slots.rowElements), zero,
        [&](Value slot, ValueRange so) -> SmallVector<Value> {
          Value source = f.toIndex(f.loadScalar(slots, f.add(firstSlot, slot)));
          Value filled = f.less(f.constant(-1), source);
          auto choice = scf::IfOp::create(b, f.loc, zero.getType(), filled,
                                          /*withElseRegion=*/true);
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(choice.elseBlock());
          scf::YieldOp::create(b, f.loc, so[0]);
          b.setInsertionPointToStart(choice.thenBlock());
          Value x =
              f.load(in, f.add(f.wholeRowAddress(in, source), column), lanes);
          x = convertNumber(b, f.loc, x, wide);
          if (op.getWeights()) {
            Value weight = convertNumber(
                b, f.loc, f.loadScalar(weights, f.add(firstWeight, slot)),
                wide);
            x = arith::MulFOp::create(b, f.loc, x,
                                      vector::BroadcastOp::create(
                                          b, f.loc, f.vectorOf(wide), weight));
          }
          scf::YieldOp::create(
              b, f.loc, Value(arith::AddFOp::create(b, f.loc, so[0], x)));
          return {choice.getResult(0)};
        });
    f.store(out, f.add(to, column), convertNumber(b, f.loc, total[0], out.type),
            lanes);
  });
}

/// y[n] = sum over k of x[k] * w[n, k] + b[n], for every inner row of x.
void emitLinearRow(Frame &f, LinearOp op, Value row) {
  OpBuilder &b = f.builder;
  Ref in = f.ref(op.getInput()), out = f.ref(op.getResult());
  Ref weight = f.ref(op.getWeight());
  int64_t inputs = op.getInputWidth(), outputs = op.getOutputWidth();
  Type wide = wideType(weight.type.isF64() || out.type.isF64() ? b.getF64Type()
                                                               : in.type);
  auto widen = [&](Value value) {
    return convertNumber(b, f.loc, value, wide);
  };
  Value from = f.rowAddress(in, row), to = f.rowAddress(out, row);
  Value zero = splatConstant(b, f.loc, wide, 0, f.lanes);
  auto product = [&](Value sum, Value x, Value w) -> Value {
    return vector::FMAOp::create(b, f.loc, x, w, sum);
  };
  ArrayRef<int64_t> leading = op.getInput().getType().getShape().drop_back();
  int64_t innerRows =
      ShapedType::getNumElements(leading.drop_front(!leading.empty()));
  f.loop(innerRows, [&](Value o) {
    Value x = f.add(from, f.mul(o, inputs)), y = f.add(to, f.mul(o, outputs));
    if (op.getInOut()) {
      f.columns(outputs, [&](Value column, int64_t lanes) {
        Value sum = f.fold(
            f.constant(0), f.constant(inputs), zero,
            [&](Value k, ValueRange so) -> SmallVector<Value> {
              Value left = vector::BroadcastOp::create(
                  b, f.loc, f.vectorOf(wide),
                  widen(f.loadScalar(in, f.add(x, k))));
              Value right = widen(f.load(
                  weight, f.add(f.rowAddress(weight, k), column), lanes));
              return {product(so[0], left, right)};
            })[0];
        if (op.getBias()) {
          Ref bias = f.ref(op.getBias());
          Value at = f.add(f.rowAddress(bias, f.constant(0)), column);
          sum = arith::AddFOp::create(b, f.loc, sum,
                                      widen(f.load(bias, at, lanes)));
        }
        f.store(out, f.add(y, column), convertNumber(b, f.loc, sum, out.type),
                lanes);
      });
      return;
    }
    f.loop(outputs, [&](Value n) {
      Value w = f.rowAddress(weight, n);
      Value sums = f.foldColumns(
          inputs, zero,
          [&](Value k, int64_t lanes, ValueRange so) -> SmallVector<Value> {
            return {product(so[0], widen(f.load(in, f.add(x, k), lanes)),
                            widen(f.load(weight, f.add(w, k), lanes)))};
          })[0];
      Value sum = vector::ReductionOp::create(b, f.loc,
                                              vector::CombiningKind::ADD, sums);
      if (op.getBias()) {
        Ref bias = f.ref(op.getBias());
        Value number =
            f.loadScalar(bias, f.add(f.rowAddress(bias, f.constant(0)), n));
        sum = arith::AddFOp::create(b, f.loc, sum, widen(number));
      }
      f.storeScalar(out, f.add(y, n), convertNumber(b, f.loc, sum, out.type));
    });
  });
}

} // namespace moe::cpu
