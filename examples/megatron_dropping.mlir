// Top-k routing with dropping by probability (Megatron-LM). Special: weights are not renormalised after the drop, and there is no minimum capacity.
// Normal form: score softmax or sigmoid(logits); select top k; weight score, or score / sum; on output; capacity ceil(k T/E · f), order weight, drop; also balance and z loss.
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>

// Softmax before the choice.
func.func @softmax_top2(%l: !s) -> (!s, !c, !l, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !moe.routing<8, top 2>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by megatron factor 1.0 experts 8 choices 2 : index
  %r = moe.limit %g to %c order weight overflow drop : !moe.routing<8, top 2>, index
  %gates  = moe.to_matrix %r : !moe.routing<8, top 2> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 2> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !moe.routing<8, top 2>
  %z = moe.z_loss %l : !s
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}

// Sigmoid, one choice: the weight is the score.
func.func @sigmoid_top1(%l: !s) -> (!s, !c, !l, !l, index) {
  %p = moe.softmax %l : !s
  %s = moe.sigmoid %l : !s
  %g = moe.route %s top 1 : !s -> !moe.routing<8, top 1>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by megatron factor 1.25 experts 8 choices 1 : index
  %r = moe.limit %g to %c order weight overflow drop : !moe.routing<8, top 1>, index
  %gates  = moe.to_matrix %r : !moe.routing<8, top 1> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 1> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !moe.routing<8, top 1>
  %z = moe.z_loss %l : !s
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}

// Sigmoid, four choices: the weights sum to 1 before the drop.
func.func @sigmoid_top4(%l: !s) -> (!s, !c, !l, !l, index) {
  %p = moe.softmax %l : !s
  %s = moe.sigmoid %l : !s
  %g = moe.route %s top 4 : !s -> !moe.routing<8, top 4>
  %n = moe.normalize %g by sum plus 1.0e-20 : !moe.routing<8, top 4>
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by megatron factor 1.0 experts 8 choices 4 : index
  %r = moe.limit %n to %c order weight overflow drop : !moe.routing<8, top 4>, index
  %gates  = moe.to_matrix %r : !moe.routing<8, top 4> -> !s
  %counts = moe.counts %r : !moe.routing<8, top 4> -> !c
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !moe.routing<8, top 4>
  %z = moe.z_loss %l : !s
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}
