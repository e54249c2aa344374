// Switch Transformers (arXiv 2101.03961; as Hugging Face runs them). Special: an expert takes 2 tokens of a sequence, first come, first served.
// Normal form: score softmax(x Wᵀ); select top 1; weight score; on output; capacity 2 a sequence, order position, drop; experts ReLU.
!x = tensor<?x64xf32>
!i = tensor<?xi32>           // whose sequence a row is
!s = tensor<?x8xf32>
!h = tensor<?x48xf32>
!u = tensor<8x48x64xf32>
!d = tensor<8x64x48xf32>
!r = !moe.routing<8, top 1>

func.func private @router(%x: !x, %seq: !i, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.classifier.weight" : tensor<8x64xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x64xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 1 : !s -> !r
  %c = arith.constant 2 : index
  %r = moe.limit %g to %c order position overflow drop segments %seq : !r, index, !i
  return %r : !r
}

// %m: "encoder.block.1.layer.1.mlp."
func.func @switch_transformers(%x: !x, %seq: !i, %m: !moe.scope) -> !x {
  %wi = moe.param %m "experts.expert_{expert}.wi.weight" : !u
  %wo = moe.param %m "experts.expert_{expert}.wo.weight" : !d

  %r   = func.call @router(%x, %seq, %m) : (!x, !i, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %wi, %down = %wo) : !r, (!x, !u, !d) -> !x {
    %a = moe.linear %t, %up : (!x, tensor<48x64xf32>) -> !h
    %h = moe.map (%v = %a) : (!h) -> !h {
      %zero = arith.constant 0.0 : f32
      %relu = arith.maximumf %v, %zero : f32
      moe.yield %relu : f32
    }
    %f = moe.linear %h, %down : (!h, tensor<64x48xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// A dropped token has expert -1 and weight 0.
func.func @routing(%x: !x, %seq: !i, %m: !moe.scope) -> (tensor<?x1xi32>, tensor<?x1xf32>) {
  %r = func.call @router(%x, %seq, %m) : (!x, !i, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x1xi32>
  %w = moe.weights %r : !r -> tensor<?x1xf32>
  return %i, %w : tensor<?x1xi32>, tensor<?x1xf32>
}
