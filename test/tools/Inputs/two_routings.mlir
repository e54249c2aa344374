// Two layers whose experts add a vector of their own: the second chooses by what the first gives, and has other slots.
!x = tensor<?x4xf32>
!v = tensor<4x4xf32>
!r = !moe.routing<4, top 2>
!q = !moe.routing<4, any>

func.func @two(%x: !x, %bias: !v) -> (!x, tensor<?x2xi32>, tensor<4xi32>) {
  %p = moe.softmax %x : !x
  %g = moe.route %p top 2 : !x -> !r
  %n = moe.normalize %g by sum : !r
  %in = moe.dispatch %x by %g : !x, !r
  %out = moe.expert by %g rows(%t = %in) each(%v = %bias) : !r, (!x, !v) -> !x {
    %b = moe.broadcast %v like %t : tensor<4xf32>, !x
    %s = arith.addf %t, %b : !x
    moe.yield %s : !x
  }
  %y = moe.combine %out by %n weighted : !x, !r

  %h = moe.route %y greater_than 0.0 : !x -> !q
  %yin = moe.dispatch %y by %h : !x, !q
  %yout = moe.expert by %h rows(%t = %yin) each(%v = %bias) : !q, (!x, !v) -> !x {
    %b = moe.broadcast %v like %t : tensor<4xf32>, !x
    %s = arith.mulf %t, %b : !x
    moe.yield %s : !x
  }
  %z = moe.combine %yout by %h unweighted : !x, !q

  // What the router says, and what the experts got.
  %i = moe.indices %n : !r -> tensor<?x2xi32>
  %c = moe.counts %h : !q -> tensor<4xi32>
  return %z, %i, %c : !x, tensor<?x2xi32>, tensor<4xi32>
}

func.func @none(%x: !x) -> !x {
  %y = arith.addf %x, %x : !x
  return %y : !x
}
