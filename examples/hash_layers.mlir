// Hash layers (arXiv 2106.04426; ParlAI). Special: the token's id alone chooses the expert, by a fixed table; no gate is learned.
// Normal form: score none; select table[id]; weight 1; on output; experts ReLU, biases.
!x = tensor<?x16xf32>
!h = tensor<?x16xf32>        // inside an expert
!u = tensor<8x16x16xf32>     // up, [expert, hidden, in]
!d = tensor<8x16x16xf32>     // down
!b = tensor<8x16xf32>        // biases
!c = tensor<8x16xf32>
!r = !moe.routing<8, top 1>

func.func @hash_layers(%x: !x, %ids: tensor<?xi64>, %m: !moe.scope) -> (!x, tensor<8xi32>) {
  %table = moe.param %m "table" : tensor<100x1xi64>
  %w1 = moe.param %m "w1" : !u
  %b1 = moe.param %m "b1" : !b
  %w2 = moe.param %m "w2" : !d
  %b2 = moe.param %m "b2" : !c
  %r   = moe.lookup %ids in %table : tensor<?xi64>, tensor<100x1xi64> -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%u = %w1, %ub = %b1, %d = %w2, %db = %b2) : !r, (!x, !u, !b, !d, !c) -> !x {
    %a = moe.linear %t, %u, %ub : (!x, tensor<16x16xf32>, tensor<16xf32>) -> !h
    %h = moe.map (%e = %a) : (!h) -> !h {
      %zero = arith.constant 0.0 : f32
      %relu = arith.maximumf %e, %zero : f32
      moe.yield %relu : f32
    }
    %f = moe.linear %h, %d, %db : (!h, tensor<16x16xf32>, tensor<16xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  %c = moe.counts %r : !r -> tensor<8xi32>
  return %y, %c : !x, tensor<8xi32>
}
