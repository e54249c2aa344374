// Phi-3.5-MoE (arXiv 2404.14219; SparseMixer, arXiv 2409.12136). Special: an expert's weight is a softmax over the experts with nearly its logit; training samples among these.
// Normal form: score x Wᵀ; key score (training: + Gumbel noise over those near the best); select 1, then 1 of the rest; weight softmax over the rest near the best; on output; experts SwiGLU.
!x  = tensor<?x32xf32>
!s  = tensor<?x8xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>      // gate or up of one expert
!dn = tensor<32x16xf32>
!u  = tensor<8x16x32xf32>
!d  = tensor<8x32x16xf32>
!t  = tensor<?xf32>
!w  = tensor<?x1xf32>
!r1 = !moe.routing<8, top 1>
!r  = !moe.routing<8, top 2>

// The experts left whose logit l is near the best of them, (best - l) / max(|l|, best) at most 0.2; -inf for the others.
func.func private @near(%l: !s, %left: !s) -> !s {
  %best = moe.reduce max %left over 1 : !s -> !t
  %tokens = moe.tokens %l : !s
  %column = tensor.expand_shape %best [[0, 1]] output_shape [%tokens, 1] : !t into !w
  %bests = moe.broadcast %column like %l : !w, !s
  %near = moe.map (%v = %l, %r = %left, %b = %bests) : (!s, !s, !s) -> !s {
    %limit = arith.constant 0.2 : f32
    %none  = arith.constant 0xFF800000 : f32
    %size   = math.absf %v : f32
    %factor = arith.maximumf %size, %b : f32
    %d   = arith.subf %b, %v : f32
    %q   = arith.divf %d, %factor : f32
    %far = arith.cmpf ogt, %q, %limit : f32
    %k   = arith.select %far, %none, %r : f32
    moe.yield %k : f32
  }
  return %near : !s
}

// The logits without the chosen expert.
func.func private @others(%l: !s, %g: !r1) -> !s {
  %w = moe.weights %g : !r1 -> !w
  %ones = moe.map (%v = %w) : (!w) -> !w {
    %one = arith.constant 1.0 : f32
    moe.yield %one : f32
  }
  %h = moe.with_weights %g, %ones : !r1, !w
  %chosen = moe.to_matrix %h : !r1 -> !s
  %left = moe.map (%v = %l, %c = %chosen) : (!s, !s) -> !s {
    %zero = arith.constant 0.0 : f32
    %none = arith.constant 0xFF800000 : f32
    %is   = arith.cmpf ogt, %c, %zero : f32
    %k    = arith.select %is, %none, %v : f32
    moe.yield %k : f32
  }
  return %left : !s
}

func.func private @best(%l: !s, %left: !s) -> !r1 {
  %near = func.call @near(%l, %left) : (!s, !s) -> !s
  %p = moe.softmax %near : !s
  %g = moe.route %p by %left top 1 : !s -> !r1
  return %g : !r1
}

func.func private @logits(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "gate.weight" : tensor<8x32xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x32xf32>) -> !s
  return %l : !s
}

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %l    = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %g1   = func.call @best(%l, %l) : (!s, !s) -> !r1
  %left = func.call @others(%l, %g1) : (!s, !r1) -> !s
  %g2   = func.call @best(%l, %left) : (!s, !s) -> !r1
  %r    = moe.join %g1, %g2 : !r1, !r1 -> !r
  return %r : !r
}

// In training: %e holds exponential samples, so -log(%e) is Gumbel noise. Who is not the best counts 1/3, unless %u is above 0.75: this is
// Heun's third-order rule for the gradient of the sample.
func.func private @sample(%l: !s, %left: !s, %e: !s, %u: !w) -> !r1 {
  %near = func.call @near(%l, %left) : (!s, !s) -> !s
  %log  = math.log %e : !s
  %key  = arith.subf %near, %log : !s
  %p    = moe.softmax %near : !s
  %g    = moe.route %p by %key top 1 : !s -> !r1
  %w    = moe.weights %g : !r1 -> !w
  %best = moe.reduce max %p over 1 : !s -> !t
  %tokens = moe.tokens %l : !s
  %column = tensor.expand_shape %best [[0, 1]] output_shape [%tokens, 1] : !t into !w
  %v = moe.map (%a = %w, %b = %column, %c = %u) : (!w, !w, !w) -> !w {
    %rare  = arith.constant 0.75 : f32
    %third = arith.constant 0.3333 : f32
    %is_best = arith.cmpf oeq, %a, %b : f32
    %is_rare = arith.cmpf ogt, %c, %rare : f32
    %whole   = arith.ori %is_best, %is_rare : i1
    %less    = arith.mulf %a, %third : f32
    %y       = arith.select %whole, %a, %less : f32
    moe.yield %y : f32
  }
  %r = moe.with_weights %g, %v : !r1, !w
  return %r : !r1
}

func.func private @swiglu(%x: !x, %gate: !gu, %up: !gu, %down: !dn) -> !x {
  %a = moe.linear %x, %gate : (!x, !gu) -> !h
  %b = moe.linear %x, %up : (!x, !gu) -> !h
  %s = moe.silu %a : !h
  %h = arith.mulf %s, %b : !h
  %y = moe.linear %h, %down : (!h, !dn) -> !x
  return %y : !x
}

// %m: "model.layers.1.block_sparse_moe."
func.func @phimoe(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.w1.weight" : !u
  %wu = moe.param %m "experts.{expert}.w3.weight" : !u
  %wd = moe.param %m "experts.{expert}.w2.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %f = func.call @swiglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}

func.func @training(%x: !x, %e1: !s, %e2: !s, %u1: !w, %u2: !w, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %l    = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %g1   = func.call @sample(%l, %l, %e1, %u1) : (!s, !s, !s, !w) -> !r1
  %left = func.call @others(%l, %g1) : (!s, !r1) -> !s
  %g2   = func.call @sample(%l, %left, %e2, %u2) : (!s, !s, !s, !w) -> !r1
  %r    = moe.join %g1, %g2 : !r1, !r1 -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
