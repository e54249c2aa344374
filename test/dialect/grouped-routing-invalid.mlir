// What the choices and edits of the grouped dialect refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// grouped.select (C1)
func.func @select(%w: tensor<8xf32>) {
  // expected-error @below {{'grouped.select' op weights have rank 1, expected 2 (tokens by experts)}}
  %0:2 = grouped.select %w by %w selection all : tensor<8xf32>, tensor<8xf32> -> tensor<?x8xf32>, tensor<?x8xi32>
  return
}

// -----

// grouped.select (C1)
func.func @select(%w: tensor<?x8xf32>, %k: tensor<?x8xbf16>) {
  // expected-error @below {{'grouped.select' op key is 'tensor<?x8xbf16>', but the weights are 'tensor<?x8xf32>'}}
  %0:2 = grouped.select %w by %k selection all : tensor<?x8xf32>, tensor<?x8xbf16> -> tensor<?x8xf32>, tensor<?x8xi32>
  return
}

// -----

// grouped.select (C2)
func.func @select(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.select' op by take counts 0, expected a count for top only, and another op for take}}
  %0:2 = grouped.select %w by %w selection take : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>, tensor<?x8xi32>
  return
}

// -----

// grouped.select (C2)
func.func @select(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.select' op by all counts 2, expected a count for top only, and another op for take}}
  %0:2 = grouped.select %w by %w selection all count 2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>, tensor<?x8xi32>
  return
}

// -----

// grouped.select (C2)
func.func @select(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.select' op chooses top 9 of 8 experts}}
  %0:2 = grouped.select %w by %w selection top count 9 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>, tensor<?x8xi32>
  return
}

// -----

// grouped.select (C3)
func.func @select(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.select' op cannot divide 8 experts into 3 groups}}
  %0:2 = grouped.select %w by %w groups 3 keep 1 best 1 selection all : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>, tensor<?x8xi32>
  return
}

// -----

// grouped.select (C4)
func.func @select(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.select' op by top_p has 0 thresholds, expected 1}}
  %0:2 = grouped.select %w by %w selection top_p : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>, tensor<?x8xi32>
  return
}

// -----

// grouped.select (C5)
func.func @select(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.select' op result is 'tensor<?x8xf32>', expected rows of 2 slots}}
  %0:2 = grouped.select %w by %w selection top count 2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>, tensor<?x8xi32>
  return
}

// -----

// grouped.take (C1)
func.func @take(%w: tensor<?x?xf32>, %c: index) {
  // expected-error @below {{'grouped.take' op weights are 'tensor<?x?xf32>', expected a static number of experts}}
  %0:2 = grouped.take %w by %w to %c : (tensor<?x?xf32>, tensor<?x?xf32>, index) -> (tensor<?x8xf32>, tensor<?x8xi32>)
  return
}

// -----

// grouped.take (C2)
func.func @take(%w: tensor<?x8xf32>, %c: tensor<?xi32>) {
  // expected-error @below {{'grouped.take' op has a capacity per token, but no segments}}
  %0:2 = grouped.take %w by %w to %c : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>) -> (tensor<?x8xf32>, tensor<?x8xi32>)
  return
}

// -----

// grouped.take (C3)
func.func @take(%w: tensor<?x8xf32>, %c: index) {
  // expected-error @below {{'grouped.take' op result is 'tensor<?x2xi32>', expected rows of 8 slots}}
  %0:2 = grouped.take %w by %w to %c : (tensor<?x8xf32>, tensor<?x8xf32>, index) -> (tensor<?x8xf32>, tensor<?x2xi32>)
  return
}

// -----

// grouped.assign (C1)
func.func @assign(%w: tensor<?x8xf32>, %k: tensor<?x8xbf16>) {
  // expected-error @below {{'grouped.assign' op scores are 'tensor<?x8xbf16>', but the weights are 'tensor<?x8xf32>'}}
  %0:2 = grouped.assign %w by %k epsilon over 50.0 at_least 1.0e-4 rounds 100 : (tensor<?x8xf32>, tensor<?x8xbf16>) -> (tensor<?x1xf32>, tensor<?x1xi32>)
  return
}

// -----

