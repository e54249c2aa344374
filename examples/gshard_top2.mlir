// GShard's top-2 gating (arXiv 2006.16668; mesh_tensorflow). Special: who gets a second expert, and that it keeps its share when one drops.
// Normal form: score softmax(x W); select top 2, the second always, above a threshold, at random or never; weight score / (sum + 1e-9); on output; capacity c a group, order choice, drop; also balance loss.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!t = tensor<?xf32>
!s = tensor<?x8xf32>
!w = tensor<?x2xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!r = !moe.routing<8, top 2>
!one = !moe.routing<8, top 1>

func.func private @scores(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  return %p : !s
}

func.func private @choose(%x: !x, %seq: !i, %m: !moe.scope) -> (!r, !l) {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 2 : !s -> !r
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !r, !i
  %n = moe.normalize %g by sum plus 1.0e-9 : !r
  return %n, %loss : !r, !l
}

// First choices have priority.
func.func private @limit(%g: !r, %seq: !i, %c: index) -> (!s, !c) {
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts : !s, !c
}

// The first choice stays, the second one where %second says so.
func.func private @keep(%g: !r, %second: tensor<?x2xi1>) -> !r {
  %first = arith.constant dense<[true, false]> : tensor<2xi1>
  %always = moe.broadcast %first like %second : tensor<2xi1>, tensor<?x2xi1>
  %mask = arith.ori %always, %second : tensor<?x2xi1>
  %r = moe.keep %g where %mask : !r, tensor<?x2xi1>
  return %r : !r
}

// Everybody gets a second expert.
func.func @all(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %gates, %counts = func.call @limit(%g, %seq, %c) : (!r, !i, index) -> (!s, !c)
  return %gates, %counts, %loss : !s, !c, !l
}

// Nobody does.
func.func @none(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %w = moe.weights %g : !r -> !w
  %no = arith.constant false
  %nobody = moe.broadcast %no like %w : i1, !w
  %n = func.call @keep(%g, %nobody) : (!r, tensor<?x2xi1>) -> !r
  %gates, %counts = func.call @limit(%n, %seq, %c) : (!r, !i, index) -> (!s, !c)
  return %gates, %counts, %loss : !s, !c, !l
}

// Those whose second share is above a threshold, 0.2 most often.
func.func @threshold(%x: !x, %seq: !i, %c: index, %threshold: f32, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %w = moe.weights %g : !r -> !w
  %above = moe.map (%v = %w) : (!w) -> tensor<?x2xi1> {
    %b = arith.cmpf ogt, %v, %threshold : f32
    moe.yield %b : i1
  }
  %n = func.call @keep(%g, %above) : (!r, tensor<?x2xi1>) -> !r
  %gates, %counts = func.call @limit(%n, %seq, %c) : (!r, !i, index) -> (!s, !c)
  return %gates, %counts, %loss : !s, !c, !l
}

// Those whose uniform sample is below their second share / threshold.
func.func @random(%x: !x, %seq: !i, %c: index, %threshold: f32, %u: tensor<?x1xf32>, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %w = moe.weights %g : !r -> !w
  %us = moe.broadcast %u like %w : tensor<?x1xf32>, !w
  %below = moe.map (%v = %w, %z = %us) : (!w, !w) -> tensor<?x2xi1> {
    %q = arith.divf %v, %threshold : f32
    %b = arith.cmpf olt, %z, %q : f32
    moe.yield %b : i1
  }
  %n = func.call @keep(%g, %below) : (!r, tensor<?x2xi1>) -> !r
  %gates, %counts = func.call @limit(%n, %seq, %c) : (!r, !i, index) -> (!s, !c)
  return %gates, %counts, %loss : !s, !c, !l
}

// The best expert that is not the one of %first.
func.func private @second(%p: !s, %first: !one) -> (!one, !s) {
  %taken = moe.to_matrix %first : !one -> !s
  %rest = moe.map (%v = %p, %f = %taken) : (!s, !s) -> !s {
    %zero = arith.constant 0.0 : f32
    %is = arith.cmpf ogt, %f, %zero : f32
    %y = arith.select %is, %zero, %v : f32
    moe.yield %y : f32
  }
  %r = moe.route %p by %rest top 1 : !s -> !one
  return %r, %rest : !one, !s
}

// Also a loss on second choices: their load times the mean of the scores without the first, which are made to sum to 1.
func.func @second_place_loss(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss1 = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %gates, %counts = func.call @limit(%g, %seq, %c) : (!r, !i, index) -> (!s, !c)
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %first = moe.route %p top 1 : !s -> !one
  %second, %rest = func.call @second(%p, %first) : (!s, !one) -> (!one, !s)
  %others = moe.route %rest all : !s -> !moe.routing<8, any>
  %shares = moe.normalize %others by sum plus 1.0e-9 : !moe.routing<8, any>
  %q = moe.to_matrix %shares : !moe.routing<8, any> -> !s
  %loss2 = moe.balance_loss %q of %second counting first scale choices segments %seq : !s, !one, !i
  %half = arith.constant dense<0.5> : !l
  %more = arith.mulf %loss2, %half : !l
  %loss = arith.addf %loss1, %more : !l
  return %gates, %counts, %loss : !s, !c, !l
}

// A token of importance 1 visits two experts, one between 0 and 1 its best as if that were the second, one of 0 nobody.
func.func @importance(%x: !x, %seq: !i, %importance: !t, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %t = moe.tokens %importance : !t
  %column = tensor.expand_shape %importance [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %is1, %is = moe.map (%v = %column) : (tensor<?x1xf32>) -> (tensor<?x1xi1>, tensor<?x1xi1>) {
    %one = arith.constant 1.0 : f32
    %zero = arith.constant 0.0 : f32
    %a = arith.cmpf oeq, %v, %one : f32
    %b = arith.cmpf ogt, %v, %zero : f32
    moe.yield %a, %b : i1, i1
  }
  %best = moe.route %p top 1 : !s -> !one
  %first = moe.keep %best where %is1 : !one, tensor<?x1xi1>
  %next, %rest = func.call @second(%p, %first) : (!s, !one) -> (!one, !s)
  %second = moe.keep %next where %is : !one, tensor<?x1xi1>
  %g = moe.join %first, %second : !one, !one -> !r
  %n = moe.normalize %g by sum plus 1.0e-9 : !r
  %gates, %counts = func.call @limit(%n, %seq, %c) : (!r, !i, index) -> (!s, !c)
  %ones = moe.broadcast %is1 like %p : tensor<?x1xi1>, !s
  %masked = moe.map (%v = %p, %b = %ones) : (!s, tensor<?x8xi1>) -> !s {
    %zero = arith.constant 0.0 : f32
    %y = arith.select %b, %v, %zero : f32
    moe.yield %y : f32
  }
  %loss = moe.balance_loss %masked of %g counting first scale choices segments %seq : !s, !r, !i
  return %gates, %counts, %loss : !s, !c, !l
}
