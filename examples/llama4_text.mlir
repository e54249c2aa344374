// Llama 4 (meta-llama/Llama-4-Scout-17B-16E). Special: the weight multiplies the input of the expert, which silu makes another function.
// Normal form: score x Wᵀ; select top 1; weight sigmoid(score); on input; experts SwiGLU; also + shared expert.
!x  = tensor<?x64xf32>
!s  = tensor<?x8xf32>
!h  = tensor<?x40xf32>
!gu = tensor<8x64x80xf32>    // [in, out]: 40 columns of gate, then 40 columns of up
!u  = tensor<8x64x40xf32>
!d  = tensor<8x40x64xf32>
!su = tensor<40x64xf32>      // the shared expert's, [out, in]
!sd = tensor<64x40xf32>
!w  = tensor<?x1xf32>
!r  = !moe.routing<8, top 1>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.weight" : tensor<8x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x64xf32>) -> !s
  %g = moe.route %l top 1 : !s -> !r
  %c = moe.weights %g : !r -> !w
  %p = moe.sigmoid %c : !w
  %r = moe.with_weights %g, %p : !r, !w
  return %r : !r
}

func.func private @shared(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "shared_expert.gate_proj.weight" : !su
  %wu = moe.param %m "shared_expert.up_proj.weight" : !su
  %wd = moe.param %m "shared_expert.down_proj.weight" : !sd
  %a = moe.linear %x, %wg : (!x, !su) -> !h
  %b = moe.linear %x, %wu : (!x, !su) -> !h
  %s = moe.silu %a : !h
  %h = arith.mulf %s, %b : !h
  %y = moe.linear %h, %wd : (!h, !sd) -> !x
  return %y : !x
}

// %m: "model.layers.1.feed_forward."
func.func @llama4_text(%x: !x, %m: !moe.scope) -> !x {
  %w  = moe.param %m "experts.gate_up_proj" : !gu
  %wd = moe.param %m "experts.down_proj" : !d
  %wg = tensor.extract_slice %w[0, 0, 0] [8, 64, 40] [1, 1, 1] : !gu to !u
  %wu = tensor.extract_slice %w[0, 0, 40] [8, 64, 40] [1, 1, 1] : !gu to !u

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r weighted : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate in_out : (!x, tensor<64x40xf32>) -> !h
    %b = moe.linear %t, %up in_out : (!x, tensor<64x40xf32>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down in_out : (!h, tensor<40x64xf32>) -> !x
    moe.yield %f : !x
  }
  %routed = moe.combine %out by %r unweighted : !x, !r
  %shared = func.call @shared(%x, %m) : (!x, !moe.scope) -> !x
  %y      = arith.addf %routed, %shared : !x
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x1xi32>, !w) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x1xi32>
  %w = moe.weights %r : !r -> !w
  return %i, %w : tensor<?x1xi32>, !w
}
