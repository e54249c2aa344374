// Jamba (arXiv 2403.19887). Special: as OLMoE, between Mamba layers; the router is called `router`.
// Normal form: score softmax(x Wᵀ); select top 2; weight score; on output; experts SwiGLU.
!x = tensor<?x64xf32>
!s = tensor<?x8xf32>
!h = tensor<?x32xf32>
!u = tensor<8x32x64xf32>
!d = tensor<8x64x32xf32>
!r = !moe.routing<8, top 2>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.weight" : tensor<8x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %r = moe.route %s top 2 : !s -> !r
  return %r : !r
}

// %m: "model.layers.1.feed_forward."
func.func @jamba(%x: !x, %m: !moe.scope) -> !x {
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

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
