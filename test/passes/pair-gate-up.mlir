// RUN: moe-opt --split-input-file --moe-pair-gate-up %s | FileCheck %s
!x = tensor<?x6xf32>
!w = tensor<6x6xf32>
!b = tensor<6xf32>
!p = !grouped.packed<1x6x6xf32, 1>

// CHECK-LABEL: func.func @pairs(
// CHECK-SAME:    %[[X:.*]]: tensor<?x6xf32>, %[[W0:.*]]: tensor<6x6xf32>, %[[W1:.*]]: tensor<6x6xf32>, %[[B:.*]]: tensor<6xf32>
// CHECK-NEXT:    %[[P:.*]] = grouped.pack %[[W0]], %[[W1]] : tensor<6x6xf32>, tensor<6x6xf32> -> !grouped.packed<1x6x6xf32, 2>
// CHECK-NEXT:    %[[M:.*]]:2 = grouped.matmul %[[X]] weights %[[P]] with(%[[B]])
// CHECK-NEXT:    ^bb0(%[[A0:.*]]: f32, %[[A1:.*]]: f32, %[[BIAS:.*]]: f32):
// CHECK-NEXT:      %[[S:.*]] = arith.addf %[[A1]], %[[BIAS]]
// CHECK-NEXT:      grouped.yield rows(%[[A0]], %[[S]] : f32, f32)
// CHECK:         %[[G:.*]] = moe.silu %[[M]]#0
// CHECK-NEXT:    arith.mulf %[[G]], %[[M]]#1
func.func @pairs(%x: !x, %w0: !w, %w1: !w, %b: !b) -> !x {
  %p0 = grouped.pack %w0 : !w -> !p
  %m0 = grouped.matmul %x weights %p0 : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %g = moe.silu %m0 : !x
  %p1 = grouped.pack %w1 : !w -> !p
  %m1 = grouped.matmul %x weights %p1 with(%b) : (!x, !p, !b) -> !x {
  ^bb0(%a: f32, %c: f32):
    %s = arith.addf %a, %c : f32
    grouped.yield rows(%s : f32)
  }
  %h = arith.mulf %g, %m1 : !x
  return %h : !x
}

// -----
!x = tensor<?x6xf32>
!w = tensor<6x6xf32>
!p = !grouped.packed<1x6x6xf32, 1>
// Query and key: the same rows, but no expression that needs both at one element.
// CHECK-LABEL: func.func @not_apart(
// CHECK-COUNT-2: grouped.matmul
func.func @not_apart(%x: !x, %w0: !w, %w1: !w) -> (!x, !x) {
  %p0 = grouped.pack %w0 : !w -> !p
  %m0 = grouped.matmul %x weights %p0 : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %p1 = grouped.pack %w1 : !w -> !p
  %m1 = grouped.matmul %x weights %p1 : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %m0, %m1 : !x, !x
}

// -----
!x = tensor<?x6xf32>
!w = tensor<6x6xf32>
!p = !grouped.packed<1x6x6xf32, 1>
// CHECK-LABEL: func.func @not_one_after_the_other(
// CHECK-COUNT-2: grouped.matmul
func.func @not_one_after_the_other(%x: !x, %w0: !w, %w1: !w) -> !x {
  %p0 = grouped.pack %w0 : !w -> !p
  %m0 = grouped.matmul %x weights %p0 : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %s = moe.softmax %m0 : !x
  %p1 = grouped.pack %w1 : !w -> !p
  %m1 = grouped.matmul %x weights %p1 with(%s) : (!x, !p, !x) -> !x {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    grouped.yield rows(%c : f32)
  }
  %h = arith.mulf %m0, %m1 : !x
  return %h : !x
}
