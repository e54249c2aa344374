// Qwen2-MoE (arXiv 2407.10671). Special: a shared expert of another width sees every token, times sigmoid(x·w).
// Normal form: score softmax(x Wᵀ); select top 4; weight score; on output; experts SwiGLU; also + gated shared expert.
!x  = tensor<?x64xf32>
!s  = tensor<?x8xf32>
!h  = tensor<?x32xf32>
!u  = tensor<8x32x64xf32>
!d  = tensor<8x64x32xf32>
!g  = tensor<?x1xf32>        // the shared expert's gate
!sh = tensor<?x48xf32>       // inside the shared expert
!su = tensor<48x64xf32>
!sd = tensor<64x48xf32>
!r  = !moe.routing<8, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<8x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %r = moe.route %s top 4 : !s -> !r
  return %r : !r
}

func.func private @shared(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "shared_expert.gate_proj.weight" : !su
  %wu = moe.param %m "shared_expert.up_proj.weight" : !su
  %wd = moe.param %m "shared_expert.down_proj.weight" : !sd
  %ws = moe.param %m "shared_expert_gate.weight" : tensor<1x64xf32>
  %a = moe.linear %x, %wg : (!x, !su) -> !sh
  %b = moe.linear %x, %wu : (!x, !su) -> !sh
  %s = moe.silu %a : !sh
  %h = arith.mulf %s, %b : !sh
  %f = moe.linear %h, %wd : (!sh, !sd) -> !x
  %l = moe.linear %x, %ws : (!x, tensor<1x64xf32>) -> !g
  %p = moe.sigmoid %l : !g
  %v = moe.broadcast %p like %f : !g, !x
  %y = arith.mulf %f, %v : !x
  return %y : !x
}

// %m: "model.layers.1.mlp."
func.func @qwen2_moe(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.gate_proj.weight" : !u
  %wu = moe.param %m "experts.{expert}.up_proj.weight" : !u
  %wd = moe.param %m "experts.{expert}.down_proj.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<32x64xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<32x64xf32>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<64x32xf32>) -> !x
    moe.yield %f : !x
  }
  %routed = moe.combine %out by %r weighted : !x, !r
  %shared = func.call @shared(%x, %m) : (!x, !moe.scope) -> !x
  %y      = arith.addf %routed, %shared : !x
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x4xi32>
  %w = moe.weights %r : !r -> tensor<?x4xf32>
  return %i, %w : tensor<?x4xi32>, tensor<?x4xf32>
}
