// MegaBlocks (arXiv 2211.15841). Special: nobody is dropped, however many tokens an expert gets.
// Normal form: score softmax(x Wᵀ); select top k; weight score, or score / its p-norm; on output; capacity none (in its older layer int(f k T/E), order token_choice, drop); experts GELU (tanh); also balance and z loss.
!x = tensor<?x16xf32>
!s = tensor<?x4xf32>
!h = tensor<?x128xf32>
!w = tensor<4x128x16xf32>
!f = tensor<512x16xf32>      // as stored: 4 experts of 128 rows each, up [hidden, in] and down [hidden, out]
!k = tensor<?x2xi32>
!c = tensor<4xi32>
!l = tensor<f32>
!r = !moe.routing<4, top 2>

func.func private @router(%x: !x, %m: !moe.scope) -> (!r, !s, !s) {
  %w = moe.param %m "w_router" : tensor<4x16xf32>
  %l = moe.linear %x, %w : (!x, tensor<4x16xf32>) -> !s
  %p = moe.softmax %l : !s
  %r = moe.route %p top 2 : !s -> !r
  return %r, %p, %l : !r, !s, !s
}

func.func private @experts(%x: !x, %r: !r, %m: !moe.scope) -> !x {
  %f1 = moe.param %m "w1" : !f
  %f2 = moe.param %m "w2" : !f
  %w1 = tensor.expand_shape %f1 [[0, 1], [2]] output_shape [4, 128, 16] : !f into !w
  %w2 = tensor.expand_shape %f2 [[0, 1], [2]] output_shape [4, 128, 16] : !f into !w
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %w1, %down = %w2) : !r, (!x, !w, !w) -> !x {
    %a = moe.linear %t, %up : (!x, tensor<128x16xf32>) -> !h
    %g = moe.gelu %a tanh : !h
    %y = moe.linear %g, %down in_out : (!h, tensor<128x16xf32>) -> !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// The dropless layer, its tokens per expert, its balance loss, and its z loss times 0.001.
func.func @dropless(%x: !x, %m: !moe.scope) -> (!x, !c, !l, !l) {
  %r, %p, %logits = func.call @router(%x, %m) : (!x, !moe.scope) -> (!r, !s, !s)
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  %counts = moe.counts %r : !r -> !c
  %loss = moe.balance_loss %p of %r counting all scale one : !s, !r
  %z0 = moe.z_loss %logits : !s
  %weight = arith.constant dense<0.001> : !l
  %z = arith.mulf %z0, %weight : !l
  return %y, %counts, %loss, %z : !x, !c, !l, !l
}

// With `moe_normalize_expert_weights` p, which is an exponent and no switch.
func.func @normalized(%x: !x, %m: !moe.scope) -> !x {
  %r, %p, %logits = func.call @router(%x, %m) : (!x, !moe.scope) -> (!r, !s, !s)
  %n = moe.normalize %r by lp 1.0 : !r
  %y = func.call @experts(%x, %n, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

// The older layer drops, token by token; a capacity of 0 drops nothing. The largest count, and what is left of a routing:
func.func private @limit(%r: !r, %p: !s) -> (!r, index) {
  %t = moe.tokens %p : !s
  %c = moe.capacity %t by megablocks factor 1.0 experts 4 choices 2 : index
  %counts = moe.counts %r : !r -> !c
  %max = moe.reduce max %counts over 0 : !c -> tensor<i32>
  %i = tensor.extract %max[] : tensor<i32>
  %needed = arith.index_cast %i : i32 to index
  %zero = arith.constant 0 : index
  %all = arith.cmpi eq, %c, %zero : index
  %capacity = arith.select %all, %needed, %c : index
  %kept = moe.limit %r to %capacity order token_choice overflow drop : !r, index
  return %kept, %capacity : !r, index
}

func.func @dropping(%x: !x, %m: !moe.scope) -> (!x, !k, index) {
  %r, %p, %logits = func.call @router(%x, %m) : (!x, !moe.scope) -> (!r, !s, !s)
  %kept, %capacity = func.call @limit(%r, %p) : (!r, !s) -> (!r, index)
  %y = func.call @experts(%x, %kept, %m) : (!x, !r, !moe.scope) -> !x
  %ids = moe.indices %kept : !r -> !k
  return %y, %ids, %capacity : !x, !k, index
}

func.func @normalized_dropping(%x: !x, %m: !moe.scope) -> (!x, !k, index) {
  %r, %p, %logits = func.call @router(%x, %m) : (!x, !moe.scope) -> (!r, !s, !s)
  %n = moe.normalize %r by lp 1.0 : !r
  %kept, %capacity = func.call @limit(%n, %p) : (!r, !s) -> (!r, index)
  %y = func.call @experts(%x, %kept, %m) : (!x, !r, !moe.scope) -> !x
  %ids = moe.indices %kept : !r -> !k
  return %y, %ids, %capacity : !x, !k, index
}
