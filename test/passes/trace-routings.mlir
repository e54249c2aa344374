// RUN: moe-opt --split-input-file --moe-lower-routing --moe-trace-routings --canonicalize %s | FileCheck %s
!x = tensor<?x6xf32>
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>

// What goes to experts and comes back is traced; what the router says of itself is not.
// CHECK-LABEL: func.func @layer(
// CHECK:         %[[C:.*]], %[[I:.*]] = grouped.top_k
// CHECK-NEXT:    %[[TI:.*]] = grouped.trace %[[I]] of 0 : tensor<?x2xi32>
// CHECK-NEXT:    %{{.*}}, %[[T:.*]], %{{.*}}, %[[R:.*]] = grouped.plan %[[TI]] experts 8 {moe.routing = 0 : i64}
// CHECK-NEXT:    %[[W:.*]] = moe.softmax %[[C]]
// CHECK-NEXT:    %[[TW:.*]] = grouped.trace %[[W]] of 0 : tensor<?x2xf32>
// CHECK:         %[[Y:.*]] = grouped.combine %{{.*}} by %[[R]] weighted %[[TW]]
// CHECK-NEXT:    return %[[Y]], %[[W]], %[[I]]
func.func @layer(%x: !x, %s: !s) -> (!x, tensor<?x2xf32>, tensor<?x2xi32>) {
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  %in  = moe.dispatch %x by %g : !x, !r
  %y = moe.combine %in by %r weighted : !x, !r
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  return %y, %w, %i : !x, tensor<?x2xf32>, tensor<?x2xi32>
}

// -----
!x = tensor<?x6xf32>
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
!i = tensor<?xi32>
// Weights on the input of experts, and experts and weights of pairs.
// CHECK-LABEL: func.func @weighted_dispatch(
// CHECK:         %[[C:.*]], %[[I:.*]] = grouped.top_k
// CHECK-DAG:     %[[TI:.*]] = grouped.trace %[[I]] of 0
// CHECK-DAG:     %[[TW:.*]] = grouped.trace %[[C]] of 0
// CHECK-DAG:     moe.split %[[TW]]
// CHECK-DAG:     tensor.collapse_shape %[[TI]]
// CHECK-DAG:     tensor.collapse_shape %[[TW]]
func.func @weighted_dispatch(%x: !x, %s: !s) -> (!x, !i, tensor<?xf32>) {
  %g = moe.route %s top 2 : !s -> !r
  %in = moe.dispatch %x by %g weighted : !x, !r
  %y = moe.combine %in by %g unweighted : !x, !r
  %e, %t, %j, %w = moe.pairs %g : !r -> !i, !i, !i, tensor<?xf32>
  return %y, %e, %w : !x, !i, tensor<?xf32>
}

// -----
!x = tensor<?x6xf32>
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// Two weights of one support have one number; another support has another.
// CHECK-LABEL: func.func @numbers(
// CHECK:         grouped.trace %{{.*}} of 0 : tensor<?x2xi32>
// CHECK:         grouped.trace %{{.*}} of 0 : tensor<?x2xf32>
// CHECK:         grouped.trace %{{.*}} of 0 : tensor<?x2xf32>
// CHECK:         grouped.trace %{{.*}} of 1 : tensor<?x2xi32>
// CHECK-NOT:     grouped.trace
func.func @numbers(%x: !x, %s: !s, %p: !s) -> !x {
  %g = moe.route %s top 2 : !s -> !r
  %n = moe.normalize %g by softmax : !r
  %m = moe.normalize %g by lp 2.0 : !r
  %in = moe.dispatch %x by %g : !x, !r
  %a = moe.combine %in by %n weighted : !x, !r
  %b = moe.combine %in by %m weighted : !x, !r
  %h = moe.route %p top 2 : !s -> !r
  %other = moe.dispatch %x by %h : !x, !r
  %c = moe.combine %other by %h unweighted : !x, !r
  %ab = arith.addf %a, %b : !x
  %abc = arith.addf %ab, %c : !x
  return %abc : !x
}

// -----
!x = tensor<?x6xf32>
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
// A routing inside an expert sees other rows in every round.
// CHECK-LABEL: func.func @not_inside_an_expert(
// CHECK-COUNT-2: grouped.trace %{{.*}} of 0
// CHECK-NOT:     grouped.trace
func.func @not_inside_an_expert(%x: !x, %s: !s, %w: tensor<8x6xf32>) -> !x {
  %g = moe.route %s top 2 : !s -> !r
  %in = moe.dispatch %x by %g : !x, !r
  %out = moe.expert by %g rows(%t = %in) : !r, (!x) -> !x {
    %l = moe.linear %t, %w : (!x, tensor<8x6xf32>) -> !s
    %h = moe.route %l top 2 : !s -> !r
    %a = moe.dispatch %t by %h : !x, !r
    %b = moe.combine %a by %h weighted : !x, !r
    moe.yield %b : !x
  }
  %y = moe.combine %out by %g weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!s = tensor<?x8xf32>
!r = !moe.routing<8, top 2>
!q = !moe.routing<6, top 2>
// Neither does one of pairs have a row per token; the rows that combine gives do.
// CHECK-LABEL: func.func @not_of_pairs(
// CHECK:         grouped.trace %{{.*}} of 0
// CHECK:         grouped.trace %{{.*}} of 0
// CHECK:         grouped.trace %{{.*}} of 2
// CHECK:         grouped.trace %{{.*}} of 2
// CHECK-NOT:     grouped.trace
func.func @not_of_pairs(%x: !x, %s: !s) -> !x {
  %g = moe.route %s top 2 : !s -> !r
  %in = moe.dispatch %x by %g : !x, !r
  %h = moe.route %in top 2 : !x -> !q
  %a = moe.dispatch %in by %h : !x, !q
  %b = moe.combine %a by %h weighted : !x, !q
  %y = moe.combine %b by %g weighted : !x, !r
  %k = moe.route %y top 2 : !x -> !q
  %c = moe.dispatch %y by %k : !x, !q
  %z = moe.combine %c by %k weighted : !x, !q
  return %z : !x
}

// -----
!x = tensor<?x6xf32>
!r = !moe.routing<8, top 1>
// A table of the model is no choice of the run.
// CHECK-LABEL: func.func @not_of_constants(
// CHECK-NOT:     grouped.trace
func.func @not_of_constants(%x: !x, %table: tensor<3x1xi32> {moe.param = "table"}) -> !x {
  %i = tensor.cast %table : tensor<3x1xi32> to tensor<?x1xi32>
  %one = arith.constant dense<1.0> : tensor<3x1xf32>
  %w = tensor.cast %one : tensor<3x1xf32> to tensor<?x1xf32>
  %r = moe.from_indices %i, %w : tensor<?x1xi32>, tensor<?x1xf32> -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %y = moe.combine %in by %r weighted : !x, !r
  return %y : !x
}
