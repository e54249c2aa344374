// CPU code of sums over rows by linalg, of reductions over rows of many columns, and of products by computed weights.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so contract:0,1,7,300 tensors:0,3,64 dense:0,1,33 wide:0,1,5,129 slots:1,50 merged:0,1,40 groups:0,1,40
// RUN: moe-compile %s --level=avx512 --emulated -o %t.512.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.512.so contract:40 tensors:64 dense:33 wide:5 slots:50
!x = tensor<?x19xf32>
!y = tensor<?x37xf32>
!w = tensor<37x19xf32>

// Tiles of four rows and some vectors, with rests of both.
func.func @contract(%y: !y, %x: !x) -> (!w, tensor<37x1xf32>, tensor<1x83xf32>) {
  %n = moe.tokens %x : !x
  %e = tensor.empty(%n) : tensor<37x?xf32>
  %t = linalg.transpose ins(%y : !y) outs(%e : tensor<37x?xf32>) permutation = [1, 0]
  %init = arith.constant dense<0.5> : !w
  %a = linalg.matmul ins(%t, %x : tensor<37x?xf32>, !x) outs(%init : !w) -> !w
  %first = tensor.extract_slice %x[0, 3] [%n, 1] [1, 1] : !x to tensor<?x1xf32>
  %zero = arith.constant dense<0.0> : tensor<37x1xf32>
  %b = linalg.matmul ins(%t, %first : tensor<37x?xf32>, tensor<?x1xf32>) outs(%zero : tensor<37x1xf32>) -> tensor<37x1xf32>
  %f = tensor.empty(%n) : tensor<1x?xf32>
  %u = linalg.transpose ins(%first : tensor<?x1xf32>) outs(%f : tensor<1x?xf32>) permutation = [1, 0]
  %wide = tensor.concat dim(1) %y, %y, %first, %first, %first, %first, %first, %first, %first, %first, %first
      : (!y, !y, tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>, tensor<?x1xf32>,
         tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x83xf32>
  %none = arith.constant dense<0.0> : tensor<1x83xf32>
  %c = linalg.matmul ins(%u, %wide : tensor<1x?xf32>, tensor<?x83xf32>) outs(%none : tensor<1x83xf32>) -> tensor<1x83xf32>
  return %a, %b, %c : !w, tensor<37x1xf32>, tensor<1x83xf32>
}

// Four loops besides rows; a maximum and numbers of loops in the body; two results.
func.func @tensors(%x: tensor<?x2x3x5xf32>, %y: tensor<?x21xf32>) -> (tensor<2x3x5x21xf32>, tensor<3x21xf32>, tensor<3x21xf32>) {
  %zero = arith.constant dense<0.0> : tensor<2x3x5x21xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(b, i, j, n, t) -> (t, b, i, j)>, affine_map<(b, i, j, n, t) -> (t, n)>, affine_map<(b, i, j, n, t) -> (b, i, j, n)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%x, %y : tensor<?x2x3x5xf32>, tensor<?x21xf32>) outs(%zero : tensor<2x3x5x21xf32>) {
  ^bb0(%p: f32, %q: f32, %s: f32):
    %m = arith.mulf %p, %q : f32
    %r = arith.addf %m, %s : f32
    linalg.yield %r : f32
  } -> tensor<2x3x5x21xf32>
  %low = arith.constant dense<-3.0> : tensor<3x21xf32>
  %sum = arith.constant dense<0.0> : tensor<3x21xf32>
  %b:2 = linalg.generic {indexing_maps = [affine_map<(i, n, t) -> (t, n)>, affine_map<(i, n, t) -> (i, n)>, affine_map<(i, n, t) -> (i, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%y : tensor<?x21xf32>) outs(%low, %sum : tensor<3x21xf32>, tensor<3x21xf32>) {
  ^bb0(%p: f32, %s: f32, %v: f32):
    %n = linalg.index 1 : index
    %i = linalg.index 0 : index
    %ni = arith.addi %n, %i : index
    %nw = arith.index_cast %ni : index to i32
    %nf = arith.sitofp %nw : i32 to f32
    %m = arith.mulf %p, %nf : f32
    %r = arith.maximumf %s, %m : f32
    %w = arith.addf %v, %p : f32
    linalg.yield %r, %w : f32, f32
  } -> (tensor<3x21xf32>, tensor<3x21xf32>)
  return %a, %b#0, %b#1 : tensor<2x3x5x21xf32>, tensor<3x21xf32>, tensor<3x21xf32>
}

// Row by row: a product, a sum over columns that no vector walks, a division of integers.
func.func @dense(%y: !y, %w: tensor<37x90xf32>) -> (tensor<?x90xf32>, tensor<?xf32>, tensor<?x37xi32>) {
  %n = moe.tokens %y : !y
  %zero = arith.constant 0.0 : f32
  %z = tensor.splat %zero[%n] : tensor<?x90xf32>
  %a = linalg.matmul ins(%y, %w : !y, tensor<37x90xf32>) outs(%z : tensor<?x90xf32>) -> tensor<?x90xf32>
  %s = tensor.splat %zero[%n] : tensor<?xf32>
  %b = linalg.reduce ins(%y : !y) outs(%s : tensor<?xf32>) dimensions = [1] (%p: f32, %q: f32) {
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  }
  %e = tensor.empty(%n) : tensor<?x37xi32>
  %c = linalg.generic {indexing_maps = [affine_map<(t, j) -> (t, j)>, affine_map<(t, j) -> (t, j)>], iterator_types = ["parallel", "parallel"]} ins(%y : !y) outs(%e : tensor<?x37xi32>) {
  ^bb0(%p: f32, %o: i32):
    %hundred = arith.constant 100.0 : f32
    %three = arith.constant 3 : i32
    %f = arith.mulf %p, %hundred : f32
    %i = arith.fptosi %f : f32 to i32
    %d = arith.divsi %i, %three : i32
    linalg.yield %d : i32
  } -> tensor<?x37xi32>
  return %a, %b, %c : tensor<?x90xf32>, tensor<?xf32>, tensor<?x37xi32>
}

// More columns than a cache line: threads divide them.
func.func @wide(%x: tensor<?x70xf32>) -> (tensor<?x70xf32>, tensor<70xf32>, tensor<70xf32>, tensor<70xf32>) {
  %a = moe.softmax %x over 0 : tensor<?x70xf32>
  %b = moe.reduce sum %x over 0 : tensor<?x70xf32> -> tensor<70xf32>
  %c = moe.reduce max %a over 0 : tensor<?x70xf32> -> tensor<70xf32>
  %d = moe.reduce min %x over 0 : tensor<?x70xf32> -> tensor<70xf32>
  return %a, %b, %c, %d : tensor<?x70xf32>, tensor<70xf32>, tensor<70xf32>, tensor<70xf32>
}

// Soft MoE with experts that compute: two slots for each of three, and a product by what they make.
func.func @slots(%x: !x, %m: !moe.scope) -> !x {
  %mu = moe.param %m "mu" : tensor<6x19xf32>
  %up = moe.param %m "{expert}.up" : tensor<3x23x19xf32>
  %down = moe.param %m "{expert}.down" : tensor<3x19x23xf32>
  %l = moe.linear %x, %mu : (!x, tensor<6x19xf32>) -> tensor<?x6xf32>
  %dispatch = moe.softmax %l over 0 : tensor<?x6xf32>
  %mix = moe.softmax %l : tensor<?x6xf32>
  %t = moe.tokens %x : !x
  %e = tensor.empty(%t) : tensor<6x?xf32>
  %dt = linalg.transpose ins(%dispatch : tensor<?x6xf32>) outs(%e : tensor<6x?xf32>) permutation = [1, 0]
  %zero = arith.constant dense<0.0> : tensor<6x19xf32>
  %slots = linalg.matmul ins(%dt, %x : tensor<6x?xf32>, !x) outs(%zero : tensor<6x19xf32>) -> tensor<6x19xf32>
  %owners = arith.constant dense<[[0], [0], [1], [1], [2], [2]]> : tensor<6x1xi32>
  %ones = arith.constant dense<1.0> : tensor<6x1xf32>
  %ids = tensor.cast %owners : tensor<6x1xi32> to tensor<?x1xi32>
  %one = tensor.cast %ones : tensor<6x1xf32> to tensor<?x1xf32>
  %rows = tensor.cast %slots : tensor<6x19xf32> to !x
  %r = moe.from_indices %ids, %one : tensor<?x1xi32>, tensor<?x1xf32> -> !moe.routing<3, top 1>
  %in = moe.dispatch %rows by %r : !x, !moe.routing<3, top 1>
  %out = moe.expert by %r rows(%s = %in) each(%u = %up, %d = %down) : !moe.routing<3, top 1>, (!x, tensor<3x23x19xf32>, tensor<3x19x23xf32>) -> !x {
    %a = moe.linear %s, %u : (!x, tensor<23x19xf32>) -> tensor<?x23xf32>
    %b = moe.gelu %a tanh : tensor<?x23xf32>
    %c = moe.linear %b, %d : (tensor<?x23xf32>, tensor<19x23xf32>) -> !x
    moe.yield %c : !x
  }
  %back = moe.combine %out by %r unweighted : !x, !moe.routing<3, top 1>
  %o = tensor.cast %back : !x to tensor<6x19xf32>
  %y = moe.linear %mix, %o in_out : (tensor<?x6xf32>, tensor<6x19xf32>) -> !x
  return %y : !x
}

// Weights of experts that depend on the tokens: scaled by the mean of all of them.
func.func @merged(%x: !x, %m: !moe.scope) -> (!x, !x) {
  %w = moe.param %m "{expert}.w" : tensor<3x19x19xf32>
  %g = moe.param %m "gate" : tensor<3x19xf32>
  %l = moe.linear %x, %g : (!x, tensor<3x19xf32>) -> tensor<?x3xf32>
  %r = moe.route %l top 1 : tensor<?x3xf32> -> !moe.routing<3, top 1>
  %sum = moe.reduce max %x over 0 : !x -> tensor<19xf32>
  %like = tensor.empty() : tensor<3x19x19xf32>
  %f = moe.broadcast %sum like %like : tensor<19xf32>, tensor<3x19x19xf32>
  %v = arith.mulf %w, %f : tensor<3x19x19xf32>
  %v0 = tensor.extract_slice %v[1, 0, 0] [1, 19, 19] [1, 1, 1] : tensor<3x19x19xf32> to tensor<19x19xf32>
  %in = moe.dispatch %x by %r : !x, !moe.routing<3, top 1>
  %out = moe.expert by %r rows(%t = %in) each(%e = %v) : !moe.routing<3, top 1>, (!x, tensor<3x19x19xf32>) -> !x {
    %y = moe.linear %t, %e : (!x, tensor<19x19xf32>) -> !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !moe.routing<3, top 1>
  %z = moe.linear %x, %v0 in_out : (!x, tensor<19x19xf32>) -> !x
  return %y, %z : !x, !x
}

// Sums over the rows of every expert, and what is the same for all experts.
func.func @groups(%x: !x, %m: !moe.scope) -> (tensor<3x19x19xf32>, !x) {
  %g = moe.param %m "gate" : tensor<3x19xf32>
  %l = moe.linear %x, %g : (!x, tensor<3x19xf32>) -> tensor<?x3xf32>
  %r = moe.route %l top 2 : tensor<?x3xf32> -> !moe.routing<3, top 2>
  %in = moe.dispatch %x by %r : !x, !moe.routing<3, top 2>
  %zero = arith.constant dense<0.0> : tensor<19x19xf32>
  %out, %sums = moe.expert by %r rows(%t = %in) : !moe.routing<3, top 2>, (!x) -> (!x, tensor<3x19x19xf32>) {
    %s = linalg.generic {indexing_maps = [affine_map<(i, j, t) -> (t, i)>, affine_map<(i, j, t) -> (t, j)>, affine_map<(i, j, t) -> (i, j)>],
        iterator_types = ["parallel", "parallel", "reduction"]} ins(%t, %t : !x, !x) outs(%zero : tensor<19x19xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %a = arith.mulf %p, %q : f32
      %b = arith.addf %o, %a : f32
      linalg.yield %b : f32
    } -> tensor<19x19xf32>
    %g2 = moe.softmax %g : tensor<3x19xf32>
    %b = moe.reduce sum %g2 over 0 : tensor<3x19xf32> -> tensor<19xf32>
    %c = moe.broadcast %b like %t : tensor<19xf32>, !x
    %n = moe.softmax %t over 0 : !x
    %y = arith.mulf %c, %n : !x
    moe.yield rows(%y : !x) each(%s : tensor<19x19xf32>)
  }
  %y = moe.combine %out by %r weighted : !x, !moe.routing<3, top 2>
  return %sums, %y : tensor<3x19x19xf32>, !x
}
