// Making, editing and reading routings: what is printed parses to the same, in the custom form, the generic form and bytecode.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

// CHECK-LABEL: func @types
// CHECK-SAME: !moe.routing<8, top 2>
// CHECK-SAME: !moe.routing<1, top 1>
// CHECK-SAME: !moe.routing<7, take>
// CHECK-SAME: !moe.routing<131, any>
// CHECK-SAME: !moe.scope
func.func @types(%0: !moe.routing<8, top 2>, %1: !moe.routing<1, top 1>, %2: !moe.routing<7, take>,
                 %3: !moe.routing<131, any>, %4: !moe.scope) {
  return
}

// CHECK-LABEL: func @route
func.func @route(%s: tensor<?x8xf32>, %k: tensor<?x8xf32>, %b: tensor<?x13xbf16>, %one: tensor<?x1xf32>) {
  // CHECK: moe.route %arg0 top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %0 = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  // CHECK: moe.route %arg0 by %arg1 top 8 : tensor<?x8xf32> -> !moe.routing<8, top 8>
  %1 = moe.route %s by %k top 8 : tensor<?x8xf32> -> !moe.routing<8, top 8>
  // CHECK: moe.route %arg2 top 5 : tensor<?x13xbf16> -> !moe.routing<13, top 5>
  %2 = moe.route %b top 5 : tensor<?x13xbf16> -> !moe.routing<13, top 5>
  // CHECK: moe.route %arg3 top 1 {note = "one expert"} : tensor<?x1xf32> -> !moe.routing<1, top 1>
  %3 = moe.route %one top 1 {note = "one expert"} : tensor<?x1xf32> -> !moe.routing<1, top 1>
  return
}

// CHECK-LABEL: func @normalize
func.func @normalize(%r: !moe.routing<8, top 2>, %a: !moe.routing<8, any>) {
  // CHECK: moe.normalize %arg0 by sum : !moe.routing<8, top 2>
  %0 = moe.normalize %r by sum : !moe.routing<8, top 2>
  // CHECK: moe.normalize %arg0 by sum plus {{.*}}E-21 : !moe.routing<8, top 2>
  %1 = moe.normalize %r by sum plus 1.0e-20 : !moe.routing<8, top 2>
  // CHECK: moe.normalize %arg0 by sum at_least 1.250000e-01 : !moe.routing<8, top 2>
  %2 = moe.normalize %r by sum at_least 0.125 : !moe.routing<8, top 2>
  // CHECK: moe.normalize %arg0 by softmax : !moe.routing<8, top 2>
  %3 = moe.normalize %r by softmax : !moe.routing<8, top 2>
  // CHECK: moe.normalize %arg1 by lp 1.000000e+00 : !moe.routing<8, any>
  %4 = moe.normalize %a by lp 1.0 : !moe.routing<8, any>
  return
}

// CHECK-LABEL: func @scale
func.func @scale(%r: !moe.routing<8, top 2>, %f: f32, %v: tensor<8xf32>) {
  // CHECK: moe.scale %arg0 by 2.500000e+00 : !moe.routing<8, top 2>
  %0 = moe.scale %r by 2.5 : !moe.routing<8, top 2>
  // CHECK: moe.scale %arg0 by -1.000000e-01 {note = "negative"} : !moe.routing<8, top 2>
  %1 = moe.scale %r by -0.1 {note = "negative"} : !moe.routing<8, top 2>
  // CHECK: moe.scale %arg0 by %arg1 : !moe.routing<8, top 2>, f32
  %2 = moe.scale %r by %f : !moe.routing<8, top 2>, f32
  // CHECK: moe.scale %arg0 by %arg2 : !moe.routing<8, top 2>, tensor<8xf32>
  %3 = moe.scale %r by %v : !moe.routing<8, top 2>, tensor<8xf32>
  return
}

// CHECK-LABEL: func @read
func.func @read(%r: !moe.routing<8, top 3>, %t: !moe.routing<8, take>) {
  // CHECK: moe.weights %arg0 : !moe.routing<8, top 3> -> tensor<?x3xf32>
  %0 = moe.weights %r : !moe.routing<8, top 3> -> tensor<?x3xf32>
  // CHECK: moe.indices %arg0 : !moe.routing<8, top 3> -> tensor<?x3xi32>
  %1 = moe.indices %r : !moe.routing<8, top 3> -> tensor<?x3xi32>
  // CHECK: moe.with_weights %arg0, %{{.*}} : !moe.routing<8, top 3>, tensor<?x3xf32>
  %2 = moe.with_weights %r, %0 : !moe.routing<8, top 3>, tensor<?x3xf32>
  // CHECK: moe.counts %arg0 : !moe.routing<8, top 3> -> tensor<8xi32>
  %3 = moe.counts %r : !moe.routing<8, top 3> -> tensor<8xi32>
  // CHECK: moe.counts %arg1 : !moe.routing<8, take> -> tensor<8xi32>
  %4 = moe.counts %t : !moe.routing<8, take> -> tensor<8xi32>
  return
}
