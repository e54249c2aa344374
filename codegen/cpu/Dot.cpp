// See Dot.h.

#include "codegen/cpu/Dot.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;

namespace moe::cpu {

/// Entry `number` of every lane, as i32.
static Value extractEntry(OpBuilder &builder, Location loc, Value lanes,
                          int64_t number, int64_t bits, bool isSigned) {
  auto shift = [&](int64_t by) -> Value {
    auto type = cast<VectorType>(lanes.getType());
    return arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(type, builder.getI32IntegerAttr(by)));
  };
  Value top = arith::ShLIOp::create(builder, loc, lanes,
                                    shift(32 - bits * (number + 1)));
  if (isSigned)
    return arith::ShRSIOp::create(builder, loc, top, shift(32 - bits));
  return arith::ShRUIOp::create(builder, loc, top, shift(32 - bits));
}

/// The instruction written out, for machines that lack it.
static Value expandDot(OpBuilder &builder, Location loc, Family family,
                       Value sum, Value row, Value weights) {
  bool bytes = family == Family::Int8Dot;
  Value a = vector::BitCastOp::create(builder, loc, sum.getType(), row);
  Value b = vector::BitCastOp::create(builder, loc, sum.getType(), weights);
  int64_t bits = bytes ? 8 : 16;
  for (int64_t entry = 0; entry < 32 / bits; ++entry) {
    Value product = arith::MulIOp::create(
        builder, loc, extractEntry(builder, loc, a, entry, bits, !bytes),
        extractEntry(builder, loc, b, entry, bits, true));
    sum = arith::AddIOp::create(builder, loc, sum, product);
  }
  return sum;
}

Value emitDot(OpBuilder &builder, Location loc, const Level &level,
              Family family, Value sum, Value row, Value weights) {
  if (family == Family::Fma)
    return vector::FMAOp::create(builder, loc, row, weights, sum);
  if (family == Family::Bf16Dot)
    return x86vector::DotBF16Op::create(builder, loc, sum.getType(), sum, row,
                                        weights);
  if (level.emulated)
    return expandDot(builder, loc, family, sum, row, weights);
  auto call = [&](StringRef name, ValueRange operands) -> Value {
    return LLVM::CallIntrinsicOp::create(builder, loc, sum.getType(),
                                         builder.getStringAttr(name), operands)
        .getResult(0);
  };
  if (family == Family::Int8Dot)
    return call(level.lanes == 16 ? "llvm.x86.avx512.vpdpbusd.512"
                                  : "llvm.x86.avx512.vpdpbusd.256",
                {sum, row, weights});
  Value products = call(level.lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512"
                                          : "llvm.x86.avx2.pmadd.wd",
                        {row, weights});
  return arith::AddIOp::create(builder, loc, sum, products);
}

Value broadcastEntries(OpBuilder &builder, Location loc, Value a, Value row,
                       Value k, int64_t lanes) {
  Type element = cast<MemRefType>(a.getType()).getElementType();
  Type i32 = builder.getI32Type();
  int64_t entries = 32 / element.getIntOrFloatBitWidth();
  // A vector load, because rows need not be aligned to whole lanes.
  Value some = vector::LoadOp::create(
      builder, loc, VectorType::get({entries}, element), a, ValueRange{row, k});
  Value bits =
      vector::BitCastOp::create(builder, loc, VectorType::get({1}, i32), some);
  Value all = vector::BroadcastOp::create(
      builder, loc, VectorType::get({lanes}, i32),
      vector::ExtractOp::create(builder, loc, bits, 0));
  return vector::BitCastOp::create(
      builder, loc, VectorType::get({entries * lanes}, element), all);
}

void emitFence(OpBuilder &builder, Location loc) {
  LLVM::InlineAsmOp::create(builder, loc, TypeRange{}, ValueRange{}, "",
                            "~{memory}",
                            /*has_side_effects=*/true, /*is_align_stack=*/false,
                            LLVM::tailcallkind::TailCallKind::None,
                            LLVM::AsmDialectAttr(), ArrayAttr());
}

void emitFence(OpBuilder &builder, Location loc, MutableArrayRef<Value> sums) {
  std::string constraints;
  SmallVector<Type> types;
  for (Value sum : sums) {
    constraints += "=v,";
    types.push_back(sum.getType());
  }
  for (size_t i = 0; i < sums.size(); ++i)
    constraints += std::to_string(i) + ",";
  Type type =
      sums.size() == 1
          ? types.front()
          : Type(LLVM::LLVMStructType::getLiteral(builder.getContext(), types));
  Value after = LLVM::InlineAsmOp::create(
                    builder, loc, TypeRange(type), SmallVector<Value>(sums), "",
                    constraints + "~{memory}",
                    /*has_side_effects=*/true, /*is_align_stack=*/false,
                    LLVM::tailcallkind::TailCallKind::None,
                    LLVM::AsmDialectAttr(), ArrayAttr())
                    .getResult(0);
  if (sums.size() == 1) {
    sums.front() = after;
    return;
  }
  for (auto [i, sum] : llvm::enumerate(sums))
    sum = LLVM::ExtractValueOp::create(builder, loc, after,
                                       static_cast<int64_t>(i));
}

} // namespace moe::cpu
