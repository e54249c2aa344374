// RUN: moe-opt --split-input-file --moe-fuse-epilogue %s | FileCheck %s
!x = tensor<?x6xf32>
!p = !grouped.packed<1x6x6xf32, 2>

// Activation, map, a vector by column, a tensor by row, a conversion: all on the accumulators.
// CHECK-LABEL: func.func @fuses(
// CHECK-SAME:    %[[X:.*]]: tensor<?x6xf32>, %[[P:.*]]: !grouped.packed<1x6x6xf32, 2>, %[[V:.*]]: tensor<6xf32>
// CHECK-NEXT:    %[[M:.*]] = grouped.matmul %[[X]] weights %[[P]] with(%[[V]], %[[X]]) : {{.*}} -> tensor<?x6xbf16>
// CHECK-NEXT:    ^bb0(%[[G:.*]]: f32, %[[U:.*]]: f32, %[[C:.*]]: f32, %[[R:.*]]: f32):
// CHECK-NEXT:      %[[S:.*]] = moe.sigmoid %[[G]] : f32
// CHECK-NEXT:      %[[H:.*]] = arith.mulf %[[G]], %[[S]] : f32
// CHECK-NEXT:      %[[TWO:.*]] = arith.constant 2.000000e+00 : f32
// CHECK-NEXT:      %[[K:.*]] = arith.minimumf %[[U]], %[[TWO]] : f32
// CHECK-NEXT:      %[[L:.*]] = arith.mulf %[[H]], %[[K]] : f32
// CHECK-NEXT:      %[[N:.*]] = arith.addf %[[L]], %[[C]] : f32
// CHECK-NEXT:      %[[O:.*]] = arith.addf %[[N]], %[[R]] : f32
// CHECK-NEXT:      %[[T:.*]] = arith.truncf %[[O]] : f32 to bf16
// CHECK-NEXT:      grouped.yield rows(%[[T]] : bf16)
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[M]]
func.func @fuses(%x: !x, %p: !p, %v: tensor<6xf32>) -> tensor<?x6xbf16> {
  %m:2 = grouped.matmul %x weights %p : (!x, !p) -> (!x, !x) {
  ^bb0(%a: f32, %b: f32):
    grouped.yield rows(%a, %b : f32, f32)
  }
  %s = moe.sigmoid %m#0 : !x
  %g = arith.mulf %m#0, %s : !x
  %h = moe.map (%d = %g, %e = %m#1) : (!x, !x) -> !x {
    %two = arith.constant 2.0 : f32
    %k = arith.minimumf %e, %two : f32
    %l = arith.mulf %d, %k : f32
    moe.yield %l : f32
  }
  %c = moe.broadcast %v like %h : tensor<6xf32>, !x
  %n = arith.addf %h, %c : !x
  %o = arith.addf %n, %x : !x
  %t = arith.truncf %o : !x to tensor<?x6xbf16>
  return %t : tensor<?x6xbf16>
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
!p = !grouped.packed<5x6x6xf32, 1>
// A vector of the row's expert is an operand by group and column.
// CHECK-LABEL: func.func @fuses_per_expert(
// CHECK-SAME:    %[[V:[a-z0-9]*]]: tensor<5x6xf32>
// CHECK:         grouped.matmul {{.*}} with(%[[V]])
// CHECK-NEXT:    ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32):
// CHECK-NEXT:      arith.mulf %[[A]], %[[B]]
func.func @fuses_per_expert(%ids: !k, %x: !x, %p: !p, %v: tensor<5x6xf32>) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %f = tensor.collapse_shape %ids [[0, 1]] : !k into !i
  %e = moe.gather %f at %slots : !i, !i -> !i
  %m = grouped.matmul %x groups %offsets weights %p : (!x, tensor<6xi32>, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %r = moe.gather %v at %e : tensor<5x6xf32>, !i -> !x
  %y = arith.mulf %m, %r : !x
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!p = !grouped.packed<1x6x6xf32, 1>
// A column stretched over the row would have to be written first.
// CHECK-LABEL: func.func @not_by_a_stretched_column(
// CHECK:         moe.broadcast
// CHECK-NEXT:    arith.mulf
func.func @not_by_a_stretched_column(%x: !x, %p: !p, %g: tensor<?x1xf32>) -> !x {
  %m = grouped.matmul %x weights %p : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %b = moe.broadcast %g like %m : tensor<?x1xf32>, !x
  %y = arith.mulf %m, %b : !x
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!p = !grouped.packed<1x6x6xf32, 1>
// The matmul would write two tensors instead of one.
// CHECK-LABEL: func.func @not_when_both_are_read(
// CHECK:         grouped.matmul
// CHECK:         moe.silu %{{.*}} : tensor<?x6xf32>
func.func @not_when_both_are_read(%x: !x, %p: !p) -> (!x, !x) {
  %m = grouped.matmul %x weights %p : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %s = moe.silu %m : !x
  return %m, %s : !x, !x
}

// -----
!x = tensor<?x6xf32>
!p = !grouped.packed<1x6x6xf32, 2>
// Lanes beyond the last column would divide by 0.
// CHECK-LABEL: func.func @not_a_division_of_integers(
// CHECK:         grouped.matmul
// CHECK:         grouped.yield
// CHECK:         moe.map
// CHECK:           arith.remsi
func.func @not_a_division_of_integers(%x: !x, %p: !p) -> !x {
  %m:2 = grouped.matmul %x weights %p : (!x, !p) -> (!x, !x) {
  ^bb0(%a: f32, %b: f32):
    grouped.yield rows(%a, %b : f32, f32)
  }
  %h = moe.map (%d = %m#0, %e = %m#1) : (!x, !x) -> !x {
    %i = arith.fptosi %d : f32 to i32
    %j = arith.fptosi %e : f32 to i32
    %k = arith.remsi %i, %j : i32
    %l = arith.sitofp %k : i32 to f32
    moe.yield %l : f32
  }
  return %h : !x
}

// -----
!x = tensor<?x6xf32>
!p = !grouped.packed<1x6x6xf32, 1>
// The other operand needs the whole row of the result first.
// Kernels hold f32: what is wider stays outside.
// CHECK-LABEL: func.func @not_into_f64(
// CHECK:         grouped.matmul {{.*}} -> tensor<?x6xf32>
// CHECK:         arith.extf %{{.*}} : tensor<?x6xf32> to tensor<?x6xf64>
func.func @not_into_f64(%x: !x, %p: !p) -> tensor<?x6xf64> {
  %m = grouped.matmul %x weights %p : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %w = arith.extf %m : !x to tensor<?x6xf64>
  return %w : tensor<?x6xf64>
}

// CHECK-LABEL: func.func @not_by_what_depends_on_it(
// CHECK:         moe.softmax
// CHECK-NEXT:    arith.mulf %{{.*}} : tensor<?x6xf32>
func.func @not_by_what_depends_on_it(%x: !x, %p: !p) -> !x {
  %m = grouped.matmul %x weights %p : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %s = moe.softmax %m : !x
  %y = arith.mulf %m, %s : !x
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!y = tensor<?x6xf64>
!p = !grouped.packed<1x6x6xf32, 1>
// No matmul writes or takes f64; between its accumulators and what it writes f64 is arithmetic like any other.
// CHECK-LABEL: func.func @not_f64(
// CHECK:         %[[M:.*]] = grouped.matmul {{.*}} -> tensor<?x6xf32>
// CHECK:         arith.extf
// CHECK:         arith.truncf
// CHECK:         arith.extf %[[M]]
// CHECK:         arith.addf
func.func @not_f64(%x: !x, %p: !p, %z: !y) -> !y {
  %m = grouped.matmul %x weights %p : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %e = arith.extf %m : !x to !y
  %s = arith.mulf %e, %e : !y
  %t = arith.truncf %s : !y to !x
  %w = arith.extf %t : !x to !y
  %o = arith.addf %w, %z : !y
  return %o : !y
}
