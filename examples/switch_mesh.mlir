// Switch routing (arXiv 2101.03961; mesh_tensorflow). Special: an expert takes its first c tokens of a group, or its c best ones.
// Normal form: score softmax(x W); select top 1; weight score; on output; capacity c a group, order position or weight, drop.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!r = !moe.routing<8, top 1>

func.func private @choose(%x: !x, %seq: !i, %m: !moe.scope) -> (!r, !l) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  %r = moe.route %p top 1 : !s -> !r
  %loss = moe.balance_loss %p of %r counting first scale choices segments %seq : !s, !r, !i
  return %r, %loss : !r, !l
}

// First come, first served.
func.func @switch(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %r = moe.limit %g to %c order position overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}

// The most probable first ("switch_max").
func.func @switch_max(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %r = moe.limit %g to %c order weight overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}
