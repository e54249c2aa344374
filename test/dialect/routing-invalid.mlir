// What the types of routings and the ops that make, edit and read them refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// !moe.routing (C1)
// expected-error @below {{a routing needs at least 1 expert, found 0}}
func.func private @type(!moe.routing<0, any>)

// -----

// !moe.routing (C2)
// expected-error @below {{a routing of 8 experts cannot hold top 9}}
func.func private @type(!moe.routing<8, top 9>)

// -----

// !moe.routing (C2)
// expected-error @below {{a routing of 8 experts cannot hold top 0}}
func.func private @type(!moe.routing<8, top 0>)

// -----

// expected-error @below {{unknown routing shape 'bottom', expected top, take or any}}
func.func private @type(!moe.routing<8, bottom 2>)

// -----

// expected-error @below {{expected integer value}}
func.func private @type(!moe.routing<8, top>)

// -----

// expected-error @below {{unknown  type `rooting` in dialect `moe`}}
func.func private @type(!moe.rooting<8, top 2>)

// -----

// moe.route (C1)
func.func @route(%s: tensor<?x4x8xf32>) {
  // expected-error @below {{'moe.route' op weights have rank 3, expected 2 (tokens by experts)}}
  %0 = moe.route %s top 2 : tensor<?x4x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C1)
func.func @route(%s: tensor<?x?xf32>) {
  // expected-error @below {{'moe.route' op weights are 'tensor<?x?xf32>', expected a static number of experts}}
  %0 = moe.route %s top 2 : tensor<?x?xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C2)
func.func @route(%s: tensor<?x8xf32>, %k: tensor<?x7xf32>) {
  // expected-error @below {{'moe.route' op key is 'tensor<?x7xf32>', but the weights are 'tensor<?x8xf32>'}}
  %0 = "moe.route"(%s, %k) <{top = 2 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0>}> : (tensor<?x8xf32>, tensor<?x7xf32>) -> !moe.routing<8, top 2>
  return
}

// -----

// expected-note @below {{prior use here}}
func.func @route(%s: tensor<?x8xf32>, %k: tensor<?x7xf32>) {
  // expected-error @below {{use of value '%k' expects different type than prior uses: 'tensor<?x8xf32>' vs 'tensor<?x7xf32>'}}
  %0 = moe.route %s by %k top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return
}

// -----

// moe.route (C3)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op chooses top 9 of 8 experts}}
  %0 = moe.route %s top 9 : tensor<?x8xf32> -> !moe.routing<8, top 8>
  return
}

// -----

// moe.route (C3)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op chooses top 0, expected at least 1}}
  %0 = moe.route %s top 0 : tensor<?x8xf32> -> !moe.routing<8, top 1>
  return
}

// -----

// moe.route (C4)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op result is '!moe.routing<8, top 3>', expected '!moe.routing<8, top 2>'}}
  %0 = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 3>
  return
}

// -----

// moe.route (C4)
func.func @route(%s: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op result is '!moe.routing<9, top 2>', expected '!moe.routing<8, top 2>'}}
  %0 = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<9, top 2>
  return
}

// -----

// moe.normalize (C1)
func.func @normalize(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.normalize' op by lp needs an exponent: lp 2.0}}
  %0 = moe.normalize %r by lp : !moe.routing<8, top 2>
  return
}

// -----

// moe.normalize (C1)
func.func @normalize(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.normalize' op by sum takes no exponent}}
  %0 = moe.normalize %r by sum 2.0 : !moe.routing<8, top 2>
  return
}

// -----

// moe.normalize (C2)
func.func @normalize(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.normalize' op by lp has exponent 0.000000e+00, expected a finite number of more than 0}}
  %0 = moe.normalize %r by lp 0.0 : !moe.routing<8, top 2>
  return
}

// -----

// moe.normalize (C3)
func.func @normalize(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.normalize' op by softmax takes neither plus nor at_least, only a sum does}}
  %0 = moe.normalize %r by softmax plus 1.0e-20 : !moe.routing<8, top 2>
  return
}

// -----

// moe.normalize (C3)
func.func @normalize(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.normalize' op has both plus and at_least, expected one of them}}
  %0 = moe.normalize %r by sum plus 1.0e-20 at_least 1.0 : !moe.routing<8, top 2>
  return
}

// -----

// moe.normalize (C4)
func.func @normalize(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.normalize' op by sum is guarded with -1.000000e+00, expected a finite number of at least 0}}
  %0 = moe.normalize %r by sum at_least -1.0 : !moe.routing<8, top 2>
  return
}

// -----

func.func @normalize(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.normalize' op requires the same type for all operands and results}}
  %0 = "moe.normalize"(%r) {norm = 0 : i32} : (!moe.routing<8, top 2>) -> !moe.routing<8, top 3>
  return
}

// -----

func.func @normalize(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'norm' [sum, softmax, lp]}}
  %0 = moe.normalize %r by mean : !moe.routing<8, top 2>
  return
}

