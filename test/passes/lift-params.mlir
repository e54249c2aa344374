// RUN: moe-opt --split-input-file --inline --moe-lift-params %s | FileCheck %s

// Text of scopes adds up; one name is one argument; the scope's argument is gone.
// CHECK-LABEL: func.func @names(
// CHECK-SAME:    %[[X:.*]]: tensor<?x4xf32>, %[[E:.*]]: tensor<2x4xf32> {moe.param = "layers.3.experts.{expert:8}.b"},
// CHECK-SAME:    %[[A:.*]]: tensor<4x4xf32> {moe.param = "layers.3.mlp.w"}) -> (tensor<?x4xf32>, tensor<2x4xf32>)
// CHECK:         %[[P:.*]] = moe.linear %[[X]], %[[A]]
// CHECK-NEXT:    %[[Q:.*]] = moe.linear %[[P]], %[[A]]
// CHECK-NEXT:    return %[[Q]], %[[E]]
func.func private @mlp(%x: tensor<?x4xf32>, %m: !moe.scope) -> tensor<?x4xf32> {
  %w = moe.param %m "w" : tensor<4x4xf32>
  %y = moe.linear %x, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
func.func @names(%x: tensor<?x4xf32>, %m: !moe.scope) -> (tensor<?x4xf32>, tensor<2x4xf32>) {
  %i = arith.constant 3 : index
  %l = moe.scope %m "layers.{}." at %i
  %s = moe.scope %l "mlp."
  %b = moe.param %l "experts.{expert:8}.b" : tensor<2x4xf32>
  %y = func.call @mlp(%x, %s) : (tensor<?x4xf32>, !moe.scope) -> tensor<?x4xf32>
  %z = func.call @mlp(%y, %s) : (tensor<?x4xf32>, !moe.scope) -> tensor<?x4xf32>
  return %z, %b : tensor<?x4xf32>, tensor<2x4xf32>
}

// -----

// A loop over layers is written out, because every layer has names of its own.
// CHECK-LABEL: func.func @layers(
// CHECK-SAME:    {moe.param = "layers.1.w"}, {{.*}} {moe.param = "layers.2.w"})
// CHECK-NOT:     scf.for
// CHECK-COUNT-2: moe.linear
func.func @layers(%x: tensor<?x4xf32>, %m: !moe.scope) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %y = scf.for %i = %c0 to %c2 step %c1 iter_args(%xi = %x) -> (tensor<?x4xf32>) {
    %j = arith.addi %i, %c1 : index
    %l = moe.scope %m "layers.{}." at %j
    %w = moe.param %l "w" : tensor<4x4xf32>
    %xo = moe.linear %xi, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    scf.yield %xo : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}

// -----

// A loop that needs no names of its own stays.
// CHECK-LABEL: func.func @not_unrolled(
// CHECK-SAME:    {moe.param = "w"})
// CHECK:         scf.for
func.func @not_unrolled(%x: tensor<?x4xf32>, %n: index, %m: !moe.scope) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%xi = %x) -> (tensor<?x4xf32>) {
    %w = moe.param %m "w" : tensor<4x4xf32>
    %xo = moe.linear %xi, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    scf.yield %xo : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}

// -----
// To 255, and past the largest number of its type.
// CHECK-LABEL: func.func @unsigned(
// CHECK-SAME:    %{{.*}}: tensor<4xf32> {moe.param = "layers.100.w"}, %{{.*}}: tensor<4xf32> {moe.param = "layers.200.w"})
func.func @unsigned(%x: tensor<4xf32>, %m: !moe.scope) -> tensor<4xf32> {
  %begin = arith.constant 100 : i8
  %end = arith.constant -1 : i8
  %y = scf.for unsigned %i = %begin to %end step %begin iter_args(%v = %x) -> (tensor<4xf32>) : i8 {
    %j = arith.index_castui %i : i8 to index
    %s = moe.scope %m "layers.{}." at %j
    %w = moe.param %s "w" : tensor<4xf32>
    %a = arith.addf %v, %w : tensor<4xf32>
    scf.yield %a : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}
