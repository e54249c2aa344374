// The quantised copy of a row that multiplies quantised weights, and its scale.

#include "codegen/cpu/Rows.h"

#include "codegen/cpu/Matmul.h"
#include "codegen/cpu/Quantize.h"
#include "codegen/cpu/VectorBody.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moe::cpu {

void emitQuantizeRow(Frame &f, const Step &step, Value row) {
  OpBuilder &b = f.builder;
  Type f32 = b.getF32Type();
  Ref in = f.ref(step.value, step.from);
  Type stored = f.schedule.storage(step.to.storage).element;
  Ref out = f.ref(step.to.storage, stored);
  Ref scales = f.ref(step.extra[0], f32);
  Value from = f.rowAddress(in, row), to = f.rowAddress(out, row);
  auto load = [&](Value column, int64_t lanes) {
    return convertNumber(b, f.loc, f.load(in, f.add(from, column), lanes), f32);
  };
  Value nothing = splatConstant(b, f.loc, f32, 0, f.lanes);
  Value sizes = f.foldColumns(
      in.rowElements, nothing,
      [&](Value column, int64_t lanes, ValueRange so) -> SmallVector<Value> {
        Value size = math::AbsFOp::create(b, f.loc, load(column, lanes));
        return {arith::MaximumFOp::create(b, f.loc, so[0], size)};
      })[0];
  Value most = vector::ReductionOp::create(
      b, f.loc, vector::CombiningKind::MAXIMUMF, sizes);
  Value inverse = vector::BroadcastOp::create(b, f.loc, f.vectorOf(f32),
                                              inverseScale(b, f.loc, most));
  bool biased = f.schedule.level().int8Dot;
  f.columns(in.rowElements, [&](Value column, int64_t lanes) {
    Value entries = quantize(b, f.loc, load(column, lanes), inverse);
    if (biased) {
      Value bias = arith::ConstantOp::create(
          b, f.loc,
          DenseElementsAttr::get(cast<ShapedType>(entries.getType()),
                                 b.getI32IntegerAttr(128)));
      entries = arith::AddIOp::create(b, f.loc, entries, bias);
    }
    Value narrow =
        arith::TruncIOp::create(b, f.loc, f.vectorOf(stored), entries);
    f.store(out, f.add(to, column), narrow, lanes);
  });
  f.storeScalar(scales, f.rowAddress(scales, row), scaleOf(b, f.loc, most));
}

} // namespace moe::cpu
