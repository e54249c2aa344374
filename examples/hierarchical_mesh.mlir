// Hierarchical mixture of experts (Shazeer et al. 2017, arXiv 1701.06538; mesh_tensorflow's transformer_moe_layer_v2). Special: an expert is a mixture itself, with a router of its own, where a token's second outer choice chooses once.
// Normal form: score softmax(x W); select top 2, the second always or above a threshold; weight score / (sum + 1e-9); on output; capacity c, order choice, drop; experts mixtures of ReLU experts by the same rules; also balance losses of both levels.
!x = tensor<?x16xf32>
!h = tensor<?x16xf32>        // inside an inner expert
!i = tensor<?xi32>
!f = tensor<?xf32>
!two = tensor<?x2xf32>       // weights of two choices
!l = tensor<f32>

// 4 outer experts of 2 inner ones each; [in, out] weights.
!s = tensor<?x4xf32>
!q = tensor<?x2xf32>
!b = tensor<?x2xi1>
!r = !moe.routing<4, top 2>
!k = !moe.routing<2, top 2>
!one = !moe.routing<2, top 1>
!wx = tensor<16x4xf32>
!wy = tensor<4x16x2xf32>
!wq = tensor<16x2xf32>
!wu = tensor<4x2x16x16xf32>
!wd = tensor<4x2x16x16xf32>
!u = tensor<2x16x16xf32>
!d = tensor<2x16x16xf32>
!ui = tensor<16x16xf32>
!di = tensor<16x16xf32>
!n = tensor<2xi32>           // per inner expert
!v = tensor<2xf32>
!ns = tensor<4x2xi32>
!vs = tensor<4x2xf32>

// A second choice stays if its share is above the threshold.
func.func private @strong(%w: !two, %threshold: f32) -> tensor<?x2xi1> {
  %above = moe.map (%v = %w) : (!two) -> tensor<?x2xi1> {
    %b = arith.cmpf ogt, %v, %threshold : f32
    moe.yield %b : i1
  }
  %first = arith.constant dense<[true, false]> : tensor<2xi1>
  %always = moe.broadcast %first like %above : tensor<2xi1>, tensor<?x2xi1>
  %mask = arith.ori %always, %above : tensor<?x2xi1>
  return %mask : tensor<?x2xi1>
}

// A first outer choice, whose weight is above 1/2, has the best two inner experts; a second one has the best, in second place.
func.func private @choose(%p: !q, %weight: !f) -> (!k, !q, !n) {
  %n = moe.tokens %weight : !f
  %column = tensor.expand_shape %weight [[0, 1]] output_shape [%n, 1] : !f into tensor<?x1xf32>
  %major = moe.map (%v = %column) : (tensor<?x1xf32>) -> tensor<?x1xi1> {
    %half = arith.constant 0.5 : f32
    %b = arith.cmpf ogt, %v, %half : f32
    moe.yield %b : i1
  }
  %best   = moe.route %p top 1 : !q -> !one
  %first  = moe.keep %best where %major : !one, tensor<?x1xi1>
  %taken  = moe.to_matrix %first : !one -> !q
  %rest   = arith.subf %p, %taken : !q
  %second = moe.route %p by %rest top 1 : !q -> !one
  %both   = moe.join %first, %second : !one, !one -> !k
  %r      = moe.normalize %both by sum plus 1.0e-9 : !k

  // What the balance loss is made of: first choices, and the scores of their tokens.
  %counts = moe.counts %first : !one -> !n
  %wide   = moe.broadcast %major like %p : tensor<?x1xi1>, !q
  %scores = moe.map (%v = %p, %b = %wide) : (!q, !b) -> !q {
    %zero = arith.constant 0.0 : f32
    %s = arith.select %b, %v, %zero : f32
    moe.yield %s : f32
  }
  return %r, %scores, %counts : !k, !q, !n
}

