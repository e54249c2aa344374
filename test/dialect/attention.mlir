// Rotary positions and attention: what is printed parses to the same, in the custom form, the generic form and bytecode.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

!q = tensor<?x4x32xf32>
!k = tensor<?x2x32xbf16>
!i = tensor<?xi32>
!f = tensor<16xf32>

// CHECK-LABEL: func @rope
func.func @rope(%q: !q, %p: !i) {
  // CHECK: %[[F:.*]] = moe.rope_frequencies {dim = 32 : i64, theta = 1.000000e+04 : f64} : tensor<16xf32>
  %f = moe.rope_frequencies {dim = 32, theta = 1.0e4} : !f
  // CHECK: moe.rope_frequencies {dim = 8 : i64, factor = 8.000000e+00 : f64, high = 4.000000e+00 : f64, low = 1.000000e+00 : f64, original = 8192 : i64, theta = 5.000000e+05 : f64} : tensor<4xf32>
  %g = moe.rope_frequencies {dim = 8, theta = 5.0e5, factor = 8.0, low = 1.0, high = 4.0, original = 8192} : tensor<4xf32>
  // CHECK: moe.rope %arg0 at %arg1 by %[[F]] pairs half : tensor<?x4x32xf32>, tensor<?xi32>, tensor<16xf32>
  %0 = moe.rope %q at %p by %f pairs half : !q, !i, !f
  // CHECK: moe.rope %arg0 at %arg1 by %{{.*}} pairs interleaved : tensor<?x4x32xf32>, tensor<?xi32>, tensor<4xf32>
  %1 = moe.rope %q at %p by %g pairs interleaved : !q, !i, tensor<4xf32>
  return
}

// CHECK-LABEL: func @attention
func.func @attention(%q: !q, %k: !k, %v: tensor<?x2x8xf32>, %s: !i, %p: !i) {
  // CHECK: moe.attention %arg0, %arg1, %arg2 {scale = 1.000000e+00 : f64} : (tensor<?x4x32xf32>, tensor<?x2x32xbf16>, tensor<?x2x8xf32>) -> tensor<?x4x8xf32>
  %0 = moe.attention %q, %k, %v {scale = 1.0} : (!q, !k, tensor<?x2x8xf32>) -> tensor<?x4x8xf32>
  // CHECK: moe.attention %arg0, %arg1, %arg2 segments(%arg3, %arg4) {scale = 1.000000e+00 : f64}
  %1 = moe.attention %q, %k, %v segments(%s, %p) {scale = 1.0} : (!q, !k, tensor<?x2x8xf32>, !i, !i) -> tensor<?x4x8xf32>
  // CHECK: moe.attention %arg0, %arg1, %arg2 positions(%arg4, %arg3) {causal, scale = 1.250000e-01 : f64, window = 16 : i64}
  %2 = moe.attention %q, %k, %v positions(%p, %s) {causal, scale = 0.125, window = 16}
      : (!q, !k, tensor<?x2x8xf32>, !i, !i) -> tensor<?x4x8xf32>
  // CHECK: moe.attention %arg0, %arg1, %arg2 segments(%arg3, %arg3) positions(%arg4, %arg4) {causal, scale = 1.000000e+00 : f64}
  %3 = moe.attention %q, %k, %v segments(%s, %s) positions(%p, %p) {causal, scale = 1.0}
      : (!q, !k, tensor<?x2x8xf32>, !i, !i, !i, !i) -> tensor<?x4x8xf32>
  return
}
