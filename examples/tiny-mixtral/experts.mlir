// The mixture-of-experts layer of tiny-mixtral: one function for all four layers, %m says which ("model.layers.2.block_sparse_moe.").
// Normal form: score softmax(x Wᵀ); select top 2; weight score / sum; on output; experts SwiGLU.
// Weights are bf16 as shipped; the captured activations are f32, so rows stay f32 and only products are widened.
!x = tensor<?x128xf32>
!s = tensor<?x8xf32>
!h = tensor<?x256xf32>
!u = tensor<8x256x128xbf16>
!d = tensor<8x128x256xbf16>
!r = !moe.routing<8, top 2>

func.func @experts(%x: !x, %m: !moe.scope) -> !x {
  %wr = moe.param %m "gate.weight" : tensor<8x128xbf16>
  %w1 = moe.param %m "experts.{expert}.w1.weight" : !u
  %w3 = moe.param %m "experts.{expert}.w3.weight" : !u
  %w2 = moe.param %m "experts.{expert}.w2.weight" : !d

  %l = moe.linear %x, %wr : (!x, tensor<8x128xbf16>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r

  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %w1, %up = %w3, %down = %w2) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<256x128xbf16>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<256x128xbf16>) -> !h
    %v = moe.silu %a : !h
    %h = arith.mulf %v, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<128x256xbf16>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
