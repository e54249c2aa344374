// What the folds of the routing algebra change, for check_semantics.py: factors of weights, tables, weights before the last linear.
!x = tensor<?x6xf32>
!h = tensor<?x5xf32>
!s = tensor<?x4xf32>
!w = tensor<?x2xf32>
!i = tensor<?x2xi32>
!u = tensor<4x5x6xf32>
!d = tensor<4x6x5xf32>
!r = !moe.routing<4, top 2>
!any = !moe.routing<4, any>

func.func @factors(%s: !s, %x: !x) -> (!x, !w, !w, !w) {
  %p = moe.sigmoid %s : !s
  %g = moe.route %p top 2 : !s -> !r
  %in = moe.dispatch %x by %g : !x, !r
  %a = moe.scale %g by -0.5 : !r
  %n = moe.normalize %a by sum : !r
  %b = moe.scale %g by 3.0 : !r
  %l = moe.normalize %b by lp 2.0 : !r
  %c = moe.scale %l by 2.0 : !r
  %e = moe.scale %c by 1.5 : !r
  %k = moe.normalize %b by sum plus 0.125 : !r
  %y = moe.combine %in by %e weighted : !x, !r
  %q = moe.map (%v = %y) : (!x) -> !x {
    %f = arith.constant 0.75 : f32
    %z = arith.mulf %v, %f : f32
    moe.yield %z : f32
  }
  %half = arith.constant 0.5 : f32
  %o = moe.combine %in by %n weighted : !x, !r
  %hb = moe.broadcast %half like %o : f32, !x
  %oh = arith.mulf %hb, %o : !x
  %sum = arith.addf %q, %oh : !x
  %w0 = moe.weights %n : !r -> !w
  %w1 = moe.weights %e : !r -> !w
  %w2 = moe.weights %k : !r -> !w
  return %sum, %w0, %w1, %w2 : !x, !w, !w, !w
}

// Empty slots, tokens that nobody took.
func.func @activations(%s: !s, %x: !x, %u: !u, %d: !d, %v: tensor<6x6xf32>) -> (!x, !x, tensor<4xi32>) {
  %g = moe.route %s greater_than 0.25 : !s -> !any
  %r = moe.scale %g by 0.5 : !any
  %in = moe.dispatch %x by %g : !x, !any
  %out = moe.expert by %g rows(%t = %in) each(%up = %u, %down = %d) : !any, (!x, !u, !d) -> !x {
    %a = moe.linear %t, %up : (!x, tensor<5x6xf32>) -> !h
    %h = moe.silu %a : !h
    %f = moe.linear %h, %down : (!h, tensor<6x5xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !any
  %k = moe.route %s top 2 : !s -> !r
  %c1 = arith.constant 1 : index
  %limited = moe.limit %k to %c1 order choice overflow drop : !r, index
  %kin = moe.dispatch %x by %limited : !x, !r
  %kout = moe.expert by %limited rows(%t = %kin) : !r, (!x) -> !x
      range 0 to 3 {
    %f = moe.linear %t, %v in_out : (!x, tensor<6x6xf32>) -> !x
    moe.yield %f : !x
  }
      range 3 to 4 {
    %a = moe.relu2 %t : !x
    %f = moe.linear %a, %v : (!x, tensor<6x6xf32>) -> !x
    moe.yield %f : !x
  }
  %z = moe.combine %kout by %limited weighted : !x, !r
  %counts = moe.counts %limited : !r -> tensor<4xi32>
  return %y, %z, %counts : !x, !x, tensor<4xi32>
}

func.func @tables(%x: tensor<6x6xf32>, %d: tensor<3x6x6xf32>, %p: tensor<4xf32>) -> (tensor<?x6xf32>, tensor<6x1xf32>) {
  %experts = arith.constant dense<[[[2]], [[0]], [[1]]]> : tensor<3x1x1xi64>
  %like = tensor.empty() : tensor<3x2x1xi64>
  %pairs = moe.broadcast %experts like %like : tensor<3x1x1xi64>, tensor<3x2x1xi64>
  %table = tensor.collapse_shape %pairs [[0, 1], [2]] : tensor<3x2x1xi64> into tensor<6x1xi64>
  %hash = arith.constant dense<[5, 1, 3, 2, 0, 4]> : tensor<6xi32>
  %ids = tensor.cast %hash : tensor<6xi32> to tensor<?xi32>
  %r = moe.lookup %ids in %table : tensor<?xi32>, tensor<6x1xi64> -> !moe.routing<3, top 1>
  %rows = tensor.cast %x : tensor<6x6xf32> to !x
  %in = moe.dispatch %rows by %r : !x, !moe.routing<3, top 1>
  %out = moe.expert by %r rows(%t = %in) each(%v = %d) : !moe.routing<3, top 1>, (!x, tensor<3x6x6xf32>) -> !x {
    %f = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !moe.routing<3, top 1>
  %inner = arith.constant dense<[[3], [0], [0], [2], [1], [3]]> : tensor<6x1xi32>
  %i = moe.gather %inner at %hash : tensor<6x1xi32>, tensor<6xi32> -> tensor<6x1xi32>
  %q = moe.gather %p at %i : tensor<4xf32>, tensor<6x1xi32> -> tensor<6x1xf32>
  return %y, %q : !x, tensor<6x1xf32>
}
