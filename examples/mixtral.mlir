// Mixtral (arXiv 2401.04088). Special: nothing, so read it first.
// Normal form: score softmax(x Wᵀ); select top 2; weight score / sum; on output; experts SwiGLU.
!x = tensor<?x64xf32>        // T tokens of width 64
!s = tensor<?x8xf32>         // one score per expert
!h = tensor<?x32xf32>        // inside an expert
!u = tensor<8x32x64xf32>     // gate and up of 8 experts, [out, in] as the checkpoint stores them
!d = tensor<8x64x32xf32>     // down
!r = !moe.routing<8, top 2>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<8x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  return %r : !r
}

// %m is where the layer lies in the checkpoint: "model.layers.1.block_sparse_moe."
func.func @mixtral(%x: !x, %m: !moe.scope) -> !x {
  %w1 = moe.param %m "experts.{expert}.w1.weight" : !u
  %w3 = moe.param %m "experts.{expert}.w3.weight" : !u
  %w2 = moe.param %m "experts.{expert}.w2.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %w1, %up = %w3, %down = %w2) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, tensor<32x64xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<32x64xf32>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<64x32xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// What the router chose, by token and in order of choice.
func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
