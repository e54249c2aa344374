// V-MoE (arXiv 2106.05974). Special: batch priority: tokens with a large gate keep their experts; noise of 1/E on the logits in training.
// Normal form: score softmax(x W + noise / E); select top k; weight score; on output; capacity c a group, order choice, with or without batch priority, drop; experts identity; also balance loss.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group (image batch) of a row
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>

// Two choices, by position.
func.func @top2(%x: !x, %seq: !i, %m: !moe.scope) -> (!s, !c, !l, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %c = arith.constant 8 : index
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !moe.routing<8, top 2>, index, !i
  %in = moe.dispatch %x by %r : !x, !moe.routing<8, top 2>
  %y  = moe.combine %in by %r weighted : !x, !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !moe.routing<8, top 2>, !i
  return %gates, %counts, %loss, %y : !s, !c, !l, !x
}

// Two choices, with batch priority.
func.func @top2_priority(%x: !x, %seq: !i, %m: !moe.scope) -> (!s, !c, !l, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %c = arith.constant 8 : index
  %best = moe.reduce max %p over 1 : !s -> tensor<?xf32>
  %r = moe.limit %g to %c order choice by %best overflow drop segments %seq : !moe.routing<8, top 2>, index, tensor<?xf32>, !i
  %in = moe.dispatch %x by %r : !x, !moe.routing<8, top 2>
  %y  = moe.combine %in by %r weighted : !x, !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !moe.routing<8, top 2>, !i
  return %gates, %counts, %loss, %y : !s, !c, !l, !x
}

// One choice, with batch priority.
func.func @top1_priority(%x: !x, %seq: !i, %m: !moe.scope) -> (!s, !c, !l, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %c = arith.constant 4 : index
  %best = moe.reduce max %p over 1 : !s -> tensor<?xf32>
  %r = moe.limit %g to %c order choice by %best overflow drop segments %seq : !moe.routing<8, top 1>, index, tensor<?xf32>, !i
  %in = moe.dispatch %x by %r : !x, !moe.routing<8, top 1>
  %y  = moe.combine %in by %r weighted : !x, !moe.routing<8, top 1>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !moe.routing<8, top 1>, !i
  return %gates, %counts, %loss, %y : !s, !c, !l, !x
}

// Two choices, in training: the standard normal sample is an input.
func.func @top2_train(%x: !x, %seq: !i, %noise: !s, %m: !moe.scope) -> (!s, !c, !l, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %noisy = moe.map (%v = %logits, %z = %noise) : (!s, !s) -> !s {
    %sigma = arith.constant 0.125 : f32
    %e = arith.mulf %z, %sigma : f32
    %h = arith.addf %v, %e : f32
    moe.yield %h : f32
  }
  %p = moe.softmax %noisy : !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %c = arith.constant 8 : index
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !moe.routing<8, top 2>, index, !i
  %in = moe.dispatch %x by %r : !x, !moe.routing<8, top 2>
  %y  = moe.combine %in by %r weighted : !x, !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !moe.routing<8, top 2>, !i
  return %gates, %counts, %loss, %y : !s, !c, !l, !x
}

// One choice, in training.
func.func @top1_train(%x: !x, %seq: !i, %noise: !s, %m: !moe.scope) -> (!s, !c, !l, !x) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %noisy = moe.map (%v = %logits, %z = %noise) : (!s, !s) -> !s {
    %sigma = arith.constant 0.125 : f32
    %e = arith.mulf %z, %sigma : f32
    %h = arith.addf %v, %e : f32
    moe.yield %h : f32
  }
  %p = moe.softmax %noisy : !s
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %c = arith.constant 4 : index
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !moe.routing<8, top 1>, index, !i
  %in = moe.dispatch %x by %r : !x, !moe.routing<8, top 1>
  %y  = moe.combine %in by %r weighted : !x, !moe.routing<8, top 1>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !moe.routing<8, top 1>, !i
  return %gates, %counts, %loss, %y : !s, !c, !l, !x
}
