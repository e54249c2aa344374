// RUN: moe-opt --split-input-file --moe-lift-experts --canonicalize %s | FileCheck %s
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>

// A linear by a weight of the expert has groups, one by a captured weight is dense; the rest stays what it is.
// CHECK-LABEL: func.func @lifts(
// CHECK-SAME:    %[[IDS:.*]]: tensor<?x2xi32>, %[[X:.*]]: tensor<?x6xf32>, %[[W:.*]]: tensor<5x6x6xf32>, %[[B:.*]]: tensor<5x6xf32>, %[[S:.*]]: tensor<6x6xf32>
// CHECK-NEXT:    %[[O:.*]], %{{.*}}, %{{.*}}, %{{.*}} = grouped.plan %[[IDS]]
// CHECK-NEXT:    %[[P:.*]] = grouped.pack %[[W]] in_out
// CHECK-NEXT:    %[[A:.*]] = grouped.matmul %[[X]] groups %[[O]] weights %[[P]] with(%[[B]])
// CHECK-NEXT:    ^bb0(%[[ACC:.*]]: f32, %[[BIAS:.*]]: f32):
// CHECK-NEXT:      %[[SUM:.*]] = arith.addf %[[ACC]], %[[BIAS]]
// CHECK-NEXT:      grouped.yield rows(%[[SUM]] : f32)
// CHECK:         %[[D:.*]] = moe.linear %[[A]], %[[S]]
// CHECK-NEXT:    %[[C:.*]] = arith.truncf %[[D]]
// CHECK-NEXT:    %[[G:.*]] = moe.gelu %[[C]] exact : tensor<?x6xbf16>
// CHECK-NEXT:    return %[[G]]
func.func @lifts(%ids: !k, %x: !x, %w: tensor<5x6x6xf32>, %b: tensor<5x6xf32>, %s: tensor<6x6xf32>) -> tensor<?x6xbf16> {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) each(%w, %b) bounds [0, 5] counts [2]
      : (tensor<6xi32>, !x, tensor<5x6x6xf32>, tensor<5x6xf32>) -> tensor<?x6xbf16> {
  ^bb0(%t: !x, %v: tensor<6x6xf32>, %c: tensor<6xf32>):
    %a = moe.linear %t, %v, %c in_out : (!x, tensor<6x6xf32>, tensor<6xf32>) -> !x
    %d = moe.linear %a, %s : (!x, tensor<6x6xf32>) -> !x
    %e = arith.truncf %d : !x to tensor<?x6xbf16>
    %g = moe.gelu %e exact : tensor<?x6xbf16>
    grouped.yield rows(%g : tensor<?x6xbf16>)
  }
  return %y : tensor<?x6xbf16>
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// A vector of the expert: every row takes that of its expert. A weight's conversion works on the stacked weights.
// CHECK-LABEL: func.func @lifts_vectors(
// CHECK-SAME:    %[[IDS:.*]]: tensor<?x2xi32>, %[[X:.*]]: tensor<?x6xf32>, %[[W:.*]]: tensor<5x6x6xbf16>, %[[B:.*]]: tensor<5x6xf32>
// CHECK:         %[[O:.*]], %{{.*}}, %[[SLOTS:.*]], %{{.*}} = grouped.plan
// CHECK-DAG:     %[[F:.*]] = tensor.collapse_shape %[[IDS]]
// CHECK-DAG:     %[[E:.*]] = moe.gather %[[F]] at %[[SLOTS]]
// CHECK-DAG:     %[[V:.*]] = moe.gather %[[B]] at %[[E]] : tensor<5x6xf32>, tensor<?xi32> -> tensor<?x6xf32>
// CHECK-DAG:     %[[M:.*]] = arith.mulf %[[X]], %[[V]]
// CHECK-DAG:     %[[U:.*]] = arith.extf %[[W]] : tensor<5x6x6xbf16> to tensor<5x6x6xf32>
// CHECK-DAG:     %[[P:.*]] = grouped.pack %[[U]]
// CHECK:         grouped.matmul %[[M]] groups %[[O]] weights %[[P]]
func.func @lifts_vectors(%ids: !k, %x: !x, %w: tensor<5x6x6xbf16>, %b: tensor<5x6xf32>) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) each(%w, %b) bounds [0, 5] counts [2]
      : (tensor<6xi32>, !x, tensor<5x6x6xbf16>, tensor<5x6xf32>) -> !x {
  ^bb0(%t: !x, %v: tensor<6x6xbf16>, %c: tensor<6xf32>):
    %f = moe.broadcast %c like %t : tensor<6xf32>, !x
    %m = arith.mulf %t, %f : !x
    %u = arith.extf %v : tensor<6x6xbf16> to tensor<6x6xf32>
    %a = moe.linear %m, %u : (!x, tensor<6x6xf32>) -> !x
    grouped.yield rows(%a : !x)
  }
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// CHECK-LABEL: func.func @not_where_rows_mix(
// CHECK-NOT:     grouped.matmul
// CHECK:         grouped.loop
// CHECK:           moe.linear
func.func @not_where_rows_mix(%ids: !k, %x: !x, %w: tensor<5x6x6xf32>) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) each(%w) bounds [0, 5] counts [1]
      : (tensor<6xi32>, !x, tensor<5x6x6xf32>) -> !x {
  ^bb0(%t: !x, %v: tensor<6x6xf32>):
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    %s = moe.softmax %a over 0 : !x
    grouped.yield rows(%s : !x)
  }
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// CHECK-LABEL: func.func @not_several_ranges(
// CHECK:         grouped.loop {{.*}} bounds [0, 2, 5]
func.func @not_several_ranges(%ids: !k, %x: !x) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) bounds [0, 2, 5] counts [0, 0] : (tensor<6xi32>, !x) -> !x {
  ^bb0(%t: !x):
    %s = moe.silu %t : !x
    grouped.yield rows(%s : !x)
  }, {
  ^bb0(%t: !x):
    grouped.yield rows(%t : !x)
  }
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// CHECK-LABEL: func.func @not_per_expert_results(
// CHECK:         grouped.loop
func.func @not_per_expert_results(%ids: !k, %x: !x) -> tensor<5x6xf32> {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) bounds [0, 5] counts [0] : (tensor<6xi32>, !x) -> tensor<5x6xf32> {
  ^bb0(%t: !x):
    %s = moe.reduce sum %t over 0 : !x -> tensor<6xf32>
    grouped.yield each(%s : tensor<6xf32>)
  }
  return %y : tensor<5x6xf32>
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x1xi32>
// One expert: its rows are all rows, also where they mix or where it yields a tensor of its own.
// CHECK-LABEL: func.func @lifts_the_only_expert(
// CHECK-SAME:    %{{.*}}: tensor<?x1xi32>, %[[X:.*]]: tensor<?x6xf32>, %[[W:.*]]: tensor<1x6x6xf32>, %[[B:.*]]: tensor<1xf32>
// CHECK-NOT:     grouped.loop
// CHECK:         %[[V:.*]] = tensor.collapse_shape %[[W]] {{\[\[}}0, 1], [2]]
// CHECK:         %[[A:.*]] = moe.linear %[[X]], %[[V]]
// CHECK-NEXT:    %[[S:.*]] = moe.softmax %[[A]] over 0
// CHECK-NEXT:    %[[R:.*]] = moe.reduce max %[[S]] over 0
// CHECK-NEXT:    %[[E:.*]] = tensor.expand_shape %[[R]] {{\[\[}}0, 1]] output_shape [1, 6]
// CHECK-NEXT:    return %[[S]], %[[E]], %[[B]]
func.func @lifts_the_only_expert(%ids: !k, %x: !x, %w: tensor<1x6x6xf32>, %b: tensor<1xf32>) -> (!x, tensor<1x6xf32>, tensor<1xf32>) {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 1 : !k -> tensor<2xi32>, !i, !i, !k
  %y, %z, %u = grouped.loop over %offsets rows(%x) each(%w, %b) bounds [0, 1] counts [2]
      : (tensor<2xi32>, !x, tensor<1x6x6xf32>, tensor<1xf32>) -> (!x, tensor<1x6xf32>, tensor<1xf32>) {
  ^bb0(%t: !x, %v: tensor<6x6xf32>, %c: tensor<f32>):
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    %s = moe.softmax %a over 0 : !x
    %r = moe.reduce max %s over 0 : !x -> tensor<6xf32>
    grouped.yield rows(%s : !x) each(%r, %c : tensor<6xf32>, tensor<f32>)
  }
  return %y, %z, %u : !x, tensor<1x6xf32>, tensor<1xf32>
}

// -----
!x = tensor<?x6xf32>
// Offsets from elsewhere may leave rows out.
// CHECK-LABEL: func.func @not_without_a_plan(
// CHECK:         grouped.loop
func.func @not_without_a_plan(%offsets: tensor<2xi32>, %x: !x) -> !x {
  %y = grouped.loop over %offsets rows(%x) bounds [0, 1] counts [0] : (tensor<2xi32>, !x) -> !x {
  ^bb0(%t: !x):
    %s = moe.softmax %t over 0 : !x
    grouped.yield rows(%s : !x)
  }
  return %y : !x
}
