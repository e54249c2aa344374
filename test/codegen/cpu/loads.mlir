// Loads of experts of several kinds, of inner experts, and of inner experts of several kinds: level 2 and the CPU. Level 1 counts the inner experts of all outer ones together.
// DEFINE: %{run} = --input=5x2xf32=1,2,3,-4,-5,6,7,8,9,1 --input=5x3xf32=1,2,3,6,5,4,7,8,9,1,3,2,5,4,3 --output=@%t.npy --stats
// RUN: moe-interpret %s %{run} | FileCheck %s --check-prefix=SUM
// RUN: moe-opt --moe-to-grouped %s | moe-interpret - %{run} | FileCheck %s
// RUN: moe-compile %s -o %t.so
// RUN: moe-run %t.so %{run} | FileCheck %s
!x = tensor<?x2xf32>
!s = tensor<?x3xf32>
!r = !moe.routing<2, top 1>
!q = !moe.routing<3, top 2>

// Outer expert 0 has tokens 1 and 4, expert 1 the others; inner choices are 0 and 1 of both; 2 and 1 of tokens 0 and 2, 1 and 2 of token 3.
// CHECK:      routing 0: 2 experts, up to 1 a token, 5 rows
// CHECK-NEXT: expert 0 {{.*}} 2 40.0%
// CHECK-NEXT: expert 1 {{.*}} 3 60.0%
// CHECK-NEXT: routing 1: 6 experts, up to 2 a token, 10 rows
// CHECK-NEXT: expert 0 {{.*}} 2 20.0%
// CHECK-NEXT: expert 1 {{.*}} 2 20.0%
// CHECK-NEXT: expert 2 0 0.0%
// CHECK-NEXT: expert 3 0 0.0%
// CHECK-NEXT: expert 4 {{.*}} 3 30.0%
// CHECK-NEXT: expert 5 {{.*}} 3 30.0%
// SUM:      routing 1: 3 experts, up to 2 a token, 10 rows
// SUM-NEXT: expert 0 {{.*}} 2 20.0%
// SUM-NEXT: expert 1 {{.*}} 5 50.0%
// SUM-NEXT: expert 2 {{.*}} 3 30.0%
func.func @layer(%x: !x, %scores: !s) -> !x {
  %w = arith.constant dense<[[1.0, 0.0], [0.0, 1.0]]> : tensor<2x2xf32>
  %l = moe.linear %x, %w in_out : (!x, tensor<2x2xf32>) -> !x
  %r = moe.route %l top 1 : !x -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %is = moe.dispatch %scores by %r : !s, !r
  %out = moe.expert by %r rows(%t = %in, %s = %is) : !r, (!x, !s) -> !x {
    %q = moe.route %s top 2 : !s -> !q
    %i = moe.dispatch %t by %q : !x, !q
    %o = moe.expert by %q rows(%u = %i) : !q, (!x) -> !x
        range 0 to 1 {
      %z = moe.silu %u : !x
      moe.yield %z : !x
    }
        range 1 to 3 {
      moe.yield %u : !x
    }
    %y = moe.combine %o by %q weighted : !x, !q
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !r
  return %y : !x
}