// grouped.assign (C2)
func.func @assign(%w: tensor<?x8xf32>, %q: tensor<i32>) {
  // expected-error @below {{'grouped.assign' op has segments 'tensor<i32>', expected one number per token}}
  %0:2 = grouped.assign %w by %w epsilon over 50.0 at_least 1.0e-4 rounds 100 segments %q : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<i32>) -> (tensor<?x1xf32>, tensor<?x1xi32>)
  return
}

// -----

// grouped.assign (C3)
func.func @assign(%w: tensor<?x8xf32>) {
  // expected-error @below {{'grouped.assign' op result is 'tensor<?x8xf32>', expected rows of 1 slots}}
  %0:2 = grouped.assign %w by %w epsilon over 50.0 at_least 1.0e-4 rounds 100 : (tensor<?x8xf32>, tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xi32>)
  return
}

// -----

// grouped.limit (C1)
func.func @limit(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %c: index) {
  // expected-error @below {{'grouped.limit' op has weights 'tensor<?x3xf32>' and ids 'tensor<?x2xi32>', expected rows of the same slots}}
  %0:2 = grouped.limit %w, %i experts 8 to %c order choice : (tensor<?x2xf32>, tensor<?x2xi32>, index) -> (tensor<?x3xf32>, tensor<?x2xi32>)
  return
}

// -----

