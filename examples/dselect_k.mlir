// DSelect-k (arXiv 2106.03760). Special: selectors are products of smooth bits, which reach 0 and 1 exactly, so the choice has a gradient.
// Normal form: score 2 selectors r(z) over the binary codes of 8 experts, z static or per token; select nonzero; weight sum of softmax(a)ᵢ · r(zᵢ); on output; experts given; also entropy and reachability losses.
!x = tensor<?x16xf32>
!q = tensor<?x8xf32>         // weights of 8 experts
!y = tensor<?x4xf32>
!o = tensor<8x?x4xf32>       // what the experts say to every token
!i = tensor<?xi32>
!a = tensor<?x2xf32>         // 2 selectors
!z = tensor<?x2x3xf32>       // their bits
!s = tensor<?x2x8xf32>       // selector, expert
!c = tensor<?x2x8x3xf32>     // selector, expert, bit
!l = tensor<f32>
!r = !moe.routing<8, any>

// r = product over bits j of S(z_j) where bit j of the expert's code is 1 and 1 - S(z_j) where it is 0.
func.func private @selectors(%z: !z, %gamma: f32) -> !s {
  %codes = arith.constant dense<[[0., 0., 0.], [0., 0., 1.], [0., 1., 0.], [0., 1., 1.], [1., 0., 0.], [1., 0., 1.],
                                 [1., 1., 0.], [1., 1., 1.]]> : tensor<8x3xf32>
  %t = moe.tokens %z : !z
  %like = tensor.empty(%t) : !c
  %z1 = tensor.expand_shape %z [[0], [1, 2], [3]] output_shape [%t, 2, 1, 3] : !z into tensor<?x2x1x3xf32>
  %zs = moe.broadcast %z1 like %like : tensor<?x2x1x3xf32>, !c
  %bs = moe.broadcast %codes like %like : tensor<8x3xf32>, !c
  %p = moe.map (%u = %zs, %b = %bs) : (!c, !c) -> !c {
    %zero = arith.constant 0.0 : f32
    %half = arith.constant 0.5 : f32
    %one = arith.constant 1.0 : f32
    %three_halves = arith.constant 1.5 : f32
    %minus_two = arith.constant -2.0 : f32
    %minus_half = arith.constant -0.5 : f32
    %v = arith.divf %u, %gamma : f32
    %v2 = arith.mulf %v, %v : f32                        // S = -2v³ + 3v/2 + 1/2 for v = z / gamma inside ±1/2
    %v3 = arith.mulf %v2, %v : f32
    %c3 = arith.mulf %v3, %minus_two : f32
    %c1 = arith.mulf %v, %three_halves : f32
    %s0 = arith.addf %c3, %c1 : f32
    %s1 = arith.addf %s0, %half : f32
    %low = arith.cmpf ole, %v, %minus_half : f32
    %high = arith.cmpf oge, %v, %half : f32
    %s2 = arith.select %low, %zero, %s1 : f32
    %s = arith.select %high, %one, %s2 : f32
    %not = arith.subf %one, %s : f32
    %set = arith.cmpf ogt, %b, %half : f32
    %bit = arith.select %set, %s, %not : f32
    moe.yield %bit : f32
  }
  %r = moe.reduce prod %p over 3 : !c -> !s
  return %r : !s
}

// The weights of the experts: the selectors, weighted by a softmax.
func.func private @weights(%r: !s, %a: !a) -> !q {
  %t = moe.tokens %a : !a
  %s = moe.softmax %a : !a
  %s1 = tensor.expand_shape %s [[0], [1, 2]] output_shape [%t, 2, 1] : !a into tensor<?x2x1xf32>
  %ss = moe.broadcast %s1 like %r : tensor<?x2x1xf32>, !s
  %sr = arith.mulf %ss, %r : !s
  %q = moe.reduce sum %sr over 1 : !s -> !q
  return %q : !q
}

