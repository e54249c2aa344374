// DeepSpeed's top-1, top-2 and top-k gating (microsoft/DeepSpeed). Special: random token selection, a sampled second expert, and weights that are renormalised after the drop.
// Normal form: score softmax(logits); select top k, or 1 and 1 sampled by logits + Gumbel noise; weight score / sum of the kept, k = 1: score; on output; capacity ceil(T/E · f k) in f32, order %u, choice, token_choice or weight, drop; also balance loss.
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>

// Capacity factor 1.0.
func.func @top1(%l: !s, %u: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 1 minimum 4 : index
  %r = moe.limit %g to %c order %u overflow drop : !moe.routing<8, top 1>, index, !s
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !moe.routing<8, top 1>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// Capacity factor 1.25.
func.func @top1_wide(%l: !s, %u: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.25 experts 8 choices 1 minimum 4 : index
  %r = moe.limit %g to %c order %u overflow drop : !moe.routing<8, top 1>, index, !s
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !moe.routing<8, top 1>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

func.func @top2(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 2 minimum 4 : index
  %kept = moe.limit %g to %c order choice overflow drop : !moe.routing<8, top 2>, index
  %r = moe.normalize %kept by sum at_least 1.1920929e-07 : !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !moe.routing<8, top 2>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// The second expert is sampled from the others: the largest logit + Gumbel noise.
func.func @top2_sampled(%l: !s, %gumbel: !s) -> (!s, !c, !l, index) {
  %p  = moe.softmax %l : !s
  %g1 = moe.route %p top 1 : !s -> !moe.routing<8, top 1>
  %first = moe.to_matrix %g1 : !moe.routing<8, top 1> -> !s
  %key = moe.map (%a = %l, %b = %gumbel, %f = %first) : (!s, !s, !s) -> !s {
    %zero = arith.constant 0.0 : f32
    %none = arith.constant 0xFF800000 : f32
    %sum = arith.addf %a, %b : f32
    %is = arith.cmpf ogt, %f, %zero : f32
    %k = arith.select %is, %none, %sum : f32
    moe.yield %k : f32
  }
  %g2 = moe.route %p by %key top 1 : !s -> !moe.routing<8, top 1>
  %g  = moe.join %g1, %g2 : !moe.routing<8, top 1>, !moe.routing<8, top 1> -> !moe.routing<8, top 2>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 2 minimum 4 : index
  %kept = moe.limit %g to %c order choice overflow drop : !moe.routing<8, top 2>, index
  %r = moe.normalize %kept by sum at_least 1.1920929e-07 : !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !moe.routing<8, top 2>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// Drop policy "position": token by token.
func.func @top2_position(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 2 minimum 4 : index
  %kept = moe.limit %g to %c order token_choice overflow drop : !moe.routing<8, top 2>, index
  %r = moe.normalize %kept by sum at_least 1.1920929e-07 : !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !moe.routing<8, top 2>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

func.func @top4_position(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 4 : !s -> !moe.routing<8, top 4>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 4 minimum 4 : index
  %kept = moe.limit %g to %c order token_choice overflow drop : !moe.routing<8, top 4>, index
  %r = moe.normalize %kept by sum at_least 1.1920929e-07 : !moe.routing<8, top 4>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 4> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 4> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !moe.routing<8, top 4>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

// Drop policy "probs".
func.func @top2_probs(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 2 minimum 4 : index
  %kept = moe.limit %g to %c order weight overflow drop : !moe.routing<8, top 2>, index
  %r = moe.normalize %kept by sum at_least 1.1920929e-07 : !moe.routing<8, top 2>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !moe.routing<8, top 2>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}

func.func @top4_probs(%l: !s) -> (!s, !c, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 4 : !s -> !moe.routing<8, top 4>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 4 minimum 4 : index
  %kept = moe.limit %g to %c order weight overflow drop : !moe.routing<8, top 4>, index
  %r = moe.normalize %kept by sum at_least 1.1920929e-07 : !moe.routing<8, top 4>
  %gates  = moe.to_matrix %r : !moe.routing<8, top 4> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 4> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !moe.routing<8, top 4>
  return %gates, %counts, %loss, %c : !s, !c, !l, index
}
