// Statistics of a routing (MaxVio, arXiv 2408.15664; Jain et al. 1984). Special: no router but what people measure of one: balance, use, dropping and doubt, each a few lines of arithmetic.
// Normal form: score softmax(logits); select top 2; weight score; on output; capacity c, order choice, drop; also ten numbers.
!s = tensor<?x4xf32>         // 4 experts
!t = tensor<?xf32>
!e = tensor<4xf32>
!l = tensor<f32>
!r = !moe.routing<4, top 2>

// n tokens per expert, in f32.
func.func private @load(%r: !r) -> !e {
  %counts = moe.counts %r : !r -> tensor<4xi32>
  %n = arith.sitofp %counts : tensor<4xi32> to !e
  return %n : !e
}

// How even the load is. Over the mean: the largest load (MaxOverload), and by how much it is above (MaxVio, 0 at balance); Jain's fairness
// (sum n)² / (E sum n²), 1 at balance and 1/E when one expert gets all; the variance over the mean²; the entropy of n / sum n, ln E at balance.
func.func private @balance(%n: !e) -> (!l, !l, !l, !l, !l) {
  %experts = arith.constant dense<4.0> : !l
  %one = arith.constant dense<1.0> : !l
  %sum = moe.reduce sum %n over 0 : !e -> !l
  %mean = arith.divf %sum, %experts : !l
  %max = moe.reduce max %n over 0 : !e -> !l
  %overload = arith.divf %max, %mean : !l
  %violation = arith.subf %overload, %one : !l
  %n2 = arith.mulf %n, %n : !e
  %sum2 = moe.reduce sum %n2 over 0 : !e -> !l
  %square = arith.mulf %sum, %sum : !l
  %most = arith.mulf %experts, %sum2 : !l
  %fairness = arith.divf %square, %most : !l
  %variation = moe.cv_squared %n plus 0.0 : !e
  %all = moe.broadcast %sum like %n : !l, !e
  %terms = moe.map (%v = %n, %a = %all) : (!e, !e) -> !e {
    %zero = arith.constant 0.0 : f32
    %share = arith.divf %v, %a : f32
    %log = math.log %share : f32
    %p = arith.mulf %share, %log : f32
    %minus = arith.subf %zero, %p : f32
    %none = arith.cmpf oeq, %v, %zero : f32
    %y = arith.select %none, %zero, %minus : f32
    moe.yield %y : f32
  }
  %entropy = moe.reduce sum %terms over 0 : !e -> !l
  return %overload, %violation, %fairness, %variation, %entropy : !l, !l, !l, !l, !l
}

// Experts that nobody visits.
func.func private @dead(%n: !e) -> !l {
  %marks = moe.map (%v = %n) : (!e) -> !e {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %none = arith.cmpf oeq, %v, %zero : f32
    %y = arith.select %none, %one, %zero : f32
    moe.yield %y : f32
  }
  %dead = moe.reduce sum %marks over 0 : !e -> !l
  return %dead : !l
}

// The share of pairs that a capacity drops, and the share of tokens that it leaves without any expert.
func.func private @dropped(%all: !r, %kept: !r) -> (!l, !l) {
  %before = func.call @load(%all) : (!r) -> !e
  %after = func.call @load(%kept) : (!r) -> !e
  %b = moe.reduce sum %before over 0 : !e -> !l
  %a = moe.reduce sum %after over 0 : !e -> !l
  %lost = arith.subf %b, %a : !l
  %pairs = arith.divf %lost, %b : !l
  %ids = moe.indices %kept : !r -> tensor<?x2xi32>
  %largest = moe.reduce max %ids over 1 : tensor<?x2xi32> -> tensor<?xi32>
  %marks = moe.map (%v = %largest) : (tensor<?xi32>) -> !t {
    %zero = arith.constant 0 : i32
    %no = arith.constant 0.0 : f32
    %yes = arith.constant 1.0 : f32
    %unserved = arith.cmpi slt, %v, %zero : i32
    %y = arith.select %unserved, %yes, %no : f32
    moe.yield %y : f32
  }
  %count = moe.reduce sum %marks over 0 : !t -> !l
  %tokens = func.call @share(%count, %marks) : (!l, !t) -> !l
  return %pairs, %tokens : !l, !l
}

// A sum over tokens, divided by their number.
func.func private @share(%sum: !l, %rows: !t) -> !l {
  %t = moe.tokens %rows : !t
  %t64 = arith.index_cast %t : index to i64
  %n = arith.sitofp %t64 : i64 to f32
  %ns = moe.broadcast %n like %sum : f32, !l
  %y = arith.divf %sum, %ns : !l
  return %y : !l
}

// How undecided the router is: the mean entropy of the scores, and the mean distance of the best score to the next one.
func.func private @doubt(%p: !s) -> (!l, !l) {
  %terms = moe.map (%v = %p) : (!s) -> !s {
    %zero = arith.constant 0.0 : f32
    %log = math.log %v : f32
    %m = arith.mulf %v, %log : f32
    %n = arith.negf %m : f32
    %none = arith.cmpf oeq, %v, %zero : f32
    %y = arith.select %none, %zero, %n : f32
    moe.yield %y : f32
  }
  %each = moe.reduce sum %terms over 1 : !s -> !t
  %sum = moe.reduce sum %each over 0 : !t -> !l
  %entropy = func.call @share(%sum, %each) : (!l, !t) -> !l
  %best = moe.route %p top 2 : !s -> !r
  %w = moe.weights %best : !r -> tensor<?x2xf32>
  %first = moe.reduce max %w over 1 : tensor<?x2xf32> -> !t
  %second = moe.reduce min %w over 1 : tensor<?x2xf32> -> !t
  %gap = arith.subf %first, %second : !t
  %gaps = moe.reduce sum %gap over 0 : !t -> !l
  %margin = func.call @share(%gaps, %gap) : (!l, !t) -> !l
  return %entropy, %margin : !l, !l
}

// Before the drop: MaxOverload, MaxVio, fairness, variation, entropy of the load, dead experts. Then dropped pairs and unserved tokens, entropy of the router, margin.
func.func @statistics(%logits: !s, %c: index) -> (!l, !l, !l, !l, !l, !l, !l, !l, !l, !l) {
  %p = moe.softmax %logits : !s
  %g = moe.route %p top 2 : !s -> !r
  %r = moe.limit %g to %c order choice overflow drop : !r, index
  %n = func.call @load(%g) : (!r) -> !e
  %overload, %violation, %fairness, %variation, %load_entropy = func.call @balance(%n) : (!e) -> (!l, !l, !l, !l, !l)
  %dead = func.call @dead(%n) : (!e) -> !l
  %pairs, %tokens = func.call @dropped(%g, %r) : (!r, !r) -> (!l, !l)
  %entropy, %margin = func.call @doubt(%p) : (!s) -> (!l, !l)
  return %overload, %violation, %fairness, %variation, %load_entropy, %dead, %pairs, %tokens, %entropy, %margin : !l, !l, !l, !l, !l, !l, !l, !l, !l, !l
}
