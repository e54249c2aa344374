// What the operations that make a routing refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{unknown selection 'best', expected top, take, greater_than, at_least, top_p, nonzero or all}}
  %0 = moe.route %s best 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{expected 'sum', expected max or sum}}
  %0 = moe.route %s groups 2 keep 1 score mean top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C3)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op all chooses no fixed number, found top 2}}
  %0 = "moe.route"(%s) <{selection = 6 : i32, top = 2 : i64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0>}> : (tensor<?x8xf32>) -> !moe.routing<8, any>
  return
}

// -----

// moe.route (C4)
func.func @route(%s: tensor<?x8xf32>, %c: index) {
  // expected-error @below {{'moe.route' op result is '!moe.routing<8, any>', expected '!moe.routing<8, take>'}}
  %0 = moe.route %s take %c : tensor<?x8xf32>, index -> !moe.routing<8, any>
  return
}

// -----

// moe.route (C4)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op result is '!moe.routing<8, top 2>', expected '!moe.routing<8, any>'}}
  %0 = moe.route %s nonzero : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C5)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op needs groups, how many to keep and their score, or none of them}}
  %0 = "moe.route"(%s) <{top = 2 : i64, groups = 2 : i64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0>}> : (tensor<?x8xf32>) -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C5)
func.func @route(%s: tensor<?x8xf32>, %c: index) {
  // expected-error @below {{'moe.route' op takes tokens, which no groups of experts restrict}}
  %0 = moe.route %s groups 2 keep 1 score max take %c : tensor<?x8xf32>, index -> !moe.routing<8, take>
  return
}

// -----

// moe.route (C6)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op cannot divide 8 experts into 3 groups}}
  %0 = moe.route %s groups 3 keep 1 score max top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C6)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op cannot divide 8 experts into 0 groups}}
  %0 = moe.route %s groups 0 keep 1 score max top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C6)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op keeps 5 of 4 groups}}
  %0 = moe.route %s groups 4 keep 5 score max top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C7)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op scores groups of 2 experts by their best 3}}
  %0 = moe.route %s groups 4 keep 2 score sum 3 top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C8)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op chooses top 5, but keeps 2 groups of 2 experts}}
  %0 = moe.route %s groups 4 keep 2 score sum 2 top 5 : tensor<?x8xf32> -> !moe.routing<8, top 5>
  return
}

// -----

// moe.route (C9)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op take needs a capacity}}
  %0 = "moe.route"(%s) <{selection = 1 : i32, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0>}> : (tensor<?x8xf32>) -> !moe.routing<8, take>
  return
}

// -----

// moe.route (C9)
func.func @route(%s: tensor<?x8xf32>, %c: index) {
  // expected-error @below {{'moe.route' op top has no capacity}}
  %0 = "moe.route"(%s, %c) <{top = 2 : i64, operandSegmentSizes = array<i32: 1, 0, 1, 0, 0>}> : (tensor<?x8xf32>, index) -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C9)
func.func @route(%s: tensor<?x8xf32>, %q: tensor<?xi32>) {
  // expected-error @below {{'moe.route' op top has no segments, only take}}
  %0 = "moe.route"(%s, %q) <{top = 2 : i64, operandSegmentSizes = array<i32: 1, 0, 0, 1, 0>}> : (tensor<?x8xf32>, tensor<?xi32>) -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C10)
func.func @route(%s: tensor<?x8xf32>, %c: index, %q: tensor<?x1xi32>) {
  // expected-error @below {{'moe.route' op has segments 'tensor<?x1xi32>', expected one number per token}}
  %0 = moe.route %s take %c segments %q : tensor<?x8xf32>, index, tensor<?x1xi32> -> !moe.routing<8, take>
  return
}

// -----

// moe.route (C10)
func.func @route(%s: tensor<?x8xf32>, %q: tensor<?xi32>) {
  // expected-error @below {{'moe.route' op has a capacity per token, but no segments}}
  %0 = moe.route %s take %q : tensor<?x8xf32>, tensor<?xi32> -> !moe.routing<8, take>
  return
}

