// What looks at many rows, inside loops and branches over whole tensors: every round has tables of its own, and all
// threads go through it.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so rounds:0,5,40 branch:0,7 chosen:0,7 -- --expected_rtol=1e-5
!s = tensor<?x5xf32>
!r = !moe.routing<5, top 2>
func.func @rounds(%x: !s, %seq: tensor<?xi32>) -> (!s, tensor<f32>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %three = arith.constant 3 : index
  %c4 = arith.constant 4 : index
  %none = arith.constant dense<0.0> : tensor<f32>
  %y, %l = scf.for %i = %zero to %three step %one iter_args(%a = %x, %b = %none) -> (!s, tensor<f32>) {
    %p = moe.softmax %a : !s
    %g = moe.route %p top 2 : !s -> !r
    %k = moe.limit %g to %c4 order weight overflow drop segments %seq : !r, index, tensor<?xi32>
    %m = moe.to_matrix %k : !r -> !s
    %t = moe.route %p take %c4 segments %seq : !s, index, tensor<?xi32> -> !moe.routing<5, take>
    %n = moe.to_matrix %t : !moe.routing<5, take> -> !s
    %q = moe.assign %a by %a epsilon over 50.0 at_least 1.0e-4 rounds 10 : !s -> !moe.routing<5, top 1>
    %o = moe.to_matrix %q : !moe.routing<5, top 1> -> !s
    %loss = moe.balance_loss %p of %g counting all scale one segments %seq : !s, !r, tensor<?xi32>
    %s1 = arith.addf %m, %n : !s
    %s2 = arith.addf %s1, %o : !s
    %l1 = arith.addf %b, %loss : tensor<f32>
    scf.yield %s2, %l1 : !s, tensor<f32>
  }
  return %y, %l : !s, tensor<f32>
}
func.func @branch(%x: !s, %c: i1) -> (!s) {
  %c4 = arith.constant 4 : index
  %y = scf.if %c -> (!s) {
    %t = moe.route %x take %c4 : !s, index -> !moe.routing<5, take>
    %n = moe.to_matrix %t : !moe.routing<5, take> -> !s
    scf.yield %n : !s
  } else {
    scf.yield %x : !s
  }
  return %y : !s
}
// One routing or another: canonicalization makes a selection of the branches.
func.func @chosen(%x: !s, %y: !s, %b: i1, %m: !moe.scope) -> (!s, tensor<?x2xi32>) {
  %w = moe.param %m "w" : tensor<5x5x5xf32>
  %g = moe.route %x top 2 : !s -> !r
  %h = moe.route %y top 2 : !s -> !r
  %r = scf.if %b -> (!r) {
    scf.yield %g : !r
  } else {
    scf.yield %h : !r
  }
  %n = moe.normalize %r by softmax : !r
  %in = moe.dispatch %x by %n : !s, !r
  %out = moe.expert by %n rows(%t = %in) each(%v = %w) : !r, (!s, tensor<5x5x5xf32>) -> !s {
    %a = moe.linear %t, %v : (!s, tensor<5x5xf32>) -> !s
    moe.yield %a : !s
  }
  %z = moe.combine %out by %n weighted : !s, !r
  %i = moe.indices %n : !r -> tensor<?x2xi32>
  return %z, %i : !s, tensor<?x2xi32>
}
