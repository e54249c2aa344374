// GShard's top-2 gating (arXiv 2006.16668; mesh_tensorflow). Special: who gets a second expert, and that it keeps its share when one drops.
// Normal form: score softmax(x W); select top 2, the second always, above a threshold, at random or never; weight score / (sum + 1e-9); on output; capacity c a group, order choice, drop; also balance loss.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!s = tensor<?x8xf32>
!w = tensor<?x2xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!r = !moe.routing<8, top 2>

func.func private @choose(%x: !x, %seq: !i, %m: !moe.scope) -> (!r, !l) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 2 : !s -> !r
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !r, !i
  %n = moe.normalize %g by sum plus 1.0e-9 : !r
  return %n, %loss : !r, !l
}

// Everybody gets a second expert.
func.func @all(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}

// Nobody does.
func.func @none(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %first = arith.constant dense<[true, false]> : tensor<2xi1>
  %w = moe.weights %g : !r -> !w
  %mask = moe.broadcast %first like %w : tensor<2xi1>, !w
  %n = moe.keep %g where %mask : !r, tensor<?x2xi1>
  %r = moe.limit %n to %c order choice overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}

// Those whose second share is above 0.2.
func.func @threshold(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %w = moe.weights %g : !r -> !w
  %above = moe.map (%v = %w) : (!w) -> tensor<?x2xi1> {
    %t = arith.constant 0.2 : f32
    %b = arith.cmpf ogt, %v, %t : f32
    moe.yield %b : i1
  }
  %first = arith.constant dense<[true, false]> : tensor<2xi1>
  %always = moe.broadcast %first like %above : tensor<2xi1>, tensor<?x2xi1>
  %mask = arith.ori %always, %above : tensor<?x2xi1>
  %n = moe.keep %g where %mask : !r, tensor<?x2xi1>
  %r = moe.limit %n to %c order choice overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}

// Those whose second share is above 0.45.
func.func @threshold45(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %w = moe.weights %g : !r -> !w
  %above = moe.map (%v = %w) : (!w) -> tensor<?x2xi1> {
    %t = arith.constant 0.45 : f32
    %b = arith.cmpf ogt, %v, %t : f32
    moe.yield %b : i1
  }
  %first = arith.constant dense<[true, false]> : tensor<2xi1>
  %always = moe.broadcast %first like %above : tensor<2xi1>, tensor<?x2xi1>
  %mask = arith.ori %always, %above : tensor<?x2xi1>
  %n = moe.keep %g where %mask : !r, tensor<?x2xi1>
  %r = moe.limit %n to %c order choice overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}

// Those whose uniform sample is below their second share / 0.2.
func.func @random(%x: !x, %seq: !i, %c: index, %u: tensor<?x1xf32>, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !l)
  %w = moe.weights %g : !r -> !w
  %us = moe.broadcast %u like %w : tensor<?x1xf32>, !w
  %above = moe.map (%v = %w, %z = %us) : (!w, !w) -> tensor<?x2xi1> {
    %t = arith.constant 0.2 : f32
    %q = arith.divf %v, %t : f32
    %b = arith.cmpf olt, %z, %q : f32
    moe.yield %b : i1
  }
  %first = arith.constant dense<[true, false]> : tensor<2xi1>
  %always = moe.broadcast %first like %above : tensor<2xi1>, tensor<?x2xi1>
  %mask = arith.ori %always, %above : tensor<?x2xi1>
  %n = moe.keep %g where %mask : !r, tensor<?x2xi1>
  %r = moe.limit %n to %c order choice overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}