// Entropy: 0.01 times the sum of -r log(r + 1e-6). Reachability, for a number of experts that is no power of 2: the sum of 1 / (sum of r), infinite
// for a selector that sits on a code of nobody.
func.func private @losses(%r: !s) -> (!l, !l) {
  %e = moe.map (%v = %r) : (!s) -> !s {
    %eps = arith.constant 1.0e-6 : f32
    %scale = arith.constant -0.01 : f32
    %w = arith.addf %v, %eps : f32
    %log = math.log %w : f32
    %m = arith.mulf %v, %log : f32
    %n = arith.mulf %m, %scale : f32
    moe.yield %n : f32
  }
  %e0 = moe.reduce sum %e over 2 : !s -> !a
  %e1 = moe.reduce sum %e0 over 1 : !a -> tensor<?xf32>
  %entropy = moe.reduce sum %e1 over 0 : tensor<?xf32> -> !l
  %sum = moe.reduce sum %r over 2 : !s -> !a
  %f = moe.map (%v = %sum) : (!a) -> !a {
    %one = arith.constant 1.0 : f32
    %n = arith.divf %one, %v : f32
    moe.yield %n : f32
  }
  %f1 = moe.reduce sum %f over 1 : !a -> tensor<?xf32>
  %reach = moe.reduce sum %f1 over 0 : tensor<?xf32> -> !l
  return %entropy, %reach : !l, !l
}

// The outputs of the experts are given; row t of an expert is the output for token t.
func.func private @mix(%q: !q, %outputs: !o, %rows: !i) -> !y {
  %r   = moe.route %q nonzero : !q -> !r
  %in  = moe.dispatch %rows by %r : !i, !r
  %out = moe.expert by %r rows(%t = %in) each(%o = %outputs) : !r, (!i, !o) -> !y {
    %f = moe.gather %o at %t : !y, !i -> !y
    moe.yield %f : !y
  }
  %y = moe.combine %out by %r weighted : !y, !r
  return %y : !y
}

// Selectors and their weights are parameters, the same for every token.
func.func @static(%outputs: !o, %rows: !i, %gamma: f32, %m: !moe.scope) -> (tensor<8xf32>, !y, !l, !l) {
  %z = moe.param %m "z" : tensor<2x3xf32>
  %a = moe.param %m "a" : tensor<2xf32>
  %z1 = tensor.expand_shape %z [[0, 1], [2]] output_shape [1, 2, 3] : tensor<2x3xf32> into tensor<1x2x3xf32>
  %a1 = tensor.expand_shape %a [[0, 1]] output_shape [1, 2] : tensor<2xf32> into tensor<1x2xf32>
  %z2 = tensor.cast %z1 : tensor<1x2x3xf32> to !z
  %a2 = tensor.cast %a1 : tensor<1x2xf32> to !a
  %r = func.call @selectors(%z2, %gamma) : (!z, f32) -> !s
  %q = func.call @weights(%r, %a2) : (!s, !a) -> !q
  %entropy, %reach = func.call @losses(%r) : (!s) -> (!l, !l)
  %one = moe.reduce sum %q over 0 : !q -> tensor<8xf32>
  %t = moe.tokens %rows : !i
  %like = tensor.empty(%t) : !q
  %qs = moe.broadcast %one like %like : tensor<8xf32>, !q
  %y = func.call @mix(%qs, %outputs, %rows) : (!q, !o, !i) -> !y
  return %one, %y, %entropy, %reach : tensor<8xf32>, !y, !l, !l
}

// Selectors and their weights are linear in the token.
func.func @per_example(%x: !x, %outputs: !o, %rows: !i, %gamma: f32, %m: !moe.scope) -> (!q, !y, !l, !l) {
  %wz = moe.param %m "w_z" : tensor<16x6xf32>
  %bz = moe.param %m "b_z" : tensor<6xf32>
  %wa = moe.param %m "w_a" : tensor<16x2xf32>
  %ba = moe.param %m "b_a" : tensor<2xf32>
  %z6 = moe.linear %x, %wz, %bz in_out : (!x, tensor<16x6xf32>, tensor<6xf32>) -> tensor<?x6xf32>
  %z = moe.split %z6 : tensor<?x6xf32> into !z
  %a = moe.linear %x, %wa, %ba in_out : (!x, tensor<16x2xf32>, tensor<2xf32>) -> !a
  %r = func.call @selectors(%z, %gamma) : (!z, f32) -> !s
  %q = func.call @weights(%r, %a) : (!s, !a) -> !q
  %entropy, %reach = func.call @losses(%r) : (!s) -> (!l, !l)
  %y = func.call @mix(%q, %outputs, %rows) : (!q, !o, !i) -> !y
  return %q, %y, %entropy, %reach : !q, !y, !l, !l
}
