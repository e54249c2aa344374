// Mixture of depths (arXiv 2404.02258). Special: the one expert is a whole block, whose attention sees the chosen tokens alone; the rest pass by.
// Normal form: score x · w; select the block takes the c best tokens of a sequence; weight score; on output; capacity c, always full; experts attention and a ReLU MLP; also + the input, or instead of the input where chosen.
!x = tensor<?x16xf32>
!h = tensor<?x1x16xf32>      // one head
!i = tensor<?xi32>
!s = tensor<?x1xf32>
!l = tensor<f32>
!w = tensor<16x16xf32>       // [in, out]
!take = !moe.routing<1, take>
!any = !moe.routing<1, any>

// x · w (+ b), one number per token.
func.func private @score(%x: !x, %w: tensor<16xf32>) -> !s {
  %row = tensor.expand_shape %w [[0, 1]] output_shape [1, 16] : tensor<16xf32> into tensor<1x16xf32>
  %s = moe.linear %x, %row : (!x, tensor<1x16xf32>) -> !s
  return %s : !s
}

func.func private @biased_score(%x: !x, %w: tensor<16xf32>, %b: tensor<1xf32>) -> !s {
  %row = tensor.expand_shape %w [[0, 1]] output_shape [1, 16] : tensor<16xf32> into tensor<1x16xf32>
  %s = moe.linear %x, %row, %b : (!x, tensor<1x16xf32>, tensor<1xf32>) -> !s
  return %s : !s
}

// Causal attention of rows that have their sequence and position with them.
func.func private @attention(%t: !x, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %wq = moe.param %m "wq" : !w
  %wk = moe.param %m "wk" : !w
  %wv = moe.param %m "wv" : !w
  %q0 = moe.linear %t, %wq in_out : (!x, !w) -> !x
  %k0 = moe.linear %t, %wk in_out : (!x, !w) -> !x
  %v0 = moe.linear %t, %wv in_out : (!x, !w) -> !x
  %q = moe.split %q0 : !x into !h
  %k = moe.split %k0 : !x into !h
  %v = moe.split %v0 : !x into !h
  %a0 = moe.attention %q, %k, %v segments(%seq, %seq) positions(%pos, %pos) {causal, scale = 0.25} : (!h, !h, !h, !i, !i, !i, !i) -> !h
  %a = tensor.collapse_shape %a0 [[0], [1, 2]] : !h into !x
  return %a : !x
}

func.func private @mlp(%a: !x, %m: !moe.scope) -> !x {
  %w1 = moe.param %m "w1" : !w
  %w2 = moe.param %m "w2" : !w
  %u = moe.linear %a, %w1 in_out : (!x, !w) -> !x
  %h = moe.map (%e = %u) : (!x) -> !x {
    %zero = arith.constant 0.0 : f32
    %relu = arith.maximumf %e, %zero : f32
    moe.yield %relu : f32
  }
  %f = moe.linear %h, %w2 in_out : (!x, !w) -> !x
  return %f : !x
}

// The paper: y = x + score · block(chosen), and the block has no residual of its own.
func.func @paper(%x: !x, %seq: !i, %pos: !i, %c: index, %m: !moe.scope) -> !x {
  %wr = moe.param %m "w_router" : tensor<16xf32>
  %s = func.call @score(%x, %wr) : (!x, tensor<16xf32>) -> !s
  %r = moe.route %s take %c segments %seq : !s, index, !i -> !take
  %in = moe.dispatch %x by %r : !x, !take
  %is = moe.dispatch %seq by %r : !i, !take
  %ip = moe.dispatch %pos by %r : !i, !take
  %out = moe.expert by %r rows(%t = %in, %ts = %is, %tp = %ip) : !take, (!x, !i, !i) -> !x {
    %a = func.call @attention(%t, %ts, %tp, %m) : (!x, !i, !i, !moe.scope) -> !x
    %f = func.call @mlp(%a, %m) : (!x, !moe.scope) -> !x
    moe.yield %f : !x
  }
  %b = moe.combine %out by %r weighted : !x, !take
  %y = arith.addf %x, %b : !x
  return %y : !x
}

