// BASE layers (arXiv 2103.16716; fairseq). Special: training assigns exactly T/E tokens to every expert by an auction, inference is greedy.
// Normal form: score x · centroids; select a balanced assignment of the scores (inference: top 1); weight sigmoid(score); on output; capacity exactly T/E; experts + bias; also + the input.

func.func @train8(%s: tensor<?x8xf32>) -> tensor<?x1xi32> {
  %r = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : tensor<?x8xf32> -> !moe.routing<8, top 1>
  %i = moe.indices %r : !moe.routing<8, top 1> -> tensor<?x1xi32>
  return %i : tensor<?x1xi32>
}

func.func @train4(%s: tensor<?x4xf32>) -> tensor<?x1xi32> {
  %r = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : tensor<?x4xf32> -> !moe.routing<4, top 1>
  %i = moe.indices %r : !moe.routing<4, top 1> -> tensor<?x1xi32>
  return %i : tensor<?x1xi32>
}

func.func @infer(%s: tensor<?x8xf32>) -> tensor<?x1xi32> {
  %r = moe.route %s top 1 : tensor<?x8xf32> -> !moe.routing<8, top 1>
  %i = moe.indices %r : !moe.routing<8, top 1> -> tensor<?x1xi32>
  return %i : tensor<?x1xi32>
}

// How good an assignment is: the tokens of every expert, and the sum of the assigned scores.
func.func @quality(%s: tensor<?x8xf32>) -> (tensor<8xi32>, tensor<f32>) {
  %r = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : tensor<?x8xf32> -> !moe.routing<8, top 1>
  %counts = moe.counts %r : !moe.routing<8, top 1> -> tensor<8xi32>
  %each = moe.importance %r : !moe.routing<8, top 1> -> tensor<8xf32>
  %sum = moe.reduce sum %each over 0 : tensor<8xf32> -> tensor<f32>
  return %counts, %sum : tensor<8xi32>, tensor<f32>
}

// f(h) = sigmoid(h · w) * expert(h) + h; here the experts add their bias, so that the file stays small.
func.func @base(%h: tensor<?x16xf32>, %m: !moe.scope) -> tensor<?x16xf32> {
  %w = moe.param %m "centroids" : tensor<8x16xf32>
  %b = moe.param %m "bias" : tensor<8x16xf32>
  %s = moe.linear %h, %w : (tensor<?x16xf32>, tensor<8x16xf32>) -> tensor<?x8xf32>
  %g = moe.sigmoid %s : tensor<?x8xf32>
  %r = moe.assign %g by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : tensor<?x8xf32> -> !moe.routing<8, top 1>
  %in  = moe.dispatch %h by %r : tensor<?x16xf32>, !moe.routing<8, top 1>
  %out = moe.expert by %r rows(%t = %in) each(%be = %b) : !moe.routing<8, top 1>, (tensor<?x16xf32>, tensor<8x16xf32>) -> tensor<?x16xf32> {
    %v = moe.broadcast %be like %t : tensor<16xf32>, tensor<?x16xf32>
    %f = arith.addf %t, %v : tensor<?x16xf32>
    moe.yield %f : tensor<?x16xf32>
  }
  %y = moe.combine %out by %r weighted : tensor<?x16xf32>, !moe.routing<8, top 1>
  %z = arith.addf %y, %h : tensor<?x16xf32>
  return %z : tensor<?x16xf32>
}
