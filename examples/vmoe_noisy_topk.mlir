// V-MoE (arXiv 2106.05974). Special: batch priority: tokens with a large gate keep their experts; noise of 1/E on the logits in training.
// Normal form: score softmax(x W + noise / E); select top k; weight score; on output; capacity c a group, order choice, with or without batch priority, drop; experts identity; also balance, importance and load losses of every group.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group (images of one device) of a row
!t = tensor<?xf32>
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!o = tensor<2xf32>           // one value for each of 2 groups
!g = !moe.routing<2, top 1>
!r = !moe.routing<8, top 2>

func.func private @logits(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  return %logits : !s
}

// Experts return their input; the balance loss is the mean of those of the groups.
func.func private @identity(%x: !x, %p: !s, %g: !r, %r: !r, %seq: !i) -> (!s, !c, !l, !x) {
  %in = moe.dispatch %x by %r : !x, !r
  %y  = moe.combine %in by %r weighted : !x, !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !r, !i
  return %gates, %counts, %loss, %y : !s, !c, !l, !x
}

// By position.
func.func private @in_order(%x: !x, %logits: !s, %seq: !i, %c: index) -> (!s, !c, !l, !x) {
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 2 : !s -> !r
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !r, index, !i
  %gates, %counts, %loss, %y = func.call @identity(%x, %p, %g, %r, %seq) : (!x, !s, !r, !r, !i) -> (!s, !c, !l, !x)
  return %gates, %counts, %loss, %y : !s, !c, !l, !x
}

// With batch priority.
func.func private @by_gate(%x: !x, %logits: !s, %seq: !i, %c: index) -> (!s, !c, !l, !x) {
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 2 : !s -> !r
  %best = moe.reduce max %p over 1 : !s -> !t
  %r = moe.limit %g to %c order choice by %best overflow drop segments %seq : !r, index, !t, !i
  %gates, %counts, %loss, %y = func.call @identity(%x, %p, %g, %r, %seq) : (!x, !s, !r, !r, !i) -> (!s, !c, !l, !x)
  return %gates, %counts, %loss, %y : !s, !c, !l, !x
}

// CV² of what every expert gets in a group, where all scores count.
func.func private @cv_squared(%values: !s, %seq: !i) -> !o {
  %t = moe.tokens %values : !s
  %ids = tensor.expand_shape %seq [[0, 1]] output_shape [%t, 1] : !i into tensor<?x1xi32>
  %one = arith.constant 1.0 : f32
  %first = tensor.extract_slice %values[0, 0] [%t, 1] [1, 1] : !s to tensor<?x1xf32>
  %ones = moe.broadcast %one like %first : f32, tensor<?x1xf32>
  %groups = moe.from_indices %ids, %ones : tensor<?x1xi32>, tensor<?x1xf32> -> !g
  %in = moe.dispatch %values by %groups : !s, !g
  %losses = moe.expert by %groups rows(%v = %in) : !g, (!s) -> !o {
    %sum = moe.reduce sum %v over 0 : !s -> tensor<8xf32>
    %loss = moe.cv_squared %sum plus 0.0 : tensor<8xf32>
    moe.yield each(%loss : !l)
  }
  return %losses : !o
}

// P(the expert is among the top k when its own noise is drawn again), with the k-th noisy logit as the border for all experts.
func.func private @load(%clean: !s, %noisy: !s) -> !s {
  %top = moe.route %noisy top 2 : !s -> !r
  %chosen = moe.weights %top : !r -> tensor<?x2xf32>
  %border = moe.reduce min %chosen over 1 : tensor<?x2xf32> -> !t
  %t = moe.tokens %clean : !s
  %column = tensor.expand_shape %border [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %borders = moe.broadcast %column like %clean : tensor<?x1xf32>, !s
  %p = moe.map (%v = %clean, %b = %borders) : (!s, !s) -> !s {
    %half = arith.constant 0.5 : f32
    %width = arith.constant 0.1767766952966369 : f32     // sqrt(2) / E
    %d = arith.subf %v, %b : f32
    %z = arith.divf %d, %width : f32
    %erf = math.erf %z : f32
    %e = arith.mulf %erf, %half : f32
    %y = arith.addf %e, %half : f32
    moe.yield %y : f32
  }
  return %p : !s
}

func.func private @noisy(%logits: !s, %noise: !s) -> !s {
  %noisy = moe.map (%v = %logits, %z = %noise) : (!s, !s) -> !s {
    %sigma = arith.constant 0.125 : f32
    %e = arith.mulf %z, %sigma : f32
    %h = arith.addf %v, %e : f32
    moe.yield %h : f32
  }
  return %noisy : !s
}

// Results: gates, counts, balance loss, importance losses, in training load losses, and the output.
func.func @infer(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !o, !x) {
  %clean = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %gates, %counts, %loss, %y = func.call @in_order(%x, %clean, %seq, %c) : (!x, !s, !i, index) -> (!s, !c, !l, !x)
  %p = moe.softmax %clean : !s
  %importance = func.call @cv_squared(%p, %seq) : (!s, !i) -> !o
  return %gates, %counts, %loss, %importance, %y : !s, !c, !l, !o, !x
}

func.func @infer_priority(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l, !o, !x) {
  %clean = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %gates, %counts, %loss, %y = func.call @by_gate(%x, %clean, %seq, %c) : (!x, !s, !i, index) -> (!s, !c, !l, !x)
  %p = moe.softmax %clean : !s
  %importance = func.call @cv_squared(%p, %seq) : (!s, !i) -> !o
  return %gates, %counts, %loss, %importance, %y : !s, !c, !l, !o, !x
}

// In training the standard normal sample is an input.
func.func @train(%x: !x, %seq: !i, %noise: !s, %c: index, %m: !moe.scope) -> (!s, !c, !l, !o, !o, !x) {
  %clean = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %noisy = func.call @noisy(%clean, %noise) : (!s, !s) -> !s
  %gates, %counts, %loss, %y = func.call @in_order(%x, %noisy, %seq, %c) : (!x, !s, !i, index) -> (!s, !c, !l, !x)
  %p = moe.softmax %clean : !s
  %importance = func.call @cv_squared(%p, %seq) : (!s, !i) -> !o
  %q = func.call @load(%clean, %noisy) : (!s, !s) -> !s
  %load = func.call @cv_squared(%q, %seq) : (!s, !i) -> !o
  return %gates, %counts, %loss, %importance, %load, %y : !s, !c, !l, !o, !o, !x
}

func.func @train_priority(%x: !x, %seq: !i, %noise: !s, %c: index, %m: !moe.scope) -> (!s, !c, !l, !o, !o, !x) {
  %clean = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %noisy = func.call @noisy(%clean, %noise) : (!s, !s) -> !s
  %gates, %counts, %loss, %y = func.call @by_gate(%x, %noisy, %seq, %c) : (!x, !s, !i, index) -> (!s, !c, !l, !x)
  %p = moe.softmax %clean : !s
  %importance = func.call @cv_squared(%p, %seq) : (!s, !i) -> !o
  %q = func.call @load(%clean, %noisy) : (!s, !s) -> !s
  %load = func.call @cv_squared(%q, %seq) : (!s, !i) -> !o
  return %gates, %counts, %loss, %importance, %load, %y : !s, !c, !l, !o, !o, !x
}
