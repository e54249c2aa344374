// Numbers of rows: fixed ones that meet dynamic ones, casts, slices and groups of rows, two sizes side by side; what only a call can know is
// checked by the call.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so fixed:3+3+1 column:0+0+4,7+7+4 alone:5+0,0+3,40+7 halves:0,8 pairs:0,1+2,30+60 cut:7,9+4 walk:4 slots:1,9 routed:5 weighted:5 -- --expected_rtol=1e-4
// RUN: moe-run %t.so --list | FileCheck %s --check-prefix=LIST
// LIST: fixed(3x4xf32, 3x4xf32, 1xf32) -> (3x4xf32, 3xf32)
// LIST: column(d0x4xf32, d0xf32, 4xf32) -> (d0x4xf32, d0x4xf32)
// LIST: alone(d0x4xf32, d1x2xf32) -> (d0x4xf32, d1x2xf32, 4xf32)

// RUN: not moe-run %t.so --function=fixed --input=4x4xf32 --input=4x4xf32 --input=1xf32 2>&1 | FileCheck %s --check-prefix=FIXED
// FIXED: input 0 of 'fixed' is 4x4xf32, wanted 3x4xf32
// RUN: not moe-run %t.so --function=halves --input=7x4xf32 2>&1 | FileCheck %s --check-prefix=HALVES
// HALVES: 'halves': splits 7 rows into parts of 2
// RUN: not moe-run %t.so --function=pairs --input=3x2x4xf32 --input=5x4xf32 2>&1 | FileCheck %s --check-prefix=PAIRS
// PAIRS: 'pairs': a tensor of 5 rows meets one of 6 rows
// RUN: moe-run %t.so --function=pairs --input=3x2x4xf32=1 --input=6x4xf32=2 | FileCheck %s --check-prefix=MET
// MET: 6x4xf32=[3 3 3 3]
// RUN: not moe-run %t.so --function=cut --input=5x4xf32 --input=5x4xf32 2>&1 | FileCheck %s --check-prefix=CUT
// CUT: 'cut': index 5 is outside [0, 5)
// RUN: not moe-run %t.so --function=cut --input=7x4xf32 --input=8x4xf32 2>&1 | FileCheck %s --check-prefix=LONGER
// LONGER: 'cut': index 7 is outside [0, 7)
// RUN: not moe-run %t.so --function=routed --input=1x4xf32 --input=9x3xf32 2>&1 | FileCheck %s --check-prefix=ROUTED
// ROUTED: input 1 of 'routed': dimension 0 is 9, but dimension 0 of input 0 is 1, and both are 'd0'
// RUN: not moe-run %t.so --function=weighted --input=9x4xf32 --input=1x3xf32 2>&1 | FileCheck %s --check-prefix=WEIGHTED
// WEIGHTED: input 1 of 'weighted': dimension 0 is 1, but dimension 0 of input 0 is 9, and both are 'd0'
!x = tensor<?x4xf32>

func.func @fixed(%x: !x, %y: !x, %one: tensor<?xf32>) -> (!x, tensor<?xf32>) {
  %k = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [0.5, 0.25, 0.125, -1.0]]> : tensor<3x4xf32>
  %z = tensor.cast %k : tensor<3x4xf32> to !x
  %a = arith.addf %x, %z : !x
  %s = tensor.cast %y : !x to tensor<3x4xf32>
  %b = arith.mulf %s, %k : tensor<3x4xf32>
  %c = tensor.cast %b : tensor<3x4xf32> to !x
  %d = arith.addf %a, %c : !x
  %r = moe.reduce sum %d over 1 : !x -> tensor<?xf32>
  %scalar = tensor.collapse_shape %one [] : tensor<?xf32> into tensor<f32>
  %spread = moe.broadcast %scalar like %r : tensor<f32>, tensor<?xf32>
  %e = arith.addf %r, %spread : tensor<?xf32>
  return %d, %e : !x, tensor<?xf32>
}

// A number per row, and one per column whose size is in no type.
func.func @column(%x: !x, %v: tensor<?xf32>, %w: tensor<?xf32>) -> (!x, !x) {
  %n = moe.tokens %v : tensor<?xf32>
  %c = tensor.expand_shape %v [[0, 1]] output_shape [%n, 1] : tensor<?xf32> into tensor<?x1xf32>
  %y = moe.broadcast %c like %x : tensor<?x1xf32>, !x
  %a = arith.mulf %x, %y : !x
  %m0 = moe.reduce max %a over 0 : !x -> tensor<?xf32>
  %m = tensor.cast %m0 : tensor<?xf32> to tensor<4xf32>
  %w4 = tensor.cast %w : tensor<?xf32> to tensor<4xf32>
  %z = moe.broadcast %m like %x : tensor<4xf32>, !x
  %u = moe.broadcast %w4 like %x : tensor<4xf32>, !x
  %b = arith.subf %z, %u : !x
  return %a, %b : !x, !x
}

