// HMoE (arXiv 2408.10681). Special: experts of different widths: small ones are cheap for easy tokens, large ones know more.
// Normal form: score softmax(x Wᵀ); select top 2; weight score / sum; on output; experts SwiGLU of widths 8, 8, 16, 16, 24, 24.
!x = tensor<?x32xf32>
!s = tensor<?x6xf32>
!r = !moe.routing<6, top 2>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<6x32xf32>
  %l = moe.linear %x, %w : (!x, tensor<6x32xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  return %r : !r
}

// A range for every width; a routing does not know which kind its experts are.
func.func @hmoe(%x: !x, %m: !moe.scope) -> !x {
  %g0 = moe.param %m "experts.{expert:0}.w1.weight" : tensor<2x8x32xf32>
  %u0 = moe.param %m "experts.{expert:0}.w3.weight" : tensor<2x8x32xf32>
  %d0 = moe.param %m "experts.{expert:0}.w2.weight" : tensor<2x32x8xf32>
  %g2 = moe.param %m "experts.{expert:2}.w1.weight" : tensor<2x16x32xf32>
  %u2 = moe.param %m "experts.{expert:2}.w3.weight" : tensor<2x16x32xf32>
  %d2 = moe.param %m "experts.{expert:2}.w2.weight" : tensor<2x32x16xf32>
  %g4 = moe.param %m "experts.{expert:4}.w1.weight" : tensor<2x24x32xf32>
  %u4 = moe.param %m "experts.{expert:4}.w3.weight" : tensor<2x24x32xf32>
  %d4 = moe.param %m "experts.{expert:4}.w2.weight" : tensor<2x32x24xf32>

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 2 each(%gate = %g0, %up = %u0, %down = %d0) : (tensor<2x8x32xf32>, tensor<2x8x32xf32>, tensor<2x32x8xf32>) {
    %a = moe.linear %t, %gate : (!x, tensor<8x32xf32>) -> tensor<?x8xf32>
    %b = moe.linear %t, %up : (!x, tensor<8x32xf32>) -> tensor<?x8xf32>
    %s = moe.silu %a : tensor<?x8xf32>
    %h = arith.mulf %s, %b : tensor<?x8xf32>
    %f = moe.linear %h, %down : (tensor<?x8xf32>, tensor<32x8xf32>) -> !x
    moe.yield %f : !x
  }
      range 2 to 4 each(%gate = %g2, %up = %u2, %down = %d2) : (tensor<2x16x32xf32>, tensor<2x16x32xf32>, tensor<2x32x16xf32>) {
    %a = moe.linear %t, %gate : (!x, tensor<16x32xf32>) -> tensor<?x16xf32>
    %b = moe.linear %t, %up : (!x, tensor<16x32xf32>) -> tensor<?x16xf32>
    %s = moe.silu %a : tensor<?x16xf32>
    %h = arith.mulf %s, %b : tensor<?x16xf32>
    %f = moe.linear %h, %down : (tensor<?x16xf32>, tensor<32x16xf32>) -> !x
    moe.yield %f : !x
  }
      range 4 to 6 each(%gate = %g4, %up = %u4, %down = %d4) : (tensor<2x24x32xf32>, tensor<2x24x32xf32>, tensor<2x32x24xf32>) {
    %a = moe.linear %t, %gate : (!x, tensor<24x32xf32>) -> tensor<?x24xf32>
    %b = moe.linear %t, %up : (!x, tensor<24x32xf32>) -> tensor<?x24xf32>
    %s = moe.silu %a : tensor<?x24xf32>
    %h = arith.mulf %s, %b : tensor<?x24xf32>
    %f = moe.linear %h, %down : (tensor<?x24xf32>, tensor<32x24xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
