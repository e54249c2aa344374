// Keys as integers whose order is that of the keys, with NaN below all and
// excluded ones below NaN; ties go to the lowest place.

#ifndef MOE_CODEGEN_CPU_RANKING_H
#define MOE_CODEGEN_CPU_RANKING_H

#include "codegen/cpu/Frame.h"

namespace moe::cpu {

class Ranking {
public:
  /// For keys with elements of type `key`, any float.
  Ranking(Frame &frame, mlir::Type key);

  /// i32, or i64 for keys of f64: the type of what is compared.
  static mlir::IntegerType rankType(mlir::Type key);

  /// A scalar or a vector of keys of any type as integers.
  mlir::Value of(mlir::Value keys) const;
  /// What is below every key; a scalar.
  mlir::Value excluded() const;
  /// Writes the ranks of `count` keys from element `from` of `keys` on.
  void fill(const Ref &ranks, const Ref &keys, mlir::Value from,
            int64_t count) const;

  /// The largest of `count` ranks from `begin` on; a scalar.
  mlir::Value largest(const Ref &ranks, mlir::Value begin, int64_t count) const;
  /// The place of the largest rank, counted from `begin`; it is excluded from
  /// now on.
  mlir::Value take(const Ref &ranks, mlir::Value begin, int64_t count) const;

private:
  llvm::APInt lowest() const {
    return llvm::APInt::getSignedMinValue(rank.getWidth());
  }
  llvm::APInt highest() const {
    return llvm::APInt::getSignedMaxValue(rank.getWidth());
  }
  mlir::Value constant(mlir::Type like, const llvm::APInt &value) const;

  Frame &f;
  mlir::Type element; // f32 or f64
  mlir::IntegerType rank;
};

/// The first of `count` places from `begin` on that holds an integer, counted
/// from `begin`; more than `count` if none does.
mlir::Value firstPlace(Frame &frame, const Ref &ref, mlir::Value begin,
                       int64_t count, mlir::Value wanted);

/// 0, 1, 2, ... in a vector of integers.
mlir::Value laneNumbers(Frame &frame, mlir::IntegerType type);

} // namespace moe::cpu

#endif // MOE_CODEGEN_CPU_RANKING_H
