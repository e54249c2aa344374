// Calls inside regions of both dialects are inlined; a callee of several blocks stays a call where one block is wanted.
// RUN: moe-opt %s -inline | FileCheck %s

!x = tensor<?x4xf32>
!r = !moe.routing<8, top 2>

func.func private @square(%a: f32) -> f32 {
  %0 = arith.mulf %a, %a : f32
  return %0 : f32
}

func.func private @body(%t: !x, %w: tensor<4x4xf32>) -> !x {
  %0 = moe.linear %t, %w : (!x, tensor<4x4xf32>) -> !x
  %1 = moe.map (%a = %0) : (!x) -> !x {
    %2 = func.call @square(%a) : (f32) -> f32
    moe.yield %2 : f32
  }
  return %1 : !x
}

func.func private @layer(%x: !x, %r: !r, %m: !moe.scope) -> !x {
  %w = moe.param %m "{expert}.w" : tensor<8x4x4xf32>
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !r, (!x, tensor<8x4x4xf32>) -> !x {
    %0 = func.call @body(%t, %v) : (!x, tensor<4x4xf32>) -> !x
    moe.yield %0 : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !r
  return %y : !x
}

// CHECK-LABEL: func @expert
// CHECK-NOT: call @
// CHECK: moe.expert
// CHECK-NEXT: moe.linear
// CHECK-NEXT: moe.map
// CHECK-NEXT: arith.mulf
// CHECK-NEXT: moe.yield
// CHECK: moe.combine
func.func @expert(%x: !x, %r: !r, %m: !moe.scope) -> !x {
  %0 = func.call @layer(%x, %r, %m) : (!x, !r, !moe.scope) -> !x
  return %0 : !x
}

// CHECK-LABEL: func @matmul
// CHECK: grouped.matmul
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32)
// CHECK-NEXT: arith.mulf %[[A]], %[[A]]
func.func @matmul(%x: !x, %w: !grouped.packed<1x4x4xf32, 1>) -> !x {
  %0 = grouped.matmul %x weights %w : (!x, !grouped.packed<1x4x4xf32, 1>) -> !x {
  ^bb0(%a: f32):
    %1 = func.call @square(%a) : (f32) -> f32
    grouped.yield rows(%1 : f32)
  }
  return %0 : !x
}

func.func private @blocks(%a: f32) -> f32 {
  %zero = arith.constant 0.0 : f32
  %p = arith.cmpf ogt, %a, %zero : f32
  cf.cond_br %p, ^positive, ^negative
^positive:
  return %a : f32
^negative:
  return %zero : f32
}

// CHECK-LABEL: func @not_blocks
// CHECK: moe.map
// CHECK-NEXT: call @blocks
func.func @not_blocks(%x: !x) -> !x {
  %0 = moe.map (%a = %x) : (!x) -> !x {
    %1 = func.call @blocks(%a) : (f32) -> f32
    moe.yield %1 : f32
  }
  return %0 : !x
}
