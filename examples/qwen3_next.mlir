// Qwen3-Next (Qwen/Qwen3-Next-80B-A3B). Special: Qwen3-MoE's router with Qwen2-MoE's gated shared expert; many small experts (512, here 16).
// Normal form: score softmax(x Wᵀ); select top 5; weight score / sum; on output; experts SwiGLU; also + gated shared expert.
!x  = tensor<?x32xf32>
!s  = tensor<?x16xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>      // gate or up of one expert
!dn = tensor<32x16xf32>
!u  = tensor<16x16x32xf32>
!d  = tensor<16x32x16xf32>
!sh = tensor<?x24xf32>       // inside the shared expert
!su = tensor<24x32xf32>
!sd = tensor<32x24xf32>
!r  = !moe.routing<16, top 5>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<16x32xf32>
  %l = moe.linear %x, %w : (!x, tensor<16x32xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 5 : !s -> !r
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

// Times sigmoid(x · w).
func.func private @shared(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "shared_expert.gate_proj.weight" : !su
  %wu = moe.param %m "shared_expert.up_proj.weight" : !su
  %wd = moe.param %m "shared_expert.down_proj.weight" : !sd
  %ws = moe.param %m "shared_expert_gate.weight" : tensor<1x32xf32>
  %a = moe.linear %x, %wg : (!x, !su) -> !sh
  %b = moe.linear %x, %wu : (!x, !su) -> !sh
  %s = moe.silu %a : !sh
  %h = arith.mulf %s, %b : !sh
  %f = moe.linear %h, %wd : (!sh, !sd) -> !x
  %l = moe.linear %x, %ws : (!x, tensor<1x32xf32>) -> tensor<?x1xf32>
  %p = moe.sigmoid %l : tensor<?x1xf32>
  %v = moe.broadcast %p like %f : tensor<?x1xf32>, !x
  %y = arith.mulf %f, %v : !x
  return %y : !x
}

// %m: "model.layers.1.mlp."
func.func @qwen3_next(%x: !x, %m: !moe.scope) -> !x {
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

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x5xi32>, tensor<?x5xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x5xi32>
  %w = moe.weights %r : !r -> tensor<?x5xf32>
  return %i, %w : tensor<?x5xi32>, tensor<?x5xf32>
}
