// RUN: moe-opt --moe-fold-transposes %s | FileCheck %s

// The maps of the sums read what the transposed tensor was made from.
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[C:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[T:.*]] = affine_map<(d0, d1, d2) -> (d1, d2, d0)>
// CHECK-DAG: #[[I:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: func.func @folds(
// CHECK-SAME:    %[[D:.*]]: tensor<?x32xf32>, %[[X:.*]]: tensor<?x64xf32>
// CHECK-NOT:     linalg.transpose
// CHECK:         linalg.generic {indexing_maps = [#[[A]], #[[B]], #[[C]]], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[D]], %[[X]] :
func.func @folds(%d: tensor<?x32xf32>, %x: tensor<?x64xf32>, %z: tensor<32x64xf32>, %n: index) -> tensor<32x64xf32> {
  %e = tensor.empty(%n) : tensor<32x?xf32>
  %t = linalg.transpose ins(%d : tensor<?x32xf32>) outs(%e : tensor<32x?xf32>) permutation = [1, 0]
  %s = linalg.matmul ins(%t, %x : tensor<32x?xf32>, tensor<?x64xf32>) outs(%z : tensor<32x64xf32>) -> tensor<32x64xf32>
  return %s : tensor<32x64xf32>
}

// Three dimensions, turned twice; dimension 0 of what is read is dimension 2 of the source.
// CHECK-LABEL: func.func @folds_twice(
// CHECK-SAME:    %[[X:.*]]: tensor<4x5x6xf32>
// CHECK:         linalg.generic {indexing_maps = [#[[T]], #[[I]]]
// CHECK-SAME:      ins(%[[X]] : tensor<4x5x6xf32>)
func.func @folds_twice(%x: tensor<4x5x6xf32>) -> tensor<6x4x5xf32> {
  %e = tensor.empty() : tensor<5x6x4xf32>
  %a = linalg.transpose ins(%x : tensor<4x5x6xf32>) outs(%e : tensor<5x6x4xf32>) permutation = [1, 2, 0]
  %f = tensor.empty() : tensor<6x4x5xf32>
  %b = linalg.transpose ins(%a : tensor<5x6x4xf32>) outs(%f : tensor<6x4x5xf32>) permutation = [1, 2, 0]
  %c = linalg.exp ins(%b : tensor<6x4x5xf32>) outs(%f : tensor<6x4x5xf32>) -> tensor<6x4x5xf32>
  return %c : tensor<6x4x5xf32>
}

// CHECK-LABEL: func.func @not_other_readers(
// CHECK:         %[[T:.*]] = linalg.transpose
// CHECK:         math.exp %[[T]]
func.func @not_other_readers(%x: tensor<4x5xf32>) -> tensor<5x4xf32> {
  %e = tensor.empty() : tensor<5x4xf32>
  %a = linalg.transpose ins(%x : tensor<4x5xf32>) outs(%e : tensor<5x4xf32>) permutation = [1, 0]
  %b = math.exp %a : tensor<5x4xf32>
  return %b : tensor<5x4xf32>
}
