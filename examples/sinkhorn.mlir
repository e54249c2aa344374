// Sinkhorn routing (S-BASE, arXiv 2202.01169; Megatron-LM). Special: training chooses from a nearly balanced transport plan, weights come from the logits.
// Normal form: score sigmoid (k = 1) or softmax of the logits; key plan d0 · exp(l) · d1 in training, else the score; select top k; weight score; on output.
!s = tensor<?x8xf32>
!e = tensor<8xf32>
!t = tensor<?xf32>
!c = tensor<8xi32>

// Rounds of d0 = 1/T / (A d1 + 1e-8), d1 = 1/E / (Aᵀ d0 + 1e-8), with A = exp(l), until d1 moves by 1e-4 at most; how many there were.
func.func private @balance(%a: !s) -> (!t, !e, index) {
  %ones = arith.constant dense<1.0> : !e
  %large = arith.constant 1.0e+9 : f32
  %tolerance = arith.constant 1.0e-4 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %start = func.call @rows(%a, %ones) : (!s, !e) -> !t
  %d0, %d1, %n, %last = scf.while (%p = %start, %q = %ones, %i = %c0, %error = %large) : (!t, !e, index, f32) -> (!t, !e, index, f32) {
    %more = arith.cmpf ogt, %error, %tolerance : f32
    scf.condition(%more) %p, %q, %i, %error : !t, !e, index, f32
  } do {
  ^bb0(%p: !t, %q: !e, %i: index, %error: f32):
    %p1 = func.call @rows(%a, %q) : (!s, !e) -> !t
    %q1 = func.call @columns(%a, %p1) : (!s, !t) -> !e
    %move = arith.subf %q, %q1 : !e
    %distance = math.absf %move : !e
    %sum = moe.reduce sum %distance over 0 : !e -> tensor<f32>
    %s = tensor.extract %sum[] : tensor<f32>
    %experts = arith.constant 8.0 : f32
    %mean = arith.divf %s, %experts : f32
    %i1 = arith.addi %i, %c1 : index
    scf.yield %p1, %q1, %i1, %mean : !t, !e, index, f32
  }
  return %d0, %d1, %n : !t, !e, index
}

func.func private @plan(%a: !s, %d0: !t, %d1: !e) -> !s {
  %x = func.call @spread(%d0, %a) : (!t, !s) -> !s
  %y = moe.broadcast %d1 like %a : !e, !s
  %ax = arith.mulf %a, %x : !s
  %plan = arith.mulf %ax, %y : !s
  return %plan : !s
}

func.func private @sinkhorn(%l: !s) -> (!s, index) {
  %a = math.exp %l : !s
  %d0, %d1, %n = func.call @balance(%a) : (!s) -> (!t, !e, index)
  %plan = func.call @plan(%a, %d0, %d1) : (!s, !t, !e) -> !s
  return %plan, %n : !s, index
}

// The same with a fixed number of rounds.
func.func @rounds(%l: !s, %n: index) -> !s {
  %a = math.exp %l : !s
  %ones = arith.constant dense<1.0> : !e
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %start = func.call @rows(%a, %ones) : (!s, !e) -> !t
  %d0, %d1 = scf.for %k = %c0 to %n step %c1 iter_args(%p = %start, %q = %ones) -> (!t, !e) {
    %p1 = func.call @rows(%a, %q) : (!s, !e) -> !t
    %q1 = func.call @columns(%a, %p1) : (!s, !t) -> !e
    scf.yield %p1, %q1 : !t, !e
  }
  %plan = func.call @plan(%a, %d0, %d1) : (!s, !t, !e) -> !s
  return %plan : !s
}

// One value per row, over its columns.
func.func private @spread(%v: !t, %like: !s) -> !s {
  %count = moe.tokens %v : !t
  %column = tensor.expand_shape %v [[0, 1]] output_shape [%count, 1] : !t into tensor<?x1xf32>
  %y = moe.broadcast %column like %like : tensor<?x1xf32>, !s
  return %y : !s
}

func.func private @rows(%a: !s, %d1: !e) -> !t {
  %w = moe.broadcast %d1 like %a : !e, !s
  %m = arith.mulf %a, %w : !s
  %sum = moe.reduce sum %m over 1 : !s -> !t
  %count = moe.tokens %a : !s
  %i = arith.index_cast %count : index to i64
  %tokens = arith.sitofp %i : i64 to f32
  %d0 = moe.map (%v = %sum) : (!t) -> !t {
    %one = arith.constant 1.0 : f32
    %eps = arith.constant 1.0e-8 : f32
    %b = arith.addf %v, %eps : f32
    %share = arith.divf %one, %tokens : f32
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
func.func @train_top1(%l: !s) -> (!s, !c, !s, index) {
  %plan, %n = func.call @sinkhorn(%l) : (!s) -> (!s, index)
  %a = moe.sigmoid %l : !s
  %r = moe.route %a by %plan top 1 : !s -> !moe.routing<8, top 1>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  return %gates, %counts, %plan, %n : !s, !c, !s, index
}

func.func @infer_top1(%l: !s) -> (!s, !c) {
  %a = moe.sigmoid %l : !s
  %r = moe.route %a top 1 : !s -> !moe.routing<8, top 1>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  return %gates, %counts : !s, !c
}

// Two choices: weights are a softmax over all experts, so they do not sum to 1.
func.func @train_top2(%l: !s) -> (!s, !c, !s, index) {
  %plan, %n = func.call @sinkhorn(%l) : (!s) -> (!s, index)
  %a = moe.softmax %l : !s
  %r = moe.route %a by %plan top 2 : !s -> !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  return %gates, %counts, %plan, %n : !s, !c, !s, index
}

func.func @infer_top2(%l: !s) -> (!s, !c) {
  %a = moe.softmax %l : !s
  %r = moe.route %a top 2 : !s -> !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  return %gates, %counts : !s, !c
}
