// Making routings in every way: what is printed parses to the same, in the custom form, the generic form and bytecode.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

!s = tensor<?x16xf32>
!i = tensor<?xi32>

// CHECK-LABEL: func @groups
func.func @groups(%s: !s, %k: !s) {
  // CHECK: moe.route %arg0 by %arg1 groups 4 keep 2 score sum 2 top 8 : tensor<?x16xf32> -> !moe.routing<16, top 8>
  %0 = moe.route %s by %k groups 4 keep 2 score sum 2 top 8 : !s -> !moe.routing<16, top 8>
  // CHECK: moe.route %arg0 groups 16 keep 1 score max top 1 {note = "one expert a group"} : tensor<?x16xf32> -> !moe.routing<16, top 1>
  %1 = moe.route %s groups 16 keep 1 score max top 1 {note = "one expert a group"} : !s -> !moe.routing<16, top 1>
  // CHECK: moe.route %arg0 groups 2 keep 1 score max nonzero : tensor<?x16xf32> -> !moe.routing<16, any>
  %2 = moe.route %s groups 2 keep 1 score sum 1 nonzero : !s -> !moe.routing<16, any>
  return
}

// CHECK-LABEL: func @take
func.func @take(%s: !s, %k: !s, %c: index, %cs: !i, %q: !i) {
  // CHECK: moe.route %arg0 take %arg2 : tensor<?x16xf32>, index -> !moe.routing<16, take>
  %0 = moe.route %s take %c : !s, index -> !moe.routing<16, take>
  // CHECK: moe.route %arg0 by %arg1 take %arg2 segments %arg4 : tensor<?x16xf32>, index, tensor<?xi32> -> !moe.routing<16, take>
  %1 = moe.route %s by %k take %c segments %q : !s, index, !i -> !moe.routing<16, take>
  // CHECK: moe.route %arg0 take %arg3 segments %arg4 {note = "sizes"} : tensor<?x16xf32>, tensor<?xi32>, tensor<?xi32> -> !moe.routing<16, take>
  %2 = moe.route %s take %cs segments %q {note = "sizes"} : !s, !i, !i -> !moe.routing<16, take>
  // The capacity of one token is known and fits.
  %one = arith.constant 1 : index
  %3 = moe.route %s take %one : !s, index -> !moe.routing<16, take>
  return
}

// CHECK-LABEL: func @thresholds
func.func @thresholds(%s: !s, %k: !s, %t: f32) {
  // CHECK: moe.route %arg0 greater_than 2.000000e-01 : tensor<?x16xf32> -> !moe.routing<16, any>
  %0 = moe.route %s greater_than 0.2 : !s -> !moe.routing<16, any>
  // CHECK: moe.route %arg0 by %arg1 at_least -5.000000e-01 : tensor<?x16xf32> -> !moe.routing<16, any>
  %1 = moe.route %s by %k at_least -0.5 : !s -> !moe.routing<16, any>
  // CHECK: moe.route %arg0 top_p 1.000000e+00 : tensor<?x16xf32> -> !moe.routing<16, any>
  %2 = moe.route %s top_p 1.0 : !s -> !moe.routing<16, any>
  // CHECK: moe.route %arg0 greater_than %arg2 : tensor<?x16xf32> -> !moe.routing<16, any>
  %3 = moe.route %s greater_than %t : !s -> !moe.routing<16, any>
  // CHECK: moe.route %arg0 by %arg1 groups 4 keep 2 score max top_p %arg2 : tensor<?x16xf32> -> !moe.routing<16, any>
  %4 = moe.route %s by %k groups 4 keep 2 score max top_p %t : !s -> !moe.routing<16, any>
  // CHECK: moe.route %arg0 nonzero : tensor<?x16xf32> -> !moe.routing<16, any>
  %5 = moe.route %s nonzero : !s -> !moe.routing<16, any>
  // CHECK: moe.route %arg0 all : tensor<?x16xf32> -> !moe.routing<16, any>
  %6 = moe.route %s all : !s -> !moe.routing<16, any>
  return
}

// CHECK-LABEL: func @given
func.func @given(%ids: !i, %long: tensor<?xi64>, %table: tensor<256x2xi32>, %tid2eid: tensor<100x6xi64>, %s: !s, %e: tensor<?x2xi32>,
                 %w: tensor<?x2xf32>) {
  // CHECK: moe.lookup %arg0 in %arg2 : tensor<?xi32>, tensor<256x2xi32> -> !moe.routing<16, top 2>
  %0 = moe.lookup %ids in %table : !i, tensor<256x2xi32> -> !moe.routing<16, top 2>
  // CHECK: moe.lookup %arg1 in %arg3 weights %arg4 : tensor<?xi64>, tensor<100x6xi64>, tensor<?x16xf32> -> !moe.routing<16, top 6>
  %1 = moe.lookup %long in %tid2eid weights %s : tensor<?xi64>, tensor<100x6xi64>, !s -> !moe.routing<16, top 6>
  // CHECK: moe.from_indices %arg5, %arg6 : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<16, top 2>
  %2 = moe.from_indices %e, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<16, top 2>
  return
}

// CHECK-LABEL: func @assign
func.func @assign(%w: !s, %s: !s, %q: !i) {
  // CHECK: moe.assign %arg0 by %arg1 epsilon over 5.000000e+01 at_least {{.*}} rounds 100 : tensor<?x16xf32> -> !moe.routing<16, top 1>
  %0 = moe.assign %w by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : !s -> !moe.routing<16, top 1>
  // CHECK: moe.assign %arg0 by %arg1 epsilon over {{.*}} at_least {{.*}} rounds 1 segments %arg2 : tensor<?x16xf32>, tensor<?xi32> -> !moe.routing<16, top 1>
  %1 = moe.assign %w by %s epsilon over 50.0 at_least 1.0e-4 rounds 1 segments %q : !s, !i -> !moe.routing<16, top 1>
  return
}
