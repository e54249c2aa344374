// Sinkhorn routing (S-BASE, arXiv 2202.01169; Megatron-LM). Special: training chooses from a nearly balanced transport plan, weights come from the logits.
// Normal form: score sigmoid (k = 1) or softmax of the logits; key plan d0 · exp(l) · d1 in training, else the score; select top k; weight score; on output.
!s = tensor<?x8xf32>
!e = tensor<8xf32>
!t = tensor<?xf32>
!c = tensor<8xi32>

// n rounds of d0 = 1/T / (A d1 + 1e-8), d1 = 1/E / (Aᵀ d0 + 1e-8), with A = exp(l).
func.func private @sinkhorn(%l: !s, %n: index) -> !s {
  %a = math.exp %l : !s
  %count = moe.tokens %l : !s
  %i = arith.index_cast %count : index to i64
  %tokens = arith.sitofp %i : i64 to f32
  %ones = arith.constant dense<1.0> : !e
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %start = func.call @rows(%a, %ones, %tokens) : (!s, !e, f32) -> !t
  %d0, %d1 = scf.for %k = %c0 to %n step %c1 iter_args(%p = %start, %q = %ones) -> (!t, !e) {
    %p1 = func.call @rows(%a, %q, %tokens) : (!s, !e, f32) -> !t
    %q1 = func.call @columns(%a, %p1) : (!s, !t) -> !e
    scf.yield %p1, %q1 : !t, !e
  }
  %x = func.call @spread(%d0, %a) : (!t, !s) -> !s
  %y = moe.broadcast %d1 like %a : !e, !s
  %ax = arith.mulf %a, %x : !s
  %plan = arith.mulf %ax, %y : !s
  return %plan : !s
}

// One value per row, over its columns.
func.func private @spread(%v: !t, %like: !s) -> !s {
  %count = moe.tokens %v : !t
  %column = tensor.expand_shape %v [[0, 1]] output_shape [%count, 1] : !t into tensor<?x1xf32>
  %y = moe.broadcast %column like %like : tensor<?x1xf32>, !s
  return %y : !s
}

func.func private @rows(%a: !s, %d1: !e, %tokens: f32) -> !t {
  %w = moe.broadcast %d1 like %a : !e, !s
  %m = arith.mulf %a, %w : !s
  %sum = moe.reduce sum %m over 1 : !s -> !t
  %n = moe.broadcast %tokens like %sum : f32, !t
  %d0 = moe.map (%v = %sum, %count = %n) : (!t, !t) -> !t {
    %one = arith.constant 1.0 : f32
    %eps = arith.constant 1.0e-8 : f32
    %b = arith.addf %v, %eps : f32
    %share = arith.divf %one, %count : f32
    %d = arith.divf %share, %b : f32
    moe.yield %d : f32
  }
  return %d0 : !t
}

func.func private @columns(%a: !s, %d0: !t) -> !e {
  %w = func.call @spread(%d0, %a) : (!t, !s) -> !s
  %m = arith.mulf %a, %w : !s
  %sum = moe.reduce sum %m over 0 : !s -> !e
  %d1 = moe.map (%v = %sum) : (!e) -> !e {
    %share = arith.constant 0.125 : f32
    %eps = arith.constant 1.0e-8 : f32
    %b = arith.addf %v, %eps : f32
    %d = arith.divf %share, %b : f32
    moe.yield %d : f32
  }
  return %d1 : !e
}

// One choice: the weight is sigmoid(logit).
func.func @train_top1(%l: !s, %n: index) -> (!s, !c, !s) {
  %plan = func.call @sinkhorn(%l, %n) : (!s, index) -> !s
  %a = moe.sigmoid %l : !s
  %r = moe.route %a by %plan top 1 : !s -> !moe.routing<8, top 1>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  return %gates, %counts, %plan : !s, !c, !s
}

func.func @infer_top1(%l: !s) -> (!s, !c) {
  %a = moe.sigmoid %l : !s
  %r = moe.route %a top 1 : !s -> !moe.routing<8, top 1>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  return %gates, %counts : !s, !c
}

// Two choices: weights are a softmax over all experts, so they do not sum to 1.
func.func @train_top2(%l: !s, %n: index) -> (!s, !c, !s) {
  %plan = func.call @sinkhorn(%l, %n) : (!s, index) -> !s
  %a = moe.softmax %l : !s
  %r = moe.route %a by %plan top 2 : !s -> !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  return %gates, %counts, %plan : !s, !c, !s
}

func.func @infer_top2(%l: !s) -> (!s, !c) {
  %a = moe.softmax %l : !s
  %r = moe.route %a top 2 : !s -> !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  return %gates, %counts : !s, !c
}
