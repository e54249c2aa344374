// The whole phase on the example to read first: one router, one plan and two grouped matmuls are left of it.
// RUN: moe-opt --moe-to-grouped %{examples}/mixtral.mlir | FileCheck %s

// CHECK-LABEL: func.func @mixtral_prepare0(
// CHECK-SAME:    %arg0: tensor<8x64xf32> {moe.param = "gate.weight"}) -> !grouped.packed<1x8x64xf32, 1> attributes {moe.prepare_of = "mixtral", moe.step = 0 : i64} {
// CHECK-NEXT:    %0 = grouped.pack %arg0 : tensor<8x64xf32> -> !grouped.packed<1x8x64xf32, 1>
// CHECK-NEXT:    return %0 : !grouped.packed<1x8x64xf32, 1>
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @mixtral_prepare1(
// CHECK-SAME:    %arg0: tensor<8x32x64xf32> {moe.param = "experts.{expert}.w1.weight"}, %arg1: tensor<8x32x64xf32> {moe.param = "experts.{expert}.w3.weight"}) -> !grouped.packed<8x32x64xf32, 2> attributes {moe.prepare_of = "mixtral", moe.step = 1 : i64} {
// CHECK-NEXT:    %0 = grouped.pack %arg0, %arg1 : tensor<8x32x64xf32>, tensor<8x32x64xf32> -> !grouped.packed<8x32x64xf32, 2>
// CHECK-NEXT:    return %0 : !grouped.packed<8x32x64xf32, 2>
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @mixtral_prepare2(
// CHECK-SAME:    %arg0: tensor<8x64x32xf32> {moe.param = "experts.{expert}.w2.weight"}) -> !grouped.packed<8x64x32xf32, 1> attributes {moe.prepare_of = "mixtral", moe.step = 2 : i64} {
// CHECK-NEXT:    %0 = grouped.pack %arg0 {moe.by_panel} : tensor<8x64x32xf32> -> !grouped.packed<8x64x32xf32, 1>
// CHECK-NEXT:    return %0 : !grouped.packed<8x64x32xf32, 1>
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @mixtral(
// CHECK-SAME:    %arg0: tensor<?x64xf32>, %arg1: !grouped.packed<1x8x64xf32, 1> {moe.result = 0 : i64, moe.step = 0 : i64}, %arg2: !grouped.packed<8x32x64xf32, 2> {moe.result = 0 : i64, moe.step = 1 : i64}, %arg3: !grouped.packed<8x64x32xf32, 1> {moe.result = 0 : i64, moe.step = 2 : i64}) -> tensor<?x64xf32> {
// CHECK-NEXT:    %0 = grouped.matmul %arg0 weights %arg1 : (tensor<?x64xf32>, !grouped.packed<1x8x64xf32, 1>) -> tensor<?x8xf32> {
// CHECK-NEXT:    ^bb0(%arg4: f32):
// CHECK-NEXT:      grouped.yield rows(%arg4 : f32)
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = moe.softmax %0 : tensor<?x8xf32>
// CHECK-NEXT:    %chosen, %ids = grouped.top_k %1 by %1 top 2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
// CHECK-NEXT:    %2 = grouped.trace %ids of 0 : tensor<?x2xi32>
// CHECK-NEXT:    %offsets, %tokens, %slots, %rows = grouped.plan %2 experts 8 {moe.routing = 0 : i64} : tensor<?x2xi32> -> tensor<9xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
// CHECK-NEXT:    %3 = moe.split %chosen : tensor<?x2xf32> into tensor<?x1x2xf32>
// CHECK-NEXT:    %4 = moe.reduce sum %3 over 2 : tensor<?x1x2xf32> -> tensor<?x1xf32>
// CHECK-NEXT:    %5 = moe.broadcast %4 like %chosen : tensor<?x1xf32>, tensor<?x2xf32>
// CHECK-NEXT:    %6 = moe.map (%arg4 = %chosen, %arg5 = %5) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32> {
// CHECK-NEXT:      %10 = arith.divf %arg4, %arg5 : f32
// CHECK-NEXT:      moe.yield %10 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %7 = grouped.trace %6 of 0 : tensor<?x2xf32>
// CHECK-NEXT:    %8 = grouped.matmul %arg0 rows %tokens groups %offsets weights %arg2 : (tensor<?x64xf32>, tensor<?xi32>, tensor<9xi32>, !grouped.packed<8x32x64xf32, 2>) -> tensor<?x32xf32> {
// CHECK-NEXT:    ^bb0(%arg4: f32, %arg5: f32):
// CHECK-NEXT:      %10 = moe.silu %arg4 : f32
// CHECK-NEXT:      %11 = arith.mulf %10, %arg5 : f32
// CHECK-NEXT:      grouped.yield rows(%11 : f32)
// CHECK-NEXT:    }
// CHECK-NEXT:    %9 = grouped.matmul %8 groups %offsets weights %arg3 combine %rows slots %slots scaled %7 : (tensor<?x32xf32>, tensor<9xi32>, !grouped.packed<8x64x32xf32, 1>, tensor<?x2xi32>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x64xf32> {
// CHECK-NEXT:    ^bb0(%arg4: f32):
// CHECK-NEXT:      grouped.yield rows(%arg4 : f32)
// CHECK-NEXT:    }
// CHECK-NEXT:    return %9 : tensor<?x64xf32>
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @routing_prepare0(
// CHECK-SAME:    %arg0: tensor<8x64xf32> {moe.param = "gate.weight"}) -> !grouped.packed<1x8x64xf32, 1> attributes {moe.prepare_of = "routing", moe.step = 0 : i64} {
// CHECK-NEXT:    %0 = grouped.pack %arg0 : tensor<8x64xf32> -> !grouped.packed<1x8x64xf32, 1>
// CHECK-NEXT:    return %0 : !grouped.packed<1x8x64xf32, 1>
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @routing(
// CHECK-SAME:    %arg0: tensor<?x64xf32>, %arg1: !grouped.packed<1x8x64xf32, 1> {moe.result = 0 : i64, moe.step = 0 : i64}) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
// CHECK-NEXT:    %0 = grouped.matmul %arg0 weights %arg1 : (tensor<?x64xf32>, !grouped.packed<1x8x64xf32, 1>) -> tensor<?x8xf32> {
// CHECK-NEXT:    ^bb0(%arg2: f32):
// CHECK-NEXT:      grouped.yield rows(%arg2 : f32)
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = moe.softmax %0 : tensor<?x8xf32>
// CHECK-NEXT:    %chosen, %ids = grouped.top_k %1 by %1 top 2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
// CHECK-NEXT:    %2 = moe.split %chosen : tensor<?x2xf32> into tensor<?x1x2xf32>
// CHECK-NEXT:    %3 = moe.reduce sum %2 over 2 : tensor<?x1x2xf32> -> tensor<?x1xf32>
// CHECK-NEXT:    %4 = moe.broadcast %3 like %chosen : tensor<?x1xf32>, tensor<?x2xf32>
// CHECK-NEXT:    %5 = moe.map (%arg2 = %chosen, %arg3 = %4) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32> {
// CHECK-NEXT:      %6 = arith.divf %arg2, %arg3 : f32
// CHECK-NEXT:      moe.yield %6 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    return %ids, %5 : tensor<?x2xi32>, tensor<?x2xf32>
// CHECK-NEXT:  }
