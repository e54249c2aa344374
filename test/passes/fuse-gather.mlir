// RUN: moe-opt --split-input-file --moe-fuse-gather %s | FileCheck %s
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
!p = !grouped.packed<5x6x6xbf16, 1>

// The conversion is made per token; then the rows are read where they lie.
// CHECK-LABEL: func.func @fuses(
// CHECK-SAME:    %{{.*}}: tensor<?x2xi32>, %[[X:.*]]: tensor<?x6xf32>, %[[P:.*]]: !grouped.packed
// CHECK:         %[[O:.*]], %[[T:.*]], %{{.*}}, %{{.*}} = grouped.plan
// CHECK-NEXT:    %[[C:.*]] = arith.truncf %[[X]] : tensor<?x6xf32> to tensor<?x6xbf16>
// CHECK-NEXT:    grouped.matmul %[[C]] rows %[[T]] groups %[[O]] weights %[[P]]
// CHECK:         grouped.matmul %[[C]] rows %[[T]] groups %[[O]] weights %[[P]]
// CHECK-NOT:     moe.gather
func.func @fuses(%ids: !k, %x: !x, %p: !p) -> (!x, !x) {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %in = moe.gather %x at %tokens : !x, !i -> !x
  %c = arith.truncf %in : !x to tensor<?x6xbf16>
  %y = grouped.matmul %c groups %offsets weights %p : (tensor<?x6xbf16>, tensor<6xi32>, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %z = grouped.matmul %c groups %offsets weights %p : (tensor<?x6xbf16>, tensor<6xi32>, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %y, %z : !x, !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
!p = !grouped.packed<5x6x6xbf16, 1>
// CHECK-LABEL: func.func @not_when_rows_are_read(
// CHECK:         %[[IN:.*]] = moe.gather
// CHECK:         grouped.matmul %[[IN]] groups
func.func @not_when_rows_are_read(%ids: !k, %x: !x, %p: !p) -> (!x, !x) {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %in = moe.gather %x at %tokens : !x, !i -> !x
  %y = grouped.matmul %in groups %offsets weights %p : (!x, tensor<6xi32>, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %y, %in : !x, !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!p = !grouped.packed<1x6x6xbf16, 1>
// Numbers from outside may be out of range, which moe.gather reports.
// CHECK-LABEL: func.func @not_by_other_indices(
// CHECK:         moe.gather
func.func @not_by_other_indices(%ids: !i, %x: !x, %p: !p) -> !x {
  %in = moe.gather %x at %ids : !x, !i -> !x
  %y = grouped.matmul %in weights %p : (!x, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %y : !x
}
