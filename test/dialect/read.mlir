// Reading routings, capacities, losses and random numbers: what is printed parses to the same, in every form.
// RUN: moe-opt %s | FileCheck %s
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s -mlir-print-op-generic | moe-opt | FileCheck %s
// RUN: moe-opt %s -emit-bytecode | moe-opt | FileCheck %s

!r = !moe.routing<8, top 2>
!s = tensor<?x8xf32>
!i = tensor<?xi32>

// CHECK-LABEL: func @read
func.func @read(%r: !r, %a: !moe.routing<8, any>) {
  // CHECK: moe.to_matrix %arg0 : !moe.routing<8, top 2> -> tensor<?x8xf32>
  %0 = moe.to_matrix %r : !r -> !s
  // CHECK: %expert, %token, %slot, %weight = moe.pairs %arg1 : !moe.routing<8, any> -> tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xf32>
  %1:4 = moe.pairs %a : !moe.routing<8, any> -> !i, !i, !i, tensor<?xf32>
  // CHECK: moe.importance %arg0 : !moe.routing<8, top 2> -> tensor<8xf32>
  %2 = moe.importance %r : !r -> tensor<8xf32>
  return
}

// CHECK-LABEL: func @capacities
func.func @capacities(%x: tensor<?x4x2xi32>, %q: !i) {
  // CHECK: moe.tokens %arg0 : tensor<?x4x2xi32>
  %t = moe.tokens %x : tensor<?x4x2xi32>
  // CHECK: moe.segment_size %arg1 : tensor<?xi32>
  %n = moe.segment_size %q : !i
  // CHECK: by mesh factor 1.250000e+00 experts 8 minimum 4 : index
  %0 = moe.capacity %t by mesh factor 1.25 experts 8 minimum 4 : index
  // CHECK: by flaxformer factor 1.250000e+00 experts 8 minimum 4 : tensor<?xi32>
  %1 = moe.capacity %n by flaxformer factor 1.25 experts 8 minimum 4 : !i
  // CHECK: by megablocks factor 1.000000e+00 experts 8 choices 2 : index
  %2 = moe.capacity %t by megablocks factor 1.0 experts 8 choices 2 : index
  // CHECK: by deepspeed factor 1.200000e+00 experts 8 choices 2 minimum 0 : index
  %3 = moe.capacity %t by deepspeed factor 1.2 experts 8 choices 2 minimum 0 : index
  // CHECK: by megatron factor 0.000000e+00 experts 8 choices 2 : index
  %4 = moe.capacity %t by megatron factor 0.0 experts 8 choices 2 : index
  // CHECK: by tutel factor 1.000000e+00 experts 8 choices 1 : index
  %5 = moe.capacity %t by tutel factor 1.0 experts 8 choices 1 : index
  // CHECK: by vmoe factor 1.000000e+00 experts 8 choices 2 multiple 4 : index
  %6 = moe.capacity %t by vmoe factor 1.0 experts 8 choices 2 multiple 4 : index
  // CHECK: by vmoe_expert_choice factor 1.000000e+00 experts 8 multiple 4 : index
  %7 = moe.capacity %t by vmoe_expert_choice factor 1.0 experts 8 multiple 4 : index
  // CHECK: by soft_moe factor 1.000000e+00 experts 8 {note = "slots"} : index
  %8 = moe.capacity %t by soft_moe factor 1.0 experts 8 {note = "slots"} : index
  return
}

// CHECK-LABEL: func @losses
func.func @losses(%p: !s, %r: !r, %a: !moe.routing<8, any>, %q: !i, %v: tensor<8xf32>) {
  // CHECK: moe.balance_loss %arg0 of %arg1 counting first scale one : tensor<?x8xf32>, !moe.routing<8, top 2>
  %0 = moe.balance_loss %p of %r counting first scale one : !s, !r
  // CHECK: moe.balance_loss %arg0 of %arg2 counting all scale choices segments %arg3 : tensor<?x8xf32>, !moe.routing<8, any>, tensor<?xi32>
  %1 = moe.balance_loss %p of %a counting all scale choices segments %q : !s, !moe.routing<8, any>, !i
  // CHECK: moe.z_loss %arg0 : tensor<?x8xf32>
  %2 = moe.z_loss %p : !s
  // CHECK: moe.cv_squared %arg4 plus {{.*}} : tensor<8xf32>
  %3 = moe.cv_squared %v plus 1.0e-10 : tensor<8xf32>
  // CHECK: moe.noisy_load %arg0, %arg0, %arg0 top 8 : tensor<?x8xf32> -> tensor<8xf32>
  %4 = moe.noisy_load %p, %p, %p top 8 : !s -> tensor<8xf32>
  // CHECK: arith.addf {{.*}} : tensor<f32>
  %5 = arith.addf %0, %2 : tensor<f32>
  return
}

// CHECK-LABEL: func @random
func.func @random(%x: tensor<?x8xbf16>, %seed: i64) {
  // CHECK: %[[N:.*]] = moe.random normal like %arg0 seed %arg1 stream 0 : tensor<?x8xbf16>
  %0 = moe.random normal like %x seed %seed stream 0 : tensor<?x8xbf16>
  // CHECK: moe.random uniform like %[[N]] seed %arg1 stream 4294967295 : tensor<?x8xf32>
  %1 = moe.random uniform like %0 seed %seed stream 4294967295 : !s
  // CHECK: moe.random gumbel like %arg0 seed %arg1 stream 1 : tensor<?x8xbf16>
  %2 = moe.random gumbel like %x seed %seed stream 1 : tensor<?x8xbf16>
  return
}
