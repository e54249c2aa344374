// Step-3.7-Flash (stepfun-ai/Step-3.7-Flash). Special: SwiGLU is clamped after silu (DeepSeek-V4 clamps before), the shared expert at another limit.
// Normal form: score sigmoid(x Wᵀ); key score + bias; select top 4; weight score / sum · 3; on output; experts SwiGLU, clamped after silu; also + shared expert.
!x  = tensor<?x32xf32>
!s  = tensor<?x12xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>      // gate or up of one expert
!dn = tensor<32x16xf32>
!u  = tensor<12x16x32xf32>
!d  = tensor<12x32x16xf32>
!sh = tensor<?x24xf32>       // inside the shared expert
!su = tensor<24x32xf32>
!sd = tensor<32x24xf32>
!r  = !moe.routing<12, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<12x32xf32>
  %bias = moe.param %m "router_bias" : tensor<12xf32>
  %l   = moe.linear %x, %w : (!x, tensor<12x32xf32>) -> !s
  %s   = moe.sigmoid %l : !s
  %b   = moe.broadcast %bias like %s : tensor<12xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 4 : !s -> !r
  %r   = moe.normalize %g by sum : !r
  return %r : !r
}

// (silu(gate) at most 2) · (up between -2 and 2); published checkpoints clamp at 7.
func.func private @swiglu(%x: !x, %gate: !gu, %up: !gu, %down: !dn) -> !x {
  %a = moe.linear %x, %gate : (!x, !gu) -> !h
  %b = moe.linear %x, %up : (!x, !gu) -> !h
  %h = moe.map (%g = %a, %u = %b) : (!h, !h) -> !h {
    %high = arith.constant 2.0 : f32
    %low  = arith.constant -2.0 : f32
    %gs = moe.silu %g : f32
    %v  = arith.minimumf %gs, %high : f32
    %u0 = arith.minimumf %u, %high : f32
    %uc = arith.maximumf %u0, %low : f32
    %p  = arith.mulf %v, %uc : f32
    moe.yield %p : f32
  }
  %y = moe.linear %h, %down : (!h, !dn) -> !x
  return %y : !x
}

// At most 1.5; published checkpoints clamp at 16.
func.func private @shared(%x: !x, %gate: !su, %up: !su, %down: !sd) -> !x {
  %a = moe.linear %x, %gate : (!x, !su) -> !sh
  %b = moe.linear %x, %up : (!x, !su) -> !sh
  %h = moe.map (%g = %a, %u = %b) : (!sh, !sh) -> !sh {
    %high = arith.constant 1.5 : f32
    %low  = arith.constant -1.5 : f32
    %gs = moe.silu %g : f32
    %v  = arith.minimumf %gs, %high : f32
    %u0 = arith.minimumf %u, %high : f32
    %uc = arith.maximumf %u0, %low : f32
    %p  = arith.mulf %v, %uc : f32
    moe.yield %p : f32
  }
  %y = moe.linear %h, %down : (!sh, !sd) -> !x
  return %y : !x
}

// %m: "model.layers.1."
func.func @step3p7(%x: !x, %m: !moe.scope) -> !x {
  %e = moe.scope %m "moe."
  %wg = moe.param %e "gate_proj.weight" : !u
  %wu = moe.param %e "up_proj.weight" : !u
  %wd = moe.param %e "down_proj.weight" : !d
  %sg = moe.param %m "share_expert.gate_proj.weight" : !su
  %su = moe.param %m "share_expert.up_proj.weight" : !su
  %sd = moe.param %m "share_expert.down_proj.weight" : !sd

  %g   = func.call @router(%x, %e) : (!x, !moe.scope) -> !r
  %r   = moe.scale %g by 3.0 : !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %f = func.call @swiglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
  %routed = moe.combine %out by %r weighted : !x, !r
  %shared = func.call @shared(%x, %sg, %su, %sd) : (!x, !su, !su, !sd) -> !x
  %y      = arith.addf %routed, %shared : !x
  return %y : !x
}

// The weights as a matrix: the published code gives the chosen experts in no particular order.
func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %e = moe.scope %m "moe."
  %r = func.call @router(%x, %e) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
