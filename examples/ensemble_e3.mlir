// Efficient ensembles of experts, E3 (arXiv 2110.03360; V-MoE). Special: every input is routed once per member, and a member sees its own block of experts.
// Normal form: score softmax(x W), -inf outside the member's block; select top k; weight score; on output; capacity c a group, order choice, drop; experts identity.
!x = tensor<?x16xf32>
!i = tensor<?xi32>
!s = tensor<?x8xf32>
!c = tensor<8xi32>

func.func private @scores(%x: !x, %w: tensor<16x8xf32>, %own: !s) -> !s {
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %masked = arith.addf %logits, %own : !s
  %p = moe.softmax %masked : !s
  return %p : !s
}

func.func @two_members(%x: !x, %member: !i, %seq: !i, %m: !moe.scope) -> (!s, !c, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %blocks = arith.constant dense<[[0.0, 0.0, 0.0, 0.0, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000], [0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0.0, 0.0, 0.0, 0.0]]> : tensor<2x8xf32>
  %own = moe.gather %blocks at %member : tensor<2x8xf32>, !i -> !s
  %p = func.call @scores(%x, %w, %own) : (!x, tensor<16x8xf32>, !s) -> !s
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %c = arith.constant 8 : index
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !moe.routing<8, top 1>, index, !i
  %in = moe.dispatch %x by %r : !x, !moe.routing<8, top 1>
  %y  = moe.combine %in by %r weighted : !x, !moe.routing<8, top 1>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  return %gates, %counts, %y : !s, !c, !x
}

func.func @two_members_top2(%x: !x, %member: !i, %seq: !i, %m: !moe.scope) -> (!s, !c, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %blocks = arith.constant dense<[[0.0, 0.0, 0.0, 0.0, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000], [0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0.0, 0.0, 0.0, 0.0]]> : tensor<2x8xf32>
  %own = moe.gather %blocks at %member : tensor<2x8xf32>, !i -> !s
  %p = func.call @scores(%x, %w, %own) : (!x, tensor<16x8xf32>, !s) -> !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %c = arith.constant 8 : index
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !moe.routing<8, top 2>, index, !i
  %in = moe.dispatch %x by %r : !x, !moe.routing<8, top 2>
  %y  = moe.combine %in by %r weighted : !x, !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  return %gates, %counts, %y : !s, !c, !x
}

func.func @four_members(%x: !x, %member: !i, %seq: !i, %m: !moe.scope) -> (!s, !c, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %blocks = arith.constant dense<[[0.0, 0.0, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000], [0xFF800000, 0xFF800000, 0.0, 0.0, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000], [0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0.0, 0.0, 0xFF800000, 0xFF800000], [0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0xFF800000, 0.0, 0.0]]> : tensor<4x8xf32>
  %own = moe.gather %blocks at %member : tensor<4x8xf32>, !i -> !s
  %p = func.call @scores(%x, %w, %own) : (!x, tensor<16x8xf32>, !s) -> !s
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %c = arith.constant 4 : index
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !moe.routing<8, top 1>, index, !i
  %in = moe.dispatch %x by %r : !x, !moe.routing<8, top 1>
  %y  = moe.combine %in by %r weighted : !x, !moe.routing<8, top 1>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  return %gates, %counts, %y : !s, !c, !x
}