func.func private @experts(%x: !x, %r: !k, %up: !u, %down: !d) -> !x {
  %in  = moe.dispatch %x by %r : !x, !k
  %out = moe.expert by %r rows(%t = %in) each(%u = %up, %d = %down) : !k, (!x, !u, !d) -> !x {
    %a = moe.linear %t, %u in_out : (!x, !ui) -> !h
    %h = moe.map (%v = %a) : (!h) -> !h {
      %zero = arith.constant 0.0 : f32
      %relu = arith.maximumf %v, %zero : f32
      moe.yield %relu : f32
    }
    %f = moe.linear %h, %d in_out : (!h, !di) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !k
  return %y : !x
}

// The inner balance loss: shares of %c slots, mean over all inner experts, times 2².
func.func private @loss(%scores: !vs, %counts: !ns, %c: index) -> !l {
  %n = arith.sitofp %counts : !ns to !vs
  %p = arith.mulf %scores, %n : !vs
  %a = moe.reduce sum %p over 1 : !vs -> tensor<4xf32>
  %b = moe.reduce sum %a over 0 : tensor<4xf32> -> !l
  %ci = arith.index_cast %c : index to i32
  %cf = arith.sitofp %ci : i32 to f32
  %loss = moe.map (%v = %b) : (!l) -> !l {
    %factor = arith.constant 0.5 : f32       // 2² / (4 * 2)
    %u = arith.mulf %v, %factor : f32
    %d = arith.mulf %cf, %cf : f32
    %q = arith.divf %u, %d : f32
    moe.yield %q : f32
  }
  return %loss : !l
}

// A threshold of -1 keeps every second choice.
func.func @hierarchical_mesh(%x: !x, %threshold: f32, %m: !moe.scope) -> (!x, !s, !l, !l) {
  %wx = moe.param %m "w_outer" : !wx
  %wy = moe.param %m "w_inner" : !wy
  %wu = moe.param %m "wi" : !wu
  %wd = moe.param %m "wo" : !wd
  %n = moe.tokens %x : !x
  %c = moe.capacity %n by mesh factor 2.0 experts 4 minimum 4 : index
  %d = moe.capacity %c by mesh factor 1.0 experts 2 minimum 4 : index

  %logits = moe.linear %x, %wx in_out : (!x, !wx) -> !s
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 2 : !s -> !r
  %loss = moe.balance_loss %p of %g counting first scale choices : !s, !r
  %normal = moe.normalize %g by sum plus 1.0e-9 : !r
  %shares = moe.weights %normal : !r -> !two
  %stays = func.call @strong(%shares, %threshold) : (!two, f32) -> tensor<?x2xi1>
  %kept = moe.keep %normal where %stays : !r, tensor<?x2xi1>
  %r = moe.limit %kept to %c order choice overflow drop : !r, index

  %expert, %token, %slot, %weight = moe.pairs %r : !r -> !i, !i, !i, !f
  %in = moe.dispatch %x by %r : !x, !r
  %out:3 = moe.expert by %r rows(%t = %in, %j = %slot, %w = %weight) each(%gate = %wy, %up = %wu, %down = %wd)
      : !r, (!x, !i, !f, !wy, !wu, !wd) -> (!x, !vs, !ns) {
    %inner_logits = moe.linear %t, %gate in_out : (!x, !wq) -> !q
    %inner_p = moe.softmax %inner_logits : !q
    %choice, %scores, %counts = func.call @choose(%inner_p, %w) : (!q, !f) -> (!k, !q, !n)
    %inner_shares = moe.weights %choice : !k -> !two
    %inner_stays = func.call @strong(%inner_shares, %threshold) : (!two, f32) -> tensor<?x2xi1>
    %inner_kept = moe.keep %choice where %inner_stays : !k, tensor<?x2xi1>
    %order = moe.map (%a = %j) : (!i) -> !f {      // first outer choices come before second ones
      %f = arith.sitofp %a : i32 to f32
      %b = arith.negf %f : f32
      moe.yield %b : f32
    }
    %k = moe.limit %inner_kept to %d order choice by %order overflow drop : !k, index, !f
    %o = func.call @experts(%t, %k, %up, %down) : (!x, !k, !u, !d) -> !x
    %sum = moe.reduce sum %scores over 0 : !q -> !v
    moe.yield rows(%o : !x) each(%sum, %counts : !v, !n)
  }
  %y = moe.combine %out#0 by %r weighted : !x, !r
  %inner_loss = func.call @loss(%out#1, %out#2, %c) : (!vs, !ns, index) -> !l
  %gates = moe.to_matrix %r : !r -> !s
  return %y, %gates, %loss, %inner_loss : !x, !s, !l, !l
}
