// RUN: moe-opt --split-input-file --moe-fuse-combine %s | FileCheck %s
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
!p = !grouped.packed<5x6x6xf32, 1>

// CHECK-LABEL: func.func @fuses(
// CHECK-SAME:    %{{.*}}: tensor<?x2xi32>, %[[X:.*]]: tensor<?x6xf32>, %[[W:.*]]: tensor<?x2xf32>, %[[P:.*]]: !grouped
// CHECK:         %[[O:.*]], %{{.*}}, %[[SLOTS:.*]], %[[ROWS:.*]] = grouped.plan
// CHECK-NEXT:    %[[Y:.*]] = grouped.matmul %[[X]] groups %[[O]] weights %[[P]] combine %[[ROWS]] slots %[[SLOTS]] scaled %[[W]]
// CHECK:           moe.silu
// CHECK:         return %[[Y]]
func.func @fuses(%ids: !k, %x: !x, %w: tensor<?x2xf32>, %p: !p) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %f = grouped.matmul %x groups %offsets weights %p : (!x, tensor<6xi32>, !p) -> !x {
  ^bb0(%a: f32):
    %s = moe.silu %a : f32
    grouped.yield rows(%s : f32)
  }
  %y = grouped.combine %f by %rows weighted %w : (!x, !k, tensor<?x2xf32>) -> !x
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
!p = !grouped.packed<5x6x6xf32, 1>
// CHECK-LABEL: func.func @not_when_rows_are_read(
// CHECK:         grouped.combine
func.func @not_when_rows_are_read(%ids: !k, %x: !x, %p: !p) -> (!x, !x) {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %f = grouped.matmul %x groups %offsets weights %p : (!x, tensor<6xi32>, !p) -> !x {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  %y = grouped.combine %f by %rows : (!x, !k) -> !x
  return %y, %f : !x, !x
}

// -----
!x = tensor<?x6xf32>
!n = tensor<?x6xbf16>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
!p = !grouped.packed<5x6x6xf32, 1>
// CHECK-LABEL: func.func @not_of_other_elements(
// CHECK:         grouped.combine
func.func @not_of_other_elements(%ids: !k, %x: !x, %p: !p) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %f = grouped.matmul %x groups %offsets weights %p : (!x, tensor<6xi32>, !p) -> !n {
  ^bb0(%a: f32):
    %b = arith.truncf %a : f32 to bf16
    grouped.yield rows(%b : bf16)
  }
  %y = grouped.combine %f by %rows : (!n, !k) -> !x
  return %y : !x
}
