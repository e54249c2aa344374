// Switch routing (arXiv 2101.03961; mesh_tensorflow). Special: an expert takes its first c tokens of a group, or its c best ones.
// Normal form: score softmax(x W); select top 1; weight score; on output; capacity c a group, order position or weight, drop; also balance loss, z loss in training.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!t = tensor<?xf32>
!s = tensor<?x8xf32>
!c = tensor<8xi32>
!l = tensor<f32>
!r = !moe.routing<8, top 1>

func.func private @choose(%x: !x, %seq: !i, %m: !moe.scope) -> (!r, !s, !s, !l) {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %logits = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %logits : !s
  %r = moe.route %p top 1 : !s -> !r
  %loss = moe.balance_loss %p of %r counting first scale choices segments %seq : !s, !r, !i
  return %r, %logits, %p, %loss : !r, !s, !s, !l
}

// First come, first served.
func.func @switch(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %logits, %p, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !s, !s, !l)
  %r = moe.limit %g to %c order position overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}

// The most probable first ("switch_max").
func.func @switch_max(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %logits, %p, %loss = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !s, !s, !l)
  %r = moe.limit %g to %c order weight overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}

// In training a z loss with a weight of 0.001 is added.
func.func @train(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %logits, %p, %balance = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !s, !s, !l)
  %r = moe.limit %g to %c order position overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  %z = moe.z_loss %logits : !s
  %coefficient = arith.constant dense<0.001> : !l
  %more = arith.mulf %z, %coefficient : !l
  %loss = arith.addf %balance, %more : !l
  return %gates, %counts, %loss : !s, !c, !l
}

// A token whose importance is not 1 is padding: it visits nobody. The loss counts its choice and its probabilities all the same, and is then
// multiplied by the share of the group that is no padding.
func.func @importance(%x: !x, %seq: !i, %importance: !t, %c: index, %m: !moe.scope) -> (!s, !c, !l) {
  %g, %logits, %p, %unused = func.call @choose(%x, %seq, %m) : (!x, !i, !moe.scope) -> (!r, !s, !s, !l)
  %real, %halves = moe.map (%v = %importance, %n = %seq) : (!t, !i) -> (tensor<?xi1>, !i) {
    %one = arith.constant 1.0 : f32
    %b = arith.cmpf oeq, %v, %one : f32
    %odd = arith.extui %b : i1 to i32
    %even = arith.addi %n, %n : i32
    %half = arith.addi %even, %odd : i32                 // the real and the other tokens of a group as two groups
    moe.yield %b, %half : i1, i32
  }
  %same = moe.segment_size %halves : !i
  %all  = moe.segment_size %seq : !i
  %share = moe.map (%b = %real, %k = %same, %n = %all) : (tensor<?xi1>, !i, !i) -> !t {
    %others = arith.subi %n, %k : i32
    %reals = arith.select %b, %k, %others : i32
    %a = arith.sitofp %reals : i32 to f32
    %d = arith.sitofp %n : i32 to f32
    %q = arith.divf %a, %d : f32
    moe.yield %q : f32
  }
  %t = moe.tokens %x : !x
  %mask  = tensor.expand_shape %real [[0, 1]] output_shape [%t, 1] : tensor<?xi1> into tensor<?x1xi1>
  %share1 = tensor.expand_shape %share [[0, 1]] output_shape [%t, 1] : !t into tensor<?x1xf32>
  %shares = moe.broadcast %share1 like %p : tensor<?x1xf32>, !s
  %scaled = arith.mulf %p, %shares : !s
  %loss = moe.balance_loss %scaled of %g counting first scale choices segments %seq : !s, !r, !i

  %n = moe.keep %g where %mask : !r, tensor<?x1xi1>
  %r = moe.limit %n to %c order position overflow drop segments %seq : !r, index, !i
  %gates  = moe.to_matrix %r : !r -> !s
  %counts = moe.counts %r : !r -> !c
  return %gates, %counts, %loss : !s, !c, !l
}
