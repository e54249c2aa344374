// Standard operations in CPU code: linalg by rows and over all rows, slices and concatenations, integers and i1.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so lin:0,7 sums:1,7 slices:0,7 ints:7 mixing:0,9 wide:0,9:special -- --expected_rtol=1e-4
!x = tensor<?x6xf32>
func.func @lin(%x: !x, %w: tensor<6x5xf32>, %b: tensor<6xf32>) -> (tensor<?x5xf32>, !x) {
  %c0 = arith.constant 0 : index
  %z = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : !x
  %e = tensor.empty(%n) : tensor<?x5xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<?x5xf32>) -> tensor<?x5xf32>
  %y = linalg.matmul ins(%x, %w : !x, tensor<6x5xf32>) outs(%f : tensor<?x5xf32>) -> tensor<?x5xf32>
  %e2 = tensor.empty(%n) : !x
  %g = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
     ins(%x, %b : !x, tensor<6xf32>) outs(%e2 : !x) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %i = linalg.index 1 : index
    %k = arith.index_cast %i : index to i32
    %l = arith.sitofp %k : i32 to f32
    %s = arith.addf %a, %c : f32
    %t = arith.mulf %s, %l : f32
    linalg.yield %t : f32
  } -> !x
  return %y, %g : tensor<?x5xf32>, !x
}
func.func @sums(%x: !x) -> (tensor<6xf32>, tensor<6x6xf32>, tensor<6xf32>) {
  %z = arith.constant dense<1.0> : tensor<6xf32>
  %z2 = arith.constant dense<0.0> : tensor<6x6xf32>
  %s = linalg.reduce ins(%x : !x) outs(%z : tensor<6xf32>) dimensions = [0]
     (%a: f32, %b: f32) { %c = arith.addf %a, %b : f32 linalg.yield %c : f32 }
  %g = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (k, i)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
     ins(%x, %x : !x, !x) outs(%z2 : tensor<6x6xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s2 = arith.mulf %a, %c : f32
    %t = arith.addf %s2, %o : f32
    linalg.yield %t : f32
  } -> tensor<6x6xf32>
  %m = moe.softmax %x over 0 : !x
  %r = moe.reduce max %m over 0 : !x -> tensor<6xf32>
  return %s, %g, %r : tensor<6xf32>, tensor<6x6xf32>, tensor<6xf32>
}
func.func @slices(%x: !x, %b: tensor<4x6xf32>, %y: tensor<?x3xf32>) -> (!x, tensor<?x9xf32>, tensor<7x6xf32>, tensor<4x6xf32>, tensor<?x2x3xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : !x
  %s = tensor.extract_slice %x[0, 1][%n, 3][1, 2] : !x to tensor<?x3xf32>
  %t = arith.addf %s, %y : tensor<?x3xf32>
  %i = tensor.insert_slice %t into %x[0, 2][%n, 3][1, 1] : tensor<?x3xf32> into !x
  %c = tensor.concat dim(1) %x, %t : (!x, tensor<?x3xf32>) -> tensor<?x9xf32>
  %u = tensor.extract_slice %b[1, 0][3, 6][1, 1] : tensor<4x6xf32> to tensor<3x6xf32>
  %d = tensor.concat dim(0) %u, %b : (tensor<3x6xf32>, tensor<4x6xf32>) -> tensor<7x6xf32>
  %v = tensor.extract_slice %b[2, 0][1, 6][1, 1] : tensor<4x6xf32> to tensor<6xf32>
  %w = tensor.insert_slice %v into %b[0, 0][1, 6][1, 1] : tensor<6xf32> into tensor<4x6xf32>
  %e = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 2, 3] : !x into tensor<?x2x3xf32>
  %k = arith.constant 2.5 : f32
  %sp = tensor.splat %k[%n] : tensor<?x2x3xf32>
  %m = arith.mulf %e, %sp : tensor<?x2x3xf32>
  return %i, %c, %d, %w, %m : !x, tensor<?x9xf32>, tensor<7x6xf32>, tensor<4x6xf32>, tensor<?x2x3xf32>
}
func.func @ints(%x: tensor<?x6xi32>, %y: tensor<?x6xf32>) -> (tensor<?x6xi32>, tensor<?x6xf32>, tensor<?xi32>, tensor<?x6xi8>, tensor<6xi32>) {
  %c = moe.map (%a = %x) : (tensor<?x6xi32>) -> tensor<?x6xi32> {
    %k = arith.constant 3 : i32
    %d = arith.divsi %a, %k : i32
    %r = arith.remsi %a, %k : i32
    %s = arith.shli %d, %r : i32
    moe.yield %s : i32
  }
  %f = arith.sitofp %c : tensor<?x6xi32> to tensor<?x6xf32>
  %m = arith.cmpf ogt, %f, %y : tensor<?x6xf32>
  %sel = arith.select %m, %f, %y : tensor<?x6xi1>, tensor<?x6xf32>
  %sum = moe.reduce sum %c over 1 : tensor<?x6xi32> -> tensor<?xi32>
  %z = arith.extui %m : tensor<?x6xi1> to tensor<?x6xi8>
  %all = moe.reduce max %c over 0 : tensor<?x6xi32> -> tensor<6xi32>
  return %c, %sel, %sum, %z, %all : tensor<?x6xi32>, tensor<?x6xf32>, tensor<?xi32>, tensor<?x6xi8>, tensor<6xi32>
}

