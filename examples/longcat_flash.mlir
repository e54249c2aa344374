// LongCat-Flash (arXiv 2509.01322). Special: experts 8 to 11 return their input, so easy tokens compute less; the bias on the choice steers how many do.
// Normal form: score softmax(x Wᵀ); key score + bias; select top 5; weight score · 6; on output; experts 8 SwiGLU, 4 identity.
!x  = tensor<?x32xf32>
!s  = tensor<?x12xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>
!dn = tensor<32x16xf32>
!u  = tensor<8x16x32xf32>    // of the 8 experts that compute
!d  = tensor<8x32x16xf32>
!r  = !moe.routing<12, top 5>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.classifier.weight" : tensor<12x32xf32>
  %bias = moe.param %m "router.e_score_correction_bias" : tensor<12xf32>
  %l   = moe.linear %x, %w : (!x, tensor<12x32xf32>) -> !s
  %s   = moe.softmax %l : !s
  %b   = moe.broadcast %bias like %s : tensor<12xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 5 : !s -> !r
  %r   = moe.scale %g by 6.0 : !r
  return %r : !r
}

func.func private @swiglu(%x: !x, %gate: !gu, %up: !gu, %down: !dn) -> !x {
  %a = moe.linear %x, %gate : (!x, !gu) -> !h
  %b = moe.linear %x, %up : (!x, !gu) -> !h
  %s = moe.silu %a : !h
  %h = arith.mulf %s, %b : !h
  %y = moe.linear %h, %down : (!h, !dn) -> !x
  return %y : !x
}

// %m: "model.layers.1.mlp."
func.func @longcat_flash(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.gate_proj.weight" : !u
  %wu = moe.param %m "experts.{expert}.up_proj.weight" : !u
  %wd = moe.param %m "experts.{expert}.down_proj.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 8 each(%gate = %wg, %up = %wu, %down = %wd) : (!u, !u, !d) {
    %f = func.call @swiglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
      range 8 to 12 {
    moe.yield %t : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// The weights as a matrix: the published code gives the chosen experts in no particular order.
func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
