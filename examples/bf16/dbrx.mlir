// DBRX's layer with its experts in bf16: rows, weights and hidden layer are rounded to bf16; sums and the router stay f32.
// Published checkpoints hold bf16; the golden one of ../dbrx.mlir holds f32, so its weights are rounded here, once, at load.
!x  = tensor<?x64xf32>
!xb = tensor<?x64xbf16>
!s  = tensor<?x8xf32>
!h  = tensor<?x32xf32>
!hb = tensor<?x32xbf16>
!w  = tensor<256x64xf32>
!wb = tensor<256x64xbf16>
!e  = tensor<8x32x64xbf16>
!r  = !moe.routing<8, top 3>

func.func @dbrx(%x: !x, %m: !moe.scope) -> !x {
  %wr = moe.param %m "router.layer.weight" : tensor<8x64xf32>
  %w1 = moe.param %m "experts.mlp.w1" : !w
  %v1 = moe.param %m "experts.mlp.v1" : !w
  %w2 = moe.param %m "experts.mlp.w2" : !w
  %b1 = arith.truncf %w1 : !w to !wb
  %b2 = arith.truncf %v1 : !w to !wb
  %b3 = arith.truncf %w2 : !w to !wb
  %bg = tensor.expand_shape %b1 [[0, 1], [2]] output_shape [8, 32, 64] : !wb into !e
  %bu = tensor.expand_shape %b2 [[0, 1], [2]] output_shape [8, 32, 64] : !wb into !e
  %bd = tensor.expand_shape %b3 [[0, 1], [2]] output_shape [8, 32, 64] : !wb into !e

  %l = moe.linear %x, %wr : (!x, tensor<8x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 3 : !s -> !r
  %r = moe.normalize %g by lp 1.0 : !r

  %xb  = arith.truncf %x : !x to !xb
  %in  = moe.dispatch %xb by %r : !xb, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %bg, %up = %bu, %down = %bd) : !r, (!xb, !e, !e, !e) -> !x {
    %a = moe.linear %t, %gate : (!xb, tensor<32x64xbf16>) -> !h
    %b = moe.linear %t, %up : (!xb, tensor<32x64xbf16>) -> !h
    %v = moe.silu %a : !h
    %p = arith.mulf %v, %b : !h
    %h = arith.truncf %p : !h to !hb
    %f = moe.linear %h, %down in_out : (!hb, tensor<32x64xbf16>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
