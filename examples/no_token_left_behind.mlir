// No token left behind (Switch, arXiv 2101.03961, appendix B; mesh_tensorflow). Special: who finds an expert full goes to the next choice.
// Normal form: score softmax(x W); select top k as preferences, of which 1 is placed; weight score; on output; capacity c a group, order choice, next choice; also balance loss.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>

func.func private @scores(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  return %p : !s
}

func.func @prefer2(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %r = moe.limit %g to %c order choice place 1 overflow next_choice segments %seq : !moe.routing<8, top 2>, index, !i
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one segments %seq : !s, !moe.routing<8, top 2>, !i
  return %gates, %counts, %loss : !s, !c, !l
}

func.func @prefer3(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 3 : !s -> !moe.routing<8, top 3>
  %r = moe.limit %g to %c order choice place 1 overflow next_choice segments %seq : !moe.routing<8, top 3>, index, !i
  %gates  = moe.to_matrix %r : !moe.routing<8, top 3> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 3> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one segments %seq : !s, !moe.routing<8, top 3>, !i
  return %gates, %counts, %loss : !s, !c, !l
}

func.func @prefer4(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 4 : !s -> !moe.routing<8, top 4>
  %r = moe.limit %g to %c order choice place 1 overflow next_choice segments %seq : !moe.routing<8, top 4>, index, !i
  %gates  = moe.to_matrix %r : !moe.routing<8, top 4> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 4> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one segments %seq : !s, !moe.routing<8, top 4>, !i
  return %gates, %counts, %loss : !s, !c, !l
}

func.func @prefer8(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 8 : !s -> !moe.routing<8, top 8>
  %r = moe.limit %g to %c order choice place 1 overflow next_choice segments %seq : !moe.routing<8, top 8>, index, !i
  %gates  = moe.to_matrix %r : !moe.routing<8, top 8> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 8> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one segments %seq : !s, !moe.routing<8, top 8>, !i
  return %gates, %counts, %loss : !s, !c, !l
}
