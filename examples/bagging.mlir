// Bagging (Breiman 1996; scikit-learn). Special: everybody visits all experts with equal weights; each was fitted to samples that were drawn with replacement.
// Normal form: score 1; select all; weight 1 / experts; on output; experts linear, or given; also the class of the largest mean probability.
!x = tensor<?x16xf64>
!s = tensor<?x8xf64>
!i = tensor<?xi32>
!t = tensor<?xf64>
!y = tensor<?x1xf64>
!p = tensor<?x3xf64>         // probabilities of 3 classes
!r = !moe.routing<8, any>

func.func private @all(%rows: index) -> !r {
  %like = tensor.empty(%rows) : !s
  %share = arith.constant 0.125 : f64
  %shares = moe.broadcast %share like %like : f64, !s
  %r = moe.route %shares all : !s -> !r
  return %r : !r
}

// Linear experts: 16 coefficients and an intercept each.
func.func @linear(%x: !x, %m: !moe.scope) -> !y {
  %both = moe.param %m "coef" : tensor<8x17xf64>
  %w0 = tensor.extract_slice %both[0, 0] [8, 16] [1, 1] : tensor<8x17xf64> to tensor<8x16xf64>
  %w = tensor.expand_shape %w0 [[0], [1, 2]] output_shape [8, 1, 16] : tensor<8x16xf64> into tensor<8x1x16xf64>
  %b = tensor.extract_slice %both[0, 16] [8, 1] [1, 1] : tensor<8x17xf64> to tensor<8x1xf64>
  %t = moe.tokens %x : !x
  %r = func.call @all(%t) : (index) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%s = %in) each(%we = %w, %be = %b) : !r, (!x, tensor<8x1x16xf64>, tensor<8x1xf64>) -> !y {
    %y = moe.linear %s, %we, %be : (!x, tensor<1x16xf64>, tensor<1xf64>) -> !y
    moe.yield %y : !y
  }
  %y = moe.combine %out by %r weighted : !y, !r
  return %y : !y
}

// Regression trees, which are given as what they say to every sample.
func.func @trees(%outputs: tensor<8x60xf64>, %rows: !i) -> !t {
  %t = moe.tokens %rows : !i
  %r = func.call @all(%t) : (index) -> !r
  %in = moe.dispatch %rows by %r : !i, !r
  %out = moe.expert by %r rows(%s = %in) each(%o = %outputs) : !r, (!i, tensor<8x60xf64>) -> !t {
    %y = moe.gather %o at %s : tensor<60xf64>, !i -> !t
    moe.yield %y : !t
  }
  %y = moe.combine %out by %r weighted : !t, !r
  return %y : !t
}

// Classifiers say probabilities; their mean decides ("soft vote").
func.func @classify(%outputs: tensor<8x60x3xf64>, %rows: !i) -> (!p, tensor<?x1xi32>) {
  %t = moe.tokens %rows : !i
  %r = func.call @all(%t) : (index) -> !r
  %in = moe.dispatch %rows by %r : !i, !r
  %out = moe.expert by %r rows(%s = %in) each(%o = %outputs) : !r, (!i, tensor<8x60x3xf64>) -> !p {
    %y = moe.gather %o at %s : tensor<60x3xf64>, !i -> !p
    moe.yield %y : !p
  }
  %p = moe.combine %out by %r weighted : !p, !r
  %best = moe.route %p top 1 : !p -> !moe.routing<3, top 1>
  %class = moe.indices %best : !moe.routing<3, top 1> -> tensor<?x1xi32>
  return %p, %class : !p, tensor<?x1xi32>
}

// How often each of 60 samples was drawn: a draw is a token that visits its sample.
func.func @bootstrap(%draws: !i) -> tensor<60xi32> {
  %t = moe.tokens %draws : !i
  %ids = tensor.expand_shape %draws [[0, 1]] output_shape [%t, 1] : !i into tensor<?x1xi32>
  %one = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %ids : f32, tensor<?x1xi32>
  %r = moe.from_indices %ids, %ones : tensor<?x1xi32>, tensor<?x1xf32> -> !moe.routing<60, top 1>
  %counts = moe.counts %r : !moe.routing<60, top 1> -> tensor<60xi32>
  return %counts : tensor<60xi32>
}
