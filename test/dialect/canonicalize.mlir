// Folders: what says nothing goes away, scopes of scopes become one.
// RUN: moe-opt %s -canonicalize -split-input-file | FileCheck %s

// CHECK-LABEL: func @split
func.func @split(%x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x2x4xf32>) {
  // CHECK: %[[S:.*]] = moe.split %arg0 : tensor<?x8xf32> into tensor<?x2x4xf32>
  // CHECK-NEXT: return %arg0, %[[S]]
  %0 = moe.split %x : tensor<?x8xf32> into tensor<?x8xf32>
  %1 = moe.split %x : tensor<?x8xf32> into tensor<?x2x4xf32>
  return %0, %1 : tensor<?x8xf32>, tensor<?x2x4xf32>
}

// -----

// CHECK-LABEL: func @scale
func.func @scale(%r: !moe.routing<8, top 2>, %v: tensor<8xf32>) -> (!moe.routing<8, top 2>, !moe.routing<8, top 2>) {
  // CHECK: %[[A:.*]] = moe.scale %arg0 by 2.0
  // CHECK-NEXT: %[[B:.*]] = moe.scale %[[A]] by %arg1
  // CHECK-NEXT: return %arg0, %[[B]]
  %0 = moe.scale %r by 1.0 : !moe.routing<8, top 2>
  %1 = moe.scale %0 by 2.0 : !moe.routing<8, top 2>
  %2 = moe.scale %1 by %v : !moe.routing<8, top 2>, tensor<8xf32>
  return %0, %2 : !moe.routing<8, top 2>, !moe.routing<8, top 2>
}

// -----

// A tensor of one row per token is not stretched over tokens; one that is statically 1 is.
// CHECK-LABEL: func @broadcast
func.func @broadcast(%x: tensor<?x8xf32>, %y: tensor<?x8xbf16>, %c: tensor<1x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  // CHECK: %[[B:.*]] = moe.broadcast %arg2 like %arg1
  // CHECK-NEXT: return %arg0, %[[B]]
  %0 = moe.broadcast %x like %y : tensor<?x8xf32>, tensor<?x8xbf16>
  %1 = moe.broadcast %c like %y : tensor<1x8xf32>, tensor<?x8xbf16>
  return %0, %1 : tensor<?x8xf32>, tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func @scope
func.func @scope(%m: !moe.scope) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK: %[[S:.*]] = moe.scope %arg0 "model.layers.3.mlp."
  // CHECK-DAG: moe.param %[[S]] "gate"
  // CHECK-DAG: moe.param %arg0 "norm"
  %c3 = arith.constant 3 : index
  %a = moe.scope %m "model."
  %b = moe.scope %a "layers.{}." at %c3
  %c = moe.scope %b "mlp."
  %0 = moe.param %c "gate" : tensor<4xf32>
  %e = moe.scope %m ""
  %1 = moe.param %e "norm" : tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// The one unknown index may be in either; with two of them nothing merges.
// CHECK-LABEL: func @scope_index
func.func @scope_index(%m: !moe.scope, %i: index, %j: index) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK-DAG: %[[A:.*]] = moe.scope %arg0 "layers.{}.mlp." at %arg1
  // CHECK-DAG: moe.param %[[A]] "a"
  // CHECK-DAG: %[[B:.*]] = moe.scope %arg0 "model.layers.{}." at %arg2
  // CHECK-DAG: moe.param %[[B]] "b"
  // CHECK-DAG: %[[L:.*]] = moe.scope %arg0 "layers.{}." at %arg1
  // CHECK-DAG: %[[C:.*]] = moe.scope %[[L]] "blocks.{}." at %arg2
  // CHECK-DAG: moe.param %[[C]] "c"
  %l = moe.scope %m "layers.{}." at %i
  %a = moe.scope %l "mlp."
  %0 = moe.param %a "a" : tensor<4xf32>
  %n = moe.scope %m "model."
  %b = moe.scope %n "layers.{}." at %j
  %1 = moe.param %b "b" : tensor<4xf32>
  %c = moe.scope %l "blocks.{}." at %j
  %2 = moe.param %c "c" : tensor<4xf32>
  return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// Keeping all groups, all pairs, or placing all choices says nothing; ids and weights of a routing make that routing.
// CHECK-LABEL: func @routing
func.func @routing(%s: tensor<?x8xf32>, %m: tensor<8xi1>, %c: index) -> (!moe.routing<8, top 2>, !moe.routing<8, top 2>) {
  // CHECK: %[[R:.*]] = moe.route %arg0 top 2
  // CHECK-NEXT: %[[L:.*]] = moe.limit %[[R]] to %arg2 order choice overflow drop
  // CHECK-NEXT: return %[[R]], %[[L]]
  %all = arith.constant dense<true> : tensor<8xi1>
  %0 = moe.route %s groups 4 keep 4 score max top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %1 = moe.keep %0 where %all : !moe.routing<8, top 2>, tensor<8xi1>
  %i = moe.indices %1 : !moe.routing<8, top 2> -> tensor<?x2xi32>
  %w = moe.weights %1 : !moe.routing<8, top 2> -> tensor<?x2xf32>
  %2 = moe.from_indices %i, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<8, top 2>
  %3 = moe.limit %2 to %c order choice place 2 overflow next_choice : !moe.routing<8, top 2>, index
  return %2, %3 : !moe.routing<8, top 2>, !moe.routing<8, top 2>
}

// -----

// What says something stays.
// CHECK-LABEL: func @routing_stays
func.func @routing_stays(%r: !moe.routing<8, top 2>, %q: !moe.routing<8, top 2>, %c: index)
    -> (!moe.routing<8, top 2>, !moe.routing<9, top 2>, !moe.routing<8, top 2>) {
  // CHECK: moe.keep
  // CHECK: moe.from_indices
  // CHECK: moe.limit {{.*}} place 1
  %some = arith.constant dense<[true, false, true, true, true, true, true, true]> : tensor<8xi1>
  %0 = moe.keep %r where %some : !moe.routing<8, top 2>, tensor<8xi1>
  %i = moe.indices %r : !moe.routing<8, top 2> -> tensor<?x2xi32>
  %w = moe.weights %r : !moe.routing<8, top 2> -> tensor<?x2xf32>
  %1 = moe.from_indices %i, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<9, top 2>
  %2 = moe.limit %r to %c order choice place 1 overflow next_choice : !moe.routing<8, top 2>, index
  return %0, %1, %2 : !moe.routing<8, top 2>, !moe.routing<9, top 2>, !moe.routing<8, top 2>
}

// -----

// A capacity below 1 stays what it is when folding finds it out.
// CHECK-LABEL: func @capacity
func.func @capacity(%r: !moe.routing<8, top 2>, %s: tensor<?x8xf32>) -> (!moe.routing<8, top 2>, !moe.routing<8, take>) {
  // CHECK: %[[C:.*]] = arith.constant -1 : index
  // CHECK: moe.limit %arg0 to %[[C]]
  // CHECK: moe.route %arg1 take %[[C]]
  %1 = arith.constant 1 : index
  %2 = arith.constant 2 : index
  %c = arith.subi %1, %2 : index
  %l = moe.limit %r to %c order position overflow drop : !moe.routing<8, top 2>, index
  %t = moe.route %s take %c : tensor<?x8xf32>, index -> !moe.routing<8, take>
  return %l, %t : !moe.routing<8, top 2>, !moe.routing<8, take>
}
