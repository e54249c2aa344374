// Expert regions of every kind: what lifts to grouped rows, and what must stay a loop over experts.
!x = tensor<?x6xf32>
!b = tensor<?x6xbf16>
!s = tensor<?x5xf32>
!r = !moe.routing<5, top 2>

func.func private @route(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate" : tensor<5x6xf32>
  %l = moe.linear %x, %w : (!x, tensor<5x6xf32>) -> !s
  %g = moe.route %l top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  return %r : !r
}

// A captured weight is shared; a vector and a scalar of every expert; a widened weight and a sliced one.
func.func @lifted(%x: !x, %m: !moe.scope) -> !x {
  %w0 = moe.param %m "experts.{expert}.w" : tensor<5x6x6xf32>
  %w1 = moe.param %m "experts.{expert}.both" : tensor<5x12x6xbf16>
  %w2 = moe.param %m "shared" : tensor<6x6xf32>
  %v0 = moe.param %m "experts.{expert}.scale" : tensor<5x6xf32>
  %v1 = moe.param %m "experts.{expert}.factor" : tensor<5xf32>
  %v2 = moe.param %m "vector" : tensor<6xf32>
  %n  = moe.param %m "norm" : tensor<6xf32>
  %r  = func.call @route(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%a = %w0, %ab = %w1, %p = %v0, %f = %v1)
      : !r, (!x, tensor<5x6x6xf32>, tensor<5x12x6xbf16>, tensor<5x6xf32>, tensor<5xf32>) -> !x {
    %y0 = moe.linear %t, %a, %p : (!x, tensor<6x6xf32>, tensor<6xf32>) -> !x
    %s0 = moe.broadcast %p like %y0 : tensor<6xf32>, !x
    %y1 = arith.mulf %y0, %s0 : !x
    %s1 = moe.broadcast %f like %y1 : tensor<f32>, !x
    %y2 = arith.mulf %y1, %s1 : !x
    %k = tensor.extract_slice %ab[6, 0] [6, 6] [1, 1] : tensor<12x6xbf16> to tensor<6x6xbf16>
    %kw = arith.extf %k : tensor<6x6xbf16> to tensor<6x6xf32>
    %y3 = moe.linear %y2, %kw : (!x, tensor<6x6xf32>) -> !x
    %y4 = moe.linear %y3, %w2, %v2 : (!x, tensor<6x6xf32>, tensor<6xf32>) -> !x
    %y5 = moe.rms_norm %y4, %n eps 1.0e-5 : !x, tensor<6xf32>
    %y6 = moe.softmax %y5 : !x
    %y7 = moe.split %y6 : !x into tensor<?x2x3xf32>
    %y8 = moe.reduce max %y7 over 2 : tensor<?x2x3xf32> -> tensor<?x2xf32>
    %y9 = moe.split %y8 : tensor<?x2xf32> into tensor<?x2x1xf32>
    %z0 = moe.broadcast %y9 like %y7 : tensor<?x2x1xf32>, tensor<?x2x3xf32>
    %z1 = arith.addf %y7, %z0 : tensor<?x2x3xf32>
    %z2 = tensor.collapse_shape %z1 [[0], [1, 2]] : tensor<?x2x3xf32> into !x
    %q = arith.addf %p, %v2 : tensor<6xf32>
    %s2 = moe.broadcast %q like %z2 : tensor<6xf32>, !x
    %z3 = arith.addf %z2, %s2 : !x
    moe.yield %z3 : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// Two dispatched tensors, three results, one of them an input, bf16 rows converted inside.
func.func @several(%x: !x, %m: !moe.scope) -> (!x, !b, !x) {
  %w0 = moe.param %m "experts.{expert}.w" : tensor<5x6x6xf32>
  %w1 = moe.param %m "experts.{expert}.w1" : tensor<5x6x6xbf16>
  %r  = func.call @route(%x, %m) : (!x, !moe.scope) -> !r
  %d  = arith.mulf %x, %x : !x
  %i0 = moe.dispatch %x by %r : !x, !r
  %i1 = moe.dispatch %d by %r : !x, !r
  %o:3 = moe.expert by %r rows(%t = %i0, %u = %i1) each(%a = %w0, %b = %w1)
      : !r, (!x, !x, tensor<5x6x6xf32>, tensor<5x6x6xbf16>) -> (!x, !b, !x) {
    %p = moe.linear %t, %a : (!x, tensor<6x6xf32>) -> !x
    %q = moe.linear %u, %a : (!x, tensor<6x6xf32>) -> !x
    %s = arith.addf %p, %q : !x
    %c = arith.truncf %s : !x to !b
    %f = moe.linear %c, %b : (!b, tensor<6x6xbf16>) -> !b
    moe.yield %s, %f, %t : !x, !b, !x
  }
  %y0 = moe.combine %o#0 by %r weighted : !x, !r
  %y1 = moe.combine %o#1 by %r unweighted : !b, !r
  %y2 = moe.combine %o#2 by %r weighted : !x, !r
  return %y0, %y1, %y2 : !x, !b, !x
}

// The rows of an expert are mixed.
func.func @mixing(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "experts.{expert}.w" : tensor<5x6x6xf32>
  %r  = func.call @route(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%a = %w) : !r, (!x, tensor<5x6x6xf32>) -> !x {
    %p = moe.softmax %t over 0 : !x
    %s = moe.reduce sum %p over 0 : !x -> tensor<6xf32>
    %b = moe.broadcast %s like %p : tensor<6xf32>, !x
    %q = arith.addf %p, %b : !x
    %f = moe.linear %q, %a : (!x, tensor<6x6xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// Experts of three kinds: linear, identity, and one with a weight of its own.
func.func @ranges(%x: !x, %m: !moe.scope) -> !x {
  %w0 = moe.param %m "experts.{expert}.w2" : tensor<3x6x6xf32>
  %w1 = moe.param %m "experts.{expert:4}.w" : tensor<1x6x6xf32>
  %r  = func.call @route(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
  range 0 to 3 each(%a = %w0) : (tensor<3x6x6xf32>) {
    %f = moe.linear %t, %a : (!x, tensor<6x6xf32>) -> !x
    moe.yield %f : !x
  }
  range 3 to 4 rows(%t) {
    moe.yield %t : !x
  }
  range 4 to 5 rows(%t) each(%a = %w1) : (tensor<1x6x6xf32>) {
    %f = moe.linear %t, %a in_out : (!x, tensor<6x6xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// A statistic of every expert, stacked.
func.func @per_expert(%x: !x, %m: !moe.scope) -> (!x, tensor<5x6xf32>) {
  %r  = func.call @route(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out, %sums = moe.expert by %r rows(%t = %in) : !r, (!x) -> (!x, tensor<5x6xf32>) {
    %s = moe.reduce sum %t over 0 : !x -> tensor<6xf32>
    moe.yield rows(%t : !x) each(%s : tensor<6xf32>)
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y, %sums : !x, tensor<5x6xf32>
}

// An expert that routes its own rows.
func.func @nested(%x: !x, %m: !moe.scope) -> !x {
  %wr = moe.param %m "inner" : tensor<5x6xf32>
  %w = moe.param %m "experts.{expert}.w" : tensor<5x6x6xf32>
  %r  = func.call @route(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%a = %w) : !r, (!x, tensor<5x6x6xf32>) -> !x {
    %l = moe.linear %t, %wr : (!x, tensor<5x6xf32>) -> !s
    %q = moe.route %l top 2 : !s -> !r
    %i = moe.dispatch %t by %q : !x, !r
    %o = moe.expert by %q rows(%u = %i) each(%b = %w) : !r, (!x, tensor<5x6x6xf32>) -> !x {
      %f = moe.linear %u, %b : (!x, tensor<6x6xf32>) -> !x
      moe.yield %f : !x
    }
    %c = moe.combine %o by %q weighted : !x, !r
    %f = moe.linear %c, %a : (!x, tensor<6x6xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// One expert, which some tokens visit: its rows mix, and it has a weight and a result of its own.
func.func @only(%x: tensor<?x6xf32>, %m: !moe.scope) -> (tensor<?x6xf32>, tensor<1x6xf32>, tensor<1xf32>) {
  %g = moe.param %m "only" : tensor<1x6xf32>
  %w = moe.param %m "{expert}.only" : tensor<1x6x6xf32>
  %f = moe.param %m "{expert}.factor" : tensor<1xf32>
  %s = moe.linear %x, %g : (tensor<?x6xf32>, tensor<1x6xf32>) -> tensor<?x1xf32>
  %r = moe.route %s greater_than 0.0 : tensor<?x1xf32> -> !moe.routing<1, any>
  %in = moe.dispatch %x by %r : tensor<?x6xf32>, !moe.routing<1, any>
  %out, %top, %same = moe.expert by %r rows(%t = %in) each(%v = %w, %c = %f)
      : !moe.routing<1, any>, (tensor<?x6xf32>, tensor<1x6x6xf32>, tensor<1xf32>) -> (tensor<?x6xf32>, tensor<1x6xf32>, tensor<1xf32>) {
    %a = moe.linear %t, %v : (tensor<?x6xf32>, tensor<6x6xf32>) -> tensor<?x6xf32>
    %p = moe.softmax %a over 0 : tensor<?x6xf32>
    %b = moe.broadcast %c like %p : tensor<f32>, tensor<?x6xf32>
    %o = arith.mulf %p, %b : tensor<?x6xf32>
    %best = moe.reduce sum %a over 0 : tensor<?x6xf32> -> tensor<6xf32>
    moe.yield rows(%o : tensor<?x6xf32>) each(%best, %c : tensor<6xf32>, tensor<f32>)
  }
  %y = moe.combine %out by %r weighted : tensor<?x6xf32>, !moe.routing<1, any>
  return %y, %top, %same : tensor<?x6xf32>, tensor<1x6xf32>, tensor<1xf32>
}
