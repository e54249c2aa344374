// The grouped dialect: what is printed parses to the same, in the custom form, the generic form and bytecode.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

// CHECK-LABEL: func @routing
func.func @routing(%w: tensor<?x7xbf16>, %k: tensor<?x7xbf16>) {
  // CHECK: %[[C:.*]], %[[I:.*]] = grouped.top_k %arg0 by %arg1 top 3 : tensor<?x7xbf16>, tensor<?x7xbf16> -> tensor<?x3xf32>, tensor<?x3xi32>
  %chosen, %ids = grouped.top_k %w by %k top 3
      : tensor<?x7xbf16>, tensor<?x7xbf16> -> tensor<?x3xf32>, tensor<?x3xi32>
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} = grouped.plan %[[I]] experts 7 {moe.routing = 0 : i64} : tensor<?x3xi32> -> tensor<8xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x3xi32>
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 7 {moe.routing = 0 : i64}
      : tensor<?x3xi32> -> tensor<8xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x3xi32>
  return
}

// CHECK-LABEL: func @pack
func.func @pack(%a: tensor<8x256x128xbf16>, %b: tensor<8x128x256xf32>, %c: tensor<5x3xf16>) {
  // CHECK: grouped.pack %arg0, %arg0 : tensor<8x256x128xbf16>, tensor<8x256x128xbf16> -> !grouped.packed<8x256x128xbf16, 2>
  %0 = grouped.pack %a, %a : tensor<8x256x128xbf16>, tensor<8x256x128xbf16> -> !grouped.packed<8x256x128xbf16, 2>
  // CHECK: grouped.pack %arg1 in_out : tensor<8x128x256xf32> -> !grouped.packed<8x256x128xbf16, 1>
  %1 = grouped.pack %b in_out : tensor<8x128x256xf32> -> !grouped.packed<8x256x128xbf16, 1>
  // CHECK: grouped.pack %arg2 : tensor<5x3xf16> -> !grouped.packed<1x5x3xf16, 1>
  %2 = grouped.pack %c : tensor<5x3xf16> -> !grouped.packed<1x5x3xf16, 1>
  // CHECK: grouped.pack %arg2 in_out : tensor<5x3xf16> -> !grouped.packed<1x3x5xf16, 1>
  %3 = grouped.pack %c in_out : tensor<5x3xf16> -> !grouped.packed<1x3x5xf16, 1>
  return
}

