// Expert selection (mesh_tensorflow). Special: the softmax is over the tokens, and a token divides by the number of experts that took it.
// Normal form: score softmax over tokens of x W; select every expert takes its c best tokens; weight score / experts of the token; on output; capacity c, always full.
!x = tensor<?x16xf32>
!s = tensor<?x8xf32>
!n = tensor<?xf32>
!c = tensor<8xi32>
!r = !moe.routing<8, take>

func.func @expert_selection(%x: !x, %c: index, %m: !moe.scope) -> (!s, !c) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits over 0 : !s
  %g = moe.route %p take %c : !s, index -> !r
  %taken = moe.to_matrix %g : !r -> !s
  %ones = moe.map (%v = %taken) : (!s) -> !s {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %b = arith.cmpf ogt, %v, %zero : f32
    %y = arith.select %b, %one, %zero : f32
    moe.yield %y : f32
  }
  %n = moe.reduce sum %ones over 1 : !s -> !n
  %t = moe.tokens %x : !x
  %n1 = tensor.expand_shape %n [[0, 1]] output_shape [%t, 1] : !n into tensor<?x1xf32>
  %ns = moe.broadcast %n1 like %p : tensor<?x1xf32>, !s
  %shared = moe.map (%v = %p, %k = %ns) : (!s, !s) -> !s {
    %one = arith.constant 1.0 : f32
    %d = arith.maximumf %k, %one : f32
    %q = arith.divf %v, %d : f32
    moe.yield %q : f32
  }
  %r = moe.route %shared by %p take %c : !s, index -> !r
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts : !s, !c
}
