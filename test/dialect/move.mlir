// dispatch, expert, combine, scope and param: what is printed parses to the same, in the custom form, the generic form and bytecode.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

!x = tensor<?x64xf32>
!r = !moe.routing<8, top 2>

// CHECK-LABEL: func @dispatch
func.func @dispatch(%x: !x, %i: tensor<5x3xi8>, %r: !r) {
  // CHECK: moe.dispatch %arg0 by %arg2 : tensor<?x64xf32>, !moe.routing<8, top 2>
  %0 = moe.dispatch %x by %r : !x, !r
  // CHECK: moe.dispatch %arg0 by %arg2 weighted : tensor<?x64xf32>, !moe.routing<8, top 2>
  %1 = moe.dispatch %x by %r weighted : !x, !r
  // Any elements; the number of rows becomes dynamic.
  // CHECK: %[[I:.*]] = moe.dispatch %arg1 by %arg2 : tensor<5x3xi8>, !moe.routing<8, top 2>
  %2 = moe.dispatch %i by %r : tensor<5x3xi8>, !r
  // CHECK: arith.addi %[[I]], %[[I]] : tensor<?x3xi8>
  %3 = arith.addi %2, %2 : tensor<?x3xi8>
  return
}

// CHECK-LABEL: func @combine
func.func @combine(%x: !x, %r: !r) {
  // CHECK: moe.combine %arg0 by %arg1 weighted : tensor<?x64xf32>, !moe.routing<8, top 2>
  %0 = moe.combine %x by %r weighted : !x, !r
  // CHECK: moe.combine %arg0 by %arg1 unweighted : tensor<?x64xf32>, !moe.routing<8, top 2>
  %1 = moe.combine %x by %r unweighted : !x, !r
  return
}

