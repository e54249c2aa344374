// RUN: moe-opt --split-input-file --moe-weigh-activations %s | FileCheck %s
!x = tensor<?x64xf32>
!h = tensor<?x32xf32>
!u = tensor<8x32x64xf32>
!d = tensor<8x64x32xf32>
!r = !moe.routing<8, top 2>

// CHECK-LABEL: func.func @moves(
// CHECK-SAME:    %{{.*}}, %[[R:.*]]: !moe.routing
// CHECK:         %{{.*}}, %{{.*}}, %{{.*}}, %[[W:.*]] = moe.pairs %[[R]]
// CHECK:         %[[COLUMN:.*]] = tensor.expand_shape %[[W]]
// CHECK:         %[[OUT:.*]] = moe.expert by %[[R]] rows(%[[T:.*]] = %{{.*}}, %[[WT:.*]] = %[[COLUMN]])
// CHECK-NEXT:      moe.linear %[[T]],
// CHECK-NEXT:      %[[H:.*]] = moe.relu2
// CHECK-NEXT:      %[[B:.*]] = moe.broadcast %[[WT]] like %[[H]]
// CHECK-NEXT:      %[[P:.*]] = arith.mulf %[[H]], %[[B]]
// CHECK-NEXT:      %[[F:.*]] = moe.linear %[[P]],
// CHECK-NEXT:      moe.yield %[[F]]
// CHECK:         moe.combine %[[OUT]] by %[[R]] unweighted
func.func @moves(%x: !x, %r: !r, %u: !u, %d: !d) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %u, %down = %d) : !r, (!x, !u, !d) -> !x {
    %a = moe.linear %t, %up : (!x, tensor<32x64xf32>) -> !h
    %h = moe.relu2 %a : !h
    %f = moe.linear %h, %down : (!h, tensor<64x32xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// Every range ends with a linear; one of them is nothing else.
// CHECK-LABEL: func.func @moves_in_all_ranges(
// CHECK:         range 0 to 6
// CHECK:         moe.relu2
// CHECK-NEXT:    moe.broadcast
// CHECK-NEXT:    arith.mulf
// CHECK-NEXT:    moe.linear
// CHECK:         range 6 to 8
// CHECK:         moe.broadcast
// CHECK-NEXT:    arith.mulf
// CHECK-NEXT:    moe.linear
// CHECK:         unweighted
func.func @moves_in_all_ranges(%x: !x, %r: !r, %u: tensor<6x32x64xf32>, %d: tensor<6x64x32xf32>, %v: tensor<2x64x64xf32>) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 6 each(%up = %u, %down = %d) : (tensor<6x32x64xf32>, tensor<6x64x32xf32>) {
    %a = moe.linear %t, %up : (!x, tensor<32x64xf32>) -> !h
    %h = moe.relu2 %a : !h
    %f = moe.linear %h, %down : (!h, tensor<64x32xf32>) -> !x
    moe.yield %f : !x
  }
      range 6 to 8 each(%w = %v) : (tensor<2x64x64xf32>) {
    %f = moe.linear %t, %w : (!x, tensor<64x64xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x64xf32>
!d = tensor<8x64x64xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_with_bias(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_with_bias(%x: !x, %r: !r, %d: !d, %b: tensor<8x64xf32>) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%down = %d, %bias = %b) : !r, (!x, !d, tensor<8x64xf32>) -> !x {
    %f = moe.linear %t, %down, %bias : (!x, tensor<64x64xf32>, tensor<64xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x64xf32>
!d = tensor<8x64x64xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_with_added_bias(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_with_added_bias(%x: !x, %r: !r, %d: !d, %b: tensor<8x64xf32>) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%down = %d, %bias = %b) : !r, (!x, !d, tensor<8x64xf32>) -> !x {
    %f = moe.linear %t, %down : (!x, tensor<64x64xf32>) -> !x
    %bb = moe.broadcast %bias like %f : tensor<64xf32>, !x
    %g = arith.addf %f, %bb : !x
    moe.yield %g : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x64xf32>
!d = tensor<8x64x64xf32>
!r = !moe.routing<8, top 2>
// What is not linear stays between the weight and the input.
// CHECK-LABEL: func.func @not_through_activations(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_through_activations(%x: !x, %r: !r, %d: !d) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %d) : !r, (!x, !d) -> !x {
    %f = moe.linear %t, %up : (!x, tensor<64x64xf32>) -> !x
    %g = moe.silu %f : !x
    moe.yield %g : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x64xf32>
!r = !moe.routing<8, top 2>
// One range returns its input.
// CHECK-LABEL: func.func @not_without_linear(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_without_linear(%x: !x, %r: !r, %d: tensor<7x64x64xf32>) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 7 each(%down = %d) : (tensor<7x64x64xf32>) {
    %f = moe.linear %t, %down : (!x, tensor<64x64xf32>) -> !x
    moe.yield %f : !x
  }
      range 7 to 8 {
    moe.yield %t : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x64xf32>
!d = tensor<8x64x64xf32>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_unweighted(
// CHECK-NOT:     moe.pairs
// CHECK:         return
func.func @not_unweighted(%x: !x, %r: !r, %d: !d) -> !x {
  %in = moe.dispatch %x by %r weighted : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%down = %d) : !r, (!x, !d) -> !x {
    %f = moe.linear %t, %down : (!x, tensor<64x64xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x64xf32>
!d = tensor<8x64x64xf32>
!r = !moe.routing<8, top 2>
// Somebody else reads the rows.
// CHECK-LABEL: func.func @not_when_rows_are_needed(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_when_rows_are_needed(%x: !x, %r: !r, %d: !d) -> (!x, !x) {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%down = %d) : !r, (!x, !d) -> !x {
    %f = moe.linear %t, %down : (!x, tensor<64x64xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %out, %y : !x, !x
}

// -----
!x = tensor<?x64xf32>
!d = tensor<8x64x64xf32>
!r = !moe.routing<8, top 2>
// The expert itself reads what its linear gives.
// CHECK-LABEL: func.func @not_when_the_expert_reads_it(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_when_the_expert_reads_it(%x: !x, %r: !r, %d: !d) -> (!x, tensor<8x64xf32>) {
  %in = moe.dispatch %x by %r : !x, !r
  %out, %sums = moe.expert by %r rows(%t = %in) each(%down = %d) : !r, (!x, !d) -> (!x, tensor<8x64xf32>) {
    %f = moe.linear %t, %down : (!x, tensor<64x64xf32>) -> !x
    %s = moe.reduce sum %f over 0 : !x -> tensor<64xf32>
    moe.yield rows(%f : !x) each(%s : tensor<64xf32>)
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y, %sums : !x, tensor<8x64xf32>
}

// -----
!x = tensor<?x64xbf16>
!d = tensor<8x64x64xbf16>
!r = !moe.routing<8, top 2>
// CHECK-LABEL: func.func @not_in_bf16(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_in_bf16(%x: !x, %r: !r, %d: !d) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%down = %d) : !r, (!x, !d) -> !x {
    %f = moe.linear %t, %down : (!x, tensor<64x64xbf16>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x64xf32>
!d = tensor<8x64x64xf32>
!r = !moe.routing<8, top 2>
// The weights are made of what the experts said.
// CHECK-LABEL: func.func @not_with_later_weights(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_with_later_weights(%x: !x, %r: !r, %d: !d) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out, %sums = moe.expert by %r rows(%t = %in) each(%down = %d) : !r, (!x, !d) -> (!x, tensor<8xf32>) {
    %f = moe.linear %t, %down : (!x, tensor<64x64xf32>) -> !x
    %s0 = moe.reduce sum %t over 0 : !x -> tensor<64xf32>
    %s = moe.reduce sum %s0 over 0 : tensor<64xf32> -> tensor<f32>
    moe.yield rows(%f : !x) each(%s : tensor<f32>)
  }
  %later = moe.scale %r by %sums : !r, tensor<8xf32>
  %y = moe.combine %out by %later weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x64xf32>
!d = tensor<8x64x64xf32>
!r = !moe.routing<8, top 2>
// Perhaps the same pairs, perhaps not.
// CHECK-LABEL: func.func @not_by_another_routing(
// CHECK-NOT:     moe.pairs
// CHECK:         moe.combine %{{.*}} weighted
func.func @not_by_another_routing(%x: !x, %r: !r, %q: !r, %d: !d) -> !x {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%down = %d) : !r, (!x, !d) -> !x {
    %f = moe.linear %t, %down : (!x, tensor<64x64xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %q weighted : !x, !r
  return %y : !x
}
