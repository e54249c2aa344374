// Tutel's top-k routing (arXiv 2206.03382). Special: weights are renormalised before the drop.
// Normal form: score softmax(logits); select top k; weight score / sum, k = 1: score; on output; capacity k · int(f · ceil(T/E)), order choice, with or without batch priority, drop; also balance loss, or importance and load losses.
!s = tensor<?x8xf32>
!t = tensor<?xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!one = !moe.routing<8, top 1>
!r = !moe.routing<8, top 2>

// One choice: its weight is the score.
func.func @top1(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 1 : !s -> !one
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by tutel factor 1.0 experts 8 choices 1 : index
  %r = moe.limit %g to %c order choice overflow drop : !one, index
  %gates  = moe.to_matrix %r : !one -> !s
  %counts = moe.counts %r : !one -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !one
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

func.func private @choose(%l: !s) -> (!r, !s, !l) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !r
  %n = moe.normalize %g by sum at_least 1.1920929e-07 : !r
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !r
  return %n, %p, %loss : !r, !s, !l
}

func.func private @in_order(%g: !r, %c: index) -> (!s, !c) {
  %r = moe.limit %g to %c order choice overflow drop : !r, index
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts : !s, !c
}

// A token of larger probability chooses first.
func.func private @by_probability(%g: !r, %p: !s, %c: index) -> (!s, !c) {
  %best = moe.reduce max %p over 1 : !s -> !t
  %r = moe.limit %g to %c order choice by %best overflow drop : !r, index, !t
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts : !s, !c
}

func.func private @largest(%g: !r) -> index {
  %counts = moe.counts %g : !r -> !c
  %max = moe.reduce max %counts over 0 : !c -> tensor<i32>
  %i = tensor.extract %max[] : tensor<i32>
  %c = arith.index_cast %i : i32 to index
  return %c : index
}

// Several choices.
func.func @topk(%l: !s) -> (!s, !c, !l, index) {
  %g, %p, %loss = func.call @choose(%l) : (!s) -> (!r, !s, !l)
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by tutel factor 1.0 experts 8 choices 2 : index
  %gates, %counts = func.call @in_order(%g, %c) : (!r, index) -> (!s, !c)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

func.func @topk_priority(%l: !s) -> (!s, !c, !l, index) {
  %g, %p, %loss = func.call @choose(%l) : (!s) -> (!r, !s, !l)
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by tutel factor 1.0 experts 8 choices 2 : index
  %gates, %counts = func.call @by_probability(%g, %p, %c) : (!r, !s, index) -> (!s, !c)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// A factor of 0 drops nothing: the capacity is the largest count.
func.func @dropless(%l: !s) -> (!s, !c, !l, index) {
  %g, %p, %loss = func.call @choose(%l) : (!s) -> (!r, !s, !l)
  %c = func.call @largest(%g) : (!r) -> index
  %gates, %counts = func.call @in_order(%g, %c) : (!r, index) -> (!s, !c)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// A factor below 0 is the most that this capacity may be.
func.func @at_most(%l: !s) -> (!s, !c, !l, index) {
  %g, %p, %loss = func.call @choose(%l) : (!s) -> (!r, !s, !l)
  %t = moe.tokens %l : !s
  %most = moe.capacity %t by tutel factor 1.0 experts 8 choices 2 : index
  %needed = func.call @largest(%g) : (!r) -> index
  %c = arith.minsi %most, %needed : index
  %gates, %counts = func.call @in_order(%g, %c) : (!r, index) -> (!s, !c)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// With a factor of 0 and batch priority the program drops all the same: its capacity looks at one row of a table of positions, that of the last token.
// It holds all first choices and one more, and of the second choices those that precede the last token's at its expert.
func.func @dropless_priority(%l: !s) -> (!s, !c, !l, index) {
  %g, %p, %loss = func.call @choose(%l) : (!s) -> (!r, !s, !l)
  %best = moe.reduce max %p over 1 : !s -> !t
  %ids = moe.indices %g : !r -> tensor<?x2xi32>
  %t = moe.tokens %l : !s
  %c1 = arith.constant 1 : index
  %end = arith.subi %t, %c1 : index
  %last = tensor.extract %best[%end] : !t
  %own = tensor.extract %ids[%end, %c1] : tensor<?x2xi32>
  %column = tensor.expand_shape %best [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %bests = moe.broadcast %column like %ids : tensor<?x1xf32>, tensor<?x2xi32>
  %slots = arith.constant dense<[true, false]> : tensor<2xi1>
  %first = moe.broadcast %slots like %ids : tensor<2xi1>, tensor<?x2xi32>
  %mask = moe.map (%b = %bests, %e = %ids, %f = %first) : (tensor<?x2xf32>, tensor<?x2xi32>, tensor<?x2xi1>) -> tensor<?x2xi1> {
    %before = arith.cmpf oge, %b, %last : f32
    %there = arith.cmpi eq, %e, %own : i32
    %both = arith.andi %before, %there : i1
    %y = arith.ori %f, %both : i1
    moe.yield %y : i1
  }
  %firsts = moe.keep %g where %first : !r, tensor<?x2xi1>
  %some   = moe.keep %g where %mask : !r, tensor<?x2xi1>
  %a0 = func.call @largest(%firsts) : (!r) -> index
  %a = arith.addi %a0, %c1 : index
  %b = func.call @largest(%some) : (!r) -> index
  %c = arith.maxsi %a, %b : index
  %gates, %counts = func.call @by_probability(%g, %p, %c) : (!r, !s, index) -> (!s, !c)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// Instead of the balance loss: (importance + load) / 2, each the variance / mean² over the experts. The load compares scores with the k-th noisy logit.
func.func @load_importance(%l: !s, %noise: !s) -> !l {
  %p = moe.softmax %l : !s
  %noisy = moe.map (%v = %l, %z = %noise) : (!s, !s) -> !s {
    %sigma = arith.constant 0.125 : f32
    %e = arith.mulf %z, %sigma : f32
    %h = arith.addf %v, %e : f32
    moe.yield %h : f32
  }
  %top = moe.route %noisy top 2 : !s -> !r
  %chosen = moe.weights %top : !r -> tensor<?x2xf32>
  %border = moe.reduce min %chosen over 1 : tensor<?x2xf32> -> !t
  %t = moe.tokens %l : !s
  %column = tensor.expand_shape %border [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %borders = moe.broadcast %column like %p : tensor<?x1xf32>, !s
  %q = moe.map (%v = %p, %b = %borders) : (!s, !s) -> !s {
    %half = arith.constant 0.5 : f32
    %width = arith.constant 0.1767766952966369 : f32     // sqrt(2) / E
    %d = arith.subf %v, %b : f32
    %z = arith.divf %d, %width : f32
    %erf = math.erf %z : f32
    %e = arith.mulf %erf, %half : f32
    %y = arith.addf %e, %half : f32
    moe.yield %y : f32
  }
  %importance = moe.reduce sum %p over 0 : !s -> tensor<8xf32>
  %load = moe.reduce sum %q over 0 : !s -> tensor<8xf32>
  %a = moe.cv_squared %importance plus 1.0e-10 : tensor<8xf32>
  %b = moe.cv_squared %load plus 1.0e-10 : tensor<8xf32>
  %sum = arith.addf %a, %b : !l
  %unbiased = arith.constant dense<0.5714285714285714> : !l     // E / (E - 1) / 2
  %loss = arith.mulf %sum, %unbiased : !l
  return %loss : !l
}
