// Arithmetic on numbers of type index and loops over them, as every emitter of
// addresses needs it.

#ifndef MOE_CODEGEN_CPU_INDICES_H
#define MOE_CODEGEN_CPU_INDICES_H

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace moe::cpu {

/// Emitters inherit it. Numbers are unsigned where that makes a difference.
struct IndexBuilder {
  using Value = mlir::Value;
  using Compare = mlir::arith::CmpIPredicate;

  mlir::OpBuilder &builder;
  mlir::Location loc;

  Value constant(int64_t value) const {
    return mlir::arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value add(Value a, Value b) const {
    return mlir::arith::AddIOp::create(builder, loc, a, b);
  }
  Value add(Value a, int64_t b) const {
    return b == 0 ? a : add(a, constant(b));
  }
  Value sub(Value a, Value b) const {
    return mlir::arith::SubIOp::create(builder, loc, a, b);
  }
  Value mul(Value a, Value b) const {
    return mlir::arith::MulIOp::create(builder, loc, a, b);
  }
  Value mul(Value a, int64_t b) const {
    return b == 1 ? a : mul(a, constant(b));
  }
  Value div(Value a, Value b) const {
    return mlir::arith::DivUIOp::create(builder, loc, a, b);
  }
  Value div(Value a, int64_t b) const {
    return b == 1 ? a : div(a, constant(b));
  }
  Value ceilDiv(Value a, Value b) const { return div(add(a, add(b, -1)), b); }
  Value rem(Value a, Value b) const {
    return mlir::arith::RemUIOp::create(builder, loc, a, b);
  }
  Value rem(Value a, int64_t b) const { return rem(a, constant(b)); }
  Value is(Compare predicate, Value a, Value b) const {
    return mlir::arith::CmpIOp::create(builder, loc, predicate, a, b);
  }
  Value is(Compare predicate, Value a, int64_t b) const {
    return is(predicate, a, constant(b));
  }

  /// Emits a loop over [begin, end) and leaves the builder after it.
  void loop(Value begin, Value end, int64_t step,
            llvm::function_ref<void(Value)> body) const;
  /// The same over [begin, begin + count) in blocks of at most `most`, of the
  /// same size but for the last. `body` gets the first of a block and its size.
  void loopOverBlocks(Value begin, Value count, Value most,
                      llvm::function_ref<void(Value, Value)> body) const;
};

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_INDICES_H
