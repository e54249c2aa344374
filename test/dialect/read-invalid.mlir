// What reading a routing, capacities, losses and random numbers refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// moe.to_matrix (C1)
func.func @to_matrix(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.to_matrix' op result is 'tensor<?x2xf32>', expected ? tokens by 8 experts}}
  %0 = moe.to_matrix %r : !moe.routing<8, top 2> -> tensor<?x2xf32>
  return
}

// -----

// moe.pairs (C1)
func.func @pairs(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.pairs' op result is 'tensor<?x2xi32>', expected [?]}}
  %0:4 = moe.pairs %r : !moe.routing<8, top 2> -> tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>, tensor<?xf32>
  return
}

// -----

// moe.importance (C1)
func.func @importance(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.importance' op result is 'tensor<2xf32>', expected one value for each of the 8 experts}}
  %0 = moe.importance %r : !moe.routing<8, top 2> -> tensor<2xf32>
  return
}

// -----

// moe.tokens (C1)
func.func @tokens(%x: tensor<f32>) {
  // expected-error @below {{'moe.tokens' op input has rank 0, expected rows}}
  %0 = moe.tokens %x : tensor<f32>
  return
}

// -----

// moe.segment_size (C1)
func.func @segment_size(%q: tensor<?x2xi32>) {
  // expected-error @below {{'moe.segment_size' op has segments 'tensor<?x2xi32>', expected one number per token}}
  %0 = moe.segment_size %q : tensor<?x2xi32>
  return
}

// -----

// moe.capacity (C1)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op by vmoe needs choices}}
  %0 = moe.capacity %t by vmoe factor 1.0 experts 8 multiple 4 : index
  return
}

// -----

// moe.capacity (C1)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op by mesh takes no choices}}
  %0 = moe.capacity %t by mesh factor 1.0 experts 8 choices 2 minimum 4 : index
  return
}

// -----

// moe.capacity (C2)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op by deepspeed needs minimum}}
  %0 = moe.capacity %t by deepspeed factor 1.0 experts 8 choices 2 : index
  return
}

// -----

// moe.capacity (C2)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op by soft_moe takes no minimum}}
  %0 = moe.capacity %t by soft_moe factor 1.0 experts 8 minimum 4 : index
  return
}

// -----

// moe.capacity (C3)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op by vmoe_expert_choice needs multiple}}
  %0 = moe.capacity %t by vmoe_expert_choice factor 1.0 experts 8 : index
  return
}

// -----

// moe.capacity (C3)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op by megatron takes no multiple}}
  %0 = moe.capacity %t by megatron factor 1.0 experts 8 choices 2 multiple 4 : index
  return
}

// -----

// moe.capacity (C4)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op factor is -1.000000e+00, expected a finite number of at least 0}}
  %0 = moe.capacity %t by tutel factor -1.0 experts 8 choices 2 : index
  return
}

// -----

// moe.capacity (C5)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op experts is 0, expected at least 1}}
  %0 = moe.capacity %t by tutel factor 1.0 experts 0 choices 2 : index
  return
}

// -----

// moe.capacity (C5)
func.func @capacity(%t: index) {
  // expected-error @below {{'moe.capacity' op minimum is -1, expected at least 0}}
  %0 = moe.capacity %t by mesh factor 1.0 experts 8 minimum -1 : index
  return
}

// -----

func.func @capacity(%t: index) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'formula' [mesh, flaxformer, megablocks, deepspeed, megatron, tutel, vmoe, vmoe_expert_choice, soft_moe]}}
  %0 = moe.capacity %t by switch factor 1.0 experts 8 : index
  return
}

// -----

// moe.balance_loss (C1)
func.func @balance_loss(%p: tensor<?x7xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.balance_loss' op probabilities are 'tensor<?x7xf32>', expected tokens by 8 experts}}
  %0 = moe.balance_loss %p of %r counting all scale one : tensor<?x7xf32>, !moe.routing<8, top 2>
  return
}

// -----

