// No token left behind (Switch, arXiv 2101.03961, appendix B; mesh_tensorflow). Special: who finds an expert full goes to the next choice.
// Normal form: score softmax(x W); select top 4 as preferences, of which 1 is placed; weight score; on output; capacity c a group, order choice, next choice; also balance loss.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!r = !moe.routing<8, top 4>

// %c is the capacity of an expert.
func.func @no_token_left_behind(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 4 : !s -> !r
  %r = moe.limit %g to %c order choice place 1 overflow next_choice segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %loss = moe.balance_loss %p of %g counting all scale one segments %seq : !s, !r, !i
  return %gates, %counts, %loss : !s, !c, !l
}
