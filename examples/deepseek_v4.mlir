// DeepSeek-V4 (deepseek-ai; transformers' deepseek_v4). Special: score sqrt(softplus); the first layers take the experts of a token's id from a table, weighed by scores.
// Normal form: score sqrt(softplus(x Wᵀ)); key score + bias; select top 4, or table[id]; weight score / (sum + 1e-20) · 1.5; on output; experts SwiGLU, clamped before silu; also + shared expert.
!x  = tensor<?x32xf32>
!s  = tensor<?x12xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>      // gate or up of one expert
!dn = tensor<32x16xf32>
!u  = tensor<12x16x32xf32>
!d  = tensor<12x32x16xf32>
!r  = !moe.routing<12, top 4>

func.func private @score(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "gate.weight" : tensor<12x32xf32>
  %l = moe.linear %x, %w : (!x, tensor<12x32xf32>) -> !s
  %p = moe.softplus %l : !s
  %s = math.sqrt %p : !s
  return %s : !s
}

func.func private @weigh(%g: !r) -> !r {
  %n = moe.normalize %g by sum plus 1.0e-20 : !r
  %r = moe.scale %n by 1.5 : !r
  return %r : !r
}

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %bias = moe.param %m "gate.bias" : tensor<12xf32>
  %s   = func.call @score(%x, %m) : (!x, !moe.scope) -> !s
  %b   = moe.broadcast %bias like %s : tensor<12xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 4 : !s -> !r
  %r   = func.call @weigh(%g) : (!r) -> !r
  return %r : !r
}

// The first layers: who computes is known before the model runs, only how much each counts is not.
func.func private @hash_router(%x: !x, %ids: tensor<?xi64>, %m: !moe.scope) -> !r {
  %table = moe.param %m "gate.tid2eid" : tensor<64x4xi64>
  %s = func.call @score(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.lookup %ids in %table weights %s : tensor<?xi64>, tensor<64x4xi64>, !s -> !r
  %r = func.call @weigh(%g) : (!r) -> !r
  return %r : !r
}

// silu(gate at most 2) · (up between -2 and 2); published checkpoints clamp at 10.
func.func private @swiglu(%x: !x, %gate: !gu, %up: !gu, %down: !dn) -> !x {
  %a = moe.linear %x, %gate : (!x, !gu) -> !h
  %b = moe.linear %x, %up : (!x, !gu) -> !h
  %h = moe.map (%g = %a, %u = %b) : (!h, !h) -> !h {
    %high = arith.constant 2.0 : f32
    %low  = arith.constant -2.0 : f32
    %gc = arith.minimumf %g, %high : f32
    %v  = moe.silu %gc : f32
    %u0 = arith.minimumf %u, %high : f32
    %uc = arith.maximumf %u0, %low : f32
    %p  = arith.mulf %v, %uc : f32
    moe.yield %p : f32
  }
  %y = moe.linear %h, %down : (!h, !dn) -> !x
  return %y : !x
}

func.func private @experts(%x: !x, %r: !r, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.w1.weight" : !u
  %wu = moe.param %m "experts.{expert}.w3.weight" : !u
  %wd = moe.param %m "experts.{expert}.w2.weight" : !d
  %sg = moe.param %m "shared_experts.w1.weight" : !gu
  %su = moe.param %m "shared_experts.w3.weight" : !gu
  %sd = moe.param %m "shared_experts.w2.weight" : !dn
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

// %m: "model.layers.1.ffn."
func.func @deepseek_v4(%x: !x, %m: !moe.scope) -> !x {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

// %m: "model.layers.0.ffn."
func.func @hash_layer(%x: !x, %ids: tensor<?xi64>, %m: !moe.scope) -> !x {
  %r = func.call @hash_router(%x, %ids, %m) : (!x, tensor<?xi64>, !moe.scope) -> !r
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

// The weights as a matrix: the published code gives the chosen experts in no particular order.
func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}

// By slot, which is a column of the table.
func.func @hash_routing(%x: !x, %ids: tensor<?xi64>, %m: !moe.scope) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
  %r = func.call @hash_router(%x, %ids, %m) : (!x, tensor<?xi64>, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x4xi32>
  %w = moe.weights %r : !r -> tensor<?x4xf32>
  return %i, %w : tensor<?x4xi32>, tensor<?x4xf32>
}
