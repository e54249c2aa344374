// RUN: moe-opt --split-input-file --moe-fold-tables %s | FileCheck %s
// RUN: moe-opt --moe-lower-routing --moe-fold-tables --split-input-file %s | FileCheck %s --check-prefix=LOWERED

// CHECK-LABEL: func.func @plan(
// CHECK-DAG:     %[[OFFSETS:.*]] = arith.constant dense<[0, 1, 1, 4]> : tensor<4xi32>
// CHECK-DAG:     %[[TOKENS:.*]] = arith.constant dense<[1, 0, 1, 2]> : tensor<4xi32>
// CHECK-DAG:     %[[SLOTS:.*]] = arith.constant dense<[3, 0, 2, 5]> : tensor<4xi32>
// CHECK-DAG:     %[[ROWS:.*]] = arith.constant dense<{{\[\[}}1, -1], [2, 0], [-1, 3]]> : tensor<3x2xi32>
// CHECK-DAG:     %[[T:.*]] = tensor.cast %[[TOKENS]] : tensor<4xi32> to tensor<?xi32>
// CHECK-DAG:     %[[S:.*]] = tensor.cast %[[SLOTS]] : tensor<4xi32> to tensor<?xi32>
// CHECK-DAG:     %[[R:.*]] = tensor.cast %[[ROWS]] : tensor<3x2xi32> to tensor<?x2xi32>
// CHECK:         return %[[OFFSETS]], %[[T]], %[[S]], %[[R]]
func.func @plan() -> (tensor<4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>) {
  %ids = arith.constant dense<[[2, -5], [2, 0], [-1, 2]]> : tensor<3x2xi32>
  %some = tensor.cast %ids : tensor<3x2xi32> to tensor<?x2xi32>
  %checked = grouped.check_ids %some experts 3 : tensor<?x2xi32> -> tensor<?x2xi32>
  %offsets, %tokens, %slots, %rows = grouped.plan %checked experts 3
      : tensor<?x2xi32> -> tensor<4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
  return %offsets, %tokens, %slots, %rows : tensor<4xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
}

// -----
// A hash of constant ids: the table is read, checked and sorted. Level 1 has no plan, so only level 2 is folded.
// LOWERED-LABEL: func.func @hash(
// LOWERED-SAME:    %[[X:.*]]: tensor<?x4xf32>
// LOWERED-NEXT:    %[[ORDER:.*]] = arith.constant dense<[1, 3, 0, 2]> : tensor<4xi32>
// LOWERED-NEXT:    %[[TOKENS:.*]] = tensor.cast %[[ORDER]]
// LOWERED-NEXT:    %[[IN:.*]] = moe.gather %[[X]] at %[[TOKENS]]
// LOWERED-NEXT:    return %[[IN]]
func.func @hash(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %table = arith.constant dense<[[0], [1], [0], [2]]> : tensor<4x1xi64>
  %ids = arith.constant dense<[1, 0, 3, 2]> : tensor<4xi32>
  %some = tensor.cast %ids : tensor<4xi32> to tensor<?xi32>
  %r = moe.lookup %some in %table : tensor<?xi32>, tensor<4x1xi64> -> !moe.routing<3, top 1>
  %in = moe.dispatch %x by %r : tensor<?x4xf32>, !moe.routing<3, top 1>
  return %in : tensor<?x4xf32>
}

// -----
// The slots of Soft MoE: [0, 0, 1, 1, 2, 2].
// CHECK-LABEL: func.func @slots(
// CHECK-NEXT:    %[[C:.*]] = arith.constant dense<{{\[\[}}0], [0], [1], [1], [2], [2]]> : tensor<6x1xi32>
// CHECK-NEXT:    return %[[C]]
func.func @slots() -> tensor<6x1xi32> {
  %experts = arith.constant dense<[[[0]], [[1]], [[2]]]> : tensor<3x1x1xi32>
  %like = tensor.empty() : tensor<3x2x1xi32>
  %table = moe.broadcast %experts like %like : tensor<3x1x1xi32>, tensor<3x2x1xi32>
  %owners = tensor.collapse_shape %table [[0, 1], [2]] : tensor<3x2x1xi32> into tensor<6x1xi32>
  %checked = grouped.check_ids %owners experts 3 : tensor<6x1xi32> -> tensor<6x1xi32>
  return %checked : tensor<6x1xi32>
}

// -----
// A table of a table, known and not known.
// CHECK-LABEL: func.func @composes(
// CHECK-SAME:    %[[IDS:.*]]: tensor<?xi32>, %[[P:.*]]: tensor<4x2xf32>
// CHECK-DAG:     %[[INNER:.*]] = arith.constant dense<[3, 0, 0, 2]> : tensor<4xi32>
// CHECK-DAG:     %[[BOTH:.*]] = arith.constant dense<[40, 10, 10, 30]> : tensor<4xi32>
// CHECK-DAG:     %[[A:.*]] = moe.gather %[[BOTH]] at %[[IDS]]
// CHECK-DAG:     %[[PARAM:.*]] = moe.gather %[[P]] at %[[INNER]]
// CHECK-DAG:     %[[B:.*]] = moe.gather %[[PARAM]] at %[[IDS]]
// CHECK:         return %[[A]], %[[B]]
func.func @composes(%ids: tensor<?xi32>, %p: tensor<4x2xf32>) -> (tensor<?xi32>, tensor<?x2xf32>) {
  %inner = arith.constant dense<[3, 0, 0, 2]> : tensor<4xi32>
  %outer = arith.constant dense<[10, 20, 30, 40]> : tensor<4xi32>
  %i = moe.gather %inner at %ids : tensor<4xi32>, tensor<?xi32> -> tensor<?xi32>
  %a = moe.gather %outer at %i : tensor<4xi32>, tensor<?xi32> -> tensor<?xi32>
  %b = moe.gather %p at %i : tensor<4x2xf32>, tensor<?xi32> -> tensor<?x2xf32>
  return %a, %b : tensor<?xi32>, tensor<?x2xf32>
}

