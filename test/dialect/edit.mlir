// Editing the pairs of routings: what is printed parses to the same, in the custom form, the generic form and bytecode.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

!r = !moe.routing<8, top 2>
!a = !moe.routing<8, any>
!t = !moe.routing<8, take>
!i = tensor<?xi32>

// CHECK-LABEL: func @keep
func.func @keep(%r: !r, %a: !a, %s: tensor<?x2xi1>, %e: tensor<8xi1>, %p: tensor<?x8xi1>) {
  // CHECK: moe.keep %arg0 where %arg2 : !moe.routing<8, top 2>, tensor<?x2xi1>
  %0 = moe.keep %r where %s : !r, tensor<?x2xi1>
  // CHECK: moe.keep %arg0 where %arg3 : !moe.routing<8, top 2>, tensor<8xi1>
  %1 = moe.keep %r where %e : !r, tensor<8xi1>
  // CHECK: moe.keep %arg0 where %arg4 {note = "pairs"} : !moe.routing<8, top 2>, tensor<?x8xi1>
  %2 = moe.keep %r where %p {note = "pairs"} : !r, tensor<?x8xi1>
  // CHECK: moe.keep %arg1 where %arg4 : !moe.routing<8, any>, tensor<?x8xi1>
  %3 = moe.keep %a where %p : !a, tensor<?x8xi1>
  return
}

// CHECK-LABEL: func @join
func.func @join(%r: !r, %a: !a, %t: !t) {
  // CHECK: moe.join %arg0, %arg0 : !moe.routing<8, top 2>, !moe.routing<8, top 2> -> !moe.routing<8, top 4>
  %0 = moe.join %r, %r : !r, !r -> !moe.routing<8, top 4>
  // CHECK: moe.join %arg0, %arg1 : !moe.routing<8, top 2>, !moe.routing<8, any> -> !moe.routing<8, any>
  %1 = moe.join %r, %a : !r, !a -> !a
  // CHECK: moe.join %arg2, %arg2 : !moe.routing<8, take>, !moe.routing<8, take> -> !moe.routing<8, any>
  %2 = moe.join %t, %t : !t, !t -> !a
  // CHECK: moe.join %arg0, %arg0 : !moe.routing<8, top 2>, !moe.routing<8, top 2> -> !moe.routing<8, any>
  %3 = moe.join %r, %r : !r, !r -> !a
  return
}

// CHECK-LABEL: func @limit
func.func @limit(%r: !r, %a: !a, %c: index, %cs: !i, %q: !i, %p: tensor<?xf32>, %ps: tensor<?x2xf32>, %pe: tensor<?x8xbf16>) {
  // CHECK: moe.limit %arg0 to %arg2 order position overflow drop : !moe.routing<8, top 2>, index
  %0 = moe.limit %r to %c order position overflow drop : !r, index
  // CHECK: moe.limit %arg0 to %arg2 order choice overflow drop : !moe.routing<8, top 2>, index
  %1 = moe.limit %r to %c order choice overflow drop : !r, index
  // CHECK: moe.limit %arg0 to %arg2 order choice by %arg5 overflow drop : !moe.routing<8, top 2>, index, tensor<?xf32>
  %2 = moe.limit %r to %c order choice by %p overflow drop : !r, index, tensor<?xf32>
  // CHECK: moe.limit %arg0 to %arg3 order token_choice overflow drop segments %arg4 : !moe.routing<8, top 2>, tensor<?xi32>, tensor<?xi32>
  %3 = moe.limit %r to %cs order token_choice overflow drop segments %q : !r, !i, !i
  // CHECK: moe.limit %arg1 to %arg2 order weight overflow drop {note = "any"} : !moe.routing<8, any>, index
  %4 = moe.limit %a to %c order weight overflow drop {note = "any"} : !a, index
  // CHECK: moe.limit %arg0 to %arg2 order %arg5 overflow drop : !moe.routing<8, top 2>, index, tensor<?xf32>
  %5 = moe.limit %r to %c order %p overflow drop : !r, index, tensor<?xf32>
  // CHECK: moe.limit %arg0 to %arg2 order %arg6 place 1 overflow next_choice : !moe.routing<8, top 2>, index, tensor<?x2xf32>
  %6 = moe.limit %r to %c order %ps place 1 overflow next_choice : !r, index, tensor<?x2xf32>
  // CHECK: moe.limit %arg1 to %arg3 order %arg7 overflow drop segments %arg4 : !moe.routing<8, any>, tensor<?xi32>, tensor<?x8xbf16>, tensor<?xi32>
  %7 = moe.limit %a to %cs order %pe overflow drop segments %q : !a, !i, tensor<?x8xbf16>, !i
  // CHECK: moe.limit %arg0 to %arg2 order token_choice by %arg5 place 2 overflow next_choice segments %arg4 : !moe.routing<8, top 2>, index, tensor<?xf32>, tensor<?xi32>
  %8 = moe.limit %r to %c order token_choice by %p place 2 overflow next_choice segments %q : !r, index, tensor<?xf32>, !i
  return
}

// Edits of the weights keep the support of an edit of the pairs; a call may return any support.
// CHECK-LABEL: func @supports
func.func @supports(%x: tensor<?x64xf32>, %r: !r, %c: index) -> tensor<?x64xf32> {
  %l = moe.limit %r to %c order choice overflow drop : !r, index
  %n = moe.normalize %l by sum : !r
  %in = moe.dispatch %x by %l : tensor<?x64xf32>, !r
  // CHECK: moe.combine
  %y = moe.combine %in by %n weighted : tensor<?x64xf32>, !r
  return %y : tensor<?x64xf32>
}
