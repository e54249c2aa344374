// RUN: moe-opt --moe-lower-losses %s | FileCheck %s

// Sums over tokens are in f64; their number is a sum as well.
// CHECK-LABEL: func.func @z_loss
// CHECK-SAME: (%[[L:.*]]: tensor<?x8xbf16>)
// CHECK: %[[X:.*]] = arith.extf %[[L]] : tensor<?x8xbf16> to tensor<?x8xf32>
// CHECK: %[[MAX:.*]] = moe.reduce max %{{.*}} over 2 : tensor<?x1x8xf32> -> tensor<?x1xf32>
// CHECK: %[[BELOW:.*]] = moe.broadcast %[[MAX]] like %[[X]]
// CHECK: moe.map (%{{.*}} = %[[X]], %{{.*}} = %[[BELOW]])
// CHECK: math.exp
// CHECK: %[[SUM:.*]] = moe.reduce sum %{{.*}} over 2 : tensor<?x1x8xf32> -> tensor<?x1xf32>
// CHECK: moe.map (%{{.*}} = %[[MAX]], %{{.*}} = %[[SUM]]) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf64>
// CHECK: math.log
// CHECK: %[[TOKENS:.*]] = moe.reduce sum %{{.*}} over 0 : tensor<?xf64> -> tensor<f64>
// CHECK: %[[SOME:.*]] = moe.map (%{{.*}} = %[[TOKENS]])
// CHECK: arith.maximumf
// CHECK: %[[ALL:.*]] = moe.reduce sum %{{.*}} over 0 : tensor<?xf64> -> tensor<f64>
// CHECK: moe.map (%{{.*}} = %[[ALL]], %{{.*}} = %[[SOME]])
// CHECK: arith.truncf %{{.*}} : tensor<f64> to tensor<f32>
func.func @z_loss(%l: tensor<?x8xbf16>) -> tensor<f32> {
  %z = moe.z_loss %l : tensor<?x8xbf16>
  return %z : tensor<f32>
}

// CHECK-LABEL: func.func @cv_squared
// CHECK-DAG: %[[EIGHT:.*]] = arith.constant dense<8.000000e+00> : tensor<f64>
// CHECK-DAG: %[[SUM:.*]] = moe.reduce sum %{{.*}} over 0 : tensor<8xf64> -> tensor<f64>
// CHECK: %[[MEAN:.*]] = moe.map (%{{.*}} = %[[SUM]], %{{.*}} = %[[EIGHT]])
// CHECK: moe.broadcast %[[MEAN]] like
// CHECK: %[[SQUARES:.*]] = moe.reduce sum %{{.*}} over 0 : tensor<8xf64> -> tensor<f64>
// CHECK: %[[VARIANCE:.*]] = moe.map (%{{.*}} = %[[SQUARES]], %{{.*}} = %[[EIGHT]])
// CHECK: moe.map (%{{.*}} = %[[VARIANCE]], %{{.*}} = %[[MEAN]])
// CHECK: arith.constant 5.000000e-01 : f64
func.func @cv_squared(%v: tensor<8xf32>) -> tensor<f32> {
  %c = moe.cv_squared %v plus 0.5 : tensor<8xf32>
  return %c : tensor<f32>
}

// The third largest is what the two chosen must exceed, the second what the others must.
// CHECK-LABEL: func.func @noisy_load
// CHECK-SAME: (%[[C:.*]]: tensor<?x8xf32>, %[[N:.*]]: tensor<?x8xf32>, %[[D:.*]]: tensor<?x8xf32>)
// CHECK: %[[LARGEST:.*]], %{{.*}} = grouped.top_k %[[N]] by %[[N]] top 3
// CHECK: tensor.extract_slice %[[LARGEST]][0, 2] [%{{.*}}, 1] [1, 1]
// CHECK: %[[INSIDE:.*]] = moe.broadcast
// CHECK: tensor.extract_slice %[[LARGEST]][0, 1] [%{{.*}}, 1] [1, 1]
// CHECK: %[[OUTSIDE:.*]] = moe.broadcast
// CHECK: moe.map (%{{.*}} = %[[C]], %{{.*}} = %[[N]], %{{.*}} = %[[D]], %{{.*}} = %[[INSIDE]], %{{.*}} = %[[OUTSIDE]])
// CHECK: math.erf
// CHECK: moe.reduce sum %{{.*}} over 0 : tensor<?x8xf64> -> tensor<8xf64>
func.func @noisy_load(%clean: tensor<?x8xf32>, %noisy: tensor<?x8xf32>, %stddev: tensor<?x8xf32>) -> tensor<8xf32> {
  %l = moe.noisy_load %clean, %noisy, %stddev top 2 : tensor<?x8xf32> -> tensor<8xf32>
  return %l : tensor<8xf32>
}

// There is nobody else to exceed.
// CHECK-LABEL: func.func @everyone
// CHECK-NOT: grouped.top_k
// CHECK: arith.constant 1.000000e+00 : f64
// CHECK: moe.reduce sum %{{.*}} over 0 : tensor<?x8xf64> -> tensor<8xf64>
func.func @everyone(%l: tensor<?x8xf32>) -> tensor<8xf32> {
  %n = moe.noisy_load %l, %l, %l top 8 : tensor<?x8xf32> -> tensor<8xf32>
  return %n : tensor<8xf32>
}

// Only a dimension of known size can be split.
// CHECK-LABEL: func.func @not_of_any_width
// CHECK: moe.z_loss
func.func @not_of_any_width(%l: tensor<?x?xf32>) -> tensor<f32> {
  %z = moe.z_loss %l : tensor<?x?xf32>
  return %z : tensor<f32>
}