// One kind of experts; the routing, a row tensor and a scalar come from outside.
// CHECK-LABEL: func @one_kind
func.func @one_kind(%x: !x, %r: !r, %w: tensor<8x64x64xf32>, %b: tensor<8x64xf32>, %shared: tensor<64x64xf32>) -> !x {
  // CHECK: %[[IN:.*]] = moe.dispatch
  %in = moe.dispatch %x by %r : !x, !r
  // CHECK: moe.expert by %arg1 rows(%[[T:.*]] = %[[IN]]) each(%[[W:.*]] = %arg2, %[[B:.*]] = %arg3) : !moe.routing<8, top 2>, (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64xf32>) -> tensor<?x64xf32> {
  // CHECK: moe.linear %[[T]], %[[W]], %[[B]]
  // CHECK: moe.linear %{{.*}}, %arg4
  // CHECK: moe.yield %{{.*}} : tensor<?x64xf32>
  %out = moe.expert by %r rows(%t = %in) each(%v = %w, %c = %b)
      : !r, (!x, tensor<8x64x64xf32>, tensor<8x64xf32>) -> !x {
    %0 = moe.linear %t, %v, %c : (!x, tensor<64x64xf32>, tensor<64xf32>) -> !x
    %1 = moe.linear %0, %shared : (!x, tensor<64x64xf32>) -> !x
    moe.yield %1 : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// Several row tensors, several row results and per-expert results.
// CHECK-LABEL: func @several
func.func @several(%x: !x, %z: tensor<?x3xf32>, %r: !r) {
  %in = moe.dispatch %x by %r : !x, !r
  %jn = moe.dispatch %z by %r : tensor<?x3xf32>, !r
  // CHECK: %{{.*}}:3 = moe.expert by %arg2 rows(%[[T:.*]] = %{{.*}}, %[[U:.*]] = %{{.*}}) attributes {note = "kept"} : !moe.routing<8, top 2>, (tensor<?x64xf32>, tensor<?x3xf32>) -> (tensor<?x3xf32>, tensor<?x64xf32>, tensor<8x64xf32>) {
  // CHECK: moe.yield rows(%[[U]], %[[T]] : tensor<?x3xf32>, tensor<?x64xf32>) each(%{{.*}} : tensor<64xf32>)
  %out:3 = moe.expert by %r rows(%t = %in, %u = %jn) attributes {note = "kept"}
      : !r, (!x, tensor<?x3xf32>) -> (tensor<?x3xf32>, !x, tensor<8x64xf32>) {
    %s = moe.reduce max %t over 0 : !x -> tensor<64xf32>
    moe.yield rows(%u, %t : tensor<?x3xf32>, !x) each(%s : tensor<64xf32>)
  }
  // Only per-expert results.
  // CHECK: moe.yield each(%{{.*}} : tensor<64xf32>)
  %sums = moe.expert by %r rows(%t = %in) : !r, (!x) -> tensor<8x64xf32> {
    %s = moe.reduce sum %t over 0 : !x -> tensor<64xf32>
    moe.yield each(%s : tensor<64xf32>)
  }
  // Nothing at all.
  // CHECK: moe.expert by %arg2 : !moe.routing<8, top 2>, () -> () {
  // CHECK-NEXT: moe.yield
  moe.expert by %r : !r, () -> () {
    moe.yield
  }
  return
}

// Several kinds of experts: linear, identity, zero.
// CHECK-LABEL: func @ranges
func.func @ranges(%x: !x, %r: !r, %w: tensor<6x64x64xf32>, %b: tensor<6x64xf32>, %z: tensor<1x64xf32>) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  // CHECK: moe.expert by %arg1 rows(%{{.*}} = %{{.*}}) : !moe.routing<8, top 2>, (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK-NEXT: range 0 to 6 each(%{{.*}} = %arg2, %{{.*}} = %arg3) : (tensor<6x64x64xf32>, tensor<6x64xf32>) {
  // CHECK: range 6 to 7 rows(%[[U:.*]]) {
  // CHECK-NEXT: moe.yield %[[U]] : tensor<?x64xf32>
  // CHECK: range 7 to 8 rows(%[[V:.*]]) each(%[[Z:.*]] = %arg4) : (tensor<1x64xf32>) {
  // CHECK-NEXT: moe.broadcast %[[Z]] like %[[V]] : tensor<64xf32>, tensor<?x64xf32>
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 6 each(%v = %w, %c = %b) : (tensor<6x64x64xf32>, tensor<6x64xf32>) {
    %0 = moe.linear %t, %v, %c : (!x, tensor<64x64xf32>, tensor<64xf32>) -> !x
    moe.yield %0 : !x
  }
      range 6 to 7 {
    moe.yield %t : !x
  }
      range 7 to 8 each(%c = %z) : (tensor<1x64xf32>) {
    %0 = moe.broadcast %c like %t : tensor<64xf32>, !x
    moe.yield %0 : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// An expert region that contains a routing of its own; weights on the input; an edited routing on the way back.
// CHECK-LABEL: func @nested
func.func @nested(%x: !x, %r: !r, %s: tensor<3x64xf32>) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  // CHECK: moe.expert by %arg1
  // CHECK: moe.route
  // CHECK: moe.expert by %{{.*}} rows
  // CHECK: moe.combine %{{.*}} by %{{.*}} unweighted : tensor<?x64xf32>, !moe.routing<3, top 1>
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x {
    %l = moe.linear %t, %s : (!x, tensor<3x64xf32>) -> tensor<?x3xf32>
    %inner = moe.route %l top 1 : tensor<?x3xf32> -> !moe.routing<3, top 1>
    %in2 = moe.dispatch %t by %inner weighted : !x, !moe.routing<3, top 1>
    %out2 = moe.expert by %inner rows(%u = %in2) : !moe.routing<3, top 1>, (!x) -> !x {
      moe.yield %u : !x
    }
    %y = moe.combine %out2 by %inner unweighted : !x, !moe.routing<3, top 1>
    moe.yield %y : !x
  }
  %n = moe.normalize %r by sum : !r
  %q = moe.scale %n by 2.0 : !r
  %half = arith.negf %out : !x
  // CHECK: moe.combine %{{.*}} by %{{.*}} weighted
  %y = moe.combine %half by %q weighted : !x, !r
  return %y : !x
}

// One expert.
// CHECK-LABEL: func @one_expert
func.func @one_expert(%x: !x, %r: !moe.routing<1, top 1>, %w: tensor<1x64x64xf32>) -> !x {
  %in = moe.dispatch %x by %r : !x, !moe.routing<1, top 1>
  // CHECK: moe.expert by %arg1 {{.*}} : !moe.routing<1, top 1>, (tensor<?x64xf32>, tensor<1x64x64xf32>)
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !moe.routing<1, top 1>, (!x, tensor<1x64x64xf32>) -> !x {
    %0 = moe.linear %t, %v : (!x, tensor<64x64xf32>) -> !x
    moe.yield %0 : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !moe.routing<1, top 1>
  return %y : !x
}

// The same choice written twice, or a routing that another function returns, may be the same support.
// CHECK-LABEL: func @same_support
func.func private @edit(!r) -> !r
func.func @same_support(%x: !x, %s: tensor<?x8xf32>) -> !x {
  %a = moe.route %s top 2 : tensor<?x8xf32> -> !r
  %b = moe.route %s top 2 : tensor<?x8xf32> -> !r
  %c = func.call @edit(%b) : (!r) -> !r
  %w = moe.weights %a : !r -> tensor<?x2xf32>
  %d = moe.with_weights %a, %w : !r, tensor<?x2xf32>
  %in = moe.dispatch %x by %d : !x, !r
  %out = moe.expert by %b rows(%t = %in) : !r, (!x) -> !x {
    moe.yield %t : !x
  }
  // CHECK: moe.combine
  %y = moe.combine %out by %c weighted : !x, !r
  return %y : !x
}

// CHECK-LABEL: func @params
func.func @params(%m: !moe.scope, %i: index) {
  // CHECK: %[[L:.*]] = moe.scope %arg0 "model.layers.{}.mlp." at %arg1
  %l = moe.scope %m "model.layers.{}.mlp." at %i
  // CHECK: %[[E:.*]] = moe.scope %[[L]] "experts."
  %e = moe.scope %l "experts."
  // CHECK: moe.param %[[E]] "{expert}.w1.weight" : tensor<8x256x128xbf16>
  %0 = moe.param %e "{expert}.w1.weight" : tensor<8x256x128xbf16>
  // CHECK: moe.param %arg0 "layers.{layer}.experts.{expert:8}.w" : tensor<2x8x3xf32>
  %1 = moe.param %m "layers.{layer}.experts.{expert:8}.w" : tensor<2x8x3xf32>
  // CHECK: moe.param %arg0 "bias" : tensor<f32>
  %2 = moe.param %m "bias" : tensor<f32>
  return
}
