// Residual MoE (arXiv 2201.05596; DeepSpeed). Special: a dense MLP sees every token, one expert corrects it, and a learned softmax says token by token how much each of the two counts.
// Normal form: score softmax(x Wᵀ); select top 1; weight score; on output; experts GELU, biases; also + a dense MLP, by softmax(x C + c).
!x = tensor<?x16xf32>
!s = tensor<?x4xf32>
!h = tensor<?x24xf32>
!two = tensor<?x2xf32>
!one = tensor<?x1xf32>
!r = !moe.routing<4, top 1>

func.func private @mlp(%x: !x, %w1: tensor<24x16xf32>, %b1: tensor<24xf32>, %w2: tensor<16x24xf32>, %b2: tensor<16xf32>) -> !x {
  %a = moe.linear %x, %w1, %b1 : (!x, tensor<24x16xf32>, tensor<24xf32>) -> !h
  %h = moe.gelu %a tanh : !h
  %f = moe.linear %h, %w2, %b2 : (!h, tensor<16x24xf32>, tensor<16xf32>) -> !x
  return %f : !x
}

func.func private @routed(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "gate.wg.weight" : tensor<4x16xf32>
  %w1 = moe.param %m "experts.{expert}.dense_h_to_4h.weight" : tensor<4x24x16xf32>
  %b1 = moe.param %m "experts.{expert}.dense_h_to_4h.bias" : tensor<4x24xf32>
  %w2 = moe.param %m "experts.{expert}.dense_4h_to_h.weight" : tensor<4x16x24xf32>
  %b2 = moe.param %m "experts.{expert}.dense_4h_to_h.bias" : tensor<4x16xf32>
  %l = moe.linear %x, %wg : (!x, tensor<4x16xf32>) -> !s
  %s = moe.softmax %l : !s
  %r = moe.route %s top 1 : !s -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%v1 = %w1, %c1 = %b1, %v2 = %w2, %c2 = %b2)
      : !r, (!x, tensor<4x24x16xf32>, tensor<4x24xf32>, tensor<4x16x24xf32>, tensor<4x16xf32>) -> !x {
    %f = func.call @mlp(%t, %v1, %c1, %v2, %c2) : (!x, tensor<24x16xf32>, tensor<24xf32>, tensor<16x24xf32>, tensor<16xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func private @dense(%x: !x, %m: !moe.scope) -> !x {
  %w1 = moe.param %m "mlp.dense_h_to_4h.weight" : tensor<24x16xf32>
  %b1 = moe.param %m "mlp.dense_h_to_4h.bias" : tensor<24xf32>
  %w2 = moe.param %m "mlp.dense_4h_to_h.weight" : tensor<16x24xf32>
  %b2 = moe.param %m "mlp.dense_4h_to_h.bias" : tensor<16xf32>
  %y = func.call @mlp(%x, %w1, %b1, %w2, %b2) : (!x, tensor<24x16xf32>, tensor<24xf32>, tensor<16x24xf32>, tensor<16xf32>) -> !x
  return %y : !x
}

func.func @residual_moe(%x: !x, %m: !moe.scope) -> !x {
  %wc = moe.param %m "coefficient.weight" : tensor<2x16xf32>
  %bc = moe.param %m "coefficient.bias" : tensor<2xf32>
  %routed = func.call @routed(%x, %m) : (!x, !moe.scope) -> !x
  %dense  = func.call @dense(%x, %m) : (!x, !moe.scope) -> !x
  %l = moe.linear %x, %wc, %bc : (!x, tensor<2x16xf32>, tensor<2xf32>) -> !two
  %c = moe.softmax %l : !two
  %t  = moe.tokens %x : !x
  %c0 = tensor.extract_slice %c[0, 0] [%t, 1] [1, 1] : !two to !one
  %c1 = tensor.extract_slice %c[0, 1] [%t, 1] [1, 1] : !two to !one
  %p0 = moe.broadcast %c0 like %x : !one, !x
  %p1 = moe.broadcast %c1 like %x : !one, !x
  %y0 = arith.mulf %routed, %p0 : !x
  %y1 = arith.mulf %dense, %p1 : !x
  %y  = arith.addf %y0, %y1 : !x
  return %y : !x
}
