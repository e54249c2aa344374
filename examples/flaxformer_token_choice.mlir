// Token choice (Switch, arXiv 2101.03961; ST-MoE, arXiv 2202.08906; flaxformer). Special: capacity a group, and the order in which tokens compete for it.
// Normal form: score softmax(x W); select top k; weight score; on output; capacity c a group, order choice, with or without batch priority, drop; also balance and z loss.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!t = tensor<?xf32>
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!r = !moe.routing<8, top 2>

func.func private @scores(%x: !x, %m: !moe.scope) -> (!s, !s) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  return %logits, %p : !s, !s
}

// Tokens choose by position; first choices before second ones.
func.func private @in_order(%logits: !s, %p: !s, %seq: !i, %c: index) -> (!s, !c, !l, !l) {
  %g = moe.route %p top 2 : !s -> !r
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %loss = moe.balance_loss %p of %g counting all scale choices segments %seq : !s, !r, !i
  %z = moe.z_loss %logits : !s
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}

func.func @by_position(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %logits, %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> (!s, !s)
  %gates, %counts, %loss, %z = func.call @in_order(%logits, %p, %seq, %c) : (!s, !s, !i, index) -> (!s, !c, !l, !l)
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}

// The same with a bias in the router.
func.func @biased(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %b = moe.param %m "bias" : tensor<8xf32>
  %logits = moe.linear %x, %w, %b in_out : (!x, tensor<16x8xf32>, tensor<8xf32>) -> !s
  %p = moe.softmax %logits : !s
  %gates, %counts, %loss, %z = func.call @in_order(%logits, %p, %seq, %c) : (!s, !s, !i, index) -> (!s, !c, !l, !l)
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}

// Batch priority: a token of larger probability chooses first; first choices before second ones.
func.func @by_probability(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %logits, %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> (!s, !s)
  %g = moe.route %p top 2 : !s -> !r
  %best = moe.reduce max %p over 1 : !s -> !t
  %r = moe.limit %g to %c order choice by %best overflow drop segments %seq : !r, index, !t, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %loss = moe.balance_loss %p of %g counting all scale choices segments %seq : !s, !r, !i
  %z = moe.z_loss %logits : !s
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}

// A row of zeros is padding: its logits and its probabilities are 0.
func.func private @padded(%x: !x, %m: !moe.scope) -> (!s, !s, tensor<?x8xi1>) {
  %logits, %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> (!s, !s)
  %size = moe.map (%v = %x) : (!x) -> !x {
    %y = math.absf %v : f32
    moe.yield %y : f32
  }
  %sum = moe.reduce sum %size over 1 : !x -> !t
  %t = moe.tokens %x : !x
  %column = tensor.expand_shape %sum [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %sums = moe.broadcast %column like %p : tensor<?x1xf32>, !s
  %zl, %zp, %real = moe.map (%a = %logits, %b = %p, %v = %sums) : (!s, !s, !s) -> (!s, !s, tensor<?x8xi1>) {
    %zero = arith.constant 0.0 : f32
    %is = arith.cmpf ogt, %v, %zero : f32
    %la = arith.select %is, %a, %zero : f32
    %pb = arith.select %is, %b, %zero : f32
    moe.yield %la, %pb, %is : f32, f32, i1
  }
  return %zl, %zp, %real : !s, !s, tensor<?x8xi1>
}

// The masked router drops padding before it counts.
func.func @padding_masked(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %logits, %p, %real = func.call @padded(%x, %m) : (!x, !moe.scope) -> (!s, !s, tensor<?x8xi1>)
  %all = moe.route %p top 2 : !s -> !r
  %g = moe.keep %all where %real : !r, tensor<?x8xi1>
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %loss = moe.balance_loss %p of %g counting all scale choices segments %seq : !s, !r, !i
  %z = moe.z_loss %logits : !s
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}

// The scatter router lets it take the places of the first experts, with a weight of 0.
func.func @padding_scattered(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !l) {
  %logits, %p, %real = func.call @padded(%x, %m) : (!x, !moe.scope) -> (!s, !s, tensor<?x8xi1>)
  %gates, %counts, %loss, %z = func.call @in_order(%logits, %p, %seq, %c) : (!s, !s, !i, index) -> (!s, !c, !l, !l)
  return %gates, %counts, %loss, %z : !s, !c, !l, !l
}
