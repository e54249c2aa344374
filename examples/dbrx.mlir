// DBRX (databricks/dbrx-base). Special: experts are stacked along rows, [E·I, H], and down is stored [in, out].
// Normal form: score softmax(x Wᵀ); select top 3; weight score / L1 norm; on output; experts SwiGLU.
!x = tensor<?x64xf32>
!s = tensor<?x8xf32>
!h = tensor<?x32xf32>
!w = tensor<256x64xf32>      // as stored: 8 experts of 32 rows
!e = tensor<8x32x64xf32>
!r = !moe.routing<8, top 3>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.layer.weight" : tensor<8x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 3 : !s -> !r
  %r = moe.normalize %g by lp 1.0 : !r
  return %r : !r
}

// %m: "transformer.blocks.1.ffn."
func.func @dbrx(%x: !x, %m: !moe.scope) -> !x {
  %w1 = moe.param %m "experts.mlp.w1" : !w
  %v1 = moe.param %m "experts.mlp.v1" : !w
  %w2 = moe.param %m "experts.mlp.w2" : !w
  %wg = tensor.expand_shape %w1 [[0, 1], [2]] output_shape [8, 32, 64] : !w into !e
  %wu = tensor.expand_shape %v1 [[0, 1], [2]] output_shape [8, 32, 64] : !w into !e
  %wd = tensor.expand_shape %w2 [[0, 1], [2]] output_shape [8, 32, 64] : !w into !e

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !e, !e, !e) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<32x64xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<32x64xf32>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down in_out : (!h, tensor<32x64xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x3xi32>, tensor<?x3xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x3xi32>
  %w = moe.weights %r : !r -> tensor<?x3xf32>
  return %i, %w : tensor<?x3xi32>, tensor<?x3xf32>
}
