// Qwen2-MoE's layer with its experts in bf16: rows, weights and hidden layer are rounded to bf16; sums and the router stay f32.
// Published checkpoints hold bf16; the golden one of ../qwen2_moe.mlir holds f32, so its weights are rounded here, once, at load.
!x  = tensor<?x64xf32>
!xb = tensor<?x64xbf16>
!s  = tensor<?x8xf32>
!h  = tensor<?x32xf32>
!hb = tensor<?x32xbf16>
!u  = tensor<8x32x64xf32>
!ub = tensor<8x32x64xbf16>
!d  = tensor<8x64x32xf32>
!db = tensor<8x64x32xbf16>
!g  = tensor<?x1xf32>
!sh = tensor<?x48xf32>
!sb = tensor<?x48xbf16>
!r  = !moe.routing<8, top 4>

func.func private @shared(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "shared_expert.gate_proj.weight" : tensor<48x64xf32>
  %wu = moe.param %m "shared_expert.up_proj.weight" : tensor<48x64xf32>
  %wd = moe.param %m "shared_expert.down_proj.weight" : tensor<64x48xf32>
  %ws = moe.param %m "shared_expert_gate.weight" : tensor<1x64xf32>
  %bg = arith.truncf %wg : tensor<48x64xf32> to tensor<48x64xbf16>
  %bu = arith.truncf %wu : tensor<48x64xf32> to tensor<48x64xbf16>
  %bd = arith.truncf %wd : tensor<64x48xf32> to tensor<64x48xbf16>
  %t = arith.truncf %x : !x to !xb
  %a = moe.linear %t, %bg : (!xb, tensor<48x64xbf16>) -> !sh
  %b = moe.linear %t, %bu : (!xb, tensor<48x64xbf16>) -> !sh
  %s = moe.silu %a : !sh
  %p = arith.mulf %s, %b : !sh
  %h = arith.truncf %p : !sh to !sb
  %f = moe.linear %h, %bd : (!sb, tensor<64x48xbf16>) -> !x
  %l = moe.linear %x, %ws : (!x, tensor<1x64xf32>) -> !g
  %c = moe.sigmoid %l : !g
  %v = moe.broadcast %c like %f : !g, !x
  %y = arith.mulf %f, %v : !x
  return %y : !x
}

func.func @qwen2_moe(%x: !x, %m: !moe.scope) -> !x {
  %wr = moe.param %m "gate.weight" : tensor<8x64xf32>
  %wg = moe.param %m "experts.{expert}.gate_proj.weight" : !u
  %wu = moe.param %m "experts.{expert}.up_proj.weight" : !u
  %wd = moe.param %m "experts.{expert}.down_proj.weight" : !d
  %bg = arith.truncf %wg : !u to !ub
  %bu = arith.truncf %wu : !u to !ub
  %bd = arith.truncf %wd : !d to !db

  %l = moe.linear %x, %wr : (!x, tensor<8x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %r = moe.route %s top 4 : !s -> !r

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
  %routed = moe.combine %out by %r weighted : !x, !r
  %shared = func.call @shared(%x, %m) : (!x, !moe.scope) -> !x
  %y      = arith.addf %routed, %shared : !x
  return %y : !x
}