// -----

// moe.scale (C1)
func.func @scale(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.scale' op needs either a constant or a value to multiply by}}
  %0 = "moe.scale"(%r) : (!moe.routing<8, top 2>) -> !moe.routing<8, top 2>
  return
}

// -----

// moe.scale (C1)
func.func @scale(%r: !moe.routing<8, top 2>, %f: f32) {
  // expected-error @below {{'moe.scale' op needs either a constant or a value to multiply by}}
  %0 = "moe.scale"(%r, %f) {constant = 2.0 : f64} : (!moe.routing<8, top 2>, f32) -> !moe.routing<8, top 2>
  return
}

// -----

// moe.scale (C2)
func.func @scale(%r: !moe.routing<8, top 2>, %v: tensor<7xf32>) {
  // expected-error @below {{'moe.scale' op factor is 'tensor<7xf32>', expected one value for each of the 8 experts}}
  %0 = moe.scale %r by %v : !moe.routing<8, top 2>, tensor<7xf32>
  return
}

// -----

// moe.scale (C3)
func.func @scale(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.scale' op multiplies by INF, expected a finite number}}
  %0 = "moe.scale"(%r) {constant = 0x7FF0000000000000 : f64} : (!moe.routing<8, top 2>) -> !moe.routing<8, top 2>
  return
}

// -----

func.func @scale(%r: !moe.routing<8, top 2>, %f: f64) {
  // expected-error @below {{'moe.scale' op operand #1 must be 32-bit float or ranked tensor of 32-bit float values, but got 'f64'}}
  %0 = moe.scale %r by %f : !moe.routing<8, top 2>, f64
  return
}

// -----

func.func @scale(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{unexpected decimal integer literal for a floating point value}}
  // expected-note @below {{add a trailing dot to make the literal a float}}
  %0 = moe.scale %r by 2 : !moe.routing<8, top 2>
  return
}

// -----

func.func @scale(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.scale' op failed to verify that all of {routing, result} have same type}}
  %0 = "moe.scale"(%r) {constant = 2.0 : f64} : (!moe.routing<8, top 2>) -> !moe.routing<8, top 3>
  return
}

// -----

// moe.weights (C1)
func.func @weights(%r: !moe.routing<8, any>) {
  // expected-error @below {{'moe.weights' op needs a routing with slots (top k), found '!moe.routing<8, any>'}}
  %0 = moe.weights %r : !moe.routing<8, any> -> tensor<?x2xf32>
  return
}

// -----

// moe.weights (C2)
func.func @weights(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.weights' op sees 'tensor<?x3xf32>', expected ? tokens by 2 slots}}
  %0 = moe.weights %r : !moe.routing<8, top 2> -> tensor<?x3xf32>
  return
}

// -----

func.func @weights(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.weights' op result #0 must be ranked tensor of 32-bit float values, but got 'tensor<?x2xbf16>'}}
  %0 = moe.weights %r : !moe.routing<8, top 2> -> tensor<?x2xbf16>
  return
}

// -----

// moe.indices (C1)
func.func @indices(%r: !moe.routing<8, take>) {
  // expected-error @below {{'moe.indices' op needs a routing with slots (top k), found '!moe.routing<8, take>'}}
  %0 = moe.indices %r : !moe.routing<8, take> -> tensor<?x2xi32>
  return
}

// -----

// moe.indices (C2)
func.func @indices(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.indices' op sees 'tensor<4x2xi32>', expected ? tokens by 2 slots}}
  %0 = moe.indices %r : !moe.routing<8, top 2> -> tensor<4x2xi32>
  return
}

// -----

func.func @indices(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.indices' op result #0 must be ranked tensor of 32-bit signless integer values, but got 'tensor<?x2xi64>'}}
  %0 = moe.indices %r : !moe.routing<8, top 2> -> tensor<?x2xi64>
  return
}

// -----

// moe.with_weights (C1)
func.func @with_weights(%r: !moe.routing<8, any>, %w: tensor<?x2xf32>) {
  // expected-error @below {{'moe.with_weights' op needs a routing with slots (top k), found '!moe.routing<8, any>'}}
  %0 = moe.with_weights %r, %w : !moe.routing<8, any>, tensor<?x2xf32>
  return
}

// -----

// moe.with_weights (C2)
func.func @with_weights(%r: !moe.routing<8, top 2>, %w: tensor<?xf32>) {
  // expected-error @below {{'moe.with_weights' op sees 'tensor<?xf32>', expected ? tokens by 2 slots}}
  %0 = moe.with_weights %r, %w : !moe.routing<8, top 2>, tensor<?xf32>
  return
}

// -----

// moe.counts (C1)
func.func @counts(%r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.counts' op result is 'tensor<2xi32>', expected one count for each of the 8 experts}}
  %0 = moe.counts %r : !moe.routing<8, top 2> -> tensor<2xi32>
  return
}
