// Soft MoE (arXiv 2308.00951; V-MoE). Special: nothing is discrete: a slot is a mean of all tokens, and a token a mean of all slots.
// Normal form: score normalised x · normalised mu · scale; select all slots, 3 or 4 an expert; weight softmax over slots; on output; experts identity; also a slot is softmax over tokens · x.
!x = tensor<?x16xf32>

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

func.func @slots4(%x: !x, %scale: tensor<f32>, %m: !moe.scope) -> !x {
  %mu = moe.param %m "mu" : tensor<16x32xf32>        // [in, expert, slot]
  %mt0 = tensor.empty() : tensor<32x16xf32>
  %mt = linalg.transpose ins(%mu : tensor<16x32xf32>) outs(%mt0 : tensor<32x16xf32>) permutation = [1, 0]
  %md = tensor.cast %mt : tensor<32x16xf32> to !x
  %mn = func.call @norm(%md) : (!x) -> !x
  %ms = tensor.cast %mn : !x to tensor<32x16xf32>
  %xn = func.call @norm(%x) : (!x) -> !x
  %l0 = moe.linear %xn, %ms : (!x, tensor<32x16xf32>) -> tensor<?x32xf32>
  %s  = moe.broadcast %scale like %l0 : tensor<f32>, tensor<?x32xf32>
  %l  = arith.mulf %l0, %s : tensor<?x32xf32>
  %dispatch = moe.softmax %l over 0 : tensor<?x32xf32>
  %mix      = moe.softmax %l over 1 : tensor<?x32xf32>

  %t   = moe.tokens %x : !x
  %dt0 = tensor.empty(%t) : tensor<32x?xf32>
  %dt  = linalg.transpose ins(%dispatch : tensor<?x32xf32>) outs(%dt0 : tensor<32x?xf32>) permutation = [1, 0]
  %zero = arith.constant dense<0.0> : tensor<32x16xf32>
  %slots = linalg.matmul ins(%dt, %x : tensor<32x?xf32>, !x) outs(%zero : tensor<32x16xf32>) -> tensor<32x16xf32>

  // Slot s belongs to expert s / 4: a routing of the slots by a constant table.
  %owners = arith.constant dense<[[0], [0], [0], [0], [1], [1], [1], [1], [2], [2], [2], [2], [3], [3], [3], [3], [4], [4], [4], [4], [5], [5], [5], [5], [6], [6], [6], [6], [7], [7], [7], [7]]> : tensor<32x1xi32>
  %ones = arith.constant dense<1.0> : tensor<32x1xf32>
  %ids = tensor.cast %owners : tensor<32x1xi32> to tensor<?x1xi32>
  %one = tensor.cast %ones : tensor<32x1xf32> to tensor<?x1xf32>
  %r  = moe.from_indices %ids, %one : tensor<?x1xi32>, tensor<?x1xf32> -> !moe.routing<8, top 1>
  %sd = tensor.cast %slots : tensor<32x16xf32> to !x
  %in = moe.dispatch %sd by %r : !x, !moe.routing<8, top 1>
  %back = moe.combine %in by %r unweighted : !x, !moe.routing<8, top 1>
  %o  = tensor.cast %back : !x to tensor<32x16xf32>
  %y  = moe.linear %mix, %o in_out : (tensor<?x32xf32>, tensor<32x16xf32>) -> !x
  return %y : !x
}

func.func @slots3(%x: !x, %scale: tensor<f32>, %m: !moe.scope) -> !x {
  %mu = moe.param %m "mu" : tensor<16x24xf32>        // [in, expert, slot]
  %mt0 = tensor.empty() : tensor<24x16xf32>
  %mt = linalg.transpose ins(%mu : tensor<16x24xf32>) outs(%mt0 : tensor<24x16xf32>) permutation = [1, 0]
  %md = tensor.cast %mt : tensor<24x16xf32> to !x
  %mn = func.call @norm(%md) : (!x) -> !x
  %ms = tensor.cast %mn : !x to tensor<24x16xf32>
  %xn = func.call @norm(%x) : (!x) -> !x
  %l0 = moe.linear %xn, %ms : (!x, tensor<24x16xf32>) -> tensor<?x24xf32>
  %s  = moe.broadcast %scale like %l0 : tensor<f32>, tensor<?x24xf32>
  %l  = arith.mulf %l0, %s : tensor<?x24xf32>
  %dispatch = moe.softmax %l over 0 : tensor<?x24xf32>
  %mix      = moe.softmax %l over 1 : tensor<?x24xf32>

  %t   = moe.tokens %x : !x
  %dt0 = tensor.empty(%t) : tensor<24x?xf32>
  %dt  = linalg.transpose ins(%dispatch : tensor<?x24xf32>) outs(%dt0 : tensor<24x?xf32>) permutation = [1, 0]
  %zero = arith.constant dense<0.0> : tensor<24x16xf32>
  %slots = linalg.matmul ins(%dt, %x : tensor<24x?xf32>, !x) outs(%zero : tensor<24x16xf32>) -> tensor<24x16xf32>

  // Slot s belongs to expert s / 3: a routing of the slots by a constant table.
  %owners = arith.constant dense<[[0], [0], [0], [1], [1], [1], [2], [2], [2], [3], [3], [3], [4], [4], [4], [5], [5], [5], [6], [6], [6], [7], [7], [7]]> : tensor<24x1xi32>
  %ones = arith.constant dense<1.0> : tensor<24x1xf32>
  %ids = tensor.cast %owners : tensor<24x1xi32> to tensor<?x1xi32>
  %one = tensor.cast %ones : tensor<24x1xf32> to tensor<?x1xf32>
  %r  = moe.from_indices %ids, %one : tensor<?x1xi32>, tensor<?x1xf32> -> !moe.routing<8, top 1>
  %sd = tensor.cast %slots : tensor<24x16xf32> to !x
  %in = moe.dispatch %sd by %r : !x, !moe.routing<8, top 1>
  %back = moe.combine %in by %r unweighted : !x, !moe.routing<8, top 1>
  %o  = tensor.cast %back : !x to tensor<24x16xf32>
  %y  = moe.linear %mix, %o in_out : (tensor<?x24xf32>, tensor<24x16xf32>) -> !x
  return %y : !x
}
