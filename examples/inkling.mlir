// Inkling (thinkingmachines; transformers' inkling). Special: shared experts are weighed together with the chosen ones, so here they are experts 12 and 13 that everybody chooses.
// Normal form: score sigmoid(x Wᵀ); key score + bias, +inf for the shared; select top 6; weight score / sum · 8 · a learned scale; on output; experts SwiGLU.
!x  = tensor<?x32xf32>
!s  = tensor<?x14xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>
!dn = tensor<32x16xf32>
!b  = tensor<12x32x32xf32>   // gate (first half) and up of the 12 experts that are chosen
!u  = tensor<12x16x32xf32>
!d  = tensor<12x32x16xf32>
!su = tensor<2x16x32xf32>    // of the 2 shared ones
!sd = tensor<2x32x16xf32>
!e  = tensor<14xf32>
!r  = !moe.routing<14, top 6>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w     = moe.param %m "gate.weight" : tensor<14x32xf32>
  %bias  = moe.param %m "gate.e_score_correction_bias" : tensor<12xf32>
  %scale = moe.param %m "gate.global_scale" : tensor<1xf32>
  %first = arith.constant dense<0x7F800000> : tensor<2xf32>
  %all   = tensor.concat dim(0) %bias, %first : (tensor<12xf32>, tensor<2xf32>) -> !e
  %l   = moe.linear %x, %w : (!x, tensor<14x32xf32>) -> !s
  %s   = moe.sigmoid %l : !s
  %b   = moe.broadcast %all like %s : !e, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 6 : !s -> !r
  %n   = moe.normalize %g by sum : !r
  %n8  = moe.scale %n by 8.0 : !r
  %v   = moe.broadcast %scale like %all : tensor<1xf32>, !e
  %r   = moe.scale %n8 by %v : !r, !e
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
func.func @inkling(%x: !x, %m: !moe.scope) -> !x {
  %both = moe.param %m "experts.gate_up_proj" : !b
  %wd   = moe.param %m "experts.down_proj" : !d
  %sg   = moe.param %m "shared_experts.gate_proj" : !su
  %sup  = moe.param %m "shared_experts.up_proj" : !su
  %sdn  = moe.param %m "shared_experts.down_proj" : !sd
  %wg = tensor.extract_slice %both[0, 0, 0] [12, 16, 32] [1, 1, 1] : !b to !u
  %wu = tensor.extract_slice %both[0, 16, 0] [12, 16, 32] [1, 1, 1] : !b to !u

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 12 each(%gate = %wg, %up = %wu, %down = %wd) : (!u, !u, !d) {
    %f = func.call @swiglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
      range 12 to 14 each(%gate = %sg, %up = %sup, %down = %sdn) : (!su, !su, !sd) {
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
