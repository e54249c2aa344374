// Soft MoE (arXiv 2308.00951; V-MoE). Special: nothing is discrete: a slot is a mean of all tokens, and a token a mean of all slots.
// Normal form: score normalised x · normalised mu · scale; select all slots, 4 an expert; weight softmax over slots; on output; experts identity; also a slot is softmax over tokens · x.
!x = tensor<?x16xf32>
!s = tensor<?x32xf32>        // 8 experts with 4 slots each
!o = tensor<32x16xf32>       // slots as rows
!l = tensor<f32>
!g = !moe.routing<2, top 1>  // 2 groups
!r = !moe.routing<8, top 1>

// v / sqrt(sum v² + 1e-6)
func.func private @norm(%v: !x) -> !x {
  %square = arith.mulf %v, %v : !x
  %sum = moe.reduce sum %square over 1 : !x -> tensor<?xf32>
  %t = moe.tokens %v : !x
  %column = tensor.expand_shape %sum [[0, 1]] output_shape [%t, 1] : tensor<?xf32> into tensor<?x1xf32>
  %sums = moe.broadcast %column like %v : tensor<?x1xf32>, !x
  %y = moe.map (%a = %v, %s = %sums) : (!x, !x) -> !x {
    %eps = arith.constant 1.0e-6 : f32
    %b = arith.addf %s, %eps : f32
    %r = math.sqrt %b : f32
    %q = arith.divf %a, %r : f32
    moe.yield %q : f32
  }
  return %y : !x
}

func.func private @logits(%x: !x, %scale: !l, %m: !moe.scope) -> !s {
  %mu = moe.param %m "mu" : tensor<16x32xf32>        // [in, expert, slot]
  %mt0 = tensor.empty() : !o
  %mt = linalg.transpose ins(%mu : tensor<16x32xf32>) outs(%mt0 : !o) permutation = [1, 0]
  %md = tensor.cast %mt : !o to !x
  %mn = func.call @norm(%md) : (!x) -> !x
  %ms = tensor.cast %mn : !x to !o
  %xn = func.call @norm(%x) : (!x) -> !x
  %l0 = moe.linear %xn, %ms : (!x, !o) -> !s
  %s  = moe.broadcast %scale like %l0 : !l, !s
  %l  = arith.mulf %l0, %s : !s
  return %l : !s
}

// The layer, on the tokens of one group.
func.func private @mix(%x: !x, %l: !s) -> !x {
  %dispatch = moe.softmax %l over 0 : !s
  %mix      = moe.softmax %l over 1 : !s
  %t   = moe.tokens %x : !x
  %dt0 = tensor.empty(%t) : tensor<32x?xf32>
  %dt  = linalg.transpose ins(%dispatch : !s) outs(%dt0 : tensor<32x?xf32>) permutation = [1, 0]
  %zero = arith.constant dense<0.0> : !o
  %slots = linalg.matmul ins(%dt, %x : tensor<32x?xf32>, !x) outs(%zero : !o) -> !o

  // Slots s, s + 1, ... belong to one expert: a routing of the slots by a constant table.
  %experts = arith.constant dense<[[[0]], [[1]], [[2]], [[3]], [[4]], [[5]], [[6]], [[7]]]> : tensor<8x1x1xi32>
  %like = tensor.empty() : tensor<8x4x1xi32>
  %table = moe.broadcast %experts like %like : tensor<8x1x1xi32>, tensor<8x4x1xi32>
  %owners = tensor.collapse_shape %table [[0, 1], [2]] : tensor<8x4x1xi32> into tensor<32x1xi32>
  %ones = arith.constant dense<1.0> : tensor<32x1xf32>
  %ids = tensor.cast %owners : tensor<32x1xi32> to tensor<?x1xi32>
  %one = tensor.cast %ones : tensor<32x1xf32> to tensor<?x1xf32>
  %r  = moe.from_indices %ids, %one : tensor<?x1xi32>, tensor<?x1xf32> -> !r
  %sd = tensor.cast %slots : !o to !x
  %in = moe.dispatch %sd by %r : !x, !r
  %back = moe.combine %in by %r unweighted : !x, !r
  %o  = tensor.cast %back : !x to !o
  %y  = moe.linear %mix, %o in_out : (!s, !o) -> !x
  return %y : !x
}

func.func @soft_moe(%x: !x, %scale: !l, %m: !moe.scope) -> !x {
  %l = func.call @logits(%x, %scale, %m) : (!x, !l, !moe.scope) -> !s
  %y = func.call @mix(%x, %l) : (!x, !s) -> !x
  return %y : !x
}

// With noise on the logits, which V-MoE's other routers divide by E and this one does not.
func.func @train(%x: !x, %scale: !l, %noise: !s, %m: !moe.scope) -> !x {
  %clean = func.call @logits(%x, %scale, %m) : (!x, !l, !moe.scope) -> !s
  %l = arith.addf %clean, %noise : !s
  %y = func.call @mix(%x, %l) : (!x, !s) -> !x
  return %y : !x
}

// Groups do not mix: each is one expert of a routing by group.
func.func @groups(%x: !x, %seq: tensor<?xi32>, %scale: !l, %m: !moe.scope) -> !x {
  %l = func.call @logits(%x, %scale, %m) : (!x, !l, !moe.scope) -> !s
  %t = moe.tokens %x : !x
  %ids = tensor.expand_shape %seq [[0, 1]] output_shape [%t, 1] : tensor<?xi32> into tensor<?x1xi32>
  %first = tensor.extract_slice %x[0, 0] [%t, 1] [1, 1] : !x to tensor<?x1xf32>
  %one = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %first : f32, tensor<?x1xf32>
  %group = moe.from_indices %ids, %ones : tensor<?x1xi32>, tensor<?x1xf32> -> !g
  %gx = moe.dispatch %x by %group : !x, !g
  %gl = moe.dispatch %l by %group : !s, !g
  %out = moe.expert by %group rows(%xs = %gx, %ls = %gl) : !g, (!x, !s) -> !x {
    %y = func.call @mix(%xs, %ls) : (!x, !s) -> !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %group unweighted : !x, !g
  return %y : !x
}
