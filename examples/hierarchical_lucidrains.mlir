// Hierarchical mixture of experts, PyTorch (Shazeer et al. 2017, arXiv 1701.06538; lucidrains/mixture-of-experts). Special: as mesh_tensorflow's, but capacities are of one sequence, and the second level has the factor of the first.
// Normal form: score softmax(x W); select top 2, the second always, above a threshold or never; weight score / (sum + 1e-9); on output; capacity c a sequence, order choice, drop; experts mixtures of ReLU experts by the same rules; also balance loss.
!x = tensor<?x16xf32>
!h = tensor<?x16xf32>        // inside an inner expert
!i = tensor<?xi32>
!f = tensor<?xf32>
!two = tensor<?x2xf32>       // weights of two choices

// 4 outer experts of 2 inner ones each; [in, out] weights.
!s = tensor<?x4xf32>
!q = tensor<?x2xf32>
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
func.func private @choose(%p: !q, %weight: !f) -> !k {
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
  return %r : !k
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

// %n tokens a sequence. A threshold of -1 keeps every second choice, one of 2 none.
func.func @hierarchical_lucidrains(%x: !x, %seq: !i, %n: index, %threshold: f32, %m: !moe.scope) -> (!x, !s, tensor<f32>) {
  %wx = moe.param %m "w_outer" : !wx
  %wy = moe.param %m "w_inner" : !wy
  %wu = moe.param %m "w1" : !wu
  %wd = moe.param %m "w2" : !wd
  %c = moe.capacity %n by mesh factor 2.0 experts 4 minimum 4 : index
  %d = moe.capacity %c by mesh factor 2.0 experts 2 minimum 4 : index

  %logits = moe.linear %x, %wx in_out : (!x, !wx) -> !s
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 2 : !s -> !r
  %loss = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !r, !i
  %normal = moe.normalize %g by sum plus 1.0e-9 : !r
  %shares = moe.weights %normal : !r -> !two
  %stays = func.call @strong(%shares, %threshold) : (!two, f32) -> tensor<?x2xi1>
  %kept = moe.keep %normal where %stays : !r, tensor<?x2xi1>
  %r = moe.limit %kept to %c order choice overflow drop segments %seq : !r, index, !i

  %expert, %token, %slot, %weight = moe.pairs %r : !r -> !i, !i, !i, !f
  %in = moe.dispatch %x by %r : !x, !r
  %is = moe.dispatch %seq by %r : !i, !r
  %out = moe.expert by %r rows(%t = %in, %j = %slot, %w = %weight, %s = %is) each(%gate = %wy, %up = %wu, %down = %wd)
      : !r, (!x, !i, !f, !i, !wy, !wu, !wd) -> !x {
    %inner_logits = moe.linear %t, %gate in_out : (!x, !wq) -> !q
    %inner_p = moe.softmax %inner_logits : !q
    %choice = func.call @choose(%inner_p, %w) : (!q, !f) -> !k
    %inner_shares = moe.weights %choice : !k -> !two
    %inner_stays = func.call @strong(%inner_shares, %threshold) : (!two, f32) -> tensor<?x2xi1>
    %inner_kept = moe.keep %choice where %inner_stays : !k, tensor<?x2xi1>
    %order = moe.map (%a = %j) : (!i) -> !f {      // first outer choices come before second ones
      %f = arith.sitofp %a : i32 to f32
      %b = arith.negf %f : f32
      moe.yield %b : f32
    }
    %k = moe.limit %inner_kept to %d order choice by %order overflow drop segments %s : !k, index, !f, !i
    %o = func.call @experts(%t, %k, %up, %down) : (!x, !k, !u, !d) -> !x
    moe.yield %o : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  %gates = moe.to_matrix %r : !r -> !s
  return %y, %gates, %loss : !x, !s, tensor<f32>
}
