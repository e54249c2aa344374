// JetMoE (arXiv 2404.07413). Special: as Granite, and one bias is added to the sum, once per token.
// Normal form: score x Wᵀ; select top 2; weight softmax over the chosen; on output; experts SwiGLU; also + bias.
!x  = tensor<?x64xf32>
!s  = tensor<?x8xf32>
!h  = tensor<?x40xf32>
!gu = tensor<8x80x64xf32>    // as stored: 40 rows of gate, then 40 rows of up
!u  = tensor<8x40x64xf32>
!d  = tensor<8x64x40xf32>
!r  = !moe.routing<8, top 2>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.layer.weight" : tensor<8x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x64xf32>) -> !s
  %g = moe.route %l top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  return %r : !r
}

// %m: "model.layers.1.mlp."
func.func @jetmoe(%x: !x, %m: !moe.scope) -> !x {
  %w  = moe.param %m "input_linear.weight" : !gu
  %wd = moe.param %m "output_linear.weight" : !d
  %bias = moe.param %m "bias" : tensor<64xf32>
  %wg = tensor.extract_slice %w[0, 0, 0] [8, 40, 64] [1, 1, 1] : !gu to !u
  %wu = tensor.extract_slice %w[0, 40, 0] [8, 40, 64] [1, 1, 1] : !gu to !u

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<40x64xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<40x64xf32>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<64x40xf32>) -> !x
    moe.yield %f : !x
  }
  %sum = moe.combine %out by %r weighted : !x, !r
  %b   = moe.broadcast %bias like %sum : tensor<64xf32>, !x
  %y   = arith.addf %sum, %b : !x
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
