// MoE++ (arXiv 2410.07348; SkyworkAI/MoE-plus-plus). Special: experts that cost nothing: zero, copy and constant; a layer's logits also see those of the layer before.
// Normal form: score softmax(W2 tanh(W1 x) + R · logits before); select top 2; weight score / sum, a zero expert counts 0; on output; experts 4 SwiGLU, 2 constant, copy, zero.
!x  = tensor<?x32xf32>
!s  = tensor<?x8xf32>
!h  = tensor<?x16xf32>
!ug = tensor<4x32x32xf32>    // gate (first half) and up of the 4 experts that compute
!u  = tensor<4x16x32xf32>
!d  = tensor<4x32x16xf32>
!gu = tensor<16x32xf32>
!c  = tensor<2x32xf32>       // one vector per constant expert
!wc = tensor<2x2x32xf32>
!r  = !moe.routing<8, top 2>

func.func private @logits(%x: !x, %before: !s, %m: !moe.scope) -> !s {
  %w1 = moe.param %m "gate.wg.0.weight" : tensor<64x32xf32>
  %w2 = moe.param %m "gate.wg.2.weight" : tensor<8x64xf32>
  %w3 = moe.param %m "gate.gate_map.weight" : tensor<8x8xf32>
  %a = moe.linear %x, %w1 : (!x, tensor<64x32xf32>) -> tensor<?x64xf32>
  %t = math.tanh %a : tensor<?x64xf32>
  %b = moe.linear %t, %w2 : (tensor<?x64xf32>, tensor<8x64xf32>) -> !s
  %c = moe.linear %before, %w3 : (!s, tensor<8x8xf32>) -> !s
  %l = arith.addf %b, %c : !s
  return %l : !s
}

func.func private @router(%l: !s) -> !r {
  %counts = arith.constant dense<[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]> : tensor<8xf32>
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !r
  %z = moe.scale %g by %counts : !r, tensor<8xf32>
  %r = moe.normalize %z by sum : !r
  return %r : !r
}

// a x + (1 - a) v with a = the first of softmax(Wc x), which for two is a sigmoid of their difference.
func.func private @constant(%x: !x, %v: tensor<32xf32>, %wc: !c) -> !x {
  %w0 = tensor.extract_slice %wc[0, 0] [1, 32] [1, 1] : !c to tensor<1x32xf32>
  %w1 = tensor.extract_slice %wc[1, 0] [1, 32] [1, 1] : !c to tensor<1x32xf32>
  %wd = arith.subf %w0, %w1 : tensor<1x32xf32>
  %l  = moe.linear %x, %wd : (!x, tensor<1x32xf32>) -> tensor<?x1xf32>
  %a  = moe.sigmoid %l : tensor<?x1xf32>
  %as = moe.broadcast %a like %x : tensor<?x1xf32>, !x
  %vs = moe.broadcast %v like %x : tensor<32xf32>, !x
  %y  = moe.map (%e = %x, %k = %vs, %p = %as) : (!x, !x, !x) -> !x {
    %one = arith.constant 1.0 : f32
    %q = arith.subf %one, %p : f32
    %f = arith.mulf %p, %e : f32
    %g = arith.mulf %q, %k : f32
    %s = arith.addf %f, %g : f32
    moe.yield %s : f32
  }
  return %y : !x
}

// %before are the logits of the layer before, the second result those of this one. %m: "layer.moe."
func.func @moe_plus_plus(%x: !x, %before: !s, %m: !moe.scope) -> (!x, !s) {
  %both = moe.param %m "experts.experts.{expert}.up_proj.weight" : !ug
  %wd   = moe.param %m "experts.experts.{expert}.down_proj.weight" : !d
  %v    = moe.param %m "experts.experts.{expert:4}.constant" : !c
  %wc   = moe.param %m "experts.experts.{expert:4}.wg.weight" : !wc
  %wg = tensor.extract_slice %both[0, 0, 0] [4, 16, 32] [1, 1, 1] : !ug to !u
  %wu = tensor.extract_slice %both[0, 16, 0] [4, 16, 32] [1, 1, 1] : !ug to !u

  %l   = func.call @logits(%x, %before, %m) : (!x, !s, !moe.scope) -> !s
  %r   = func.call @router(%l) : (!s) -> !r
  %x2  = arith.addf %x, %x : !x            // experts see a token k times as large
  %in  = moe.dispatch %x2 by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 4 each(%gate = %wg, %up = %wu, %down = %wd) : (!u, !u, !d) {
    %a = moe.linear %t, %gate : (!x, !gu) -> !h
    %b = moe.linear %t, %up : (!x, !gu) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<32x16xf32>) -> !x
    moe.yield %f : !x
  }
      range 4 to 6 each(%vector = %v, %choice = %wc) : (!c, !wc) {
    %f = func.call @constant(%t, %vector, %choice) : (!x, tensor<32xf32>, !c) -> !x
    moe.yield %f : !x
  }
      range 6 to 7 {
    moe.yield %t : !x
  }
      range 7 to 8 {
    %zero = arith.constant 0.0 : f32
    %f = moe.broadcast %zero like %t : f32, !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y, %l : !x, !s
}

func.func @routing(%x: !x, %before: !s, %m: !moe.scope) -> !s {
  %l = func.call @logits(%x, %before, %m) : (!x, !s, !moe.scope) -> !s
  %r = func.call @router(%l) : (!s) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
