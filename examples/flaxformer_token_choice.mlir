// Token choice (Switch, arXiv 2101.03961; ST-MoE, arXiv 2202.08906; flaxformer). Special: capacity a group, and the order in which tokens compete for it.
// Normal form: score softmax(x W); select top k; weight score; on output; capacity c a group, order choice, with or without batch priority, drop; also balance and z loss.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>

func.func private @scores(%x: !x, %m: !moe.scope) -> (!s, !s) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  return %logits, %p : !s, !s
}

// Tokens choose by position; first choices before second ones.
func.func @top1(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %logits, %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> (!s, !s)
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !moe.routing<8, top 1>, index, !i
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  %loss = moe.balance_loss %p of %g counting all scale choices segments %seq : !s, !moe.routing<8, top 1>, !i
  %z = moe.z_loss %logits : !s
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}

// A token of larger probability chooses first; first choices before second ones.
func.func @top1_priority(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %logits, %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> (!s, !s)
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %best = moe.reduce max %p over 1 : !s -> tensor<?xf32>
  %r = moe.limit %g to %c order choice by %best overflow drop segments %seq : !moe.routing<8, top 1>, index, tensor<?xf32>, !i
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  %loss = moe.balance_loss %p of %g counting all scale choices segments %seq : !s, !moe.routing<8, top 1>, !i
  %z = moe.z_loss %logits : !s
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}

// Tokens choose by position; first choices before second ones.
func.func @top2(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %logits, %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> (!s, !s)
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !moe.routing<8, top 2>, index, !i
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting all scale choices segments %seq : !s, !moe.routing<8, top 2>, !i
  %z = moe.z_loss %logits : !s
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}

// A token of larger probability chooses first; first choices before second ones.
func.func @top2_priority(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %logits, %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> (!s, !s)
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %best = moe.reduce max %p over 1 : !s -> tensor<?xf32>
  %r = moe.limit %g to %c order choice by %best overflow drop segments %seq : !moe.routing<8, top 2>, index, tensor<?xf32>, !i
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting all scale choices segments %seq : !s, !moe.routing<8, top 2>, !i
  %z = moe.z_loss %logits : !s
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}
