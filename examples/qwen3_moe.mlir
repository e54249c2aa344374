// Qwen3-MoE (arXiv 2505.09388). Special: OLMoE's layer with weights that sum to 1 (norm_topk_prob).
// Normal form: score softmax(x Wᵀ); select top 4; weight score / sum; on output; experts SwiGLU.
!x = tensor<?x64xf32>
!s = tensor<?x12xf32>
!h = tensor<?x32xf32>
!u = tensor<12x32x64xf32>
!d = tensor<12x64x32xf32>
!r = !moe.routing<12, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<12x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<12x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 4 : !s -> !r
  %r = moe.normalize %g by sum : !r
  return %r : !r
}

// %m: "model.layers.1.mlp."
func.func @qwen3_moe(%x: !x, %m: !moe.scope) -> !x {
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
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x4xi32>
  %w = moe.weights %r : !r -> tensor<?x4xf32>
  return %i, %w : tensor<?x4xi32>, tensor<?x4xf32>
}
