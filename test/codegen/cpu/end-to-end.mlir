// CPU code against the reference: sizes that divide nothing, k = E, no tokens, shared experts, several results.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so primes:0,1,7,61 all_experts:5 gathered:4 -- --expected_rtol=1e-4
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so page_wide:0,9 -- --expected_atol=1e-3
!x = tensor<?x13xf32>
!s = tensor<?x7xf32>
!h = tensor<?x37xf32>
!u = tensor<7x37x13xf32>
!d = tensor<7x13x37xf32>
!r = !moe.routing<7, top 3>

func.func @primes(%x: !x, %m: !moe.scope) -> (!x, tensor<?x3xi32>, tensor<7xi32>) {
  %w = moe.param %m "router" : tensor<7x13xf32>
  %w1 = moe.param %m "{expert}.gate" : !u
  %w3 = moe.param %m "{expert}.up" : !u
  %w2 = moe.param %m "{expert:2}.down" : !d
  %l = moe.linear %x, %w : (!x, tensor<7x13xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 3 : !s -> !r
  %r = moe.normalize %g by sum : !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %w1, %up = %w3, %down = %w2) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<37x13xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<37x13xf32>) -> !h
    %c = moe.gelu %a exact : !h
    %h = arith.mulf %c, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<13x37xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  %i = moe.indices %r : !r -> tensor<?x3xi32>
  %n = moe.counts %r : !r -> tensor<7xi32>
  return %y, %i, %n : !x, tensor<?x3xi32>, tensor<7xi32>
}

!all = !moe.routing<7, top 7>
func.func @all_experts(%x: !x, %m: !moe.scope) -> (!x, tensor<?x7xf32>) {
  %w = moe.param %m "router" : tensor<7x13xf32>
  %b = moe.param %m "bias" : tensor<7xf32>
  %e = moe.param %m "square" : tensor<7x13x13xf32>
  %eb = moe.param %m "biases" : tensor<7x13xf32>
  %l = moe.linear %x, %w, %b : (!x, tensor<7x13xf32>, tensor<7xf32>) -> !s
  %s = moe.sigmoid %l : !s
  %g = moe.route %s top 7 : !s -> !all
  %in = moe.dispatch %x by %g : !x, !all
  %out = moe.expert by %g rows(%t = %in) each(%k = %e, %c = %eb) : !all, (!x, tensor<7x13x13xf32>, tensor<7x13xf32>) -> !x {
    %f = moe.linear %t, %k, %c in_out : (!x, tensor<13x13xf32>, tensor<13xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %g unweighted : !x, !all
  %z = arith.addf %y, %x : !x
  %q = moe.weights %g : !all -> tensor<?x7xf32>
  return %z, %q : !x, tensor<?x7xf32>
}

func.func @gathered(%table: tensor<3x13xf32>, %ids: tensor<?xi32>, %n: tensor<13xf32>) -> (!x, tensor<?xf32>) {
  %x = moe.gather %table at %ids : tensor<3x13xf32>, tensor<?xi32> -> !x
  %y = moe.rms_norm %x, %n eps 1.0e-5 : !x, tensor<13xf32>
  %m = moe.reduce max %y over 1 : !x -> tensor<?xf32>
  return %y, %m : !x, tensor<?xf32>
}

// Rows of 4096 bytes, which experts read from a copy whose rows are farther apart, and the router where they lie.
func.func @page_wide(%x: tensor<?x1024xf32>, %m: !moe.scope) -> tensor<?x5xf32> {
  %w = moe.param %m "wide router" : tensor<7x1024xf32>
  %e = moe.param %m "wide" : tensor<7x5x1024xf32>
  %l = moe.linear %x, %w : (tensor<?x1024xf32>, tensor<7x1024xf32>) -> !s
  %r = moe.route %l top 2 : !s -> !moe.routing<7, top 2>
  %in = moe.dispatch %x by %r : tensor<?x1024xf32>, !moe.routing<7, top 2>
  %out = moe.expert by %r rows(%t = %in) each(%k = %e) : !moe.routing<7, top 2>, (tensor<?x1024xf32>, tensor<7x5x1024xf32>) -> tensor<?x5xf32> {
    %f = moe.linear %t, %k : (tensor<?x1024xf32>, tensor<5x1024xf32>) -> tensor<?x5xf32>
    moe.yield %f : tensor<?x5xf32>
  }
  %y = moe.combine %out by %r unweighted : tensor<?x5xf32>, !moe.routing<7, top 2>
  return %y : tensor<?x5xf32>
}
