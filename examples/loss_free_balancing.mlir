// Loss-free balancing (arXiv 2408.15664; Megatron-LM). Special: instead of a loss, a bias on the choice moves against the load after every step.
// Normal form: score sigmoid(logits); key score + bias; select top 2; weight score / (sum + 1e-20); on output; also bias' = bias + u · sign(mean load - load).
!s = tensor<?x8xf32>
!e = tensor<8xf32>
!c = tensor<8xi32>
!r = !moe.routing<8, top 2>

func.func private @update(%s: !s, %bias: !e, %u: f32) -> (!s, !c, !e) {
  %b = moe.broadcast %bias like %s : !e, !s
  %key = arith.addf %s, %b : !s
  %g = moe.route %s by %key top 2 : !s -> !r
  %r = moe.normalize %g by sum plus 1.0e-20 : !r
  %gates = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %load = arith.sitofp %counts : !c to !e
  %total = moe.reduce sum %load over 0 : !e -> tensor<f32>
  %sum = moe.broadcast %total like %load : tensor<f32>, !e
  %next = moe.map (%old = %bias, %v = %load, %t = %sum) : (!e, !e, !e) -> !e {
    %experts = arith.constant 8.0 : f32
    %zero = arith.constant 0.0 : f32
    %down = arith.subf %zero, %u : f32
    %mean = arith.divf %t, %experts : f32
    %less = arith.cmpf olt, %v, %mean : f32
    %more = arith.cmpf ogt, %v, %mean : f32
    %a = arith.select %more, %down, %zero : f32
    %d = arith.select %less, %u, %a : f32
    %new = arith.addf %old, %d : f32
    moe.yield %new : f32
  }
  return %gates, %counts, %next : !s, !c, !e
}

func.func @step(%l: !s, %bias: !e, %u: f32) -> (!s, !c, !e) {
  %s = moe.sigmoid %l : !s
  %gates, %counts, %next = func.call @update(%s, %bias, %u) : (!s, !e, f32) -> (!s, !c, !e)
  return %gates, %counts, %next : !s, !c, !e
}

// DeepSeek-V4 scores by sqrt(softplus(logit)).
func.func @step_sqrt_softplus(%l: !s, %bias: !e, %u: f32) -> (!s, !c, !e) {
  %s = moe.map (%v = %l) : (!s) -> !s {
    %p = moe.softplus %v : f32
    %r = math.sqrt %p : f32
    moe.yield %r : f32
  }
  %gates, %counts, %next = func.call @update(%s, %bias, %u) : (!s, !e, f32) -> (!s, !c, !e)
  return %gates, %counts, %next : !s, !c, !e
}
