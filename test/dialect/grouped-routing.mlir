// Choices and edits of the grouped dialect: what is printed parses to the same, in the custom form, the generic form and bytecode.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

!s = tensor<?x8xf32>
!w = tensor<?x2xf32>
!e = tensor<?x2xi32>
!i = tensor<?xi32>

// CHECK-LABEL: func @choose
func.func @choose(%s: !s, %k: !s, %t: f32, %c: index, %cs: !i, %q: !i) {
  // CHECK: grouped.select %arg0 by %arg1 groups 4 keep 2 best 2 selection top count 2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %0:2 = grouped.select %s by %k groups 4 keep 2 best 2 selection top count 2 : !s, !s -> !w, !e
  // CHECK: grouped.select %arg0 by %arg0 selection greater_than literal 2.000000e-01 : {{.*}} -> tensor<?x8xf32>, tensor<?x8xi32>
  %1:2 = grouped.select %s by %s selection greater_than literal 0.2 : !s, !s -> !s, tensor<?x8xi32>
  // CHECK: grouped.select %arg0 by %arg0 groups 2 keep 1 best 1 selection top_p value %arg2 :
  %2:2 = grouped.select %s by %s groups 2 keep 1 best 1 selection top_p value %t : !s, !s -> !s, tensor<?x8xi32>
  // CHECK: grouped.select %arg0 by %arg0 selection all :
  %3:2 = grouped.select %s by %s selection all : !s, !s -> !s, tensor<?x8xi32>
  // CHECK: grouped.take %arg0 by %arg1 to %arg3 :
  %4:2 = grouped.take %s by %k to %c : (!s, !s, index) -> (!s, tensor<?x8xi32>)
  // CHECK: grouped.take %arg0 by %arg1 to %arg4 segments %arg5 :
  %5:2 = grouped.take %s by %k to %cs segments %q : (!s, !s, !i, !i) -> (!s, tensor<?x8xi32>)
  // CHECK: grouped.assign %arg0 by %arg1 epsilon over 5.000000e+01 at_least {{.*}} rounds 100 :
  %6:2 = grouped.assign %s by %k epsilon over 50.0 at_least 1.0e-4 rounds 100 : (!s, !s) -> (tensor<?x1xf32>, tensor<?x1xi32>)
  // CHECK: grouped.assign %arg0 by %arg1 {{.*}} rounds 100 segments %arg5 :
  %7:2 = grouped.assign %s by %k epsilon over 50.0 at_least 1.0e-4 rounds 100 segments %q
      : (!s, !s, !i) -> (tensor<?x1xf32>, tensor<?x1xi32>)
  return
}

// CHECK-LABEL: func @edit
func.func @edit(%w: !w, %e: !e, %c: index, %cs: !i, %q: !i, %p: tensor<?xf32>, %m: tensor<8xi1>, %s: !s, %table: tensor<256x2xi64>) {
  // CHECK: grouped.limit %arg0, %arg1 experts 8 to %arg2 order position :
  %0:2 = grouped.limit %w, %e experts 8 to %c order position : (!w, !e, index) -> (!w, !e)
  // CHECK: grouped.limit %arg0, %arg1 experts 8 to %arg3 order choice by %arg5 place 1 segments %arg4 :
  %1:2 = grouped.limit %w, %e experts 8 to %cs order choice by %p place 1 segments %q
      : (!w, !e, !i, tensor<?xf32>, !i) -> (!w, !e)
  // CHECK: grouped.limit %arg0, %arg1 experts 8 to %arg2 order value by %arg7 :
  %2:2 = grouped.limit %w, %e experts 8 to %c order value by %s : (!w, !e, index, !s) -> (!w, !e)
  // CHECK: grouped.join %arg0, %arg1, %arg0, %arg1 experts 8 : {{.*}} -> (tensor<?x4xf32>, tensor<?x4xi32>)
  %3:2 = grouped.join %w, %e, %w, %e experts 8 : (!w, !e, !w, !e) -> (tensor<?x4xf32>, tensor<?x4xi32>)
  // CHECK: grouped.join %arg0, %arg1, %arg0, %arg1 experts 8 by_expert : {{.*}} -> (tensor<?x8xf32>, tensor<?x8xi32>)
  %4:2 = grouped.join %w, %e, %w, %e experts 8 by_expert : (!w, !e, !w, !e) -> (!s, tensor<?x8xi32>)
  // CHECK: grouped.check_ids %arg8 experts 8 : tensor<256x2xi64> -> tensor<256x2xi32>
  %5 = grouped.check_ids %table experts 8 : tensor<256x2xi64> -> tensor<256x2xi32>
  // CHECK: grouped.pick %arg6 at %arg1 : tensor<8xi1>, tensor<?x2xi32> -> tensor<?x2xi1>
  %6 = grouped.pick %m at %e : tensor<8xi1>, !e -> tensor<?x2xi1>
  // CHECK: grouped.pick %arg7 at %arg1 : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x2xf32>
  %7 = grouped.pick %s at %e : !s, !e -> !w
  // CHECK: grouped.matrix %arg0, %arg1 : tensor<?x2xf32>, tensor<?x2xi32> -> tensor<?x8xf32>
  %8 = grouped.matrix %w, %e : !w, !e -> !s
  // CHECK: grouped.balance_loss %arg7 of %arg1 counting first scale choices : tensor<?x8xf32>, tensor<?x2xi32>
  %9 = grouped.balance_loss %s of %e counting first scale choices : !s, !e
  // CHECK: grouped.balance_loss %arg7 of %arg1 counting all scale one segments %arg4 : tensor<?x8xf32>, tensor<?x2xi32>, tensor<?xi32>
  %10 = grouped.balance_loss %s of %e counting all scale one segments %q : !s, !e, !i
  // CHECK: grouped.trace %arg1 of 0 : tensor<?x2xi32>
  %11 = grouped.trace %e of 0 : !e
  // CHECK: grouped.trace %arg0 of 3 : tensor<?x2xf32>
  %12 = grouped.trace %w of 3 : !w
  return
}
