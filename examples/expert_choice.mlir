// Expert choice (arXiv 2202.09368; flaxformer, V-MoE). Special: experts choose tokens, so a token gets 0 to 8 experts; not causal.
// Normal form: score softmax(x W); select every expert takes its c best tokens of a group; weight score; on output; capacity c, always full.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!r = !moe.routing<8, take>

func.func private @logits(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  return %logits : !s
}

func.func @flaxformer(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c) {
  %logits = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %p = moe.softmax %logits : !s
  %r = moe.route %p take %c segments %seq : !s, index, !i -> !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts : !s, !c
}

// A row of zeros is padding: its probabilities are 0, so it is taken last.
func.func @flaxformer_padding(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c) {
  %logits = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %p = moe.softmax %logits : !s
  %size = moe.map (%v = %x) : (!x) -> !x {
    %y = math.absf %v : f32
    moe.yield %y : f32
  }
  %sum = moe.reduce sum %size over 1 : !x -> tensor<?xf32>
  %t = moe.tokens %x : !x
  %column = tensor.expand_shape %sum [[0, 1]] output_shape [%t, 1] : tensor<?xf32> into tensor<?x1xf32>
  %sums = moe.broadcast %column like %p : tensor<?x1xf32>, !s
  %masked = moe.map (%b = %p, %v = %sums) : (!s, !s) -> !s {
    %zero = arith.constant 0.0 : f32
    %real = arith.cmpf ogt, %v, %zero : f32
    %y = arith.select %real, %b, %zero : f32
    moe.yield %y : f32
  }
  %r = moe.route %masked take %c segments %seq : !s, index, !i -> !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts : !s, !c
}

// V-MoE: c tokens of a group, one number per row; experts return their input.
func.func private @identity(%x: !x, %logits: !s, %seq: !i, %c: !i) -> (!s, !c, !x) {
  %p = moe.softmax %logits : !s
  %r = moe.route %p take %c segments %seq : !s, !i, !i -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %y  = moe.combine %in by %r weighted : !x, !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %y : !s, !c, !x
}

// V-MoE's capacity is ceil(T f / E), rounded up to a multiple of 4.
func.func @vmoe(%x: !x, %seq: !i, %m: !moe.scope) -> (!s, !c, !x) {
  %n = moe.segment_size %seq : !i
  %c = moe.capacity %n by vmoe_expert_choice factor 1.0 experts 8 multiple 4 : !i
  %logits = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %gates, %counts, %y = func.call @identity(%x, %logits, %seq, %c) : (!x, !s, !i, !i) -> (!s, !c, !x)
  return %gates, %counts, %y : !s, !c, !x
}

// Twice the capacity.
func.func @vmoe_wide(%x: !x, %seq: !i, %m: !moe.scope) -> (!s, !c, !x) {
  %n = moe.segment_size %seq : !i
  %c = moe.capacity %n by vmoe_expert_choice factor 2.0 experts 8 multiple 4 : !i
  %logits = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %gates, %counts, %y = func.call @identity(%x, %logits, %seq, %c) : (!x, !s, !i, !i) -> (!s, !c, !x)
  return %gates, %counts, %y : !s, !c, !x
}

// In training, with the standard normal sample as an input, of which the logits get 1/E.
func.func @vmoe_train(%x: !x, %seq: !i, %noise: !s, %m: !moe.scope) -> (!s, !c, !x) {
  %n = moe.segment_size %seq : !i
  %c = moe.capacity %n by vmoe_expert_choice factor 1.0 experts 8 multiple 4 : !i
  %clean = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %logits = moe.map (%v = %clean, %z = %noise) : (!s, !s) -> !s {
    %sigma = arith.constant 0.125 : f32
    %e = arith.mulf %z, %sigma : f32
    %h = arith.addf %v, %e : f32
    moe.yield %h : f32
  }
  %gates, %counts, %y = func.call @identity(%x, %logits, %seq, %c) : (!x, !s, !i, !i) -> (!s, !c, !x)
  return %gates, %counts, %y : !s, !c, !x
}
