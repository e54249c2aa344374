// PEER (arXiv 2407.04153). Special: an expert is one neuron, and there are as many as pairs of keys: its score is the sum of two dot products with halves of a query.
// Normal form: score q1 · k1 + q2 · k2, q = W x; select top 3; weight softmax over the chosen; on output; experts v gelu(u · x).
!x = tensor<?x32xf32>
!q = tensor<?x8xf32>         // half of a query
!k = tensor<4x8xf32>         // 4 keys a half, so 16 experts; the paper has 1024 a half
!n = tensor<?x4xf32>
!s = tensor<?x16xf32>
!w = tensor<8x32xf32>
!u = tensor<16x1x32xf32>
!d = tensor<16x32x1xf32>
!r = !moe.routing<16, top 3>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w1 = moe.param %m "query.0.weight" : !w
  %w2 = moe.param %m "query.1.weight" : !w
  %k1 = moe.param %m "keys.0" : !k
  %k2 = moe.param %m "keys.1" : !k
  %q1 = moe.linear %x, %w1 : (!x, !w) -> !q
  %q2 = moe.linear %x, %w2 : (!x, !w) -> !q
  %s1 = moe.linear %q1, %k1 : (!q, !k) -> !n
  %s2 = moe.linear %q2, %k2 : (!q, !k) -> !n

  // Expert 4 i + j is the pair of keys i and j: every score of the first half 4 times, those of the second half over and over.
  %each = arith.constant dense<[[1., 0., 0., 0.], [1., 0., 0., 0.], [1., 0., 0., 0.], [1., 0., 0., 0.],
                                [0., 1., 0., 0.], [0., 1., 0., 0.], [0., 1., 0., 0.], [0., 1., 0., 0.],
                                [0., 0., 1., 0.], [0., 0., 1., 0.], [0., 0., 1., 0.], [0., 0., 1., 0.],
                                [0., 0., 0., 1.], [0., 0., 0., 1.], [0., 0., 0., 1.], [0., 0., 0., 1.]]> : tensor<16x4xf32>
  %over = arith.constant dense<[[1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.], [0., 0., 0., 1.],
                                [1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.], [0., 0., 0., 1.],
                                [1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.], [0., 0., 0., 1.],
                                [1., 0., 0., 0.], [0., 1., 0., 0.], [0., 0., 1., 0.], [0., 0., 0., 1.]]> : tensor<16x4xf32>
  %a = moe.linear %s1, %each : (!n, tensor<16x4xf32>) -> !s
  %b = moe.linear %s2, %over : (!n, tensor<16x4xf32>) -> !s
  %s = arith.addf %a, %b : !s
  %g = moe.route %s top 3 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  return %r : !r
}

func.func @peer(%x: !x, %m: !moe.scope) -> !x {
  %wu = moe.param %m "experts.{expert}.u" : !u
  %wv = moe.param %m "experts.{expert}.v" : !d
  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%u = %wu, %v = %wv) : !r, (!x, !u, !d) -> !x {
    %a = moe.linear %t, %u : (!x, tensor<1x32xf32>) -> tensor<?x1xf32>
    %h = moe.gelu %a exact : tensor<?x1xf32>
    %f = moe.linear %h, %v : (tensor<?x1xf32>, tensor<32x1xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x3xi32>, tensor<?x3xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x3xi32>
  %w = moe.weights %r : !r -> tensor<?x3xf32>
  return %i, %w : tensor<?x3xi32>, tensor<?x3xf32>
}
