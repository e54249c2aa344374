// Efficient ensembles of experts, E3 (arXiv 2110.03360; V-MoE). Special: every input is routed once per member, and a member sees its own block of experts.
// Normal form: score softmax(x W), -inf outside the member's block; select top k; weight score; on output; capacity c a group, order choice, drop; experts identity.
!x = tensor<?x16xf32>
!i = tensor<?xi32>
!s = tensor<?x8xf32>
!b = tensor<?x8xi32>
!c = tensor<8xi32>
!r = !moe.routing<8, top 1>

// A row is the copy of an input for one member; %c is the capacity of an expert in a group.
func.func @ensemble(%x: !x, %member: !i, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %owner = arith.constant dense<[0, 0, 0, 0, 1, 1, 1, 1]> : tensor<8xi32>     // the member of every expert: 2 members with 4 experts
  %t = moe.tokens %x : !x
  %column = tensor.expand_shape %member [[0, 1]] output_shape [%t, 1] : !i into tensor<?x1xi32>
  %owners = moe.broadcast %owner like %logits : tensor<8xi32>, !s
  %members = moe.broadcast %column like %logits : tensor<?x1xi32>, !s
  %own = moe.map (%v = %logits, %o = %owners, %b = %members) : (!s, !b, !b) -> !s {
    %none = arith.constant 0xFF800000 : f32
    %is = arith.cmpi eq, %o, %b : i32
    %y = arith.select %is, %v, %none : f32
    moe.yield %y : f32
  }
  %p = moe.softmax %own : !s
  %g = moe.route %p top 1 : !s -> !r
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !r, index, !i
  %in = moe.dispatch %x by %r : !x, !r
  %y  = moe.combine %in by %r weighted : !x, !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %y : !s, !c, !x
}
