// AdaMoE (arXiv 2406.13233). Special: four null experts, which cost nothing, compete with six true ones, so a token visits 0 to 4 experts though k is fixed.
// Normal form: score softmax(x Wᵀ); select top 4, without null experts; weight score / sum of the kept; on output; experts 6 SwiGLU, 4 null.
!x = tensor<?x16xf32>
!s = tensor<?x10xf32>
!h = tensor<?x24xf32>
!u = tensor<6x24x16xf32>
!d = tensor<6x16x24xf32>
!r = !moe.routing<10, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<10x16xf32>
  %l = moe.linear %x, %w : (!x, tensor<10x16xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 4 : !s -> !r
  %true = arith.constant dense<[true, true, true, true, true, true, false, false, false, false]> : tensor<10xi1>
  %k = moe.keep %g where %true : !r, tensor<10xi1>
  %r = moe.normalize %k by sum : !r
  return %r : !r
}

func.func @adamoe(%x: !x, %m: !moe.scope) -> !x {
  %w1 = moe.param %m "experts.{expert}.w1.weight" : !u
  %w3 = moe.param %m "experts.{expert}.w3.weight" : !u
  %w2 = moe.param %m "experts.{expert}.w2.weight" : !d
  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 6 each(%gate = %w1, %up = %w3, %down = %w2) : (!u, !u, !d) {
    %a = moe.linear %t, %gate : (!x, tensor<24x16xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<24x16xf32>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<16x24xf32>) -> !x
    moe.yield %f : !x
  }
      range 6 to 10 {          // nobody comes here
    moe.yield %t : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x4xi32>
  %w = moe.weights %r : !r -> tensor<?x4xf32>
  return %i, %w : tensor<?x4xi32>, tensor<?x4xf32>
}
