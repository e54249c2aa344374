// Granite's layer with its experts in bf16: rows, weights and hidden layer are rounded to bf16; sums and the router stay f32.
// Published checkpoints hold bf16; the golden one of ../granitemoe.mlir holds f32, so its weights are rounded here, once, at load.
!x  = tensor<?x64xf32>
!xb = tensor<?x64xbf16>
!s  = tensor<?x8xf32>
!h  = tensor<?x40xf32>
!hb = tensor<?x40xbf16>
!gu = tensor<8x80x64xf32>
!gb = tensor<8x80x64xbf16>
!ub = tensor<8x40x64xbf16>
!d  = tensor<8x64x40xf32>
!db = tensor<8x64x40xbf16>
!r  = !moe.routing<8, top 3>

func.func @granitemoe(%x: !x, %m: !moe.scope) -> !x {
  %wr  = moe.param %m "router.layer.weight" : tensor<8x64xf32>
  %wgu = moe.param %m "input_linear.weight" : !gu
  %wd  = moe.param %m "output_linear.weight" : !d
  %bgu = arith.truncf %wgu : !gu to !gb
  %bg  = tensor.extract_slice %bgu[0, 0, 0] [8, 40, 64] [1, 1, 1] : !gb to !ub
  %bu  = tensor.extract_slice %bgu[0, 40, 0] [8, 40, 64] [1, 1, 1] : !gb to !ub
  %bd  = arith.truncf %wd : !d to !db

  %l = moe.linear %x, %wr : (!x, tensor<8x64xf32>) -> !s
  %g = moe.route %l top 3 : !s -> !r
  %r = moe.normalize %g by softmax : !r

  %xb  = arith.truncf %x : !x to !xb
  %in  = moe.dispatch %xb by %r : !xb, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %bg, %up = %bu, %down = %bd) : !r, (!xb, !ub, !ub, !db) -> !x {
    %a = moe.linear %t, %gate : (!xb, tensor<40x64xbf16>) -> !h
    %b = moe.linear %t, %up : (!xb, tensor<40x64xbf16>) -> !h
    %v = moe.silu %a : !h
    %p = arith.mulf %v, %b : !h
    %h = arith.truncf %p : !h to !hb
    %f = moe.linear %h, %down : (!hb, tensor<64x40xbf16>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
