// Every op on routings: normalisations, scales, weights of the text's own, weighted dispatch, counts.
!x = tensor<?x6xf32>
!s = tensor<?x5xf32>
!r = !moe.routing<5, top 3>

func.func private @scores(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "gate" : tensor<5x6xf32>
  %l = moe.linear %x, %w : (!x, tensor<5x6xf32>) -> !s
  %s = moe.softmax %l : !s
  return %s : !s
}

func.func private @experts(%x: !x, %r: !r, %m: !moe.scope) -> !x {
  %w = moe.param %m "experts.{expert}.w" : tensor<5x6x6xf32>
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !r, (!x, tensor<5x6x6xf32>) -> !x {
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    moe.yield %a : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @sum(%x: !x, %m: !moe.scope) -> !x {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s top 3 : !s -> !r
  %r = moe.normalize %g by sum : !r
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

func.func @sum_plus(%x: !x, %m: !moe.scope) -> !x {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s top 3 : !s -> !r
  %n = moe.normalize %g by sum plus 0.5 : !r
  %r = moe.scale %n by 2.5 : !r
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

// 0.875 is a number of f32, in which weights are computed.
func.func @sum_at_least(%x: !x, %m: !moe.scope) -> !x {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s top 3 : !s -> !r
  %r = moe.normalize %g by sum at_least 0.875 : !r
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

func.func @lp(%x: !x, %m: !moe.scope) -> !x {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s top 3 : !s -> !r
  %r = moe.normalize %g by lp 3.0 : !r
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

// The choice looks at a biased key, the weight does not: softmax and sum must not fold.
func.func @key_and_scales(%x: !x, %m: !moe.scope) -> !x {
  %b = moe.param %m "bias" : tensor<5xf32>
  %f = moe.param %m "factors" : tensor<5xf32>
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %v = moe.broadcast %b like %s : tensor<5xf32>, !s
  %k = arith.addf %s, %v : !s
  %g = moe.route %s by %k top 3 : !s -> !r
  %n = moe.normalize %g by sum : !r
  %r = moe.scale %n by %f : !r, tensor<5xf32>
  %y = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}

func.func @weighted_dispatch(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "experts.{expert}.w" : tensor<5x6x6xf32>
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %r = moe.route %s top 3 : !s -> !r
  %in  = moe.dispatch %x by %r weighted : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !r, (!x, tensor<5x6x6xf32>) -> !x {
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    %b = moe.gelu %a tanh : !x
    moe.yield %b : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !r
  return %y : !x
}

func.func @read(%x: !x, %m: !moe.scope) -> (tensor<?x3xf32>, tensor<?x3xi32>, tensor<5xi32>) {
  %s = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %s top 3 : !s -> !r
  %w = moe.weights %g : !r -> tensor<?x3xf32>
  %d = arith.addf %w, %w : tensor<?x3xf32>
  %r = moe.with_weights %g, %d : !r, tensor<?x3xf32>
  %o = moe.weights %r : !r -> tensor<?x3xf32>
  %i = moe.indices %r : !r -> tensor<?x3xi32>
  %c = moe.counts %r : !r -> tensor<5xi32>
  return %o, %i, %c : tensor<?x3xf32>, tensor<?x3xi32>, tensor<5xi32>
}
