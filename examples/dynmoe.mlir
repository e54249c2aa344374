// DynMoE (arXiv 2405.14297). Special: there is no k: a token visits every expert whose similarity is above that expert's own learned threshold, and the best one if there is none.
// Normal form: score 1; key sigmoid(cos(x, w)) - sigmoid(threshold); select above 0, else top 1; weight score / sum; on output; experts squared ReLU.
!x = tensor<?x16xf32>
!w = tensor<6x16xf32>        // one vector per expert
!s = tensor<?x6xf32>
!h = tensor<?x24xf32>
!t = tensor<?xf32>
!c = tensor<6xi32>
!any = !moe.routing<6, any>
!one = !moe.routing<6, top 1>

// Rows, and vectors of experts, of length 1.
func.func private @unit_rows(%x: !x) -> !x {
  %square = arith.mulf %x, %x : !x
  %sum    = moe.reduce sum %square over 1 : !x -> !t
  %length = math.sqrt %sum : !t
  %rows   = moe.tokens %x : !x
  %column = tensor.expand_shape %length [[0, 1]] output_shape [%rows, 1] : !t into tensor<?x1xf32>
  %b = moe.broadcast %column like %x : tensor<?x1xf32>, !x
  %u = arith.divf %x, %b : !x
  return %u : !x
}

func.func private @unit_experts(%w: !w) -> !w {
  %square = arith.mulf %w, %w : !w
  %sum    = moe.reduce sum %square over 1 : !w -> tensor<6xf32>
  %length = math.sqrt %sum : tensor<6xf32>
  %column = tensor.expand_shape %length [[0, 1]] output_shape [6, 1] : tensor<6xf32> into tensor<6x1xf32>
  %b = moe.broadcast %column like %w : tensor<6x1xf32>, !w
  %u = arith.divf %w, %b : !w
  return %u : !w
}

// How far the similarity is above the threshold.
func.func private @margin(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "gate.weight" : !w
  %t = moe.param %m "gate.threshold" : tensor<6xf32>
  %xu  = func.call @unit_rows(%x) : (!x) -> !x
  %wu  = func.call @unit_experts(%w) : (!w) -> !w
  %cos = moe.linear %xu, %wu : (!x, !w) -> !s
  %p   = moe.sigmoid %cos : !s
  %pt  = moe.sigmoid %t : tensor<6xf32>
  %b   = moe.broadcast %pt like %p : tensor<6xf32>, !s
  %d   = arith.subf %p, %b : !s
  return %d : !s
}

func.func private @router(%x: !x, %m: !moe.scope) -> !any {
  %key  = func.call @margin(%x, %m) : (!x, !moe.scope) -> !s
  %one  = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %key : f32, !s
  %above = moe.route %ones by %key greater_than 0.0 : !s -> !any

  // The best expert, of a token that has no other: one slot and one answer per token.
  %best = moe.route %ones by %key top 1 : !s -> !one
  %most = moe.reduce max %key over 1 : !s -> !t
  %alone = moe.map (%v = %most) : (!t) -> tensor<?xi1> {
    %zero = arith.constant 0.0 : f32
    %b = arith.cmpf ole, %v, %zero : f32
    moe.yield %b : i1
  }
  %tokens = moe.tokens %x : !x
  %slot = tensor.expand_shape %alone [[0, 1]] output_shape [%tokens, 1] : tensor<?xi1> into tensor<?x1xi1>
  %only = moe.keep %best where %slot : !one, tensor<?x1xi1>

  %all = moe.join %above, %only : !any, !one -> !any
  %r   = moe.normalize %all by sum : !any
  return %r : !any
}

func.func @dynmoe(%x: !x, %m: !moe.scope) -> !x {
  %w1 = moe.param %m "experts.{expert}.up.weight" : tensor<6x24x16xf32>
  %w2 = moe.param %m "experts.{expert}.down.weight" : tensor<6x16x24xf32>
  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !any
  %in  = moe.dispatch %x by %r : !x, !any
  %out = moe.expert by %r rows(%t = %in) each(%up = %w1, %down = %w2) : !any, (!x, tensor<6x24x16xf32>, tensor<6x16x24xf32>) -> !x {
    %a = moe.linear %t, %up : (!x, tensor<24x16xf32>) -> !h
    %h = moe.relu2 %a : !h
    %f = moe.linear %h, %down : (!h, tensor<16x24xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !any
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (!s, !c) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !any
  %gates  = moe.to_matrix %r : !any -> !s
  %counts = moe.counts %r : !any -> !c
  return %gates, %counts : !s, !c
}
