// Top-p routing (arXiv 2403.07652; ZhenweiAn/Dynamic_MoE). Special: a token takes experts until their scores sum to p, so hard tokens get more of them.
// Normal form: score softmax(x Wᵀ); select the best whose sum reaches 0.4; weight score; on output; experts SwiGLU.
!x = tensor<?x32xf32>
!s = tensor<?x8xf32>
!h = tensor<?x16xf32>
!u = tensor<8x16x32xf32>
!d = tensor<8x32x16xf32>
!r = !moe.routing<8, any>    // how many a token has is known only when it is there

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.weight" : tensor<8x32xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x32xf32>) -> !s
  %s = moe.softmax %l : !s
  %r = moe.route %s top_p 0.4 : !s -> !r
  return %r : !r
}

func.func @top_p_routing(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.gate_proj.weight" : !u
  %wu = moe.param %m "experts.{expert}.up_proj.weight" : !u
  %wd = moe.param %m "experts.{expert}.down_proj.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<16x32xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<16x32xf32>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<32x16xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
