// DeepSpeed's top-1, top-2 and top-k gating (microsoft/DeepSpeed). Special: random token selection, a sampled second expert, and weights that are renormalised after the drop.
// Normal form: score softmax(logits); select top k, or 1 and 1 sampled by logits + Gumbel noise; weight score / sum of the kept, k = 1: score; on output; capacity ceil(T/E · f k) in f32, order %u, choice, token_choice or weight, drop; also balance loss.
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!one = !moe.routing<8, top 1>
!r = !moe.routing<8, top 2>

// Results of every gate: weights, tokens kept by every expert, loss and capacity.
func.func private @results(%r: !r, %loss: !l, %c: index) -> (!s, !c, !l, index) {
  %n = moe.normalize %r by sum at_least 1.1920929e-07 : !r
  %gates  = moe.to_matrix %n : !r -> !s
  %counts = moe.counts %n : !r -> !c
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// Without dropping the capacity is the largest count.
func.func private @largest(%counts: !c) -> index {
  %max = moe.reduce max %counts over 0 : !c -> tensor<i32>
  %i = tensor.extract %max[] : tensor<i32>
  %c = arith.index_cast %i : i32 to index
  return %c : index
}

// Top-1 gating, with random token selection: experts keep the tokens of largest %u.
func.func private @one(%p: !s, %g: !one, %u: !s) -> (!s, !c, !l, index) {
  %t = moe.tokens %p : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 1 minimum 4 : index
  %r = moe.limit %g to %c order %u overflow drop : !one, index, !s
  %gates  = moe.to_matrix %r : !one -> !s
  %counts = moe.counts %r : !one -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !one
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

func.func @top1(%l: !s, %u: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 1 : !s -> !one
  %gates, %counts, %loss, %c = func.call @one(%p, %g, %u) : (!s, !one, !s) -> (!s, !c, !l, index)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// "RSample": the choice looks at logits + Gumbel noise, the weight does not.
func.func @top1_sampled(%l: !s, %gumbel: !s, %u: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %key = arith.addf %l, %gumbel : !s
  %g = moe.route %p by %key top 1 : !s -> !one
  %gates, %counts, %loss, %c = func.call @one(%p, %g, %u) : (!s, !one, !s) -> (!s, !c, !l, index)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

func.func @top1_no_drop(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 1 : !s -> !one
  %gates  = moe.to_matrix %g : !one -> !s
  %counts = moe.counts %g : !one -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !one
  %c = func.call @largest(%counts) : (!c) -> index
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// Top-2 gating: all first choices before second ones, and weights of what is left sum to 1.
func.func private @two(%p: !s, %g: !r) -> (!s, !c, !l, index) {
  %t = moe.tokens %p : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 2 minimum 4 : index
  %r = moe.limit %g to %c order choice overflow drop : !r, index
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !r
  %gates, %counts, %aux, %capacity = func.call @results(%r, %loss, %c) : (!r, !l, index) -> (!s, !c, !l, index)
  return %gates, %counts, %aux, %capacity : !s, !c, !l, index
}

func.func @top2(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !r
  %gates, %counts, %loss, %c = func.call @two(%p, %g) : (!s, !r) -> (!s, !c, !l, index)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// The second expert is sampled from the others: the largest logit + Gumbel noise.
func.func @top2_sampled(%l: !s, %gumbel: !s) -> (!s, !c, !l, index) {
  %p  = moe.softmax %l : !s
  %g1 = moe.route %p top 1 : !s -> !one
  %first = moe.to_matrix %g1 : !one -> !s
  %key = moe.map (%a = %l, %b = %gumbel, %f = %first) : (!s, !s, !s) -> !s {
    %zero = arith.constant 0.0 : f32
    %none = arith.constant 0xFF800000 : f32
    %sum = arith.addf %a, %b : f32
    %is = arith.cmpf ogt, %f, %zero : f32
    %k = arith.select %is, %none, %sum : f32
    moe.yield %k : f32
  }
  %g2 = moe.route %p by %key top 1 : !s -> !one
  %g  = moe.join %g1, %g2 : !one, !one -> !r
  %gates, %counts, %loss, %c = func.call @two(%p, %g) : (!s, !r) -> (!s, !c, !l, index)
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

func.func @top2_no_drop(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !r
  %counts = moe.counts %g : !r -> !c
  %c = func.call @largest(%counts) : (!c) -> index
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !r
  %gates, %kept, %aux, %capacity = func.call @results(%g, %loss, %c) : (!r, !l, index) -> (!s, !c, !l, index)
  return %gates, %kept, %aux, %capacity : !s, !c, !l, index
}

// Top-k gating, here with k = 2: the loss counts all choices. Drop policy "position": token by token.
func.func @topk_position(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !r
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 2 minimum 4 : index
  %r = moe.limit %g to %c order token_choice overflow drop : !r, index
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !r
  %gates, %counts, %aux, %capacity = func.call @results(%r, %loss, %c) : (!r, !l, index) -> (!s, !c, !l, index)
  return %gates, %counts, %aux, %capacity : !s, !c, !l, index
}

// Drop policy "probs".
func.func @topk_probs(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !r
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 2 minimum 4 : index
  %r = moe.limit %g to %c order weight overflow drop : !r, index
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !r
  %gates, %counts, %aux, %capacity = func.call @results(%r, %loss, %c) : (!r, !l, index) -> (!s, !c, !l, index)
  return %gates, %counts, %aux, %capacity : !s, !c, !l, index
}

func.func @topk_no_drop(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !r
  %counts = moe.counts %g : !r -> !c
  %c = func.call @largest(%counts) : (!c) -> index
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !r
  %gates, %kept, %aux, %capacity = func.call @results(%g, %loss, %c) : (!r, !l, index) -> (!s, !c, !l, index)
  return %gates, %kept, %aux, %capacity : !s, !c, !l, index
}