// Two sizes that do not meet.
func.func @alone(%x: !x, %y: tensor<?x2xf32>) -> (!x, tensor<?x2xf32>, tensor<4xf32>) {
  %a = moe.softmax %x : !x
  %b = moe.softmax %y over 0 : tensor<?x2xf32>
  %s = moe.reduce sum %y over 0 : tensor<?x2xf32> -> tensor<2xf32>
  %m = moe.reduce sum %x over 0 : !x -> tensor<4xf32>
  %t = tensor.extract_slice %m[0] [2] [1] : tensor<4xf32> to tensor<2xf32>
  %u = arith.addf %s, %t : tensor<2xf32>
  %v = moe.broadcast %u like %y : tensor<2xf32>, tensor<?x2xf32>
  %c = arith.addf %b, %v : tensor<?x2xf32>
  return %a, %c, %m : !x, tensor<?x2xf32>, tensor<4xf32>
}

// Groups of two rows, normalised together.
func.func @halves(%x: !x) -> (!x, tensor<4xf32>) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %n = tensor.dim %x, %c0 : !x
  %h = arith.divsi %n, %c2 : index
  %e = tensor.expand_shape %x [[0, 1], [2]] output_shape [%h, 2, 4] : !x into tensor<?x2x4xf32>
  %m = moe.softmax %e over 1 : tensor<?x2x4xf32>
  %s = moe.reduce sum %m over 1 : tensor<?x2x4xf32> -> !x
  %t = moe.reduce max %s over 0 : !x -> tensor<4xf32>
  %c = tensor.collapse_shape %m [[0, 1], [2]] : tensor<?x2x4xf32> into !x
  %y = arith.addf %c, %x : !x
  return %y, %t : !x, tensor<4xf32>
}

func.func @pairs(%x: tensor<?x2x4xf32>, %y: !x) -> (!x, tensor<4xf32>) {
  %c = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x2x4xf32> into !x
  %s = arith.addf %y, %c : !x
  %n = moe.reduce sum %s over 0 : !x -> tensor<4xf32>
  return %s, %n : !x, tensor<4xf32>
}

func.func @cut(%x: !x, %y: !x) -> (tensor<2x4xf32>, !x, tensor<3x2xf32>) {
  %s = tensor.extract_slice %x[1, 0] [2, 4] [2, 1] : !x to tensor<2x4xf32>
  %a = arith.addf %s, %s : tensor<2x4xf32>
  %n = moe.tokens %y : !x
  %t = tensor.extract_slice %x[0, 0] [%n, 4] [1, 1] : !x to !x
  %b = arith.addf %t, %y : !x
  %u = tensor.extract_slice %x[3, 1] [3, 2] [1, 2] : !x to tensor<3x2xf32>
  %c = arith.mulf %u, %u : tensor<3x2xf32>
  return %a, %b, %c : tensor<2x4xf32>, !x, tensor<3x2xf32>
}

func.func @walk(%x: !x) -> tensor<4x4xf32> {
  %z = arith.constant dense<1.0> : tensor<4x4xf32>
  %g = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j, i)>], iterator_types = ["parallel", "parallel"]}
     ins(%x : !x) outs(%z : tensor<4x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<4x4xf32>
  return %g : tensor<4x4xf32>
}

// Slots are rows of their own: a mean of all tokens for each.
func.func @slots(%x: !x, %w: tensor<?x3xf32>) -> (tensor<3x4xf32>, !x) {
  %z = arith.constant dense<0.0> : tensor<3x4xf32>
  %s = moe.softmax %w over 0 : tensor<?x3xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (k, i)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
     ins(%s, %x : tensor<?x3xf32>, !x) outs(%z : tensor<3x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %o, %p : f32
    linalg.yield %q : f32
  } -> tensor<3x4xf32>
  %d = tensor.cast %m : tensor<3x4xf32> to !x
  %t = moe.softmax %d : !x
  %back = tensor.cast %t : !x to tensor<3x4xf32>
  %row = tensor.extract_slice %back[1, 0] [1, 4] [1, 1] : tensor<3x4xf32> to tensor<4xf32>
  %y = moe.broadcast %row like %x : tensor<4xf32>, !x
  %r = arith.addf %y, %x : !x
  return %m, %r : tensor<3x4xf32>, !x
}

// The rows that a routing moves are as many as it was made of.
!r = !moe.routing<3, top 2>
func.func @routed(%x: !x, %s: tensor<?x3xf32>) -> !x {
  %r = moe.route %s top 2 : tensor<?x3xf32> -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %e = math.exp %in : !x
  %y = moe.combine %e by %r weighted : !x, !r
  return %y : !x
}

func.func @weighted(%x: !x, %s: tensor<?x3xf32>) -> !x {
  %r = moe.route %s top 2 : tensor<?x3xf32> -> !r
  %in = moe.dispatch %x by %r weighted : !x, !r
  %y = moe.combine %in by %r unweighted : !x, !r
  return %y : !x
}
