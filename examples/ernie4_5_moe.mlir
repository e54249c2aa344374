// ERNIE 4.5 (baidu/ERNIE-4.5-21B-A3B). Special: a bias on softmax scores, and a sum that is never taken smaller than a minimum.
// Normal form: score softmax(x Wᵀ); key score + bias; select top 4; weight score / max(sum, 0.6); on output; experts SwiGLU; also + shared expert.
!x  = tensor<?x32xf32>
!s  = tensor<?x12xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>      // gate or up of one expert
!dn = tensor<32x16xf32>
!u  = tensor<12x16x32xf32>
!d  = tensor<12x32x16xf32>
!sh = tensor<?x32xf32>       // inside the shared expert
!su = tensor<32x32xf32>
!sd = tensor<32x32xf32>
!r  = !moe.routing<12, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<12x32xf32>
  %b1  = moe.param %m "moe_statics.e_score_correction_bias" : tensor<1x12xf32>
  %l   = moe.linear %x, %w : (!x, tensor<12x32xf32>) -> !s
  %s   = moe.softmax %l : !s
  %b   = moe.broadcast %b1 like %s : tensor<1x12xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 4 : !s -> !r
  %r   = moe.normalize %g by sum at_least 0.6 : !r
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

// Two shared experts are one of twice the width.
func.func private @shared(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "shared_experts.gate_proj.weight" : !su
  %wu = moe.param %m "shared_experts.up_proj.weight" : !su
  %wd = moe.param %m "shared_experts.down_proj.weight" : !sd
  %a = moe.linear %x, %wg : (!x, !su) -> !sh
  %b = moe.linear %x, %wu : (!x, !su) -> !sh
  %s = moe.silu %a : !sh
  %h = arith.mulf %s, %b : !sh
  %y = moe.linear %h, %wd : (!sh, !sd) -> !x
  return %y : !x
}

// %m: "model.layers.1.mlp."
func.func @ernie4_5_moe(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.gate_proj.weight" : !u
  %wu = moe.param %m "experts.{expert}.up_proj.weight" : !u
  %wd = moe.param %m "experts.{expert}.down_proj.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %f = func.call @swiglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
  %routed = moe.combine %out by %r weighted : !x, !r
  %shared = func.call @shared(%x, %m) : (!x, !moe.scope) -> !x
  %y      = arith.addf %routed, %shared : !x
  return %y : !x
}

// The weights as a matrix: the published code gives the chosen experts in no particular order.
func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
