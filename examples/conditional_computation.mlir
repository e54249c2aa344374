// Conditional computation (arXiv 1511.06297). Special: every block of hidden units is switched on at random, with a probability that depends on the input; losses keep the blocks rare, different, and in use.
// Normal form: score sigmoid(x Z + b); select every block whose uniform sample is below its score (inference: score at least 1/2); weight 1; on output; experts blocks of ReLU units; also three losses.
!x = tensor<?x2xf32>
!h = tensor<?x2xf32>         // 2 hidden units a block
!s = tensor<?x3xf32>         // 3 blocks
!t = tensor<?xf32>
!e = tensor<3xf32>
!l = tensor<f32>
!u = tensor<3x2x2xf32>       // up of every block, [in, out]
!d = tensor<3x2x2xf32>       // down
!r = !moe.routing<3, any>

func.func private @policy(%x: !x, %m: !moe.scope) -> !s {
  %z = moe.param %m "policy.weight" : tensor<2x3xf32>
  %b = moe.param %m "policy.bias" : !e
  %l = moe.linear %x, %z, %b in_out : (!x, tensor<2x3xf32>, !e) -> !s
  %p = moe.sigmoid %l : !s
  return %p : !s
}

func.func private @blocks(%x: !x, %r: !r, %m: !moe.scope) -> !x {
  %u = moe.param %m "up" : !u
  %d = moe.param %m "down" : !d
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %u, %down = %d) : !r, (!x, !u, !d) -> !x {
    %a = moe.linear %t, %up in_out : (!x, tensor<2x2xf32>) -> !h
    %h = moe.map (%v = %a) : (!h) -> !h {
      %zero = arith.constant 0.0 : f32
      %relu = arith.maximumf %v, %zero : f32
      moe.yield %relu : f32
    }
    %y = moe.linear %h, %down in_out : (!h, tensor<2x2xf32>) -> !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !r
  return %y : !x
}

// With the mean over the T tokens written E: (sum over blocks of (E p - tau)², E (mean over blocks of p - tau)², - sum over blocks of the variance of p).
func.func private @losses(%p: !s, %tau: f32) -> (!l, !l, !l) {
  %t = moe.tokens %p : !s
  %t64 = arith.index_cast %t : index to i64
  %n = arith.sitofp %t64 : i64 to f32
  %sum = moe.reduce sum %p over 0 : !s -> !e
  %p2 = arith.mulf %p, %p : !s
  %sum2 = moe.reduce sum %p2 over 0 : !s -> !e
  %b, %v = moe.map (%a = %sum, %a2 = %sum2) : (!e, !e) -> (!e, !e) {
    %mean = arith.divf %a, %n : f32
    %mean2 = arith.divf %a2, %n : f32
    %d = arith.subf %mean, %tau : f32
    %d2 = arith.mulf %d, %d : f32
    %square = arith.mulf %mean, %mean : f32
    %minus = arith.subf %square, %mean2 : f32
    moe.yield %d2, %minus : f32, f32
  }
  %lb = moe.reduce sum %b over 0 : !e -> !l
  %lv = moe.reduce sum %v over 0 : !e -> !l
  %each = moe.reduce sum %p over 1 : !s -> !t
  %e = moe.map (%a = %each) : (!t) -> !t {
    %blocks = arith.constant 3.0 : f32
    %mean = arith.divf %a, %blocks : f32
    %d = arith.subf %mean, %tau : f32
    %d2 = arith.mulf %d, %d : f32
    %share = arith.divf %d2, %n : f32
    moe.yield %share : f32
  }
  %le = moe.reduce sum %e over 0 : !t -> !l
  return %lb, %le, %lv : !l, !l, !l
}

func.func @train(%x: !x, %sample: !s, %tau: f32, %m: !moe.scope) -> (!x, !l, !l, !l) {
  %p = func.call @policy(%x, %m) : (!x, !moe.scope) -> !s
  %over = arith.subf %p, %sample : !s
  %r = moe.route %p by %over greater_than 0.0 : !s -> !r
  %y = func.call @blocks(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  %lb, %le, %lv = func.call @losses(%p, %tau) : (!s, f32) -> (!l, !l, !l)
  return %y, %lb, %le, %lv : !x, !l, !l, !l
}

func.func @infer(%x: !x, %m: !moe.scope) -> !x {
  %p = func.call @policy(%x, %m) : (!x, !moe.scope) -> !s
  %r = moe.route %p at_least 0.5 : !s -> !r
  %y = func.call @blocks(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %y : !x
}