// -----

// moe.route (C10)
func.func @route(%s: tensor<?x8xf32>, %c: tensor<i32>, %q: tensor<?xi32>) {
  // expected-error @below {{'moe.route' op has a capacity of 'tensor<i32>', expected an index or one per token}}
  %0 = moe.route %s take %c segments %q : tensor<?x8xf32>, tensor<i32>, tensor<?xi32> -> !moe.routing<8, take>
  return
}

// -----

// moe.route (C11)
func.func @route(%s: tensor<?x8xf32>) {
  %t = moe.tokens %s : tensor<?x8xf32>
  %c = moe.capacity %t by megablocks factor 0.0 experts 8 choices 2 : index
  // expected-error @below {{'moe.route' op is limited by a capacity of megablocks with factor 0, which means dropless there}}
  %0 = moe.route %s take %c : tensor<?x8xf32>, index -> !moe.routing<8, take>
  return
}

// -----

// moe.route (C12)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op greater_than has 0 thresholds, expected 1}}
  %0 = "moe.route"(%s) <{selection = 2 : i32, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0>}> : (tensor<?x8xf32>) -> !moe.routing<8, any>
  return
}

// -----

// moe.route (C12)
func.func @route(%s: tensor<?x8xf32>, %f: f32) {
  // expected-error @below {{'moe.route' op at_least has 2 thresholds, expected 1}}
  %0 = "moe.route"(%s, %f) <{selection = 3 : i32, constant = 1.0 : f64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 1>}> : (tensor<?x8xf32>, f32) -> !moe.routing<8, any>
  return
}

// -----

// moe.route (C12)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op all has 1 thresholds, expected 0}}
  %0 = "moe.route"(%s) <{selection = 6 : i32, constant = 1.0 : f64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0>}> : (tensor<?x8xf32>) -> !moe.routing<8, any>
  return
}

// -----

// moe.route (C13)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op greater_than INF, expected a finite number}}
  %0 = "moe.route"(%s) <{selection = 2 : i32, constant = 0x7FF0000000000000 : f64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0>}> : (tensor<?x8xf32>) -> !moe.routing<8, any>
  return
}

// -----

// moe.route (C13)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op top_p 0.000000e+00, expected a number in (0, 1]}}
  %0 = moe.route %s top_p 0.0 : tensor<?x8xf32> -> !moe.routing<8, any>
  return
}

// -----

// moe.route (C13)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op top_p 1.500000e+00, expected a number in (0, 1]}}
  %0 = moe.route %s top_p 1.5 : tensor<?x8xf32> -> !moe.routing<8, any>
  return
}

// -----

