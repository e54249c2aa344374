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
// A routing inside: numbers of all inner experts, the loop over all of them, its weights end to end; it is lifted then.
// CHECK-LABEL: func.func @lifts_a_routing_inside(
// CHECK-SAME:    %[[IDS:.*]]: tensor<?x2xi32>, %[[X:.*]]: tensor<?x6xf32>, %[[W:.*]]: tensor<5x3x6x6xf32>, %[[G:.*]]: tensor<5x3x6xf32>, %[[C:.*]]: index
// CHECK:         %[[O:.*]], %{{.*}}, %[[SLOTS:.*]], %{{.*}} = grouped.plan %[[IDS]] experts 5
// CHECK:         %[[GP:.*]] = grouped.pack %[[G]]
// CHECK:         %[[L:.*]] = grouped.matmul %[[X]] groups %[[O]] weights %[[GP]]
// CHECK:         %[[CHOSEN:.*]], %[[INNER:.*]] = grouped.top_k %[[L]] by %[[L]] top 2
// CHECK:         %[[FLAT:.*]] = tensor.collapse_shape %[[IDS]]
// CHECK:         %[[E:.*]] = moe.gather %[[FLAT]] at %[[SLOTS]]
// CHECK:         %[[COLUMN:.*]] = tensor.expand_shape %[[E]]
// CHECK:         %[[WIDE:.*]] = moe.broadcast %[[COLUMN]] like %[[INNER]]
// CHECK:         %[[ALL:.*]] = moe.map (%{{.*}} = %[[INNER]], %{{.*}} = %[[WIDE]])
// CHECK:           arith.muli
// CHECK:         %[[KEPT:.*]], %[[KIDS:.*]] = grouped.limit %[[CHOSEN]], %[[ALL]] experts 15 to %[[C]] order choice
// CHECK:         %[[O2:.*]], %[[TOKENS2:.*]], %{{.*}}, %[[ROWS2:.*]] = grouped.plan %[[KIDS]] experts 15 {moe.routing = 1 : i64}
// CHECK:         %[[U:.*]] = moe.gather %[[X]] at %[[TOKENS2]]
// CHECK:         %[[W2:.*]] = tensor.collapse_shape %[[W]] {{.*}} : tensor<5x3x6x6xf32> into tensor<15x6x6xf32>
// CHECK:         %[[P2:.*]] = grouped.pack %[[W2]]
// CHECK:         %[[A:.*]] = grouped.matmul %[[U]] groups %[[O2]] weights %[[P2]]
// CHECK:         %[[Y:.*]] = grouped.combine %[[A]] by %[[ROWS2]] weighted %[[KEPT]]
// CHECK:         return %[[Y]]
func.func @lifts_a_routing_inside(%ids: !k, %x: !x, %w: tensor<5x3x6x6xf32>, %g: tensor<5x3x6xf32>, %c: index) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) each(%w, %g) bounds [0, 5] counts [2]
      : (tensor<6xi32>, !x, tensor<5x3x6x6xf32>, tensor<5x3x6xf32>) -> !x {
  ^bb0(%t: !x, %v: tensor<3x6x6xf32>, %gate: tensor<3x6xf32>):
    %l = moe.linear %t, %gate : (!x, tensor<3x6xf32>) -> tensor<?x3xf32>
    %chosen, %inner = grouped.top_k %l by %l top 2 : tensor<?x3xf32>, tensor<?x3xf32> -> tensor<?x2xf32>, !k
    %kept, %kids = grouped.limit %chosen, %inner experts 3 to %c order choice : (tensor<?x2xf32>, !k, index) -> (tensor<?x2xf32>, !k)
    %o, %to, %sl, %ro = grouped.plan %kids experts 3 {moe.routing = 1 : i64} : !k -> tensor<4xi32>, !i, !i, !k
    %u = moe.gather %t at %to : !x, !i -> !x
    %z = grouped.loop over %o rows(%u) each(%v) bounds [0, 3] counts [1] : (tensor<4xi32>, !x, tensor<3x6x6xf32>) -> !x {
    ^bb0(%a: !x, %b: tensor<6x6xf32>):
      %f = moe.linear %a, %b : (!x, tensor<6x6xf32>) -> !x
      grouped.yield rows(%f : !x)
    }
    %q = grouped.combine %z by %ro weighted %kept : (!x, !k, tensor<?x2xf32>) -> !x
    grouped.yield rows(%q : !x)
  }
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// Capacities of an expert's own rows, and inner experts that choose among them: the expert is a segment.
// CHECK-LABEL: func.func @lifts_counts(
// CHECK:         %[[E:.*]] = moe.gather
// CHECK:         %[[N:.*]] = moe.segment_size %[[E]]
// CHECK:         %[[C:.*]] = moe.capacity %[[N]] by mesh {{.*}} : tensor<?xi32>
// CHECK:         grouped.take %{{.*}} by %{{.*}} to %[[C]] segments %[[E]]
func.func @lifts_counts(%ids: !k, %x: !x) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) bounds [0, 5] counts [0] : (tensor<6xi32>, !x) -> !x {
  ^bb0(%t: !x):
    %n = moe.tokens %t : !x
    %c = moe.capacity %n by mesh factor 1.0 experts 6 minimum 1 : index
    %a, %inner = grouped.take %t by %t to %c : (!x, !x, index) -> (!x, tensor<?x6xi32>)
    grouped.yield rows(%a : !x)
  }
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!h = tensor<?x2x3xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// Other experts' rows are other segments. What mixes rows for a result per expert stays in a loop of its own.
// CHECK-LABEL: func.func @lifts_around_statistics(
// CHECK:         %[[O:.*]], %{{.*}}, %{{.*}}, %{{.*}} = grouped.plan
// CHECK:         %[[A:.*]] = grouped.matmul
// CHECK:         %[[E:.*]] = moe.gather
// CHECK:         moe.attention {{.*}} segments(%[[E]], %[[E]])
// CHECK:         %[[S:.*]] = grouped.loop over %[[O]] rows(%[[A]]) bounds [0, 5] counts [0]
// CHECK-NEXT:    ^bb0(%[[T:.*]]: tensor<?x6xf32>):
// CHECK-NEXT:      %[[N:.*]] = moe.reduce sum %[[T]] over 0
// CHECK-NEXT:      grouped.yield each(%[[N]] : tensor<6xf32>)
// CHECK:         return %{{.*}}, %[[S]]
func.func @lifts_around_statistics(%ids: !k, %x: !x, %w: tensor<5x6x6xf32>) -> (!h, tensor<5x6xf32>) {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y:2 = grouped.loop over %offsets rows(%x) each(%w) bounds [0, 5] counts [1]
      : (tensor<6xi32>, !x, tensor<5x6x6xf32>) -> (!h, tensor<5x6xf32>) {
  ^bb0(%t: !x, %v: tensor<6x6xf32>):
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    %q = moe.split %a : !x into !h
    %b = moe.attention %q, %q, %q {scale = 0.5} : (!h, !h, !h) -> !h
    %s = moe.reduce sum %a over 0 : !x -> tensor<6xf32>
    grouped.yield rows(%b : !h) each(%s : tensor<6xf32>)
  }
  return %y#0, %y#1 : !h, tensor<5x6xf32>
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
// CHECK-LABEL: func.func @lifts_a_single_expert(
// CHECK-SAME:    %{{.*}}: tensor<?x1xi32>, %[[X:.*]]: tensor<?x6xf32>, %[[W:.*]]: tensor<1x6x6xf32>
// CHECK:         %[[V:.*]] = tensor.collapse_shape %[[W]]
// CHECK:         %[[A:.*]] = moe.linear %[[X]], %[[V]]
// CHECK:         %[[S:.*]] = moe.softmax %[[A]] over 0
// CHECK:         %[[R:.*]] = moe.reduce sum %[[S]] over 0
// CHECK:         tensor.expand_shape %[[R]]
// CHECK-NOT:     grouped.loop
func.func @lifts_a_single_expert(%ids: tensor<?x1xi32>, %x: !x, %w: tensor<1x6x6xf32>) -> (!x, tensor<1x6xf32>) {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 1 : tensor<?x1xi32> -> tensor<2xi32>, !i, !i, tensor<?x1xi32>
  %y:2 = grouped.loop over %offsets rows(%x) each(%w) bounds [0, 1] counts [1]
      : (tensor<2xi32>, !x, tensor<1x6x6xf32>) -> (!x, tensor<1x6xf32>) {
  ^bb0(%t: !x, %v: tensor<6x6xf32>):
    %a = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    %s = moe.softmax %a over 0 : !x
    %r = moe.reduce sum %s over 0 : !x -> tensor<6xf32>
    grouped.yield rows(%s : !x) each(%r : tensor<6xf32>)
  }
  return %y#0, %y#1 : !x, tensor<1x6xf32>
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// Segments with capacities that differ from expert to expert have no flat form.
// CHECK-LABEL: func.func @not_capacities_of_segments(
// CHECK:         grouped.loop
// CHECK:           grouped.limit
func.func @not_capacities_of_segments(%ids: !k, %seq: !i, %w: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %in = moe.gather %w at %tokens : tensor<?x2xf32>, !i -> tensor<?x2xf32>
  %is = moe.gather %seq at %tokens : !i, !i -> !i
  %y = grouped.loop over %offsets rows(%in, %is) bounds [0, 5] counts [0] : (tensor<6xi32>, tensor<?x2xf32>, !i) -> tensor<?x2xf32> {
  ^bb0(%t: tensor<?x2xf32>, %s: !i):
    %n = moe.segment_size %s : !i
    %a, %inner = grouped.top_k %t by %t top 2 : tensor<?x2xf32>, tensor<?x2xf32> -> tensor<?x2xf32>, !k
    %kept, %kids = grouped.limit %a, %inner experts 2 to %n order choice segments %s
        : (tensor<?x2xf32>, !k, !i, !i) -> (tensor<?x2xf32>, !k)
    grouped.yield rows(%kept : tensor<?x2xf32>)
  }
  return %y : tensor<?x2xf32>
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// Rows of an expert's own table are rows of all tables end to end; a number that is wrong stays wrong.
// CHECK-LABEL: func.func @lifts_gathers(
// CHECK-SAME:    %{{.*}}: tensor<?x2xi32>, %[[R:.*]]: tensor<?xi32>, %[[T:.*]]: tensor<5x?x6xf32>
// CHECK-DAG:     %[[ALL:.*]] = tensor.collapse_shape %[[T]] {{.*}} : tensor<5x?x6xf32> into tensor<?x6xf32>
// CHECK-DAG:     %[[N:.*]] = moe.tokens %[[ALL]]
// CHECK-DAG:     %[[SIZE:.*]] = arith.index_cast %[[N]]
// CHECK-DAG:     %[[ROWS:.*]] = arith.divui %[[SIZE]]
// CHECK-DAG:     %[[E:.*]] = moe.gather %{{.*}} at %{{.*}} : tensor<?xi32>, tensor<?xi32>
// CHECK:         %[[AT:.*]] = moe.map (%{{.*}} = %[[R]], %{{.*}} = %[[E]])
// CHECK:           arith.muli %{{.*}}, %[[ROWS]]
// CHECK:           arith.cmpi ult, %{{.*}}, %[[ROWS]]
// CHECK:           arith.select %{{.*}}, %{{.*}}, %[[SIZE]]
// CHECK:         moe.gather %[[ALL]] at %[[AT]]
func.func @lifts_gathers(%ids: !k, %r: !i, %table: tensor<5x?x6xf32>) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%r) each(%table) bounds [0, 5] counts [1]
      : (tensor<6xi32>, !i, tensor<5x?x6xf32>) -> !x {
  ^bb0(%t: !i, %own: !x):
    %s = moe.gather %own at %t : !x, !i -> !x
    grouped.yield rows(%s : !x)
  }
  return %y : !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// What is the same for all experts is computed once, before the loop that stays.
// CHECK-LABEL: func.func @hoists_what_is_shared(
// CHECK:         %[[S:.*]] = moe.softmax %{{.*}} : tensor<3x6xf32>
// CHECK-NEXT:    moe.reduce sum %[[S]] over 0
// CHECK-NEXT:    grouped.loop
// CHECK-NOT:     tensor<3x6xf32>
func.func @hoists_what_is_shared(%ids: !k, %x: !x, %g: tensor<3x6xf32>) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) bounds [0, 5] counts [0] : (tensor<6xi32>, !x) -> !x {
  ^bb0(%t: !x):
    %s = moe.softmax %g : tensor<3x6xf32>
    %r = moe.reduce sum %s over 0 : tensor<3x6xf32> -> tensor<6xf32>
    %b = moe.broadcast %r like %t : tensor<6xf32>, !x
    %n = moe.softmax %t over 0 : !x
    %z = arith.mulf %b, %n : !x
    grouped.yield rows(%z : !x)
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
// Every range has a plan of its own, with the tokens that chose it; the parts of a sum are summed.
// CHECK-LABEL: func.func @lifts_ranges(
// CHECK-SAME:    %[[IDS:.*]]: tensor<?x2xi32>, %[[X:.*]]: tensor<?x6xf32>, %[[W:.*]]: tensor<2x6x6xf32>, %[[G:.*]]: tensor<?x2xf32>
// CHECK-DAG:     %[[I0:.*]] = moe.map (%{{.*}} = %[[IDS]])
// CHECK-DAG:     %[[O0:.*]], %[[T0:.*]], %{{.*}}, %[[R0:.*]] = grouped.plan %[[I0]] experts 2 {moe.loads = array<i64: 5, 0, 2, 5>, moe.routing = 0 : i64}
// CHECK-DAG:     %[[X0:.*]] = moe.gather %[[X]] at %[[T0]]
// CHECK-DAG:     %[[O1:.*]], %[[T1:.*]], %{{.*}}, %[[R1:.*]] = grouped.plan %{{.*}} experts 3 {moe.loads = array<i64: 5, 2, 3, 5>, moe.routing = 0 : i64}
// CHECK-DAG:     %[[X1:.*]] = moe.gather %[[X]] at %[[T1]]
// CHECK-DAG:     %[[F:.*]] = grouped.matmul %[[X0]] groups %[[O0]]
// CHECK-DAG:     %[[Y0:.*]] = grouped.combine %[[F]] by %[[R0]] weighted %[[G]]
// CHECK-DAG:     %[[Y1:.*]] = grouped.combine %[[X1]] by %[[R1]] weighted %[[G]]
// CHECK:         arith.addf %[[Y0]], %[[Y1]]
func.func @lifts_ranges(%ids: !k, %x: !x, %w: tensor<2x6x6xf32>, %g: tensor<?x2xf32>) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 {moe.routing = 0 : i64} : !k -> tensor<6xi32>, !i, !i, !k
  %in = moe.gather %x at %tokens : !x, !i -> !x
  %y = grouped.loop over %offsets rows(%in) each(%w) bounds [0, 2, 5] counts [1, 0]
      : (tensor<6xi32>, !x, tensor<2x6x6xf32>) -> !x {
  ^bb0(%t: !x, %v: tensor<6x6xf32>):
    %s = moe.linear %t, %v : (!x, tensor<6x6xf32>) -> !x
    grouped.yield rows(%s : !x)
  }, {
  ^bb0(%t: !x):
    grouped.yield rows(%t : !x)
  }
  %z = grouped.combine %y by %rows weighted %g : (!x, !k, tensor<?x2xf32>) -> !x
  return %z : !x
}

// -----
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// Rows that are not only summed are put together again; statistics of experts stand one after the other.
// CHECK-LABEL: func.func @lifts_ranges_as_rows(
// CHECK:         %{{.*}}, %{{.*}}, %[[SLOTS:.*]], %{{.*}} = grouped.plan %{{.*}} experts 5 :
// CHECK:         grouped.loop {{.*}} bounds [0, 2]
// CHECK:         grouped.loop {{.*}} bounds [0, 3]
// CHECK:         moe.gather %{{.*}} at %[[SLOTS]]
// CHECK:         grouped.combine %{{.*}} by %{{.*}} : (tensor<?x6xf32>, tensor<?x1xi32>)
// CHECK:         tensor.concat dim(0)
func.func @lifts_ranges_as_rows(%ids: !k, %x: !x) -> (!x, tensor<5x6xf32>) {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y:2 = grouped.loop over %offsets rows(%x) bounds [0, 2, 5] counts [0, 0] : (tensor<6xi32>, !x) -> (!x, tensor<5x6xf32>) {
  ^bb0(%t: !x):
    %s = moe.silu %t : !x
    %n = moe.reduce sum %s over 0 : !x -> tensor<6xf32>
    grouped.yield rows(%s : !x) each(%n : tensor<6xf32>)
  }, {
  ^bb0(%t: !x):
    %n = moe.reduce max %t over 0 : !x -> tensor<6xf32>
    grouped.yield rows(%t : !x) each(%n : tensor<6xf32>)
  }
  return %y#0, %y#1 : !x, tensor<5x6xf32>
}

// -----
!i = tensor<?xi32>
!k = tensor<?x2xi32>
// CHECK-LABEL: func.func @not_ranges_of_integers(
// CHECK:         grouped.loop {{.*}} bounds [0, 2, 5]
func.func @not_ranges_of_integers(%ids: !k, %x: !i) -> !i {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 5 : !k -> tensor<6xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) bounds [0, 2, 5] counts [0, 0] : (tensor<6xi32>, !i) -> !i {
  ^bb0(%t: !i):
    %s = arith.addi %t, %t : !i
    grouped.yield rows(%s : !i)
  }, {
  ^bb0(%t: !i):
    grouped.yield rows(%t : !i)
  }
  return %y : !i
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

// -----
!x = tensor<?x6xf64>
!i = tensor<?xi32>
!k = tensor<?x1xi32>
// Matmuls sum in f32.
// CHECK-LABEL: func.func @not_f64(
// CHECK-NOT:     grouped.pack
// CHECK:         grouped.loop
// CHECK:           moe.linear
func.func @not_f64(%ids: !k, %x: !x, %w: tensor<3x6x6xf64>) -> !x {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 3 : !k -> tensor<4xi32>, !i, !i, !k
  %y = grouped.loop over %offsets rows(%x) each(%w) bounds [0, 3] counts [1] : (tensor<4xi32>, !x, tensor<3x6x6xf64>) -> !x {
  ^bb0(%t: !x, %v: tensor<6x6xf64>):
    %a = moe.linear %t, %v : (!x, tensor<6x6xf64>) -> !x
    grouped.yield rows(%a : !x)
  }
  return %y : !x
}

// -----
!x = tensor<?x4xf32>
!i = tensor<?xi32>
!k = tensor<?x1xi32>
// No op of level 1 is in the text, but lifting makes one.
// CHECK-LABEL: func.func @lifts_without_level_1(
// CHECK:         %[[U:.*]] = moe.broadcast %{{.*}} : tensor<4xf32>, tensor<8x4xf32>
// CHECK:         arith.addf %{{.*}}, %[[U]] : tensor<8x4xf32>
// CHECK-NOT:     grouped.loop
func.func @lifts_without_level_1(%ids: !k, %x: !x, %b: tensor<8x4xf32>, %u: tensor<4xf32>) -> (!x, tensor<8x4xf32>) {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 8 : !k -> tensor<9xi32>, !i, !i, !k
  %y, %z = grouped.loop over %offsets rows(%x) each(%b) bounds [0, 8] counts [1]
      : (tensor<9xi32>, !x, tensor<8x4xf32>) -> (!x, tensor<8x4xf32>) {
  ^bb0(%t: !x, %v: tensor<4xf32>):
    %c = arith.addf %v, %u : tensor<4xf32>
    %d = arith.addf %t, %t : !x
    grouped.yield rows(%d : !x) each(%c : tensor<4xf32>)
  }
  return %y, %z : !x, tensor<8x4xf32>
}