// grouped.limit (C2)
func.func @limit(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %c: index) {
  // expected-error @below {{'grouped.limit' op has 0 experts, expected at least 1}}
  %0:2 = grouped.limit %w, %i experts 0 to %c order choice : (tensor<?x2xf32>, tensor<?x2xi32>, index) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

// grouped.limit (C3)
func.func @limit(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %c: index) {
  // expected-error @below {{'grouped.limit' op has no fitting priority for order value}}
  %0:2 = grouped.limit %w, %i experts 8 to %c order value : (tensor<?x2xf32>, tensor<?x2xi32>, index) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

// grouped.limit (C3)
func.func @limit(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %c: index, %p: tensor<?x2xf32>) {
  // expected-error @below {{'grouped.limit' op has no fitting priority for order choice}}
  %0:2 = grouped.limit %w, %i experts 8 to %c order choice by %p : (tensor<?x2xf32>, tensor<?x2xi32>, index, tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

// grouped.limit (C3)
func.func @limit(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %c: index, %p: tensor<?xf32>) {
  // expected-error @below {{'grouped.limit' op has no fitting priority for order weight}}
  %0:2 = grouped.limit %w, %i experts 8 to %c order weight by %p : (tensor<?x2xf32>, tensor<?x2xi32>, index, tensor<?xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

// grouped.limit (C4)
func.func @limit(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %c: tensor<?xi32>) {
  // expected-error @below {{'grouped.limit' op has a capacity per token, but no segments}}
  %0:2 = grouped.limit %w, %i experts 8 to %c order choice : (tensor<?x2xf32>, tensor<?x2xi32>, tensor<?xi32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

// grouped.limit (C5)
func.func @limit(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %c: index) {
  // expected-error @below {{'grouped.limit' op places 3 of 2 slots}}
  %0:2 = grouped.limit %w, %i experts 8 to %c order choice place 3 : (tensor<?x2xf32>, tensor<?x2xi32>, index) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

// grouped.join (C1)
func.func @join(%w: tensor<?x3xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.join' op has weights 'tensor<?x3xf32>' and ids 'tensor<?x2xi32>', expected rows of the same slots}}
  %0:2 = grouped.join %w, %i, %w, %i experts 8 : (tensor<?x3xf32>, tensor<?x2xi32>, tensor<?x3xf32>, tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x4xi32>)
  return
}

// -----

// grouped.join (C2)
func.func @join(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.join' op has 0 experts, expected at least 1}}
  %0:2 = grouped.join %w, %i, %w, %i experts 0 : (tensor<?x2xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x4xi32>)
  return
}

// -----

// grouped.join (C3)
func.func @join(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.join' op result is 'tensor<?x4xf32>', expected rows of 8 slots}}
  %0:2 = grouped.join %w, %i, %w, %i experts 8 by_expert : (tensor<?x2xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x2xi32>) -> (tensor<?x4xf32>, tensor<?x4xi32>)
  return
}

// -----

// grouped.join (C3)
func.func @join(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.join' op result is 'tensor<?x3xf32>', expected rows of 4 slots}}
  %0:2 = grouped.join %w, %i, %w, %i experts 8 : (tensor<?x2xf32>, tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x2xi32>) -> (tensor<?x3xf32>, tensor<?x4xi32>)
  return
}

// -----

// grouped.check_ids (C1)
func.func @check_ids(%i: tensor<?xi32>) {
  // expected-error @below {{'grouped.check_ids' op checks 'tensor<?xi32>', expected rank 2}}
  %0 = grouped.check_ids %i experts 8 : tensor<?xi32> -> tensor<?xi32>
  return
}

// -----

// grouped.check_ids (C2)
func.func @check_ids(%i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.check_ids' op has 0 experts, expected at least 1}}
  %0 = grouped.check_ids %i experts 0 : tensor<?x2xi32> -> tensor<?x2xi32>
  return
}

// -----

// grouped.check_ids (C3)
func.func @check_ids(%i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.check_ids' op result is 'tensor<?x3xi32>', but the ids are 'tensor<?x2xi32>'}}
  %0 = grouped.check_ids %i experts 8 : tensor<?x2xi32> -> tensor<?x3xi32>
  return
}

// -----

// grouped.pick (C1)
func.func @pick(%v: tensor<?xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.pick' op picks from 'tensor<?xf32>', expected a value per expert, or per row and expert}}
  %0 = grouped.pick %v at %i : tensor<?xf32>, tensor<?x2xi32> -> tensor<?x2xf32>
  return
}

// -----

// grouped.pick (C2)
func.func @pick(%v: tensor<8xf32>, %i: tensor<?xi32>) {
  // expected-error @below {{'grouped.pick' op picks at 'tensor<?xi32>', expected rows of slots}}
  %0 = grouped.pick %v at %i : tensor<8xf32>, tensor<?xi32> -> tensor<?xf32>
  return
}

// -----

// grouped.pick (C3)
func.func @pick(%v: tensor<8xi1>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.pick' op result is 'tensor<?x2xf32>', expected 'tensor<?x2xi1>'}}
  %0 = grouped.pick %v at %i : tensor<8xi1>, tensor<?x2xi32> -> tensor<?x2xf32>
  return
}

// -----

// grouped.matrix (C1)
func.func @matrix(%w: tensor<?x3xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.matrix' op has weights 'tensor<?x3xf32>' and ids 'tensor<?x2xi32>', expected rows of the same slots}}
  %0 = grouped.matrix %w, %i : tensor<?x3xf32>, tensor<?x2xi32> -> tensor<?x8xf32>
  return
}

// -----

// grouped.matrix (C2)
func.func @matrix(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.matrix' op result is 'tensor<?x?xf32>', expected rows by a static number of experts}}
  %0 = grouped.matrix %w, %i : tensor<?x2xf32>, tensor<?x2xi32> -> tensor<?x?xf32>
  return
}

// -----

// grouped.balance_loss (C1)
func.func @balance_loss(%p: tensor<8xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.balance_loss' op probabilities are 'tensor<8xf32>', expected rows by a static number of experts}}
  %0 = grouped.balance_loss %p of %i counting all scale one : tensor<8xf32>, tensor<?x2xi32>
  return
}

// -----

// grouped.balance_loss (C2)
func.func @balance_loss(%p: tensor<?x8xf32>, %i: tensor<?xi32>) {
  // expected-error @below {{'grouped.balance_loss' op ids are 'tensor<?xi32>', expected rows of slots}}
  %0 = grouped.balance_loss %p of %i counting all scale one : tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

// grouped.balance_loss (C3)
func.func @balance_loss(%p: tensor<?x8xf32>, %i: tensor<?x2xi32>, %q: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.balance_loss' op has segments 'tensor<?x2xi32>', expected one number per token}}
  %0 = grouped.balance_loss %p of %i counting all scale one segments %q : tensor<?x8xf32>, tensor<?x2xi32>, tensor<?x2xi32>
  return
}

// -----

// grouped.trace (C1)
func.func @trace(%i: tensor<?xi32>) {
  // expected-error @below {{'grouped.trace' op input is 'tensor<?xi32>', expected rows of slots}}
  %0 = grouped.trace %i of 0 : tensor<?xi32>
  return
}

// -----

// grouped.trace (C2)
func.func @trace(%i: tensor<?x2xi32>) {
  // expected-error @below {{'grouped.trace' op is of routing -1, expected 0 or more}}
  %0 = grouped.trace %i of -1 : tensor<?x2xi32>
  return
}