// moe.lookup (C1)
func.func @lookup(%i: tensor<?x1xi32>, %t: tensor<32x2xi32>) {
  // expected-error @below {{'moe.lookup' op looks up 'tensor<?x1xi32>', expected one id per token}}
  %0 = moe.lookup %i in %t : tensor<?x1xi32>, tensor<32x2xi32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.lookup (C2)
func.func @lookup(%i: tensor<?xi32>, %t: tensor<32xi32>) {
  // expected-error @below {{'moe.lookup' op table has rank 1, expected 2}}
  %0 = moe.lookup %i in %t : tensor<?xi32>, tensor<32xi32> -> !moe.routing<8, top 1>
  return
}

// -----

// moe.lookup (C3)
func.func @lookup(%i: tensor<?xi32>, %t: tensor<32x2xi32>, %s: tensor<?x7xf32>) {
  // expected-error @below {{'moe.lookup' op scores are 'tensor<?x7xf32>', expected tokens by 8 experts}}
  %0 = moe.lookup %i in %t weights %s : tensor<?xi32>, tensor<32x2xi32>, tensor<?x7xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.lookup (C4)
func.func @lookup(%i: tensor<?xi32>, %t: tensor<32x2xi32>) {
  // expected-error @below {{'moe.lookup' op makes '!moe.routing<8, top 3>' of a table with rows 'tensor<32x2xi32>'}}
  %0 = moe.lookup %i in %t : tensor<?xi32>, tensor<32x2xi32> -> !moe.routing<8, top 3>
  return
}

// -----

// moe.lookup (C4)
func.func @lookup(%i: tensor<?xi32>, %t: tensor<32x2xi32>) {
  // expected-error @below {{'moe.lookup' op makes '!moe.routing<8, any>' of a table with rows 'tensor<32x2xi32>'}}
  %0 = moe.lookup %i in %t : tensor<?xi32>, tensor<32x2xi32> -> !moe.routing<8, any>
  return
}

// -----

// moe.from_indices (C1)
func.func @from_indices(%i: tensor<?x3xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{'moe.from_indices' op makes '!moe.routing<8, top 2>' of 'tensor<?x3xi32>'}}
  %0 = moe.from_indices %i, %w : tensor<?x3xi32>, tensor<?x2xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.from_indices (C1)
func.func @from_indices(%i: tensor<?x2xi32>, %w: tensor<?xf32>) {
  // expected-error @below {{'moe.from_indices' op makes '!moe.routing<8, top 2>' of 'tensor<?xf32>'}}
  %0 = moe.from_indices %i, %w : tensor<?x2xi32>, tensor<?xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.from_indices (C1)
func.func @from_indices(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{'moe.from_indices' op makes '!moe.routing<8, take>' of 'tensor<?x2xi32>'}}
  %0 = moe.from_indices %i, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<8, take>
  return
}

// -----

// moe.assign (C1)
func.func @assign(%s: tensor<8xf32>) {
  // expected-error @below {{'moe.assign' op weights have rank 1, expected 2 (tokens by experts)}}
  %0 = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : tensor<8xf32> -> !moe.routing<8, top 1>
  return
}

// -----

// moe.assign (C1)
func.func @assign(%s: tensor<?x?xf32>) {
  // expected-error @below {{'moe.assign' op weights are 'tensor<?x?xf32>', expected a static number of experts}}
  %0 = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : tensor<?x?xf32> -> !moe.routing<8, top 1>
  return
}

// -----

// moe.assign (C2)
func.func @assign(%s: tensor<?x8xf32>, %t: tensor<?x8xbf16>) {
  // expected-error @below {{'moe.assign' op scores are 'tensor<?x8xbf16>', but the weights are 'tensor<?x8xf32>'}}
  %0 = "moe.assign"(%s, %t) <{over = 50.0 : f64, at_least = 1.0e-4 : f64, rounds = 100 : i64}> : (tensor<?x8xf32>, tensor<?x8xbf16>) -> !moe.routing<8, top 1>
  return
}

// -----

// moe.assign (C3)
func.func @assign(%s: tensor<?x8xf32>, %q: tensor<i32>) {
  // expected-error @below {{'moe.assign' op has segments 'tensor<i32>', expected one number per token}}
  %0 = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 segments %q : tensor<?x8xf32>, tensor<i32> -> !moe.routing<8, top 1>
  return
}

// -----

// moe.assign (C4)
func.func @assign(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.assign' op has an epsilon of range over 5.000000e+01 at least 0.000000e+00, expected finite numbers of more than 0}}
  %0 = moe.assign %s by %s epsilon over 50.0 at_least 0.0 rounds 100 : tensor<?x8xf32> -> !moe.routing<8, top 1>
  return
}

// -----

// moe.assign (C5)
func.func @assign(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.assign' op bids for 0 rounds, expected 1 or more}}
  %0 = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 0 : tensor<?x8xf32> -> !moe.routing<8, top 1>
  return
}

// -----

// moe.assign (C6)
func.func @assign(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.assign' op result is '!moe.routing<8, top 2>', expected '!moe.routing<8, top 1>'}}
  %0 = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}
