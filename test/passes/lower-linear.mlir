// RUN: moe-opt --split-input-file --moe-lower-linear %s | FileCheck %s

// CHECK-LABEL: func.func @bias_and_conversion(
// CHECK-SAME:    %[[X:.*]]: tensor<?x6xbf16>, %[[W:.*]]: tensor<6x4xf32>, %[[B:.*]]: tensor<4xbf16>
// CHECK-NEXT:    %[[P:.*]] = grouped.pack %[[W]] in_out : tensor<6x4xf32> -> !grouped.packed<1x4x6xf32, 1>
// CHECK-NEXT:    %[[Y:.*]] = grouped.matmul %[[X]] weights %[[P]] with(%[[B]])
// CHECK-NEXT:    ^bb0(%[[ACC:.*]]: f32, %[[BIAS:.*]]: bf16):
// CHECK-NEXT:      %[[E:.*]] = arith.extf %[[BIAS]] : bf16 to f32
// CHECK-NEXT:      %[[S:.*]] = arith.addf %[[ACC]], %[[E]]
// CHECK-NEXT:      %[[T:.*]] = arith.truncf %[[S]] : f32 to bf16
// CHECK-NEXT:      grouped.yield rows(%[[T]] : bf16)
// CHECK:         return %[[Y]]
func.func @bias_and_conversion(%x: tensor<?x6xbf16>, %w: tensor<6x4xf32>, %b: tensor<4xbf16>) -> tensor<?x4xbf16> {
  %y = moe.linear %x, %w, %b in_out : (tensor<?x6xbf16>, tensor<6x4xf32>, tensor<4xbf16>) -> tensor<?x4xbf16>
  return %y : tensor<?x4xbf16>
}

// -----
// CHECK-LABEL: func.func @leading_dimensions(
// CHECK-SAME:    %[[X:.*]]: tensor<?x2x6xf32>
// CHECK-NEXT:    %[[C:.*]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2]] : tensor<?x2x6xf32> into tensor<?x6xf32>
// CHECK:         %[[M:.*]] = grouped.matmul %[[C]]
// CHECK:         %[[D:.*]] = tensor.dim %[[X]], %c0
// CHECK:         tensor.expand_shape %[[M]] {{\[\[}}0, 1], [2]] output_shape [%[[D]], 2, 4]
func.func @leading_dimensions(%x: tensor<?x2x6xf32>, %w: tensor<4x6xf32>) -> tensor<?x2x4xf32> {
  %y = moe.linear %x, %w : (tensor<?x2x6xf32>, tensor<4x6xf32>) -> tensor<?x2x4xf32>
  return %y : tensor<?x2x4xf32>
}

// -----
// CHECK-LABEL: func.func @one_row(
// CHECK:         grouped.matmul {{.*}} -> tensor<1x4xf32>
// CHECK:         tensor.collapse_shape %{{.*}} {{\[\[}}0, 1]] : tensor<1x4xf32> into tensor<4xf32>
func.func @one_row(%x: tensor<6xf32>, %w: tensor<4x6xf32>) -> tensor<4xf32> {
  %y = moe.linear %x, %w : (tensor<6xf32>, tensor<4x6xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----
// In a loop over experts the weight is another one every time.
// CHECK-LABEL: func.func @not_in_a_loop(
// CHECK:         moe.linear
func.func @not_in_a_loop(%o: tensor<6xi32>, %x: tensor<?x6xf32>, %w: tensor<5x6x6xf32>) -> tensor<?x6xf32> {
  %y = grouped.loop over %o rows(%x) each(%w) bounds [0, 5] counts [1] : (tensor<6xi32>, tensor<?x6xf32>, tensor<5x6x6xf32>) -> tensor<?x6xf32> {
  ^bb0(%t: tensor<?x6xf32>, %v: tensor<6x6xf32>):
    %a = moe.linear %t, %v : (tensor<?x6xf32>, tensor<6x6xf32>) -> tensor<?x6xf32>
    grouped.yield rows(%a : tensor<?x6xf32>)
  }
  return %y : tensor<?x6xf32>
}

// Matmuls sum in f32.
// CHECK-LABEL: func.func @not_f64(
// CHECK: moe.linear %{{.*}} : (tensor<?x6xf64>, tensor<4x6xf64>) -> tensor<?x4xf64>
// CHECK-NOT: grouped
func.func @not_f64(%x: tensor<?x6xf64>, %w: tensor<4x6xf64>) -> tensor<?x4xf64> {
  %y = moe.linear %x, %w : (tensor<?x6xf64>, tensor<4x6xf64>) -> tensor<?x4xf64>
  return %y : tensor<?x4xf64>
}

// -----
// Sizes that a weight says are those of the rows, as a run finds out.
// CHECK-LABEL: func.func @dynamic_columns(
// CHECK-SAME:    %[[X:.*]]: tensor<?x?xf32>, %[[W:.*]]: tensor<4x6xf32>, %[[B:.*]]: tensor<?xf32>
// CHECK:         %[[C:.*]] = tensor.cast %[[X]] : tensor<?x?xf32> to tensor<?x6xf32>
// CHECK:         %[[D:.*]] = tensor.cast %[[B]] : tensor<?xf32> to tensor<4xf32>
// CHECK:         %[[M:.*]] = grouped.matmul %[[C]] weights %{{.*}} with(%[[D]])
// CHECK:         tensor.cast %[[M]] : tensor<?x4xf32> to tensor<?x?xf32>
func.func @dynamic_columns(%x: tensor<?x?xf32>, %w: tensor<4x6xf32>, %b: tensor<?xf32>) -> tensor<?x?xf32> {
  %y = moe.linear %x, %w, %b : (tensor<?x?xf32>, tensor<4x6xf32>, tensor<?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// CHECK-LABEL: func.func @dynamic_row(
// CHECK:         tensor.cast %{{.*}} : tensor<?xf32> to tensor<6xf32>
// CHECK:         tensor.cast %{{.*}} : tensor<4xf32> to tensor<?xf32>
func.func @dynamic_row(%x: tensor<?xf32>, %w: tensor<4x6xf32>) -> tensor<?xf32> {
  %y = moe.linear %x, %w : (tensor<?xf32>, tensor<4x6xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func.func @dynamic_inner_columns(
// CHECK:         tensor.cast %{{.*}} : tensor<?x2x?xf32> to tensor<?x2x6xf32>
// CHECK:         tensor.cast %{{.*}} : tensor<?x2x4xf32> to tensor<?x?x?xf32>
func.func @dynamic_inner_columns(%x: tensor<?x2x?xf32>, %w: tensor<4x6xf32>) -> tensor<?x?x?xf32> {
  %y = moe.linear %x, %w : (tensor<?x2x?xf32>, tensor<4x6xf32>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// There is nothing to pack.
// CHECK-LABEL: func.func @not_empty_weights(
// CHECK-NOT:     grouped
func.func @not_empty_weights(%x: tensor<?x6xf32>, %w: tensor<0x6xf32>, %y: tensor<?x0xf32>, %v: tensor<4x0xf32>) -> (tensor<?x0xf32>, tensor<?x4xf32>) {
  %a = moe.linear %x, %w : (tensor<?x6xf32>, tensor<0x6xf32>) -> tensor<?x0xf32>
  %b = moe.linear %y, %v : (tensor<?x0xf32>, tensor<4x0xf32>) -> tensor<?x4xf32>
  return %a, %b : tensor<?x0xf32>, tensor<?x4xf32>
}
