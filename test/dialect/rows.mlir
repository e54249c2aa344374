// The row operations: what is printed parses to the same, in the custom form, the generic form and bytecode.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

// CHECK-LABEL: func @linear
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<8x64xbf16>, %v: tensor<64x7xf32>, %b: tensor<7xf16>) {
  // CHECK: moe.linear %arg0, %arg1 : (tensor<?x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32>
  %0 = moe.linear %x, %w : (tensor<?x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32>
  // CHECK: moe.linear %arg0, %arg2, %arg3 in_out : (tensor<?x64xf32>, tensor<64x7xf32>, tensor<7xf16>) -> tensor<?x7xbf16>
  %1 = moe.linear %x, %v, %b in_out : (tensor<?x64xf32>, tensor<64x7xf32>, tensor<7xf16>) -> tensor<?x7xbf16>
  // CHECK: moe.linear %arg0, %arg2 in_out {note = "discardable"} :
  %2 = moe.linear %x, %v in_out {note = "discardable"} : (tensor<?x64xf32>, tensor<64x7xf32>) -> tensor<?x7xf32>
  return
}

// Any leading dimensions, also none; widths that are prime or 1.
// CHECK-LABEL: func @linear_leading
func.func @linear_leading(%x: tensor<?x3x?x5xf64>, %y: tensor<5xf64>, %w: tensor<1x5xf64>) {
  // CHECK: moe.linear {{.*}} -> tensor<?x3x?x1xf64>
  %0 = moe.linear %x, %w : (tensor<?x3x?x5xf64>, tensor<1x5xf64>) -> tensor<?x3x?x1xf64>
  // CHECK: moe.linear {{.*}} -> tensor<1xf64>
  %1 = moe.linear %y, %w : (tensor<5xf64>, tensor<1x5xf64>) -> tensor<1xf64>
  return
}

// CHECK-LABEL: func @softmax
func.func @softmax(%x: tensor<?x8xf32>) {
  // CHECK: moe.softmax %arg0 : tensor<?x8xf32>
  %0 = moe.softmax %x : tensor<?x8xf32>
  // CHECK: moe.softmax %arg0 over 0 : tensor<?x8xf32>
  %1 = moe.softmax %x over 0 : tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @rms_norm
func.func @rms_norm(%x: tensor<?x64xbf16>, %w: tensor<64xf32>) {
  // CHECK: moe.rms_norm %arg0, %arg1 eps 1.000000e-05 : tensor<?x64xbf16>, tensor<64xf32>
  %0 = moe.rms_norm %x, %w eps 1.0e-5 : tensor<?x64xbf16>, tensor<64xf32>
  return
}

// CHECK-LABEL: func @activations
func.func @activations(%t: tensor<?x7xbf16>, %s: f32, %v: vector<16xf64>) {
  // CHECK: moe.silu %arg0 : tensor<?x7xbf16>
  %0 = moe.silu %t : tensor<?x7xbf16>
  // CHECK: moe.sigmoid %arg1 : f32
  %1 = moe.sigmoid %s : f32
  // CHECK: moe.relu2 %arg2 : vector<16xf64>
  %2 = moe.relu2 %v : vector<16xf64>
  // CHECK: moe.softplus %arg0 : tensor<?x7xbf16>
  %3 = moe.softplus %t : tensor<?x7xbf16>
  // CHECK: moe.gelu %arg0 exact : tensor<?x7xbf16>
  %4 = moe.gelu %t exact : tensor<?x7xbf16>
  // CHECK: moe.gelu %arg1 tanh : f32
  %5 = moe.gelu %s tanh : f32
  return
}

// CHECK-LABEL: func @map
func.func @map(%x: tensor<?x8xf32>, %mask: tensor<?x8xi1>, %s: f32) {
  // CHECK: moe.map (%{{.*}} = %arg0, %{{.*}} = %arg1) : (tensor<?x8xf32>, tensor<?x8xi1>) -> tensor<?x8xf32> {
  // CHECK: arith.select
  // CHECK: moe.yield %{{.*}} : f32
  %0 = moe.map (%a = %x, %m = %mask) : (tensor<?x8xf32>, tensor<?x8xi1>) -> tensor<?x8xf32> {
    %c = arith.select %m, %a, %s : f32
    moe.yield %c : f32
  }
  // Several results of different element types.
  // CHECK: %{{.*}}:2 = moe.map (%{{.*}} = %arg0) : (tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xi1>) {
  // CHECK: moe.yield %{{.*}}, %{{.*}} : f32, i1
  %1:2 = moe.map (%a = %x) : (tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xi1>) {
    %p = arith.cmpf ogt, %a, %s : f32
    moe.yield %a, %p : f32, i1
  }
  return
}

// CHECK-LABEL: func @broadcast
func.func @broadcast(%x: tensor<?x8xf32>, %v: tensor<8xbf16>, %c: tensor<?x1xf32>, %s: f32, %i: i32) {
  // CHECK: moe.broadcast %arg1 like %arg0 : tensor<8xbf16>, tensor<?x8xf32>
  %0 = moe.broadcast %v like %x : tensor<8xbf16>, tensor<?x8xf32>
  // CHECK: moe.broadcast %arg2 like %arg0 : tensor<?x1xf32>, tensor<?x8xf32>
  %1 = moe.broadcast %c like %x : tensor<?x1xf32>, tensor<?x8xf32>
  // CHECK: moe.broadcast %arg3 like %arg0 : f32, tensor<?x8xf32>
  %2 = moe.broadcast %s like %x : f32, tensor<?x8xf32>
  // CHECK: moe.broadcast %arg4 like %arg0 : i32, tensor<?x8xf32>
  %3 = moe.broadcast %i like %x : i32, tensor<?x8xf32>
  // The element type comes from the input, the shape from `like`.
  // CHECK: arith.addf %{{.*}}, %{{.*}} : tensor<?x8xbf16>
  %4 = arith.addf %0, %0 : tensor<?x8xbf16>
  return
}

// CHECK-LABEL: func @reduce
func.func @reduce(%x: tensor<?x8xf32>, %i: tensor<?x8xi32>) {
  // CHECK: moe.reduce sum %arg0 over 1 : tensor<?x8xf32> -> tensor<?xf32>
  %0 = moe.reduce sum %x over 1 : tensor<?x8xf32> -> tensor<?xf32>
  // CHECK: moe.reduce prod %arg0 over 0 : tensor<?x8xf32> -> tensor<8xf32>
  %1 = moe.reduce prod %x over 0 : tensor<?x8xf32> -> tensor<8xf32>
  // CHECK: moe.reduce max %arg1 over 1 : tensor<?x8xi32> -> tensor<?xi32>
  %2 = moe.reduce max %i over 1 : tensor<?x8xi32> -> tensor<?xi32>
  // CHECK: moe.reduce min %{{.*}} over 0 : tensor<?xf32> -> tensor<f32>
  %3 = moe.reduce min %0 over 0 : tensor<?xf32> -> tensor<f32>
  return
}

// CHECK-LABEL: func @split
func.func @split(%x: tensor<?x24xbf16>) {
  // CHECK: moe.split %arg0 : tensor<?x24xbf16> into tensor<?x2x3x4xbf16>
  %0 = moe.split %x : tensor<?x24xbf16> into tensor<?x2x3x4xbf16>
  return
}

// CHECK-LABEL: func @gather
func.func @gather(%t: tensor<256x2x4xbf16>, %i: tensor<?xi32>, %j: tensor<?x3xi64>) {
  // CHECK: moe.gather %arg0 at %arg1 : tensor<256x2x4xbf16>, tensor<?xi32> -> tensor<?x2x4xbf16>
  %0 = moe.gather %t at %i : tensor<256x2x4xbf16>, tensor<?xi32> -> tensor<?x2x4xbf16>
  // CHECK: moe.gather %arg0 at %arg2 : tensor<256x2x4xbf16>, tensor<?x3xi64> -> tensor<?x3x2x4xbf16>
  %1 = moe.gather %t at %j : tensor<256x2x4xbf16>, tensor<?x3xi64> -> tensor<?x3x2x4xbf16>
  return
}
