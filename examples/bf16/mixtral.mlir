// Mixtral's layer with its experts in bf16: rows, weights and hidden layer are rounded to bf16; sums and the router stay f32.
// Published checkpoints hold bf16; the golden one of ../mixtral.mlir holds f32, so its weights are rounded here, once, at load.
!x  = tensor<?x64xf32>
!xb = tensor<?x64xbf16>
!s  = tensor<?x8xf32>
!h  = tensor<?x32xf32>
!hb = tensor<?x32xbf16>
!u  = tensor<8x32x64xf32>
!ub = tensor<8x32x64xbf16>
!d  = tensor<8x64x32xf32>
!db = tensor<8x64x32xbf16>
!r  = !moe.routing<8, top 2>

func.func @mixtral(%x: !x, %m: !moe.scope) -> !x {
  %wr = moe.param %m "gate.weight" : tensor<8x64xf32>
  %wg = moe.param %m "experts.{expert}.w1.weight" : !u
  %wu = moe.param %m "experts.{expert}.w3.weight" : !u
  %wd = moe.param %m "experts.{expert}.w2.weight" : !d
  %bg = arith.truncf %wg : !u to !ub
  %bu = arith.truncf %wu : !u to !ub
  %bd = arith.truncf %wd : !d to !db

  %l = moe.linear %x, %wr : (!x, tensor<8x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r

  %xb  = arith.truncf %x : !x to !xb
  %in  = moe.dispatch %xb by %r : !xb, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %bg, %up = %bu, %down = %bd) : !r, (!xb, !ub, !ub, !db) -> !x {
    %a = moe.linear %t, %gate : (!xb, tensor<32x64xbf16>) -> !h
    %b = moe.linear %t, %up : (!xb, tensor<32x64xbf16>) -> !h
    %v = moe.silu %a : !h
    %p = arith.mulf %v, %b : !h
    %h = arith.truncf %p : !h to !hb
    %f = moe.linear %h, %down : (!hb, tensor<64x32xbf16>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
