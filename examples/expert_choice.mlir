// Expert choice (arXiv 2202.09368; flaxformer, V-MoE). Special: experts choose tokens, so a token gets 0 to 8 experts; not causal.
// Normal form: score softmax(x W); select every expert takes its c best tokens of a group; weight score; on output; capacity c, always full.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!r = !moe.routing<8, take>

func.func private @scores(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  return %p : !s
}

func.func @flaxformer(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c) {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %r = moe.route %p take %c segments %seq : !s, index, !i -> !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts : !s, !c
}

// V-MoE's capacity, ceil(T f / E) rounded up to a multiple of 4, and experts that return their input.
func.func @vmoe(%x: !x, %seq: !i, %m: !moe.scope) -> (!s, !c, !x) {
  %n = moe.segment_size %seq : !i
  %c = moe.capacity %n by vmoe_expert_choice factor 1.0 experts 8 multiple 4 : !i
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %r = moe.route %p take %c segments %seq : !s, !i, !i -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %y  = moe.combine %in by %r weighted : !x, !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %y : !s, !c, !x
}

// Twice the capacity.
func.func @vmoe_wide(%x: !x, %seq: !i, %m: !moe.scope) -> (!s, !c, !x) {
  %n = moe.segment_size %seq : !i
  %c = moe.capacity %n by vmoe_expert_choice factor 2.0 experts 8 multiple 4 : !i
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %r = moe.route %p take %c segments %seq : !s, !i, !i -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %y  = moe.combine %in by %r weighted : !x, !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %y : !s, !c, !x
}
