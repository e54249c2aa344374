// Expert selection (mesh_tensorflow). Special: the softmax is over the tokens, and a token divides by the number of experts that took it.
// Normal form: score softmax over tokens of x W; select every expert takes its c best tokens; weight score / experts of the token; on output; capacity c, always full; also a loss that wants equal shares for all tokens.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!t = tensor<?xf32>
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!g = !moe.routing<2, top 1>  // 2 groups
!r = !moe.routing<8, take>

func.func @expert_selection(%x: !x, %seq: !i, %importance: !t, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s

  // A group is an expert here: a routing by group gives each its rows, and puts what it makes of them back into their places.
  %t = moe.tokens %x : !x
  %ids = tensor.expand_shape %seq [[0, 1]] output_shape [%t, 1] : !i into tensor<?x1xi32>
  %column = tensor.expand_shape %importance [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %one = arith.constant 1.0 : f32
  %ones1 = moe.broadcast %one like %column : f32, tensor<?x1xf32>
  %group = moe.from_indices %ids, %ones1 : tensor<?x1xi32>, tensor<?x1xf32> -> !g
  %gl = moe.dispatch %logits by %group : !s, !g
  %gi = moe.dispatch %importance by %group : !t, !g
  %gp, %losses = moe.expert by %group rows(%l = %gl, %i = %gi) : !g, (!s, !t) -> (!s, tensor<2xf32>) {
    %p, %loss = func.call @tokens(%l, %i) : (!s, !t) -> (!s, !l)
    moe.yield rows(%p : !s) each(%loss : !l)
  }
  %p = moe.combine %gp by %group unweighted : !s, !g
  %sum = moe.reduce sum %losses over 0 : tensor<2xf32> -> !l
  %share = arith.constant dense<0.5> : !l
  %loss = arith.mulf %sum, %share : !l

  // How many experts took the token.
  %ones = moe.broadcast %one like %p : f32, !s
  %taken = moe.route %ones by %p take %c segments %seq : !s, index, !i -> !r
  %marks = moe.to_matrix %taken : !r -> !s
  %n = moe.reduce sum %marks over 1 : !s -> !t
  %n1 = tensor.expand_shape %n [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %ns = moe.broadcast %n1 like %p : tensor<?x1xf32>, !s
  %shared = moe.map (%v = %p, %k = %ns) : (!s, !s) -> !s {
    %least = arith.constant 1.0 : f32
    %d = arith.maximumf %k, %least : f32
    %q = arith.divf %v, %d : f32
    moe.yield %q : f32
  }
  %r = moe.route %shared by %p take %c segments %seq : !s, index, !i -> !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}

// A softmax over the tokens of a group without padding (importance 0), and their number times the sum over tokens of (mean over experts)².
func.func private @tokens(%logits: !s, %importance: !t) -> (!s, !l) {
  %t = moe.tokens %logits : !s
  %column = tensor.expand_shape %importance [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %is = moe.broadcast %column like %logits : tensor<?x1xf32>, !s
  %masked = moe.map (%v = %logits, %i = %is) : (!s, !s) -> !s {
    %zero = arith.constant 0.0 : f32
    %far = arith.constant -1.0e9 : f32
    %padding = arith.cmpf oeq, %i, %zero : f32
    %low = arith.addf %v, %far : f32
    %y = arith.select %padding, %low, %v : f32
    moe.yield %y : f32
  }
  %p = moe.softmax %masked over 0 : !s
  %sum = moe.reduce sum %p over 1 : !s -> !t
  %squares = moe.map (%v = %sum, %i = %importance) : (!t, !t) -> !t {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %experts = arith.constant 8.0 : f32
    %mean = arith.divf %v, %experts : f32
    %square = arith.mulf %mean, %mean : f32
    %real = arith.cmpf oeq, %i, %one : f32
    %y = arith.select %real, %square, %zero : f32
    moe.yield %y : f32
  }
  %total = moe.reduce sum %squares over 0 : !t -> !l
  %size = moe.reduce sum %importance over 0 : !t -> !l
  %loss = arith.mulf %total, %size : !l
  return %p, %loss : !s, !l
}
