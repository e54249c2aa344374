// The tutorial's layer (docs/tutorial.md). Special: four small experts with a squared ReLU, and a choice that looks at score + bias.
// Normal form: score sigmoid(x Wᵀ); key score + bias; select top 2; weight score / sum; on output; experts squared ReLU.
!x = tensor<?x16xf32>
!s = tensor<?x4xf32>
!h = tensor<?x24xf32>
!r = !moe.routing<4, top 2>

func.func @layer(%x: !x, %m: !moe.scope) -> !x {
  %wr   = moe.param %m "router.weight" : tensor<4x16xf32>
  %bias = moe.param %m "router.bias" : tensor<4xf32>
  %w1   = moe.param %m "experts.{expert}.up.weight" : tensor<4x24x16xf32>
  %w2   = moe.param %m "experts.{expert}.down.weight" : tensor<4x16x24xf32>

  %l   = moe.linear %x, %wr : (!x, tensor<4x16xf32>) -> !s
  %s   = moe.sigmoid %l : !s
  %b   = moe.broadcast %bias like %s : tensor<4xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 2 : !s -> !r
  %r   = moe.normalize %g by sum : !r

  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %w1, %down = %w2)
      : !r, (!x, tensor<4x24x16xf32>, tensor<4x16x24xf32>) -> !x {
    %a = moe.linear %t, %up : (!x, tensor<24x16xf32>) -> !h
    %h = moe.relu2 %a : !h
    %f = moe.linear %h, %down : (!h, tensor<16x24xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
