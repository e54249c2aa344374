// RUN: moe-opt --moe-lower-routing %s | FileCheck %s

!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
!any = !moe.routing<8, any>

// A threshold leaves slots empty: softmax sees -inf there, and their weight stays 0.
// CHECK-LABEL: func.func @threshold
// CHECK: %[[CHOSEN:.*]], %[[IDS:.*]] = grouped.select %[[S:.*]] by %[[S]] selection greater_than literal 2.500000e-01
// CHECK: %[[MASKED:.*]] = moe.map (%{{.*}} = %[[CHOSEN]], %{{.*}} = %[[IDS]])
// CHECK: arith.constant 0xFF800000 : f32
// CHECK: %[[SOFT:.*]] = moe.softmax %[[MASKED]]
// CHECK: %[[WEIGHTS:.*]] = moe.map (%{{.*}} = %[[SOFT]], %{{.*}} = %[[IDS]])
// CHECK: return %[[WEIGHTS]]
func.func @threshold(%s: !s) -> !s {
  %g = moe.route %s greater_than 0.25 : !s -> !any
  %r = moe.normalize %g by softmax : !any
  %m = moe.to_matrix %r : !any -> !s
  return %m : !s
}

// Groups fill every slot: no mask.
// CHECK-LABEL: func.func @groups
// CHECK: %[[CHOSEN:.*]], %{{.*}} = grouped.select %{{.*}} groups 4 keep 2 best 2 selection top count 2
// CHECK-NOT: moe.map
// CHECK: moe.softmax %[[CHOSEN]]
func.func @groups(%s: !s) -> tensor<?x2xf32> {
  %g = moe.route %s groups 4 keep 2 score sum 2 top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// CHECK-LABEL: func.func @lookup
// CHECK: %[[TABLE:.*]] = grouped.check_ids %{{.*}} experts 8 : tensor<16x2xi64> -> tensor<16x2xi32>
// CHECK: %[[IDS:.*]] = moe.gather %[[TABLE]] at %{{.*}} -> tensor<?x2xi32>
// CHECK: grouped.pick %{{.*}} at %[[IDS]] : tensor<?x8xf32>, tensor<?x2xi32> -> tensor<?x2xf32>
func.func @lookup(%i: tensor<?xi32>, %t: tensor<16x2xi64>, %s: !s) -> tensor<?x2xf32> {
  %r = moe.lookup %i in %t weights %s : tensor<?xi32>, tensor<16x2xi64>, !s -> !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %w : tensor<?x2xf32>
}

// CHECK-LABEL: func.func @edits
// CHECK: %[[CHOSEN:.*]], %[[IDS:.*]] = grouped.top_k
// CHECK: %[[MASK:.*]] = grouped.pick %{{.*}} at %[[IDS]] : tensor<8xi1>, tensor<?x2xi32> -> tensor<?x2xi1>
// CHECK: %[[KEPT:.*]]:2 = moe.map (%{{.*}} = %[[CHOSEN]], %{{.*}} = %[[IDS]], %{{.*}} = %[[MASK]])
// CHECK: %[[W:.*]], %[[I:.*]] = grouped.limit %[[KEPT]]#0, %[[KEPT]]#1 experts 8 to %{{.*}} order choice
// CHECK: grouped.join %[[W]], %[[I]], %[[CHOSEN]], %[[IDS]] experts 8 by_expert
func.func @edits(%s: !s, %mask: tensor<8xi1>, %c: index) -> !s {
  %g = moe.route %s top 2 : !s -> !r
  %k = moe.keep %g where %mask : !r, tensor<8xi1>
  %l = moe.limit %k to %c order choice overflow drop : !r, index
  %j = moe.join %l, %g : !r, !r -> !any
  %m = moe.to_matrix %j : !any -> !s
  return %m : !s
}

// CHECK-LABEL: func.func @reads
// CHECK: %[[CHOSEN:.*]], %[[IDS:.*]] = grouped.top_k
// CHECK: grouped.plan %[[IDS]] experts 8 {moe.routing = 0 : i64}
// CHECK: %[[MATRIX:.*]] = grouped.matrix %[[CHOSEN]], %[[IDS]]
// CHECK: moe.reduce sum %[[MATRIX]] over 0
// CHECK: grouped.balance_loss %{{.*}} of %[[IDS]] counting all scale one
func.func @reads(%s: !s) -> (tensor<8xf32>, tensor<f32>, tensor<?xi32>, tensor<?xf32>) {
  %g = moe.route %s top 2 : !s -> !r
  %i = moe.importance %g : !r -> tensor<8xf32>
  %b = moe.balance_loss %s of %g counting all scale one : !s, !r
  %e, %t, %j, %w = moe.pairs %g : !r -> tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xf32>
  return %i, %b, %j, %w : tensor<8xf32>, tensor<f32>, tensor<?xi32>, tensor<?xf32>
}
