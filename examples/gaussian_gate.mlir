// A gate of Gaussians (Xu, Jordan and Hinton 1994). Special: the weight of an expert is the posterior probability that its Gaussian made the input.
// Normal form: score ln alpha + ln N(x | mean, variance); select all; weight softmax(score); on output; experts linear, biases; also the posterior given the target.
!x = tensor<?x2xf32>
!y = tensor<?x1xf32>
!s = tensor<?x3xf32>         // 3 experts
!t = tensor<?xf32>
!e = tensor<3xf32>
!g = tensor<3x2xf32>         // a mean, and a variance of every column, for each expert
!w = tensor<3x1x2xf32>
!b = tensor<3x1xf32>
!r = !moe.routing<3, any>

// ln alpha - sum over columns of ln(v) / 2 + (x - m)² / (2 v), up to a constant: two linear maps, of x² and of x, whose weights are made of the parameters.
func.func private @score(%x: !x, %m: !moe.scope) -> !s {
  %alpha = moe.param %m "alpha" : !e
  %mean = moe.param %m "mean" : !g
  %variance = moe.param %m "variance" : !g
  %square, %line, %rest = moe.map (%u = %mean, %v = %variance) : (!g, !g) -> (!g, !g, !g) {
    %half = arith.constant -0.5 : f32
    %a = arith.divf %half, %v : f32
    %b = arith.divf %u, %v : f32
    %log = math.log %v : f32
    %ub = arith.mulf %u, %b : f32
    %sum = arith.addf %log, %ub : f32
    %c = arith.mulf %sum, %half : f32
    moe.yield %a, %b, %c : f32, f32, f32
  }
  %constant = moe.reduce sum %rest over 1 : !g -> !e
  %prior = math.log %alpha : !e
  %bias = arith.addf %constant, %prior : !e
  %x2 = arith.mulf %x, %x : !x
  %quadratic = moe.linear %x2, %square : (!x, !g) -> !s
  %linear = moe.linear %x, %line, %bias : (!x, !g, !e) -> !s
  %s = arith.addf %quadratic, %linear : !s
  return %s : !s
}

func.func private @experts(%x: !x, %r: !r, %m: !moe.scope) -> !y {
  %w = moe.param %m "weight" : !w
  %b = moe.param %m "bias" : !b
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%we = %w, %be = %b) : !r, (!x, !w, !b) -> !y {
    %o = moe.linear %t, %we, %be : (!x, tensor<1x2xf32>, tensor<1xf32>) -> !y
    moe.yield %o : !y
  }
  return %out : !y
}

// The output, and who is responsible for the input.
func.func @mixture(%x: !x, %m: !moe.scope) -> (!y, !s) {
  %s = func.call @score(%x, %m) : (!x, !moe.scope) -> !s
  %a = moe.route %s all : !s -> !r
  %r = moe.normalize %a by softmax : !r
  %out = func.call @experts(%x, %r, %m) : (!x, !r, !moe.scope) -> !y
  %y = moe.combine %out by %r weighted : !y, !r
  %g = moe.to_matrix %r : !r -> !s
  return %y, %g : !y, !s
}

// The step of expectation: who is responsible when the target is known, too, with a Gaussian of variance 1 around every expert's output.
func.func @posterior(%x: !x, %target: !y, %m: !moe.scope) -> !s {
  %s = func.call @score(%x, %m) : (!x, !moe.scope) -> !s
  %a = moe.route %s all : !s -> !r
  %out = func.call @experts(%x, %a, %m) : (!x, !r, !moe.scope) -> !y
  %want = moe.dispatch %target by %a : !y, !r
  %e = arith.subf %want, %out : !y
  %log = moe.map (%v = %e) : (!y) -> !y {
    %half = arith.constant -0.5 : f32
    %v2 = arith.mulf %v, %v : f32
    %l = arith.mulf %v2, %half : f32
    moe.yield %l : f32
  }
  // One number for each pair becomes a matrix: every expert puts it into a column of its own.
  %places = arith.constant dense<[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]> : tensor<3x3xf32>
  %rows = moe.expert by %a rows(%l = %log) each(%place = %places) : !r, (!y, tensor<3x3xf32>) -> !s {
    %n = moe.tokens %l : !y
    %like = tensor.empty(%n) : !s
    %ls = moe.broadcast %l like %like : !y, !s
    %ps = moe.broadcast %place like %like : tensor<3xf32>, !s
    %row = arith.mulf %ls, %ps : !s
    moe.yield %row : !s
  }
  %likelihood = moe.combine %rows by %a unweighted : !s, !r
  %both = arith.addf %s, %likelihood : !s
  %h = moe.softmax %both : !s
  return %h : !s
}