// moe.balance_loss (C2)
func.func @balance_loss(%p: tensor<?x8xf32>, %r: !moe.routing<8, top 2>, %q: tensor<i32>) {
  // expected-error @below {{'moe.balance_loss' op has segments 'tensor<i32>', expected one number per token}}
  %0 = moe.balance_loss %p of %r counting all scale one segments %q : tensor<?x8xf32>, !moe.routing<8, top 2>, tensor<i32>
  return
}

// -----

// moe.balance_loss (C3)
func.func @balance_loss(%p: tensor<?x8xf32>, %r: !moe.routing<8, any>) {
  // expected-error @below {{'moe.balance_loss' op counting first scale choices needs a routing with slots, found '!moe.routing<8, any>'}}
  %0 = moe.balance_loss %p of %r counting first scale choices : tensor<?x8xf32>, !moe.routing<8, any>
  return
}

// -----

// moe.balance_loss (C3)
func.func @balance_loss(%p: tensor<?x8xf32>, %r: !moe.routing<8, take>) {
  // expected-error @below {{'moe.balance_loss' op counting all scale one needs a routing with slots, found '!moe.routing<8, take>'}}
  %0 = moe.balance_loss %p of %r counting all scale one : tensor<?x8xf32>, !moe.routing<8, take>
  return
}

// -----

// moe.z_loss (C1)
func.func @z_loss(%l: tensor<8xf32>) {
  // expected-error @below {{'moe.z_loss' op logits are 'tensor<8xf32>', expected tokens by experts}}
  %0 = moe.z_loss %l : tensor<8xf32>
  return
}

// -----

// moe.cv_squared (C1)
func.func @cv_squared(%p: tensor<?x8xf32>) {
  // expected-error @below {{'moe.cv_squared' op values are 'tensor<?x8xf32>', expected rank 1}}
  %0 = moe.cv_squared %p plus 0.0 : tensor<?x8xf32>
  return
}

// -----

// moe.cv_squared (C2)
func.func @cv_squared(%v: tensor<8xf32>) {
  // expected-error @below {{'moe.cv_squared' op plus is -1.000000e+00, expected a finite number of at least 0}}
  %0 = moe.cv_squared %v plus -1.0 : tensor<8xf32>
  return
}

// -----

// moe.noisy_load (C1)
func.func @noisy_load(%l: tensor<?x?xf32>) {
  // expected-error @below {{'moe.noisy_load' op logits are 'tensor<?x?xf32>', expected tokens by a static number of experts}}
  %0 = moe.noisy_load %l, %l, %l top 2 : tensor<?x?xf32> -> tensor<8xf32>
  return
}

// -----

// moe.noisy_load (C2)
func.func @noisy_load(%p: tensor<?x8xf32>) {
  // expected-error @below {{'moe.noisy_load' op chooses top 9 of 8 experts}}
  %0 = moe.noisy_load %p, %p, %p top 9 : tensor<?x8xf32> -> tensor<8xf32>
  return
}

// -----

// moe.noisy_load (C3)
func.func @noisy_load(%p: tensor<?x8xf32>) {
  // expected-error @below {{'moe.noisy_load' op result is 'tensor<2xf32>', expected one value for each of the 8 experts}}
  %0 = moe.noisy_load %p, %p, %p top 2 : tensor<?x8xf32> -> tensor<2xf32>
  return
}

// -----

// moe.random (C1)
func.func @random(%p: tensor<?x8xf32>, %seed: i64) {
  // expected-error @below {{'moe.random' op stream is 4294967296, expected a number in 0 ... 2^32 - 1}}
  %0 = moe.random normal like %p seed %seed stream 4294967296 : tensor<?x8xf32>
  return
}

// -----

// moe.random (C1)
func.func @random(%p: tensor<?x8xf32>, %seed: i64) {
  // expected-error @below {{'moe.random' op stream is -1, expected a number in 0 ... 2^32 - 1}}
  %0 = moe.random uniform like %p seed %seed stream -1 : tensor<?x8xf32>
  return
}