// What is one instruction exists in f64 too.
func.func @wide(%x: tensor<?x5xf64>, %y: tensor<?x5xf64>) -> (tensor<?x5xf64>, tensor<?x5xf64>, tensor<?x5xf64>, tensor<?x5xf64>, tensor<?x5xf64>, tensor<?x5xf64>) {
  %a = math.absf %x : tensor<?x5xf64>
  %b = math.ceil %x : tensor<?x5xf64>
  %c = math.copysign %b, %y : tensor<?x5xf64>
  %d = math.floor %x : tensor<?x5xf64>
  %e = math.fma %x, %y, %a : tensor<?x5xf64>
  %f = math.roundeven %x : tensor<?x5xf64>
  %g = math.sqrt %a : tensor<?x5xf64>
  %h = math.trunc %x : tensor<?x5xf64>
  return %c, %d, %e, %f, %g, %h : tensor<?x5xf64>, tensor<?x5xf64>, tensor<?x5xf64>, tensor<?x5xf64>, tensor<?x5xf64>, tensor<?x5xf64>
}

// Rows that mix inside experts: a loop over groups, with the same operations in it.
!r = !moe.routing<4, top 2>
func.func @mixing(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "router" : tensor<4x6xf32>
  %e = moe.param %m "{expert}.w" : tensor<4x6x6xf32>
  %l = moe.linear %x, %w : (!x, tensor<4x6xf32>) -> tensor<?x4xf32>
  %g = moe.route %l top 2 : tensor<?x4xf32> -> !r
  %n = moe.normalize %g by softmax : !r
  %in = moe.dispatch %x by %n : !x, !r
  %out = moe.expert by %n rows(%t = %in) each(%a = %e) : !r, (!x, tensor<4x6x6xf32>) -> !x {
    %y = moe.linear %t, %a : (!x, tensor<6x6xf32>) -> !x
    %z = arith.constant dense<0.0> : tensor<6xf32>
    %s = linalg.reduce ins(%y : !x) outs(%z : tensor<6xf32>) dimensions = [0]
       (%p: f32, %q: f32) { %v = arith.addf %p, %q : f32 linalg.yield %v : f32 }
    %f = moe.softmax %y over 0 : !x
    %c = moe.broadcast %s like %f : tensor<6xf32>, !x
    %d = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
       ins(%c : !x) outs(%f : !x) {
    ^bb0(%p: f32, %q: f32):
      %i = linalg.index 0 : index
      %k = arith.index_cast %i : index to i32
      %b = arith.sitofp %k : i32 to f32
      %o = arith.mulf %p, %q : f32
      %u = arith.addf %o, %b : f32
      linalg.yield %u : f32
    } -> !x
    moe.yield %d : !x
  }
  %y = moe.combine %out by %n weighted : !x, !r
  return %y : !x
}
