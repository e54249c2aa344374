// MiniMax-M2 (MiniMaxAI/MiniMax-M2). Special: the bias on the choice lies beside the gate, weights sum to exactly 1, and nothing is shared.
// Normal form: score sigmoid(x Wᵀ); key score + bias; select top 4; weight score / sum; on output; experts SwiGLU.
!x  = tensor<?x32xf32>
!s  = tensor<?x12xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>      // gate or up of one expert
!dn = tensor<32x16xf32>
!u  = tensor<12x16x32xf32>
!d  = tensor<12x32x16xf32>
!r  = !moe.routing<12, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<12x32xf32>
  %bias = moe.param %m "e_score_correction_bias" : tensor<12xf32>
  %l   = moe.linear %x, %w : (!x, tensor<12x32xf32>) -> !s
  %s   = moe.sigmoid %l : !s
  %b   = moe.broadcast %bias like %s : tensor<12xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 4 : !s -> !r
  %r   = moe.normalize %g by sum : !r
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
func.func @minimax_m2(%x: !x, %m: !moe.scope) -> !x {
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

// The weights as a matrix: the published code gives the chosen experts in no particular order.
func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
