// M6-T (arXiv 2105.15082). Special: expert prototyping: k routers with experts of their own choose one expert each, which replaces a top k over all of them.
// Normal form: score softmax of each of 2 prototypes, of 4 experts; select top 1 of each; weight score; on output; experts GELU.
!x = tensor<?x16xf32>
!s = tensor<?x8xf32>
!p = tensor<?x2x4xf32>       // by prototype
!h = tensor<?x24xf32>
!one = !moe.routing<8, top 1>
!r = !moe.routing<8, top 2>

// The best expert among those that %others does not exclude.
func.func private @best(%s: !s, %others: tensor<8xf32>) -> !one {
  %b   = moe.broadcast %others like %s : tensor<8xf32>, !s
  %key = arith.addf %s, %b : !s
  %r   = moe.route %s by %key top 1 : !s -> !one
  return %r : !one
}

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<8x16xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x16xf32>) -> !s
  %lp = moe.split %l : !s into !p
  %sp = moe.softmax %lp : !p
  %s  = tensor.collapse_shape %sp [[0], [1, 2]] : !p into !s
  // 0 or -inf
  %not1 = arith.constant dense<[0.0, 0.0, 0.0, 0.0, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000]> : tensor<8xf32>
  %not0 = arith.constant dense<[0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0.0, 0.0, 0.0, 0.0]> : tensor<8xf32>
  %a = func.call @best(%s, %not1) : (!s, tensor<8xf32>) -> !one
  %b = func.call @best(%s, %not0) : (!s, tensor<8xf32>) -> !one
  %r = moe.join %a, %b : !one, !one -> !r
  return %r : !r
}

func.func @m6t(%x: !x, %m: !moe.scope) -> !x {
  %w1 = moe.param %m "experts.{expert}.up.weight" : tensor<8x24x16xf32>
  %w2 = moe.param %m "experts.{expert}.down.weight" : tensor<8x16x24xf32>
  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %w1, %down = %w2) : !r, (!x, tensor<8x24x16xf32>, tensor<8x16x24xf32>) -> !x {
    %a = moe.linear %t, %up : (!x, tensor<24x16xf32>) -> !h
    %h = moe.gelu %a tanh : !h
    %f = moe.linear %h, %down : (!h, tensor<16x24xf32>) -> !x
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
