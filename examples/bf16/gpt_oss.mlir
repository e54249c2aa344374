// gpt-oss's layer with its experts in bf16: rows, weights and hidden layer are rounded to bf16; sums and the router stay f32.
// Published checkpoints hold bf16; the golden one of ../gpt_oss.mlir holds f32, so its weights are rounded here, once, at load.
!x  = tensor<?x64xf32>
!xb = tensor<?x64xbf16>
!s  = tensor<?x8xf32>
!h  = tensor<?x40xf32>
!hb = tensor<?x40xbf16>
!gu = tensor<8x64x80xf32>
!gb = tensor<8x64x80xbf16>
!wb = tensor<8x64x40xbf16>
!d  = tensor<8x40x64xf32>
!db = tensor<8x40x64xbf16>
!b  = tensor<8x40xf32>
!r  = !moe.routing<8, top 3>

// (up + 1) · gate · sigmoid(1.702 gate), with gate at most 7 and up between -7 and 7
func.func private @clamped_swiglu(%gate: !h, %up: !h) -> !h {
  %h = moe.map (%g = %gate, %u = %up) : (!h, !h) -> !h {
    %alpha = arith.constant 1.702 : f32
    %one   = arith.constant 1.0 : f32
    %high  = arith.constant 7.0 : f32
    %low   = arith.constant -7.0 : f32
    %gc = arith.minimumf %g, %high : f32
    %u0 = arith.minimumf %u, %high : f32
    %uc = arith.maximumf %u0, %low : f32
    %z  = arith.mulf %gc, %alpha : f32
    %s  = moe.sigmoid %z : f32
    %p  = arith.mulf %gc, %s : f32
    %q  = arith.addf %uc, %one : f32
    %v  = arith.mulf %q, %p : f32
    moe.yield %v : f32
  }
  return %h : !h
}

func.func @gpt_oss(%x: !x, %m: !moe.scope) -> !x {
  %wr  = moe.param %m "router.weight" : tensor<8x64xf32>
  %br  = moe.param %m "router.bias" : tensor<8xf32>
  %wgu = moe.param %m "experts.gate_up_proj" : !gu
  %bgu = moe.param %m "experts.gate_up_proj_bias" : tensor<8x80xf32>
  %wd  = moe.param %m "experts.down_proj" : !d
  %bd  = moe.param %m "experts.down_proj_bias" : tensor<8x64xf32>
  %hgu = arith.truncf %wgu : !gu to !gb
  %hg  = tensor.extract_slice %hgu[0, 0, 0] [8, 64, 40] [1, 1, 2] : !gb to !wb
  %hu  = tensor.extract_slice %hgu[0, 0, 1] [8, 64, 40] [1, 1, 2] : !gb to !wb
  %hd  = arith.truncf %wd : !d to !db
  %bg  = tensor.extract_slice %bgu[0, 0] [8, 40] [1, 2] : tensor<8x80xf32> to !b
  %bu  = tensor.extract_slice %bgu[0, 1] [8, 40] [1, 2] : tensor<8x80xf32> to !b

  %l = moe.linear %x, %wr, %br : (!x, tensor<8x64xf32>, tensor<8xf32>) -> !s
  %g = moe.route %l top 3 : !s -> !r
  %r = moe.normalize %g by softmax : !r

  %xb  = arith.truncf %x : !x to !xb
  %in  = moe.dispatch %xb by %r : !xb, !r
  %out = moe.expert by %r rows(%t = %in)
      each(%gate = %hg, %up = %hu, %down = %hd, %gb = %bg, %ub = %bu, %db = %bd)
      : !r, (!xb, !wb, !wb, !db, !b, !b, tensor<8x64xf32>) -> !x {
    %a = moe.linear %t, %gate, %gb in_out : (!xb, tensor<64x40xbf16>, tensor<40xf32>) -> !h
    %c = moe.linear %t, %up, %ub in_out : (!xb, tensor<64x40xbf16>, tensor<40xf32>) -> !h
    %p = func.call @clamped_swiglu(%a, %c) : (!h, !h) -> !h
    %h = arith.truncf %p : !h to !hb
    %f = moe.linear %h, %down, %db in_out : (!hb, tensor<40x64xbf16>, tensor<64xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
