// Mixture of attention heads, MoA (arXiv 2210.05144; JetMoE, arXiv 2404.07413). Special: an expert is a query and an output projection; keys and values are shared by all.
// Normal form: score x Wᵀ; select top 2; weight softmax over the chosen; on output; experts attention with two heads; also + bias.
!x = tensor<?x64xf32>
!s = tensor<?x8xf32>
!i = tensor<?xi32>
!d = tensor<?x32xf32>
!h = tensor<?x2x16xf32>      // two heads
!q = tensor<8x32x64xf32>     // query projections of 8 experts
!o = tensor<8x64x32xf32>     // output projections
!r = !moe.routing<8, top 2>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "experts.router.layer.weight" : tensor<8x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x64xf32>) -> !s
  %g = moe.route %l top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  return %r : !r
}

// %m: "model.layers.1.self_attention."; every row comes with its sequence and its position there.
func.func @attention(%x: !x, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %wq  = moe.param %m "experts.input_linear.weight" : !q
  %wo  = moe.param %m "experts.output_linear.weight" : !o
  %b   = moe.param %m "experts.bias" : tensor<64xf32>
  %wkv = moe.param %m "kv_proj.weight" : tensor<64x64xf32>
  %wk = tensor.extract_slice %wkv[0, 0] [32, 64] [1, 1] : tensor<64x64xf32> to tensor<32x64xf32>
  %wv = tensor.extract_slice %wkv[32, 0] [32, 64] [1, 1] : tensor<64x64xf32> to tensor<32x64xf32>
  %f  = moe.rope_frequencies {dim = 16, theta = 1.0e4} : tensor<8xf32>
  %k0 = moe.linear %x, %wk : (!x, tensor<32x64xf32>) -> !d
  %v0 = moe.linear %x, %wv : (!x, tensor<32x64xf32>) -> !d
  %k1 = moe.split %k0 : !d into !h
  %k  = moe.rope %k1 at %pos by %f pairs half : !h, !i, tensor<8xf32>
  %v  = moe.split %v0 : !d into !h

  %r  = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %is = moe.dispatch %seq by %r : !i, !r
  %ip = moe.dispatch %pos by %r : !i, !r
  %out = moe.expert by %r rows(%t = %in, %ts = %is, %tp = %ip) each(%query = %wq, %output = %wo) : !r, (!x, !i, !i, !q, !o) -> !x {
    %q0 = moe.linear %t, %query : (!x, tensor<32x64xf32>) -> !d
    %q1 = moe.split %q0 : !d into !h
    %q  = moe.rope %q1 at %tp by %f pairs half : !h, !i, tensor<8xf32>
    %a0 = moe.attention %q, %k, %v segments(%ts, %seq) positions(%tp, %pos) {causal, scale = 0.25} : (!h, !h, !h, !i, !i, !i, !i) -> !h
    %a  = tensor.collapse_shape %a0 [[0], [1, 2]] : !h into !d
    %y  = moe.linear %a, %output : (!d, tensor<64x32xf32>) -> !x
    moe.yield %y : !x
  }
  %sum  = moe.combine %out by %r weighted : !x, !r
  %bias = moe.broadcast %b like %sum : tensor<64xf32>, !x
  %y    = arith.addf %sum, %bias : !x
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