// CHECK-LABEL: func @matmul
func.func @matmul(%x: tensor<?x128xbf16>, %tokens: tensor<?xi32>, %offsets: tensor<9xi32>, %rows: tensor<?x2xi32>,
                  %scale: tensor<?x2xf32>, %w: !grouped.packed<8x256x128xbf16, 2>, %bias: tensor<8x256xbf16>,
                  %one: !grouped.packed<1x64x128xbf16, 1>, %r: tensor<?x64xf32>, %s: f32) {
  // A dense linear is one group.
  // CHECK: grouped.matmul %arg0 weights %arg7 : (tensor<?x128xbf16>, !grouped.packed<1x64x128xbf16, 1>) -> tensor<?x64xf32> {
  // CHECK: grouped.yield rows(%{{.*}} : f32)
  %0 = grouped.matmul %x weights %one : (tensor<?x128xbf16>, !grouped.packed<1x64x128xbf16, 1>) -> tensor<?x64xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  // A residual by row; a scalar from outside; two results.
  // CHECK: %{{.*}}:2 = grouped.matmul %arg0 weights %arg7 with(%arg8) :
  // CHECK: grouped.yield rows(%{{.*}}, %{{.*}} : f32, f32)
  %1:2 = grouped.matmul %x weights %one with(%r)
      : (tensor<?x128xbf16>, !grouped.packed<1x64x128xbf16, 1>, tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    %d = arith.mulf %c, %s : f32
    grouped.yield rows(%c, %d : f32, f32)
  }
  // CHECK: grouped.matmul %arg0 rows %arg1 groups %arg2 weights %arg5 with(%arg6) : (tensor<?x128xbf16>, tensor<?xi32>, tensor<9xi32>, !grouped.packed<8x256x128xbf16, 2>, tensor<8x256xbf16>) -> tensor<?x256xbf16> {
  %2 = grouped.matmul %x rows %tokens groups %offsets weights %w with(%bias)
      : (tensor<?x128xbf16>, tensor<?xi32>, tensor<9xi32>, !grouped.packed<8x256x128xbf16, 2>, tensor<8x256xbf16>) -> tensor<?x256xbf16> {
  ^bb0(%a: f32, %b: f32, %v: bf16):
    %e = arith.extf %v : bf16 to f32
    %g = moe.silu %a : f32
    %h = arith.mulf %g, %b : f32
    %i = arith.addf %h, %e : f32
    %j = arith.truncf %i : f32 to bf16
    grouped.yield rows(%j : bf16)
  }
  // CHECK: grouped.matmul %arg0 groups %arg2 weights %arg5 combine %arg3 slots %arg1 scaled %arg4 :
  %3 = grouped.matmul %x groups %offsets weights %w combine %rows slots %tokens scaled %scale
      : (tensor<?x128xbf16>, tensor<9xi32>, !grouped.packed<8x256x128xbf16, 2>, tensor<?x2xi32>, tensor<?xi32>, tensor<?x2xf32>) -> tensor<?x256xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    grouped.yield rows(%c : f32)
  }
  // CHECK: grouped.matmul %arg0 groups %arg2 weights %arg5 combine %arg3 slots %arg1 :
  %4 = grouped.matmul %x groups %offsets weights %w combine %rows slots %tokens
      : (tensor<?x128xbf16>, tensor<9xi32>, !grouped.packed<8x256x128xbf16, 2>, tensor<?x2xi32>, tensor<?xi32>) -> tensor<?x256xf32> {
  ^bb0(%a: f32, %b: f32):
    grouped.yield rows(%a : f32)
  }
  return
}

// CHECK-LABEL: func @combine
func.func @combine(%x: tensor<?x3x5xbf16>, %rows: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // CHECK: grouped.combine %arg0 by %arg1 : (tensor<?x3x5xbf16>, tensor<?x2xi32>) -> tensor<?x3x5xbf16>
  %0 = grouped.combine %x by %rows : (tensor<?x3x5xbf16>, tensor<?x2xi32>) -> tensor<?x3x5xbf16>
  // CHECK: grouped.combine %arg0 by %arg1 weighted %arg2 : (tensor<?x3x5xbf16>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x3x5xf32>
  %1 = grouped.combine %x by %rows weighted %w : (tensor<?x3x5xbf16>, tensor<?x2xi32>, tensor<?x2xf32>) -> tensor<?x3x5xf32>
  return
}

// CHECK-LABEL: func @loop
func.func @loop(%offsets: tensor<9xi32>, %x: tensor<?x64xf32>, %w: tensor<6x64xf32>) {
  // CHECK: %{{.*}}:2 = grouped.loop over %arg0 rows(%arg1) each(%arg2) bounds [0, 6, 8] counts [1, 0] :
  // CHECK: grouped.yield rows(%{{.*}} : tensor<?x64xf32>) each(%{{.*}} : tensor<64xf32>)
  %0:2 = grouped.loop over %offsets rows(%x) each(%w) bounds [0, 6, 8] counts [1, 0]
      : (tensor<9xi32>, tensor<?x64xf32>, tensor<6x64xf32>) -> (tensor<?x64xf32>, tensor<8x64xf32>) {
  ^bb0(%t: tensor<?x64xf32>, %v: tensor<64xf32>):
    grouped.yield rows(%t : tensor<?x64xf32>) each(%v : tensor<64xf32>)
  }, {
  ^bb0(%t: tensor<?x64xf32>):
    %s = moe.reduce sum %t over 0 : tensor<?x64xf32> -> tensor<64xf32>
    grouped.yield rows(%t : tensor<?x64xf32>) each(%s : tensor<64xf32>)
  }
  // CHECK: grouped.loop over %arg0 bounds [0, 8] counts [0] : (tensor<9xi32>) -> () {
  // CHECK-NEXT: grouped.yield
  grouped.loop over %offsets bounds [0, 8] counts [0] : (tensor<9xi32>) -> () {
    grouped.yield
  }
  return
}
