// Ling 2 (inclusionAI; arXiv 2510.22115; transformers' bailing_hybrid). Special: DeepSeek-V3's router with half of its 8 groups kept; the bias is called expert_bias.
// Normal form: score sigmoid(x Wᵀ); key score + bias, groups 4 of 8 by the sum of their best 2; select top 4; weight score / (sum + 1e-20) · 2.5; on output; experts SwiGLU; also + shared expert.
!x  = tensor<?x32xf32>
!s  = tensor<?x16xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>      // gate or up of one expert
!dn = tensor<32x16xf32>
!u  = tensor<16x16x32xf32>
!d  = tensor<16x32x16xf32>
!r  = !moe.routing<16, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<16x32xf32>
  %bias = moe.param %m "gate.expert_bias" : tensor<16xf32>
  %l   = moe.linear %x, %w : (!x, tensor<16x32xf32>) -> !s
  %s   = moe.sigmoid %l : !s
  %b   = moe.broadcast %bias like %s : tensor<16xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key groups 8 keep 4 score sum 2 top 4 : !s -> !r
  %n   = moe.normalize %g by sum plus 1.0e-20 : !r
  %r   = moe.scale %n by 2.5 : !r
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

// %m: "model.layers.1.mlp."
func.func @ling(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.gate_proj.weight" : !u
  %wu = moe.param %m "experts.{expert}.up_proj.weight" : !u
  %wd = moe.param %m "experts.{expert}.down_proj.weight" : !d
  %sg = moe.param %m "shared_experts.gate_proj.weight" : !gu
  %su = moe.param %m "shared_experts.up_proj.weight" : !gu
  %sd = moe.param %m "shared_experts.down_proj.weight" : !dn

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %f = func.call @swiglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
  %routed = moe.combine %out by %r weighted : !x, !r
  %shared = func.call @swiglu(%x, %sg, %su, %sd) : (!x, !gu, !gu, !dn) -> !x
  %y      = arith.addf %routed, %shared : !x
  return %y : !x
}

// The weights as a matrix: the published code gives the chosen experts in no particular order.
func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
