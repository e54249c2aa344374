// MiniMax-Text-01 (arXiv 2501.08313). Special: Mixtral's layer with 32 experts (here 12), between layers of linear attention.
// Normal form: score softmax(x Wᵀ); select top 2; weight score / sum; on output; experts SwiGLU.
!x  = tensor<?x32xf32>
!s  = tensor<?x12xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>      // gate or up of one expert
!dn = tensor<32x16xf32>
!u  = tensor<12x16x32xf32>
!d  = tensor<12x32x16xf32>
!r  = !moe.routing<12, top 2>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<12x32xf32>
  %l = moe.linear %x, %w : (!x, tensor<12x32xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  return %r : !r
}

func.func private @swiglu(%x: !x, %gate: !gu, %up: !gu, %down: !dn) -> !x {
  %a = moe.linear %x, %gate : (!x, !gu) -> !h
  %b = moe.linear %x, %up : (!x, !gu) -> !h
  %s = moe.silu %a : !h
  %h = arith.mulf %s, %b : !h
  %y = moe.linear %h, %down : (!h, !dn) -> !x
  return %y : !x
}

// %m: "model.layers.1.block_sparse_moe."
func.func @minimax_text(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.w1.weight" : !u
  %wu = moe.param %m "experts.{expert}.w3.weight" : !u
  %wd = moe.param %m "experts.{expert}.w2.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %f = func.call @swiglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