// -----
// What stops a run still does: an id of no expert, one twice in a row, a row that is not there.
// CHECK-LABEL: func.func @not_wrong_ids(
// CHECK:         grouped.check_ids
// CHECK:         grouped.check_ids
// CHECK:         grouped.plan
// CHECK:         moe.gather
func.func @not_wrong_ids() -> (tensor<2x2xi32>, tensor<2x2xi32>, tensor<3xi32>, tensor<2xi32>) {
  %high = arith.constant dense<[[0, 1], [2, 0]]> : tensor<2x2xi32>
  %twice = arith.constant dense<[[0, 1], [1, 1]]> : tensor<2x2xi32>
  %table = arith.constant dense<[5, 6, 7]> : tensor<3xi32>
  %outside = arith.constant dense<[0, 3]> : tensor<2xi32>
  %a = grouped.check_ids %high experts 2 : tensor<2x2xi32> -> tensor<2x2xi32>
  %b = grouped.check_ids %twice experts 2 : tensor<2x2xi32> -> tensor<2x2xi32>
  %offsets, %tokens, %slots, %rows = grouped.plan %high experts 2
      : tensor<2x2xi32> -> tensor<3xi32>, tensor<?xi32>, tensor<?xi32>, tensor<2x2xi32>
  %c = moe.gather %table at %outside : tensor<3xi32>, tensor<2xi32> -> tensor<2xi32>
  return %a, %b, %offsets, %c : tensor<2x2xi32>, tensor<2x2xi32>, tensor<3xi32>, tensor<2xi32>
}

// -----
// CHECK-LABEL: func.func @not_unknown(
// CHECK:         grouped.check_ids
// CHECK:         grouped.plan
func.func @not_unknown(%ids: tensor<3x1xi32>) -> tensor<3xi32> {
  %a = grouped.check_ids %ids experts 2 : tensor<3x1xi32> -> tensor<3x1xi32>
  %offsets, %tokens, %slots, %rows = grouped.plan %a experts 2
      : tensor<3x1xi32> -> tensor<3xi32>, tensor<?xi32>, tensor<?xi32>, tensor<3x1xi32>
  return %offsets : tensor<3xi32>
}

// -----
// An entry of the inner table that is not in the outer one, an inner table that is not known, and one table that would be larger.
// CHECK-LABEL: func.func @not_composed(
// CHECK-SAME:    %[[IDS:.*]]: tensor<?xi32>, %[[UNKNOWN:.*]]: tensor<4xi32>, %[[WIDE:.*]]: tensor<2x2xf32>
// CHECK:         %[[I:.*]] = moe.gather %{{.*}} at %[[IDS]]
// CHECK:         moe.gather %{{.*}} at %[[I]]
// CHECK:         %[[J:.*]] = moe.gather %[[UNKNOWN]] at %[[IDS]]
// CHECK:         moe.gather %{{.*}} at %[[J]]
// CHECK:         %[[K:.*]] = moe.gather %{{.*}} at %[[IDS]]
// CHECK:         moe.gather %[[WIDE]] at %[[K]]
func.func @not_composed(%ids: tensor<?xi32>, %unknown: tensor<4xi32>, %wide: tensor<2x2xf32>) -> (tensor<?xi32>, tensor<?xi32>, tensor<?x2xf32>) {
  %inner = arith.constant dense<[3, 0, 0, 4]> : tensor<4xi32>
  %binary = arith.constant dense<[1, 0, 0, 1]> : tensor<4xi32>
  %outer = arith.constant dense<[10, 20, 30, 40]> : tensor<4xi32>
  %i = moe.gather %inner at %ids : tensor<4xi32>, tensor<?xi32> -> tensor<?xi32>
  %a = moe.gather %outer at %i : tensor<4xi32>, tensor<?xi32> -> tensor<?xi32>
  %j = moe.gather %unknown at %ids : tensor<4xi32>, tensor<?xi32> -> tensor<?xi32>
  %b = moe.gather %outer at %j : tensor<4xi32>, tensor<?xi32> -> tensor<?xi32>
  %k = moe.gather %binary at %ids : tensor<4xi32>, tensor<?xi32> -> tensor<?xi32>
  %c = moe.gather %wide at %k : tensor<2x2xf32>, tensor<?xi32> -> tensor<?x2xf32>
  return %a, %b, %c : tensor<?xi32>, tensor<?xi32>, tensor<?x2xf32>
}

// -----
// A table without rows has no sizes to compare, and none of its rows is ever looked up.
// CHECK-LABEL: func.func @empty(
func.func @empty(%outer: tensor<0x4xf32>, %ids: tensor<?xi32>) -> tensor<?x4xf32> {
  %inner = arith.constant dense<> : tensor<0xi32>
  %i = moe.gather %inner at %ids : tensor<0xi32>, tensor<?xi32> -> tensor<?xi32>
  // CHECK: moe.gather %{{.*}} at %arg1 : tensor<0x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
  %y = moe.gather %outer at %i : tensor<0x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
