// RUN: moe-opt --split-input-file --moe-fold-scale %s | FileCheck %s
!x = tensor<?x64xf32>
!r = !moe.routing<8, top 2>

// CHECK-LABEL: func.func @merges(
// CHECK-NEXT:    %[[S:.*]] = moe.scale %{{.*}} by -7.500000e+00
// CHECK-NEXT:    return %[[S]]
func.func @merges(%r: !r) -> !r {
  %a = moe.scale %r by 2.5 : !r
  %b = moe.scale %a by -3.0 : !r
  return %b : !r
}

// CHECK-LABEL: func.func @cancels(
// CHECK-SAME:    %[[R:.*]]: !moe.routing
// CHECK-NEXT:    %[[N:.*]] = moe.normalize %[[R]] by sum
// CHECK-NEXT:    %[[P:.*]] = moe.normalize %[[R]] by lp 2.0
// CHECK-NEXT:    return %[[N]], %[[P]]
func.func @cancels(%r: !r) -> (!r, !r) {
  %a = moe.scale %r by -2.5 : !r
  %n = moe.normalize %a by sum : !r
  %b = moe.scale %r by 2.5 : !r
  %p = moe.normalize %b by lp 2.0 : !r
  return %n, %p : !r, !r
}

// Two scales and a product are one scale; the routing without it is still there for others.
// CHECK-LABEL: func.func @product(
// CHECK-SAME:    %[[X:.*]]: tensor<?x64xf32>, %[[R:.*]]: !moe.routing
// CHECK-NEXT:    %[[S:.*]] = moe.scale %[[R]] by 5.000000e+00
// CHECK-NEXT:    %[[Y:.*]] = moe.combine %[[X]] by %[[S]] weighted
// CHECK-NEXT:    %[[C:.*]] = moe.counts %[[R]]
// CHECK-NEXT:    return %[[Y]], %[[C]]
func.func @product(%x: !x, %r: !r) -> (!x, tensor<8xi32>) {
  %a = moe.scale %r by 2.5 : !r
  %y = moe.combine %x by %a weighted : !x, !r
  %two = arith.constant 2.0 : f32
  %b = moe.broadcast %two like %y : f32, !x
  %z = arith.mulf %b, %y : !x
  %c = moe.counts %r : !r -> tensor<8xi32>
  return %z, %c : !x, tensor<8xi32>
}

// CHECK-LABEL: func.func @product_with_columns(
// CHECK:         %[[S:.*]] = moe.scale %{{.*}} by 5.000000e-01
// CHECK-NEXT:    moe.combine %{{.*}} by %[[S]] weighted
// CHECK-NEXT:    return
func.func @product_with_columns(%x: !x, %r: !r) -> !x {
  %y = moe.combine %x by %r weighted : !x, !r
  %half = arith.constant dense<0.5> : tensor<64xf32>
  %b = moe.broadcast %half like %y : tensor<64xf32>, !x
  %z = arith.mulf %y, %b : !x
  return %z : !x
}

// CHECK-LABEL: func.func @product_in_map(
// CHECK:         %[[S:.*]] = moe.scale %{{.*}} by 3.000000e+00
// CHECK-NEXT:    moe.combine %{{.*}} by %[[S]] weighted : tensor<?x64xbf16>
// CHECK-NEXT:    return
func.func @product_in_map(%x: tensor<?x64xbf16>, %r: !r) -> tensor<?x64xbf16> {
  %y = moe.combine %x by %r weighted : tensor<?x64xbf16>, !r
  %z = moe.map (%a = %y) : (tensor<?x64xbf16>) -> tensor<?x64xbf16> {
    %three = arith.constant 3.0 : bf16
    %b = arith.mulf %a, %three : bf16
    moe.yield %b : bf16
  }
  return %z : tensor<?x64xbf16>
}

// -----
!r = !moe.routing<8, top 2>
// Per expert, at run time, infinite in f32, and 0 in f32.
// CHECK-LABEL: func.func @not_merged(
// CHECK-COUNT-8: moe.scale
func.func @not_merged(%r: !r, %v: tensor<8xf32>, %f: f32) -> (!r, !r, !r, !r) {
  %a0 = moe.scale %r by %v : !r, tensor<8xf32>
  %a1 = moe.scale %a0 by 2.0 : !r
  %b0 = moe.scale %r by %f : !r, f32
  %b1 = moe.scale %b0 by 3.0 : !r
  %c0 = moe.scale %r by 1.0e30 : !r
  %c1 = moe.scale %c0 by 1.0e30 : !r
  %d0 = moe.scale %r by 1.0e-30 : !r
  %d1 = moe.scale %d0 by 1.0e-30 : !r
  return %a1, %b1, %c1, %d1 : !r, !r, !r, !r
}

// CHECK-LABEL: func.func @not_with_plus(
// CHECK-NEXT:    moe.scale
// CHECK-NEXT:    moe.normalize
func.func @not_with_plus(%r: !r) -> !r {
  %a = moe.scale %r by 2.5 : !r
  %n = moe.normalize %a by sum plus 1.0e-20 : !r
  return %n : !r
}

// CHECK-LABEL: func.func @not_with_at_least(
// CHECK-NEXT:    moe.scale
// CHECK-NEXT:    moe.normalize
func.func @not_with_at_least(%r: !r) -> !r {
  %a = moe.scale %r by 2.5 : !r
  %n = moe.normalize %a by sum at_least 1.0e-9 : !r
  return %n : !r
}

