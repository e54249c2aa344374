// ReMoE (arXiv 2412.14711; thu-ml/ReMoE). Special: relu is the whole router, so it has a gradient everywhere; an L1 loss, whose factor follows the sparsity, makes it sparse.
// Normal form: score relu(x Wᵀ); select nonzero; weight score; on output; also balanced L1 loss, lambda' = lambda · or / 1.2.
!x = tensor<?x32xf32>
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!r = !moe.routing<8, any>

func.func private @router(%x: !x, %m: !moe.scope) -> (!s, !r) {
  %w = moe.param %m "weight" : tensor<8x32xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x32xf32>) -> !s
  %p = moe.map (%v = %l) : (!s) -> !s {
    %zero = arith.constant 0.0 : f32
    %relu = arith.maximumf %v, %zero : f32
    moe.yield %relu : f32
  }
  %r = moe.route %p nonzero : !s -> !r
  return %p, %r : !s, !r
}

func.func @routing(%x: !x, %m: !moe.scope) -> (!s, !c) {
  %p, %r = func.call @router(%x, %m) : (!x, !moe.scope) -> (!s, !r)
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts : !s, !c
}

// One step of training: the loss, the part of pairs that are not chosen, and the next lambda. k = 2 of E = 8 are wanted.
func.func @regularization(%x: !x, %lambda: !l, %m: !moe.scope) -> (!l, !l, !l) {
  %p, %r = func.call @router(%x, %m) : (!x, !moe.scope) -> (!s, !r)
  %balance = moe.balance_loss %p of %r counting all scale choices : !s, !r
  %loss = moe.map (%b = %balance, %f = %lambda) : (!l, !l) -> !l {
    %k = arith.constant 2.0 : f32
    %g = arith.mulf %b, %f : f32
    %y = arith.divf %g, %k : f32
    moe.yield %y : f32
  }

  %counts = moe.counts %r : !r -> !c
  %pairs  = moe.reduce sum %counts over 0 : !c -> tensor<i32>
  %tokens = moe.tokens %x : !x
  %ti = arith.index_cast %tokens : index to i32
  %t  = arith.sitofp %ti : i32 to f32
  %sparsity = moe.map (%n = %pairs) : (tensor<i32>) -> !l {
    %one = arith.constant 1.0 : f32
    %experts = arith.constant 8.0 : f32
    %a = arith.sitofp %n : i32 to f32
    %all = arith.mulf %t, %experts : f32
    %b = arith.divf %a, %all : f32
    %y = arith.subf %one, %b : f32
    moe.yield %y : f32
  }
  %next = moe.map (%f = %lambda, %z = %sparsity) : (!l, !l) -> !l {
    %target = arith.constant 0.75 : f32
    %factor = arith.constant 1.2 : f32
    %up   = arith.mulf %f, %factor : f32
    %down = arith.divf %f, %factor : f32
    %low  = arith.cmpf olt, %z, %target : f32
    %y = arith.select %low, %up, %down : f32
    moe.yield %y : f32
  }
  return %loss, %sparsity, %next : !l, !l, !l
}
