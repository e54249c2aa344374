// AdaBoost (SAMME; scikit-learn). Special: everybody visits all experts, whose weights come from their errors one stage after the other; experts are decision stumps.
// Normal form: score alpha, one number per expert; select all; weight alpha / sum; on output; experts a threshold of one column, then a vote for a class; also the class of most votes.
!x = tensor<?x16xf64>
!t = tensor<?xf64>
!c = tensor<?x2xf64>         // votes for 2 classes
!m = tensor<8xf64>           // one number for each of 8 stages
!h = tensor<8x60xi64>        // what stage m says to sample n
!y = tensor<60xi64>
!n = tensor<60xf64>
!w = tensor<8x60xf64>
!r = !moe.routing<8, any>

// Stage m fits a classifier to samples of weight w, has the error e = sum of w where it is wrong, and the weight alpha = rate (ln((1 - e) / e) + ln(K - 1)).
// Then wrong samples count exp(alpha) times as much. The errors, the alphas and the weights w of every stage:
func.func @train(%says: !h, %y: !y, %rate: f64) -> (!m, !m, !w) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %stages = arith.constant 8 : index
  %equal = arith.constant dense<0.016666666666666666> : !n
  %none = arith.constant dense<0.0> : !m
  %nothing = arith.constant dense<0.0> : !w
  %one = arith.constant 1.0 : f64
  %others = arith.constant 0.0 : f64                     // ln(K - 1)
  %last, %errors, %alphas, %weights = scf.for %m = %c0 to %stages step %c1
      iter_args(%w = %equal, %es = %none, %as = %none, %ws = %nothing) -> (!n, !m, !m, !w) {
    %h = tensor.extract_slice %says[%m, 0] [1, 60] [1, 1] : !h to !y
    %wrong = moe.map (%a = %h, %b = %y) : (!y, !y) -> !n {
      %yes = arith.constant 1.0 : f64
      %no = arith.constant 0.0 : f64
      %differ = arith.cmpi ne, %a, %b : i64
      %v = arith.select %differ, %yes, %no : f64
      moe.yield %v : f64
    }
    %bad = arith.mulf %w, %wrong : !n
    %sum = moe.reduce sum %bad over 0 : !n -> tensor<f64>
    %e = tensor.extract %sum[] : tensor<f64>
    %good = arith.subf %one, %e : f64
    %odds = arith.divf %good, %e : f64
    %log = math.log %odds : f64
    %log2 = arith.addf %log, %others : f64
    %alpha = arith.mulf %rate, %log2 : f64
    %more = moe.map (%a = %w, %b = %wrong) : (!n, !n) -> !n {
      %g = arith.mulf %alpha, %b : f64
      %f = math.exp %g : f64
      %v = arith.mulf %a, %f : f64
      moe.yield %v : f64
    }
    %total = moe.reduce sum %more over 0 : !n -> tensor<f64>
    %totals = moe.broadcast %total like %more : tensor<f64>, !n
    %next = arith.divf %more, %totals : !n
    %e1 = tensor.insert %e into %es[%m] : !m
    %a1 = tensor.insert %alpha into %as[%m] : !m
    %w1 = tensor.insert_slice %w into %ws[%m, 0] [1, 60] [1, 1] : !n into !w
    scf.yield %next, %e1, %a1, %w1 : !n, !m, !m, !w
  }
  return %errors, %alphas, %weights : !m, !m, !w
}

// A stump votes 1 for its class and -1 / (K - 1) for the others. The votes of the first %stages experts, and the class of most votes.
func.func @predict(%x: !x, %stages: index, %m: !moe.scope) -> (!c, tensor<?x1xi32>) {
  %alpha = moe.param %m "alpha" : !m
  %column = moe.param %m "feature" : tensor<8x1x16xf64>  // 1 for the column that the stump looks at
  %threshold = moe.param %m "threshold" : !m
  %left  = moe.param %m "left" : tensor<8x2xf64>         // votes below the threshold, or at it
  %right = moe.param %m "right" : tensor<8x2xf64>
  %t = moe.tokens %x : !x
  %like = tensor.empty(%t) : tensor<?x8xf64>
  %weights = moe.broadcast %alpha like %like : !m, tensor<?x8xf64>
  %all = moe.route %weights all : tensor<?x8xf64> -> !r
  %number = arith.constant dense<[0, 1, 2, 3, 4, 5, 6, 7]> : tensor<8xindex>
  %mask = moe.map (%i = %number) : (tensor<8xindex>) -> tensor<8xi1> {
    %b = arith.cmpi ult, %i, %stages : index
    moe.yield %b : i1
  }
  %some = moe.keep %all where %mask : !r, tensor<8xi1>
  %r = moe.normalize %some by sum : !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%s = %in) each(%w = %column, %b = %threshold, %l = %left, %g = %right)
      : !r, (!x, tensor<8x1x16xf64>, !m, tensor<8x2xf64>, tensor<8x2xf64>) -> !c {
    %v = moe.linear %s, %w : (!x, tensor<1x16xf64>) -> tensor<?x1xf64>
    %n = moe.tokens %s : !x
    %c = tensor.empty(%n) : !c
    %vs = moe.broadcast %v like %c : tensor<?x1xf64>, !c
    %bs = moe.broadcast %b like %c : tensor<f64>, !c
    %ls = moe.broadcast %l like %c : tensor<2xf64>, !c
    %gs = moe.broadcast %g like %c : tensor<2xf64>, !c
    %vote = moe.map (%value = %vs, %at = %bs, %below = %ls, %above = %gs) : (!c, !c, !c, !c) -> !c {
      %is = arith.cmpf ogt, %value, %at : f64
      %y = arith.select %is, %above, %below : f64
      moe.yield %y : f64
    }
    moe.yield %vote : !c
  }
  %votes = moe.combine %out by %r weighted : !c, !r
  %best = moe.route %votes top 1 : !c -> !moe.routing<2, top 1>
  %class = moe.indices %best : !moe.routing<2, top 1> -> tensor<?x1xi32>
  return %votes, %class : !c, tensor<?x1xi32>
}

// The decision function of two classes is the difference of their votes, so twice the mean of ±1.
func.func @decision(%x: !x, %m: !moe.scope) -> !t {
  %stages = arith.constant 8 : index
  %votes, %class = func.call @predict(%x, %stages, %m) : (!x, index, !moe.scope) -> (!c, tensor<?x1xi32>)
  %signs = arith.constant dense<[-1.0, 1.0]> : tensor<2xf64>
  %s = moe.broadcast %signs like %votes : tensor<2xf64>, !c
  %signed = arith.mulf %votes, %s : !c
  %d = moe.reduce sum %signed over 1 : !c -> !t
  return %d : !t
}
