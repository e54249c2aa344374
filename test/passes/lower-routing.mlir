// RUN: moe-opt --split-input-file --moe-lower-routing --canonicalize %s | FileCheck %s
!x = tensor<?x6xf32>
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>

// One plan for a support, whatever became of the weights; all weights are f32.
// CHECK-LABEL: func.func @layer(
// CHECK-SAME:    %[[X:.*]]: tensor<?x6xf32>, %[[S:.*]]: tensor<?x8xf32>
// CHECK-NEXT:    %[[C:.*]], %[[I:.*]] = grouped.top_k %[[S]] by %[[S]] top 2
// CHECK-NEXT:    %[[O:.*]], %[[T:.*]], %{{.*}}, %[[R:.*]] = grouped.plan %[[I]] experts 8 {moe.routing = 0 : i64}
// CHECK-NEXT:    %[[W:.*]] = moe.softmax %[[C]] : tensor<?x2xf32>
// CHECK-NEXT:    %[[IN:.*]] = moe.gather %[[X]] at %[[T]]
// CHECK-NEXT:    %[[OUT:.*]] = grouped.loop over %[[O]] rows(%[[IN]]) bounds [0, 8] counts [0]
// CHECK:           grouped.yield rows(
// CHECK:         %[[Y:.*]] = grouped.combine %[[OUT]] by %[[R]] weighted %[[W]]
// CHECK-NEXT:    return %[[Y]]
// CHECK-NOT:     moe.route
func.func @layer(%x: !x, %s: !s) -> !x {
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  %in  = moe.dispatch %x by %g : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x {
    %y = moe.silu %t : !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// -----
!s = tensor<?x8xbf16>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @weights(
// CHECK:         %[[C:.*]], %[[I:.*]] = grouped.top_k %{{.*}} : tensor<?x8xbf16>, tensor<?x8xbf16> -> tensor<?x2xf32>, tensor<?x2xi32>
// CHECK-NEXT:    %[[N:.*]] = moe.split %[[C]] : tensor<?x2xf32> into tensor<?x1x2xf32>
// CHECK-NEXT:    %[[SUM:.*]] = moe.reduce sum %[[N]] over 2 : tensor<?x1x2xf32> -> tensor<?x1xf32>
// CHECK-NEXT:    %[[B:.*]] = moe.broadcast %[[SUM]] like %[[C]]
// CHECK-NEXT:    %[[Q:.*]] = moe.map (%[[W:.*]] = %[[C]], %[[D:.*]] = %[[B]])
// CHECK:           %[[E:.*]] = arith.constant 1.000000e-01 : f32
// CHECK:           %[[P:.*]] = arith.addf %[[D]], %[[E]]
// CHECK:           arith.divf %[[W]], %[[P]]
// CHECK:         %[[F:.*]] = moe.gather %{{.*}} at %[[I]]
// CHECK-NEXT:    %[[Z:.*]] = arith.mulf %[[Q]], %[[F]]
// CHECK-NEXT:    return %[[Z]], %[[I]]
func.func @weights(%s: !s, %f: tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
  %g = moe.route %s top 2 : !s -> !r
  %n = moe.normalize %g by sum plus 0.1 : !r
  %r = moe.scale %n by %f : !r, tensor<8xf32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  return %w, %i : tensor<?x2xf32>, tensor<?x2xi32>
}

// -----
!x = tensor<?x6xbf16>
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// Weighted rows are multiplied in f32 and rounded once.
// CHECK-LABEL: func.func @weighted_dispatch(
// CHECK:         %[[C:.*]], %[[I:.*]] = grouped.top_k
// CHECK-NEXT:    %{{.*}}, %[[T:.*]], %[[SLOTS:.*]], %{{.*}} = grouped.plan %[[I]]
// CHECK-NEXT:    %[[IN:.*]] = moe.gather %{{.*}} at %[[T]]
// CHECK-NEXT:    %[[S:.*]] = moe.split %[[C]] : tensor<?x2xf32> into tensor<?x2x1xf32>
// CHECK-NEXT:    %[[F:.*]] = tensor.collapse_shape %[[S]] {{\[\[}}0, 1], [2]]
// CHECK-NEXT:    %[[W:.*]] = moe.gather %[[F]] at %[[SLOTS]] : tensor<?x1xf32>, tensor<?xi32> -> tensor<?x1xf32>
// CHECK-NEXT:    %[[E:.*]] = arith.extf %[[IN]]
// CHECK-NEXT:    %[[B:.*]] = moe.broadcast %[[W]] like %[[E]]
// CHECK-NEXT:    %[[M:.*]] = arith.mulf %[[E]], %[[B]]
// CHECK-NEXT:    arith.truncf %[[M]]
func.func @weighted_dispatch(%x: !x, %s: !s) -> !x {
  %r = moe.route %s top 2 : !s -> !r
  %in = moe.dispatch %x by %r weighted : !x, !r
  return %in : !x
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @counts(
// CHECK:         %[[O:.*]], %{{.*}}, %{{.*}}, %{{.*}} = grouped.plan
// CHECK-NEXT:    %[[A:.*]] = tensor.extract_slice %[[O]][0] [8] [1]
// CHECK-NEXT:    %[[B:.*]] = tensor.extract_slice %[[O]][1] [8] [1]
// CHECK-NEXT:    arith.subi %[[B]], %[[A]] : tensor<8xi32>
func.func @counts(%s: !s) -> tensor<8xi32> {
  %r = moe.route %s top 2 : !s -> !r
  %c = moe.counts %r : !r -> tensor<8xi32>
  return %c : tensor<8xi32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// A routing that control flow chooses is two tensors there too.
// CHECK-LABEL: func.func @chosen(
// CHECK:         scf.if %{{.*}} -> (tensor<?x2xf32>, tensor<?x2xi32>)
func.func @chosen(%c: i1, %s: !s, %t: !s) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
  %r = scf.if %c -> (!r) {
    %a = moe.route %s top 2 : !s -> !r
    scf.yield %a : !r
  } else {
    %b = moe.route %t top 2 : !s -> !r
    scf.yield %b : !r
  }
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  return %w, %i : tensor<?x2xf32>, tensor<?x2xi32>
}

// -----
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// So is one of two that are made in any case, which canonicalization makes of an scf.if.
// CHECK-LABEL: func.func @selected(
// CHECK:         %[[A:.*]], %[[AI:.*]] = grouped.top_k %arg1
// CHECK:         %[[B:.*]], %[[BI:.*]] = grouped.top_k %arg2
// CHECK:         %[[W:.*]] = arith.select %arg0, %[[A]], %[[B]] : tensor<?x2xf32>
// CHECK:         %[[I:.*]] = arith.select %arg0, %[[AI]], %[[BI]] : tensor<?x2xi32>
// CHECK:         return %[[W]], %[[I]]
func.func @selected(%c: i1, %s: !s, %t: !s) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
  %a = moe.route %s top 2 : !s -> !r
  %b = moe.route %t top 2 : !s -> !r
  %r = arith.select %c, %a, %b : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  return %w, %i : tensor<?x2xf32>, tensor<?x2xi32>
}
