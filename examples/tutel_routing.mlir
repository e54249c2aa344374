// Tutel's top-k routing (arXiv 2206.03382). Special: weights are renormalised before the drop.
// Normal form: score softmax(logits); select top k; weight score / sum, k = 1: score; on output; capacity k · int(f · ceil(T/E)), order choice, with or without batch priority, drop; also balance loss.
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>

// One choice: its weight is the score.
func.func @top1(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by tutel factor 1.0 experts 8 choices 1 : index
  %r = moe.limit %g to %c order choice overflow drop : !moe.routing<8, top 1>, index
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !moe.routing<8, top 1>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// A token of larger probability chooses first.
func.func @top2_priority(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %n = moe.normalize %g by sum at_least 1.1920929e-07 : !moe.routing<8, top 2>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by tutel factor 1.0 experts 8 choices 2 : index
  %best = moe.reduce max %p over 1 : !s -> tensor<?xf32>
  %r = moe.limit %n to %c order choice by %best overflow drop : !moe.routing<8, top 2>, index, tensor<?xf32>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !moe.routing<8, top 2>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// Three choices.
func.func @top3(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 3 : !s -> !moe.routing<8, top 3>
  %n = moe.normalize %g by sum at_least 1.1920929e-07 : !moe.routing<8, top 3>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by tutel factor 1.25 experts 8 choices 3 : index
  %r = moe.limit %n to %c order choice overflow drop : !moe.routing<8, top 3>, index
  %gates  = moe.to_matrix %r : !moe.routing<8, top 3> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 3> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !moe.routing<8, top 3>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}
