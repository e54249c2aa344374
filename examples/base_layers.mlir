// BASE layers (arXiv 2103.16716; fairseq). Special: training assigns exactly T/E tokens to every expert by an auction, inference is greedy.
// Normal form: score x · centroids; select a balanced assignment of the scores (inference: top 1); weight sigmoid(score); on output; capacity exactly T/E; experts + bias; also + the input.
!s = tensor<?x8xf32>
!x = tensor<?x16xf32>
!c = tensor<8xi32>
!w = tensor<8x16xf32>
!r = !moe.routing<8, top 1>

// Training: the auction of fairseq.
func.func private @assign(%weights: !s, %scores: !s) -> !r {
  %r = moe.assign %weights by %scores epsilon over 50.0 at_least 1.0e-4 rounds 100 : !s -> !r
  return %r : !r
}

func.func @train(%s: !s) -> tensor<?x1xi32> {
  %r = func.call @assign(%s, %s) : (!s, !s) -> !r
  %i = moe.indices %r : !r -> tensor<?x1xi32>
  return %i : tensor<?x1xi32>
}

func.func @infer(%s: !s) -> tensor<?x1xi32> {
  %r = moe.route %s top 1 : !s -> !r
  %i = moe.indices %r : !r -> tensor<?x1xi32>
  return %i : tensor<?x1xi32>
}

// How good an assignment is: the tokens of every expert, and the sum of the assigned scores.
func.func @quality(%s: !s) -> (!c, tensor<f32>) {
  %r = func.call @assign(%s, %s) : (!s, !s) -> !r
  %counts = moe.counts %r : !r -> !c
  %each = moe.importance %r : !r -> tensor<8xf32>
  %sum = moe.reduce sum %each over 0 : tensor<8xf32> -> tensor<f32>
  return %counts, %sum : !c, tensor<f32>
}

// f(h) = sigmoid(h · w) * expert(h) + h; here the experts add their bias, so that the file stays small.
func.func @base(%h: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "centroids" : !w
  %b = moe.param %m "bias" : !w
  %s = moe.linear %h, %w : (!x, !w) -> !s
  %g = moe.sigmoid %s : !s
  %r = func.call @assign(%g, %s) : (!s, !s) -> !r
  %in  = moe.dispatch %h by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%be = %b) : !r, (!x, !w) -> !x {
    %v = moe.broadcast %be like %t : tensor<16xf32>, !x
    %f = arith.addf %t, %v : !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  %z = arith.addf %y, %h : !x
  return %z : !x
}