// The public programs replace a chosen token by score · block(chosen), and the block's residuals are inside. %marks is 1 where chosen.
func.func private @replace(%x: !x, %score: !s, %marks: !s, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %r = moe.route %score by %marks greater_than 0.5 : !s -> !any
  %in = moe.dispatch %x by %r : !x, !any
  %is = moe.dispatch %seq by %r : !i, !any
  %ip = moe.dispatch %pos by %r : !i, !any
  %out = moe.expert by %r rows(%t = %in, %ts = %is, %tp = %ip) : !any, (!x, !i, !i) -> !x {
    %a = func.call @attention(%t, %ts, %tp, %m) : (!x, !i, !i, !moe.scope) -> !x
    %h = arith.addf %t, %a : !x
    %f = func.call @mlp(%h, %m) : (!x, !moe.scope) -> !x
    %g = arith.addf %h, %f : !x
    moe.yield %g : !x
  }
  %b = moe.combine %out by %r weighted : !x, !any
  %chosen = moe.broadcast %marks like %x : !s, !x
  %y = moe.map (%old = %x, %new = %b, %mark = %chosen) : (!x, !x, !x) -> !x {
    %half = arith.constant 0.5 : f32
    %is1 = arith.cmpf ogt, %mark, %half : f32
    %v = arith.select %is1, %new, %old : f32
    moe.yield %v : f32
  }
  return %y : !x
}

// 1 for the c best tokens of a sequence, 0 for the others.
func.func private @best(%s: !s, %seq: !i, %c: index) -> !s {
  %one = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %s : f32, !s
  %r = moe.route %ones by %s take %c segments %seq : !s, index, !i -> !take
  %marks = moe.to_matrix %r : !take -> !s
  return %marks : !s
}

// Mixture-AI/Mixture-of-Depths in training, with the loss of a second router that learns to predict the choice (binary cross-entropy).
func.func @mixture_ai_train(%x: !x, %seq: !i, %pos: !i, %c: index, %m: !moe.scope) -> (!x, !l) {
  %wr = moe.param %m "w_router" : tensor<16xf32>
  %br = moe.param %m "b_router" : tensor<1xf32>
  %wa = moe.param %m "w_aux" : tensor<16xf32>
  %ba = moe.param %m "b_aux" : tensor<1xf32>
  %s = func.call @biased_score(%x, %wr, %br) : (!x, tensor<16xf32>, tensor<1xf32>) -> !s
  %a = func.call @biased_score(%x, %wa, %ba) : (!x, tensor<16xf32>, tensor<1xf32>) -> !s
  %marks = func.call @best(%s, %seq, %c) : (!s, !i, index) -> !s
  %y = func.call @replace(%x, %s, %marks, %seq, %pos, %m) : (!x, !s, !s, !i, !i, !moe.scope) -> !x
  %entropies = moe.map (%z = %a, %t = %marks) : (!s, !s) -> !s {
    %p = moe.softplus %z : f32
    %q = arith.mulf %z, %t : f32
    %e = arith.subf %p, %q : f32
    moe.yield %e : f32
  }
  %column = moe.reduce sum %entropies over 0 : !s -> tensor<1xf32>
  %sum = tensor.collapse_shape %column [] : tensor<1xf32> into !l
  %t = moe.tokens %x : !x
  %t64 = arith.index_cast %t : index to i64
  %n = arith.sitofp %t64 : i64 to f32
  %count = moe.broadcast %n like %sum : f32, !l
  %loss = arith.divf %sum, %count : !l
  return %y, %loss : !x, !l
}

// For inference the second router chooses, so that a token does not depend on later ones; the weight is still the first one's.
func.func @mixture_ai_infer(%x: !x, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %wr = moe.param %m "w_router" : tensor<16xf32>
  %br = moe.param %m "b_router" : tensor<1xf32>
  %wa = moe.param %m "w_aux" : tensor<16xf32>
  %ba = moe.param %m "b_aux" : tensor<1xf32>
  %s = func.call @biased_score(%x, %wr, %br) : (!x, tensor<16xf32>, tensor<1xf32>) -> !s
  %a = func.call @biased_score(%x, %wa, %ba) : (!x, tensor<16xf32>, tensor<1xf32>) -> !s
  %p = moe.sigmoid %a : !s
  %y = func.call @replace(%x, %s, %p, %seq, %pos, %m) : (!x, !s, !s, !i, !i, !moe.scope) -> !x
  return %y : !x
}

// astramind-ai/Mixture-of-depths takes the tokens above the c-th score, which is one less than c, but at least one.
func.func @astramind(%x: !x, %seq: !i, %pos: !i, %c: index, %m: !moe.scope) -> !x {
  %wr = moe.param %m "w_router" : tensor<16xf32>
  %br = moe.param %m "b_router" : tensor<1xf32>
  %s = func.call @biased_score(%x, %wr, %br) : (!x, tensor<16xf32>, tensor<1xf32>) -> !s
  %c1 = arith.constant 1 : index
  %less = arith.subi %c, %c1 : index
  %n = arith.maxsi %less, %c1 : index
  %marks = func.call @best(%s, %seq, %n) : (!s, !i, index) -> !s
  %y = func.call @replace(%x, %s, %marks, %seq, %pos, %m) : (!x, !s, !s, !i, !i, !moe.scope) -> !x
  return %y : !x
}
