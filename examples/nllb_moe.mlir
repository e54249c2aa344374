// NLLB-MoE (arXiv 2207.04672). Special: GShard's top-2 gating in a translation model: shares are made before the drop, so who loses one expert keeps less than 1.
// Normal form: score softmax(x Wᵀ); select top 2; weight score / sum; on output; capacity 3, order choice, drop; experts ReLU, biases.
!x = tensor<?x32xf32>
!s = tensor<?x8xf32>
!h = tensor<?x16xf32>
!u = tensor<8x16x32xf32>
!d = tensor<8x32x16xf32>
!r = !moe.routing<8, top 2>

// Published models take 2 · ceil(T / E) tokens an expert in training; evaluation may ask for another number, here 3.
func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.classifier.weight" : tensor<8x32xf32>
  %c = arith.constant 3 : index
  %l = moe.linear %x, %w : (!x, tensor<8x32xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %n = moe.normalize %g by sum at_least 1.1920929e-07 : !r
  %r = moe.limit %n to %c order choice overflow drop : !r, index
  return %r : !r
}

// %m: "model.encoder.layers.1.ffn."
func.func @nllb_moe(%x: !x, %m: !moe.scope) -> !x {
  %w1 = moe.param %m "experts.expert_{expert}.fc1.weight" : !u
  %b1 = moe.param %m "experts.expert_{expert}.fc1.bias" : tensor<8x16xf32>
  %w2 = moe.param %m "experts.expert_{expert}.fc2.weight" : !d
  %b2 = moe.param %m "experts.expert_{expert}.fc2.bias" : tensor<8x32xf32>

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %w1, %ub = %b1, %down = %w2, %db = %b2)
      : !r, (!x, !u, tensor<8x16xf32>, !d, tensor<8x32xf32>) -> !x {
    %a = moe.linear %t, %up, %ub : (!x, tensor<16x32xf32>, tensor<16xf32>) -> !h
    %h = moe.map (%v = %a) : (!h) -> !h {
      %zero = arith.constant 0.0 : f32
      %relu = arith.maximumf %v, %zero : f32
      moe.yield %relu : f32
    }
    %f = moe.linear %h, %down, %db : (!h, tensor<32x16xf32>, tensor<32xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
