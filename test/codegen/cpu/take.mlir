// grouped.take on the CPU against the reference: ties, NaN and infinities, capacities of nothing, one, some and more
// than there are, by segment and for all, no tokens, sizes that divide nothing, keys of 16 and 64 bits.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so all:0,7,64:special all:513 segments:0,1,64,513:special narrow:64 wide:0,64 -- --expected_rtol=1e-6
// RUN: moe-compile %s --level=avx512 --emulated -o %t.512.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.512.so all:64:special segments:64:special -- --expected_rtol=1e-6
!s = tensor<?x19xf32>
!i = tensor<?x19xi32>
!n = tensor<?xi32>

func.func @all(%w: !s, %k: !s, %c: index) -> (!s, !i, !i, !i, !i, !i) {
  %none = arith.constant 0 : index
  %less = arith.constant -5 : index
  %one = arith.constant 1 : index
  %c99 = arith.constant 99 : index
  %a, %i = grouped.take %w by %k to %c : (!s, !s, index) -> (!s, !i)
  %b, %j = grouped.take %w by %k to %none : (!s, !s, index) -> (!s, !i)
  %d, %l = grouped.take %w by %k to %less : (!s, !s, index) -> (!s, !i)
  %e, %m = grouped.take %w by %k to %one : (!s, !s, index) -> (!s, !i)
  %g, %n = grouped.take %w by %k to %c99 : (!s, !s, index) -> (!s, !i)
  return %a, %i, %j, %l, %m, %n : !s, !i, !i, !i, !i, !i
}

func.func @segments(%w: !s, %seq: !n) -> (!s, !i, !i) {
  %c2 = arith.constant 2 : index
  %size = moe.segment_size %seq : !n
  %c = moe.map (%s = %size) : (!n) -> !n {
    %four = arith.constant 4 : i32
    %part = arith.divsi %s, %four : i32
    moe.yield %part : i32
  }
  %a, %i = grouped.take %w by %w to %c segments %seq : (!s, !s, !n, !n) -> (!s, !i)
  %b, %j = grouped.take %w by %w to %c2 segments %seq : (!s, !s, index, !n) -> (!s, !i)
  return %a, %i, %j : !s, !i, !i
}

func.func @narrow(%w: tensor<?x3xbf16>) -> tensor<?x3xf32> {
  %c = arith.constant 20 : index
  %r = moe.route %w take %c : tensor<?x3xbf16>, index -> !moe.routing<3, take>
  %m = moe.to_matrix %r : !moe.routing<3, take> -> tensor<?x3xf32>
  return %m : tensor<?x3xf32>
}

// Keys that f32 cannot tell apart.
func.func @wide(%w: tensor<?x19xf64>, %seq: !n) -> (!s, !i, !i) {
  %c5 = arith.constant 5 : index
  %k = moe.map (%x = %w) : (tensor<?x19xf64>) -> tensor<?x19xf64> {
    %tiny = arith.constant 1.0e-12 : f64
    %one = arith.constant 1.0 : f64
    %y = arith.mulf %x, %tiny : f64
    %z = arith.addf %y, %one : f64
    moe.yield %z : f64
  }
  %a, %i = grouped.take %w by %k to %c5 : (tensor<?x19xf64>, tensor<?x19xf64>, index) -> (!s, !i)
  %b, %j = grouped.take %w by %k to %c5 segments %seq : (tensor<?x19xf64>, tensor<?x19xf64>, index, !n) -> (!s, !i)
  return %a, %i, %j : !s, !i, !i
}
