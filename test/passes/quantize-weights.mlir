// RUN: moe-opt --moe-quantize-weights %s | FileCheck %s
// RUN: moe-opt --moe-quantize-weights=format=q4 %s | FileCheck %s --check-prefix=CHECK-Q4
// RUN: moe-opt --moe-quantize-weights=format=q4z %s | FileCheck %s --check-prefix=CHECK-Q4Z
// RUN: moe-opt --moe-quantize-weights=format=q8g %s | FileCheck %s --check-prefix=CHECK-Q8G
// RUN: not moe-opt --moe-quantize-weights=format=q3 %s 2>&1 | FileCheck %s --check-prefix=CHECK-FORMAT
// CHECK-FORMAT: error: quantises weights to 'q3', expected 'q8', 'q8g', 'q4' or 'q4z'
!x = tensor<?x6xf32>
!p = !grouped.packed<5x6x6xf32, 2>
!q = !grouped.packed<1x6x6xbf16, 1>

// Weights of experts, with all that stands beside them in one panel.
// CHECK-LABEL: func.func @experts(
// CHECK:         %[[P:.*]] = grouped.pack {{.*}} -> !grouped.packed<5x6x6xi8, 2>
// CHECK-Q4:      grouped.pack {{.*}} -> !grouped.packed<5x6x6xi4, 2>
// CHECK-Q4Z:     grouped.pack {{.*}} -> !grouped.packed<5x6x6xui4, 2>
// CHECK-Q8G:     grouped.pack {{.*}} -> !grouped.packed<5x6x6xsi8, 2>
// CHECK:         grouped.matmul {{.*}} weights %[[P]] : (tensor<?x6xf32>, tensor<6xi32>, !grouped.packed<5x6x6xi8, 2>)
func.func @experts(%x: !x, %offsets: tensor<6xi32>, %a: tensor<5x6x6xf32> {moe.param = "a"}, %b: tensor<5x6x6xf32> {moe.param = "b"}) -> !x {
  %p = grouped.pack %a, %b : tensor<5x6x6xf32>, tensor<5x6x6xf32> -> !p
  %y = grouped.matmul %x groups %offsets weights %p : (!x, tensor<6xi32>, !p) -> !x {
  ^bb0(%u: f32, %v: f32):
    %s = arith.mulf %u, %v : f32
    grouped.yield rows(%s : f32)
  }
  return %y : !x
}

// CHECK-LABEL: func.func @not_dense_products(
// CHECK:         grouped.pack {{.*}} -> !grouped.packed<1x6x6xbf16, 1>
func.func @not_dense_products(%x: !x, %a: tensor<6x6xbf16>) -> !x {
  %p = grouped.pack %a : tensor<6x6xbf16> -> !q
  %y = grouped.matmul %x weights %p : (!x, !q) -> !x {
  ^bb0(%u: f32):
    grouped.yield rows(%u : f32)
  }
  return %y : !x
}

// CHECK-LABEL: func.func @not_what_is_computed(
// CHECK:         grouped.pack {{.*}} -> !grouped.packed<5x6x6xf32, 1>
func.func @not_what_is_computed(%x: !x, %offsets: tensor<6xi32>, %a: tensor<5x6x6xf32> {moe.param = "a"}, %c: tensor<5x6x6xf32>) -> !x {
  %b = arith.addf %a, %c : tensor<5x6x6xf32>
  %p = grouped.pack %b : tensor<5x6x6xf32> -> !grouped.packed<5x6x6xf32, 1>
  %y = grouped.matmul %x groups %offsets weights %p : (!x, tensor<6xi32>, !grouped.packed<5x6x6xf32, 1>) -> !x {
  ^bb0(%u: f32):
    grouped.yield rows(%u : f32)
  }
  return %y : !x
}

// CHECK-LABEL: func.func @not_unused(
// CHECK:         grouped.pack {{.*}} -> !grouped.packed<1x6x6xbf16, 1>
func.func @not_unused(%a: tensor<6x6xbf16>) -> !q {
  %p = grouped.pack %a : tensor<6x6xbf16> -> !q
  return %p : !q
}

// CHECK-LABEL: func.func @not_what_is_computed_inside(
// CHECK:         grouped.pack {{.*}} -> !grouped.packed<5x6x6xf32, 1>
func.func @not_what_is_computed_inside(%x: !x, %offsets: tensor<6xi32>, %a: tensor<5x6x6xf32> {moe.param = "a"}, %c: f32) -> !x {
  %b = moe.map (%v = %a) : (tensor<5x6x6xf32>) -> tensor<5x6x6xf32> {
    %s = arith.mulf %v, %c : f32
    moe.yield %s : f32
  }
  %p = grouped.pack %b : tensor<5x6x6xf32> -> !grouped.packed<5x6x6xf32, 1>
  %y = grouped.matmul %x groups %offsets weights %p : (!x, tensor<6xi32>, !grouped.packed<5x6x6xf32, 1>) -> !x {
  ^bb0(%u: f32):
    grouped.yield rows(%u : f32)
  }
  return %y : !x
}
