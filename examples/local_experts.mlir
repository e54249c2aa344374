// Adaptive mixtures of local experts (Jacobs, Jordan, Nowlan and Hinton 1991). Special: the first of them: everybody visits all experts, and the loss lets one expert, not their sum, explain a target.
// Normal form: score softmax(x Wᵀ); select all; weight score; on output; experts linear; also the loss -ln sum of weight · exp(-|target - expert|² / 2).
!x = tensor<?x2xf32>
!s = tensor<?x2xf32>         // 2 experts
!p = tensor<?x1xf32>
!t = tensor<?xf32>
!w = tensor<2x2x2xf32>       // [expert, out, in]
!r = !moe.routing<2, any>

func.func private @gate(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate" : tensor<2x2xf32>
  %l = moe.linear %x, %w : (!x, tensor<2x2xf32>) -> !s
  %g = moe.softmax %l : !s
  %r = moe.route %g all : !s -> !r
  return %r : !r
}

func.func @mixture(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "experts" : !w
  %r = func.call @gate(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%we = %w) : !r, (!x, !w) -> !x {
    %o = moe.linear %t, %we : (!x, tensor<2x2xf32>) -> !x
    moe.yield %o : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// One number per token. The error of the sum, |target - sum of weight · expert|², would make experts cooperate; in this one they compete.
func.func @loss(%x: !x, %target: !x, %m: !moe.scope) -> !p {
  %w = moe.param %m "experts" : !w
  %r = func.call @gate(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %want = moe.dispatch %target by %r : !x, !r
  %likely = moe.expert by %r rows(%t = %in, %d = %want) each(%we = %w) : !r, (!x, !x, !w) -> !p {
    %o = moe.linear %t, %we : (!x, tensor<2x2xf32>) -> !x
    %e = arith.subf %d, %o : !x
    %e2 = arith.mulf %e, %e : !x
    %sum = moe.reduce sum %e2 over 1 : !x -> !t
    %likelihood = moe.map (%v = %sum) : (!t) -> !t {
      %half = arith.constant -0.5 : f32
      %h = arith.mulf %v, %half : f32
      %l = math.exp %h : f32
      moe.yield %l : f32
    }
    %n = moe.tokens %t : !x
    %column = tensor.expand_shape %likelihood [[0, 1]] output_shape [%n, 1] : !t into !p
    moe.yield %column : !p
  }
  %p = moe.combine %likely by %r weighted : !p, !r
  %loss = moe.map (%v = %p) : (!p) -> !p {
    %log = math.log %v : f32
    %n = arith.negf %log : f32
    moe.yield %n : f32
  }
  return %loss : !p
}
