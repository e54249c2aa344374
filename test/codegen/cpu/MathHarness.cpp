// See MathHarness.h.

#include "MathHarness.h"
#include "KernelHarness.h"

#include "codegen/cpu/VectorAccess.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moe::test {

void addLoop(OpBuilder &builder, ModuleOp module, StringRef name, Type element,
             int64_t lanes, Body body) {
  Location loc = builder.getUnknownLoc();
  auto memory = MemRefType::get({ShapedType::kDynamic}, element);
  addFunction(
      builder, module, name, {memory, builder.getIndexType()},
      [&](OpBuilder &builder, ValueRange args) {
        Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
        Value step = arith::ConstantIndexOp::create(
            builder, loc, std::max<int64_t>(lanes, 1));
        scf::ForOp::create(
            builder, loc, zero, args[1], step, {},
            [&](OpBuilder &b, Location loc, Value i, ValueRange) {
              if (lanes == 0) {
                Value x = memref::LoadOp::create(b, loc, args[0], i);
                memref::StoreOp::create(b, loc, body(b, loc, x), args[0], i);
              } else {
                auto type = VectorType::get({lanes}, element);
                Value x = cpu::loadLanes(b, loc, type, args[0], i, lanes);
                cpu::storeLanes(b, loc, body(b, loc, x), args[0], i, lanes);
              }
              scf::YieldOp::create(b, loc);
            });
      });
}

} // namespace moe::test
