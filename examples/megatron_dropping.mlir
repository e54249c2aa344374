// Top-k routing with dropping (Megatron-LM). Special: weights are not renormalised after the drop, and there is no minimum capacity.
// Normal form: score softmax or sigmoid(logits), or the logits; select top k; weight score, score / sum, or softmax over the chosen; on output; capacity ceil(k T/E · f), order weight or position, drop; also balance and z loss.
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!one = !moe.routing<8, top 1>
!r = !moe.routing<8, top 2>

// The losses do not depend on the score: they always use the softmax of all logits, and the pairs before the drop.
func.func private @losses(%l: !s, %g: !r) -> (!l, !l) {
  %p = moe.softmax %l : !s
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !r
  %z = moe.z_loss %l : !s
  return %loss, %z : !l, !l
}

// Drop policy "probs": an expert keeps its pairs of largest weight.
func.func private @by_weight(%l: !s, %g: !r) -> (!s, !c, !l, !l, index) {
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by megatron factor 1.0 experts 8 choices 2 : index
  %r = moe.limit %g to %c order weight overflow drop : !r, index
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %loss, %z = func.call @losses(%l, %g) : (!s, !r) -> (!l, !l)
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}

// Softmax over the chosen logits, which is the default.
func.func @top2(%l: !s) -> (!s, !c, !l, !l, index) {
  %g = moe.route %l top 2 : !s -> !r
  %n = moe.normalize %g by softmax : !r
  %gates, %counts, %loss, %z, %c = func.call @by_weight(%l, %n) : (!s, !r) -> (!s, !c, !l, !l, index)
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}

// Softmax before the choice ("pre-softmax").
func.func @softmax_top2(%l: !s) -> (!s, !c, !l, !l, index) {
  %p = moe.softmax %l : !s
  %g = moe.route %p top 2 : !s -> !r
  %gates, %counts, %loss, %z, %c = func.call @by_weight(%l, %g) : (!s, !r) -> (!s, !c, !l, !l, index)
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}

// Sigmoid: the weights sum to 1 before the drop.
func.func @sigmoid_top2(%l: !s) -> (!s, !c, !l, !l, index) {
  %s = moe.sigmoid %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %n = moe.normalize %g by sum plus 1.0e-20 : !r
  %gates, %counts, %loss, %z, %c = func.call @by_weight(%l, %n) : (!s, !r) -> (!s, !c, !l, !l, index)
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}

// Sigmoid, one choice: the weight is the score.
func.func @sigmoid_top1(%l: !s) -> (!s, !c, !l, !l, index) {
  %p = moe.softmax %l : !s
  %s = moe.sigmoid %l : !s
  %g = moe.route %s top 1 : !s -> !one
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by megatron factor 1.25 experts 8 choices 1 : index
  %r = moe.limit %g to %c order weight overflow drop : !one, index
  %gates  = moe.to_matrix %r : !one -> !s
  %counts = moe.counts %r : !one -> !c
  %loss = moe.balance_loss %p of %g counting all scale one : !s, !one
  %z = moe.z_loss %l : !s
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}

// Drop policy "position": the first tokens. Megatron sorts equal numbers there, and its order is that of the sort; the first result is the weights
// before the drop.
func.func @top2_position(%l: !s) -> (!s, !c, !l, !l, index) {
  %g = moe.route %l top 2 : !s -> !r
  %n = moe.normalize %g by softmax : !r
  %t = moe.tokens %l : !s
  %c = moe.capacity %t by megatron factor 1.0 experts 8 choices 2 : index
  %r = moe.limit %n to %c order position overflow drop : !r, index
  %gates  = moe.to_matrix %n : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %loss, %z = func.call @losses(%l, %n) : (!s, !r) -> (!l, !l)
  return %gates, %counts, %loss, %z, %c : !s, !c, !l, !l, index
}
