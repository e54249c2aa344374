// Dense rows: linears of every shape, epilogues of every kind, layers in a loop.
!x = tensor<?x6xf32>
!w = tensor<6x6xf32>

func.func @linears(%x: !x, %v: tensor<6xf32>, %m: !moe.scope) -> (tensor<4xf32>, tensor<?x2x4xf32>) {
  %w = moe.param %m "w" : tensor<4x6xf32>
  %u = moe.param %m "u" : tensor<3x4xf32>
  %b = moe.param %m "b" : tensor<4xf32>
  %o = moe.linear %v, %w, %b : (tensor<6xf32>, tensor<4x6xf32>, tensor<4xf32>) -> tensor<4xf32>
  %s = moe.split %x : !x into tensor<?x2x3xf32>
  %h = moe.linear %s, %u in_out : (tensor<?x2x3xf32>, tensor<3x4xf32>) -> tensor<?x2x4xf32>
  return %o, %h : tensor<4xf32>, tensor<?x2x4xf32>
}

// Three linears of the same rows in one expression, a bias, a residual, and a value that is also returned.
func.func @expression(%x: !x, %m: !moe.scope) -> (!x, !x) {
  %w0 = moe.param %m "w0" : !w
  %w1 = moe.param %m "w1" : !w
  %w2 = moe.param %m "w2" : !w
  %b  = moe.param %m "b6" : tensor<6xf32>
  %p = moe.linear %x, %w0 : (!x, !w) -> !x
  %q = moe.linear %x, %w1, %b : (!x, !w, tensor<6xf32>) -> !x
  %r = moe.linear %x, %w2 : (!x, !w) -> !x
  %s = moe.sigmoid %p : !x
  %t = arith.mulf %p, %s : !x
  %u = arith.mulf %t, %q : !x
  %v = arith.addf %u, %r : !x
  %c = moe.broadcast %b like %v : tensor<6xf32>, !x
  %d = arith.addf %v, %c : !x
  %e = arith.addf %d, %x : !x
  return %e, %q : !x, !x
}

// One matmul in the epilogue of another, a mask of comparisons, constants.
func.func @chain(%x: !x, %m: !moe.scope) -> !x {
  %w0 = moe.param %m "w0" : !w
  %w1 = moe.param %m "w1" : !w
  %p = moe.linear %x, %w0 : (!x, !w) -> !x
  %q = moe.map (%a = %p) : (!x) -> !x {
    %zero = arith.constant 0.0 : f32
    %c = arith.cmpf ogt, %a, %zero : f32
    %s = arith.select %c, %a, %zero : f32
    %e = math.tanh %s : f32
    moe.yield %e : f32
  }
  %r = moe.linear %q, %w1 : (!x, !w) -> !x
  %s = arith.addf %r, %p : !x
  %n = moe.softmax %s : !x
  %t = arith.mulf %n, %r : !x
  return %t : !x
}

// Weights narrowed and widened, in packing and outside of it.
func.func @conversions(%x: !x, %m: !moe.scope) -> !x {
  %w0 = moe.param %m "w0" : !w
  %wb = moe.param %m "wb" : tensor<6x6xbf16>
  %b  = moe.param %m "bb" : tensor<6xbf16>
  %n0 = arith.truncf %w0 : !w to tensor<6x6xbf16>
  %n1 = arith.extf %n0 : tensor<6x6xbf16> to !w
  %n2 = arith.extf %wb : tensor<6x6xbf16> to !w
  %n3 = arith.addf %n1, %n2 : !w
  %c  = arith.extf %b : tensor<6xbf16> to tensor<6xf32>
  %p = moe.linear %x, %n1, %b : (!x, !w, tensor<6xbf16>) -> !x
  %q = moe.linear %p, %n2, %c : (!x, !w, tensor<6xf32>) -> !x
  %r = moe.linear %q, %n3 : (!x, !w) -> !x
  return %r : !x
}

func.func private @layer(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "w" : !w
  %p = moe.linear %x, %w : (!x, !w) -> !x
  %q = arith.addf %p, %x : !x
  return %q : !x
}

// Two layers by a loop, one by hand.
func.func @layers(%x: !x, %m: !moe.scope) -> !x {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %y = scf.for %i = %c0 to %c2 step %c1 iter_args(%xi = %x) -> (!x) {
    %j = arith.addi %i, %c1 : index
    %mi = moe.scope %m "layers.{}." at %j
    %xo = func.call @layer(%xi, %mi) : (!x, !moe.scope) -> !x
    scf.yield %xo : !x
  }
  %last = moe.scope %m "last."
  %z = func.call @layer(%y, %last) : (!x, !moe.scope) -> !x
  return %z : !x
}
