// Cosine router (X-MoE, arXiv 2204.09179; Tutel). Special: logits are cosines of a projected token and of expert vectors, so no expert wins by its length; a learned temperature, 100 at most.
// Normal form: score softmax(min(exp(t), 100) · cos(P x, v)); select top 2; weight score / sum; on output.
!x = tensor<?x32xf32>
!p = tensor<?x12xf32>
!v = tensor<12x8xf32>
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>

// Rows divided by their length.
func.func private @unit_rows(%x: !p) -> !p {
  %q   = arith.mulf %x, %x : !p
  %sum = moe.reduce sum %q over 1 : !p -> tensor<?xf32>
  %n   = moe.tokens %x : !p
  %column = tensor.expand_shape %sum [[0, 1]] output_shape [%n, 1] : tensor<?xf32> into tensor<?x1xf32>
  %sums = moe.broadcast %column like %x : tensor<?x1xf32>, !p
  %y = moe.map (%a = %x, %b = %sums) : (!p, !p) -> !p {
    %least  = arith.constant 1.0e-12 : f32
    %length = math.sqrt %b : f32
    %l = arith.maximumf %length, %least : f32
    %c = arith.divf %a, %l : f32
    moe.yield %c : f32
  }
  return %y : !p
}

// Columns divided by their length; this depends on the checkpoint alone, so it is computed once.
func.func private @unit_columns(%v: !v) -> !v {
  %q    = arith.mulf %v, %v : !v
  %sum  = moe.reduce sum %q over 0 : !v -> tensor<8xf32>
  %sums = moe.broadcast %sum like %v : tensor<8xf32>, !v
  %y = moe.map (%a = %v, %b = %sums) : (!v, !v) -> !v {
    %least  = arith.constant 1.0e-12 : f32
    %length = math.sqrt %b : f32
    %l = arith.maximumf %length, %least : f32
    %c = arith.divf %a, %l : f32
    moe.yield %c : f32
  }
  return %y : !v
}

func.func private @logits(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "cosine_projector.weight" : tensor<12x32xf32>
  %b = moe.param %m "cosine_projector.bias" : tensor<12xf32>
  %v = moe.param %m "sim_matrix" : !v
  %t = moe.param %m "temperature" : tensor<1xf32>
  %p0 = moe.linear %x, %w, %b : (!x, tensor<12x32xf32>, tensor<12xf32>) -> !p
  %p  = func.call @unit_rows(%p0) : (!p) -> !p
  %u  = func.call @unit_columns(%v) : (!v) -> !v
  %cos = moe.linear %p, %u in_out : (!p, !v) -> !s
  %scale = moe.map (%e = %t) : (tensor<1xf32>) -> tensor<1xf32> {
    %most = arith.constant 4.60517018598809136 : f32    // log 100
    %c = arith.minimumf %e, %most : f32
    %y = math.exp %c : f32
    moe.yield %y : f32
  }
  %scales = moe.broadcast %scale like %cos : tensor<1xf32>, !s
  %l = arith.mulf %cos, %scales : !s
  return %l : !s
}

func.func @routing(%x: !x, %m: !moe.scope) -> (!s, tensor<?x2xi32>, tensor<?x2xf32>) {
  %l = func.call @logits(%x, %m) : (!x, !moe.scope) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum at_least 1.1920929e-07 : !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %l, %i, %w : !s, tensor<?x2xi32>, tensor<?x2xf32>
}