// CHECK-LABEL: func.func @not_before_softmax(
// CHECK-NEXT:    moe.scale
// CHECK-NEXT:    moe.normalize
func.func @not_before_softmax(%r: !r) -> !r {
  %a = moe.scale %r by 2.5 : !r
  %n = moe.normalize %a by softmax : !r
  return %n : !r
}

// CHECK-LABEL: func.func @not_zero(
// CHECK-NEXT:    moe.scale
// CHECK-NEXT:    moe.normalize
func.func @not_zero(%r: !r) -> !r {
  %a = moe.scale %r by 0.0 : !r
  %n = moe.normalize %a by sum : !r
  return %n : !r
}

// CHECK-LABEL: func.func @not_negative_before_lp(
// CHECK-NEXT:    moe.scale
// CHECK-NEXT:    moe.normalize
func.func @not_negative_before_lp(%r: !r) -> !r {
  %a = moe.scale %r by -2.5 : !r
  %n = moe.normalize %a by lp 2.0 : !r
  return %n : !r
}

// CHECK-LABEL: func.func @not_factors_of_experts(
// CHECK-NEXT:    moe.scale
// CHECK-NEXT:    moe.normalize
func.func @not_factors_of_experts(%r: !r, %v: tensor<8xf32>) -> !r {
  %a = moe.scale %r by %v : !r, tensor<8xf32>
  %n = moe.normalize %a by sum : !r
  return %n : !r
}

// -----
!x = tensor<?x64xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_unweighted(
// CHECK-NOT:     moe.scale
// CHECK:         arith.mulf
func.func @not_unweighted(%x: !x, %r: !r) -> !x {
  %y = moe.combine %x by %r unweighted : !x, !r
  %two = arith.constant 2.0 : f32
  %b = moe.broadcast %two like %y : f32, !x
  %z = arith.mulf %y, %b : !x
  return %z : !x
}

// CHECK-LABEL: func.func @not_when_the_sum_is_needed(
// CHECK-NOT:     moe.scale
// CHECK:         arith.mulf
func.func @not_when_the_sum_is_needed(%x: !x, %r: !r) -> (!x, !x) {
  %y = moe.combine %x by %r weighted : !x, !r
  %two = arith.constant 2.0 : f32
  %b = moe.broadcast %two like %y : f32, !x
  %z = arith.mulf %y, %b : !x
  return %y, %z : !x, !x
}

// CHECK-LABEL: func.func @not_by_columns(
// CHECK-NOT:     moe.scale
// CHECK:         arith.mulf
func.func @not_by_columns(%x: tensor<?x2xf32>, %r: !r) -> tensor<?x2xf32> {
  %y = moe.combine %x by %r weighted : tensor<?x2xf32>, !r
  %factors = arith.constant dense<[2.0, 3.0]> : tensor<2xf32>
  %b = moe.broadcast %factors like %y : tensor<2xf32>, tensor<?x2xf32>
  %z = arith.mulf %y, %b : tensor<?x2xf32>
  return %z : tensor<?x2xf32>
}

// CHECK-LABEL: func.func @not_at_run_time(
// CHECK-NOT:     moe.scale
// CHECK:         arith.mulf
func.func @not_at_run_time(%x: !x, %r: !r, %c: f32) -> !x {
  %y = moe.combine %x by %r weighted : !x, !r
  %b = moe.broadcast %c like %y : f32, !x
  %z = arith.mulf %y, %b : !x
  return %z : !x
}

// CHECK-LABEL: func.func @not_in_f64(
// CHECK-NOT:     moe.scale
// CHECK:         arith.mulf
func.func @not_in_f64(%x: tensor<?x64xf64>, %r: !r) -> tensor<?x64xf64> {
  %y = moe.combine %x by %r weighted : tensor<?x64xf64>, !r
  %two = arith.constant 2.0 : f64
  %b = moe.broadcast %two like %y : f64, tensor<?x64xf64>
  %z = arith.mulf %y, %b : tensor<?x64xf64>
  return %z : tensor<?x64xf64>
}

// More than a product.
// CHECK-LABEL: func.func @not_another_map(
// CHECK-NOT:     moe.scale
// CHECK:         moe.map
func.func @not_another_map(%x: !x, %r: !r) -> !x {
  %y = moe.combine %x by %r weighted : !x, !r
  %z = moe.map (%a = %y) : (!x) -> !x {
    %two = arith.constant 2.0 : f32
    %s = arith.addf %a, %two : f32
    %b = arith.mulf %s, %two : f32
    moe.yield %b : f32
  }
  return %z : !x
}

// CHECK-LABEL: func.func @not_to_another_type(
// CHECK-NOT:     moe.scale
// CHECK:         moe.map
func.func @not_to_another_type(%x: !x, %r: !r) -> tensor<3x64xf32> {
  %y = moe.combine %x by %r weighted : !x, !r
  %z = moe.map (%a = %y) : (!x) -> tensor<3x64xf32> {
    %two = arith.constant 2.0 : f32
    %b = arith.mulf %a, %two : f32
    moe.yield %b : f32
  }
  return %z : tensor<3x64xf32>
}
