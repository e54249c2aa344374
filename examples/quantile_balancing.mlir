// Quantile balancing (Megatron-LM). Special: after a batch every expert gets the bias with which it would have had its share of the tokens.
// Normal form: score given; key score - beta; select top 2; weight not this program's; on output; also beta' = the (T k/E + 1)-th largest score - alpha of an expert.
!s = tensor<?x8xf32>
!e = tensor<8xf32>
!r = !moe.routing<8, top 2>

// alpha is what a token has without the expert: its best score - beta that is not chosen. The next beta of an expert is the (T k/E + 1)-th largest
// score - alpha, so that T k/E tokens would gain from it.
func.func @quantile(%s: !s, %beta: !e) -> (tensor<?x2xi32>, !e) {
  %b = moe.broadcast %beta like %s : !e, !s
  %key = arith.subf %s, %b : !s
  %g = moe.route %key top 2 : !s -> !r
  %ids = moe.indices %g : !r -> tensor<?x2xi32>
  %more = moe.route %key top 3 : !s -> !moe.routing<8, top 3>
  %best = moe.weights %more : !moe.routing<8, top 3> -> tensor<?x3xf32>
  %alpha = moe.reduce min %best over 1 : tensor<?x3xf32> -> tensor<?xf32>
  %t = moe.tokens %s : !s
  %column = tensor.expand_shape %alpha [[0, 1]] output_shape [%t, 1] : tensor<?xf32> into tensor<?x1xf32>
  %alphas = moe.broadcast %column like %s : tensor<?x1xf32>, !s
  %gain = arith.subf %s, %alphas : !s

  // The (T k / E + 1)-th largest gain of every expert is the least of those that it would take.
  %c1 = arith.constant 1 : index
  %k = arith.constant 2 : index
  %experts = arith.constant 8 : index
  %pairs = arith.muli %t, %k : index
  %n = arith.divsi %pairs, %experts : index
  %n1 = arith.addi %n, %c1 : index
  %one = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %gain : f32, !s
  %taken = moe.route %ones by %gain take %n1 : !s, index -> !moe.routing<8, take>
  %marks = moe.to_matrix %taken : !moe.routing<8, take> -> !s
  %kept = moe.map (%v = %gain, %m = %marks) : (!s, !s) -> !s {
    %zero = arith.constant 0.0 : f32
    %far = arith.constant 0x7F800000 : f32
    %is = arith.cmpf ogt, %m, %zero : f32
    %y = arith.select %is, %v, %far : f32
    moe.yield %y : f32
  }
  %next = moe.reduce min %kept over 0 : !s -> !e
  return %ids, %next : tensor<?x2xi32>, !e
}
