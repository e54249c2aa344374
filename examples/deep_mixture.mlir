// Deep mixture of experts (arXiv 1312.4314). Special: two layers with a gate each, and in training an expert that got too much so far is switched off.
// Normal form: score softmax(z Wᵀ) of every layer; select all, without experts whose total exceeds the mean by a margin; weight score / sum; on output; experts ReLU; also the new totals.
!x = tensor<?x2xf32>
!s = tensor<?x3xf32>         // 3 experts a layer
!e = tensor<3xf32>
!w = tensor<3x2x2xf32>       // [expert, out, in]
!r = !moe.routing<3, any>

func.func private @gate(%z: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate" : tensor<3x2xf32>
  %l = moe.linear %z, %w : (!x, tensor<3x2xf32>) -> !s
  %g = moe.softmax %l : !s
  %r = moe.route %g all : !s -> !r
  return %r : !r
}

func.func private @experts(%z: !x, %r: !r, %m: !moe.scope) -> !x {
  %w = moe.param %m "experts" : !w
  %in = moe.dispatch %z by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%we = %w) : !r, (!x, !w) -> !x {
    %a = moe.linear %t, %we : (!x, tensor<2x2xf32>) -> !x
    %h = moe.map (%v = %a) : (!x) -> !x {
      %zero = arith.constant 0.0 : f32
      %relu = arith.maximumf %v, %zero : f32
      moe.yield %relu : f32
    }
    moe.yield %h : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// Two layers: 3 · 3 pairs of experts that an input can be made for.
func.func @infer(%x: !x, %m: !moe.scope) -> !x {
  %m1 = moe.scope %m "layer1."
  %m2 = moe.scope %m "layer2."
  %r1 = func.call @gate(%x, %m1) : (!x, !moe.scope) -> !r
  %z1 = func.call @experts(%x, %r1, %m1) : (!x, !r, !moe.scope) -> !x
  %r2 = func.call @gate(%z1, %m2) : (!x, !moe.scope) -> !r
  %z2 = func.call @experts(%z1, %r2, %m2) : (!x, !r, !moe.scope) -> !x
  return %z2 : !x
}

// Experts whose total weight so far exceeds the mean of all by more than the margin get nothing, and the others share what they would have got.
func.func private @balance(%g: !r, %total: !e, %margin: f32) -> (!r, !e) {
  %sum = moe.reduce sum %total over 0 : !e -> tensor<f32>
  %sums = moe.broadcast %sum like %total : tensor<f32>, !e
  %allowed = moe.map (%v = %total, %s = %sums) : (!e, !e) -> tensor<3xi1> {
    %n = arith.constant 3.0 : f32
    %mean = arith.divf %s, %n : f32
    %over = arith.subf %v, %mean : f32
    %b = arith.cmpf ole, %over, %margin : f32
    moe.yield %b : i1
  }
  %some = moe.keep %g where %allowed : !r, tensor<3xi1>
  %r = moe.normalize %some by sum : !r
  %got = moe.importance %r : !r -> !e
  %next = arith.addf %total, %got : !e
  return %r, %next : !r, !e
}

// One batch of training: the output, and the totals of both layers after it. After the first epochs the margin is set to infinity.
func.func @train(%x: !x, %total1: !e, %total2: !e, %margin: f32, %m: !moe.scope) -> (!x, !e, !e) {
  %m1 = moe.scope %m "layer1."
  %m2 = moe.scope %m "layer2."
  %g1 = func.call @gate(%x, %m1) : (!x, !moe.scope) -> !r
  %r1, %next1 = func.call @balance(%g1, %total1, %margin) : (!r, !e, f32) -> (!r, !e)
  %z1 = func.call @experts(%x, %r1, %m1) : (!x, !r, !moe.scope) -> !x
  %g2 = func.call @gate(%z1, %m2) : (!x, !moe.scope) -> !r
  %r2, %next2 = func.call @balance(%g2, %total2, %margin) : (!r, !e, f32) -> (!r, !e)
  %z2 = func.call @experts(%z1, %r2, %m2) : (!x, !r, !moe.scope) -> !x
  return %z2, %next1, %next2 : !x, !e, !e
}
