// What dispatch, expert, combine, scope and param refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// moe.dispatch (C1)
func.func @dispatch(%x: tensor<f32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.dispatch' op input has rank 0, expected rows of tokens}}
  %0 = moe.dispatch %x by %r : tensor<f32>, !moe.routing<8, top 2>
  return
}

// -----

// moe.dispatch (C2)
func.func @dispatch(%x: tensor<?x4xi32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.dispatch' op weighted applies to rows of floats, found 'tensor<?x4xi32>'}}
  %0 = moe.dispatch %x by %r weighted : tensor<?x4xi32>, !moe.routing<8, top 2>
  return
}

// -----

// moe.expert (C1)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op has 1 regions, 3 bounds and 1 each counts, expected n, n + 1 and n}}
  %0 = "moe.expert"(%r, %x) <{bounds = array<i64: 0, 4, 8>, each_counts = array<i64: 0>, operandSegmentSizes = array<i32: 1, 1, 0>}> ({
  ^bb0(%t: tensor<?x4xf32>):
    moe.yield %t : tensor<?x4xf32>
  }) : (!moe.routing<8, top 2>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// moe.expert (C1)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op ranges cover experts 0 to 6, expected 0 to 8}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32>
      range 0 to 2 {
    moe.yield %t : tensor<?x4xf32>
  }
      range 2 to 6 {
    moe.yield %t : tensor<?x4xf32>
  }
  return
}

// -----

// moe.expert (C1)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op range 1 is experts 9 to 8, expected at least one}}
  %0 = "moe.expert"(%r, %x) <{bounds = array<i64: 0, 9, 8>, each_counts = array<i64: 0, 0>, operandSegmentSizes = array<i32: 1, 1, 0>}> ({
  ^bb0(%t: tensor<?x4xf32>):
    moe.yield %t : tensor<?x4xf32>
  }, {
  ^bb0(%t: tensor<?x4xf32>):
    moe.yield %t : tensor<?x4xf32>
  }) : (!moe.routing<8, top 2>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32>
      range 0 to 2 {
    moe.yield %t : tensor<?x4xf32>
  }
      // expected-error @below {{range 3 to 8 does not continue at expert 2}}
      range 3 to 8 {
    moe.yield %t : tensor<?x4xf32>
  }
  return
}

// -----

func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32>
      // expected-error @below {{range 0 to 0 does not continue at expert 0}}
      range 0 to 0 {
    moe.yield %t : tensor<?x4xf32>
  }
  return
}

// -----

// moe.expert (C2)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op each counts add up to 0, but there are 1 tensors}}
  %0 = "moe.expert"(%r, %x) <{bounds = array<i64: 0, 8>, each_counts = array<i64: 0>, operandSegmentSizes = array<i32: 1, 0, 1>}> ({
    moe.yield
  }) : (!moe.routing<8, top 2>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// moe.expert (C2)
func.func @expert(%x: tensor<8x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op each count is -1, but there are 1 tensors}}
  "moe.expert"(%r, %x) <{bounds = array<i64: 0, 8>, each_counts = array<i64: -1>, operandSegmentSizes = array<i32: 1, 0, 1>}> ({
    moe.yield
  }) : (!moe.routing<8, top 2>, tensor<8x4xf32>) -> ()
  return
}

// -----

// moe.expert (C3)
func.func @expert(%x: tensor<5x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op rows tensor is 'tensor<5x4xf32>', expected a dynamic number of rows}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<5x4xf32>) -> tensor<5x4xf32> {
    moe.yield %t : tensor<5x4xf32>
  }
  return
}

// -----

// moe.expert (C3)
func.func @expert(%x: tensor<f32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op rows tensor is 'tensor<f32>', expected a dynamic number of rows}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<f32>) -> tensor<f32> {
    moe.yield %t : tensor<f32>
  }
  return
}

// -----

// moe.expert (C4)
func.func @expert(%w: tensor<7x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op each tensor 0 is 'tensor<7x4xf32>', expected dimension 0 to be 8 (one slice for every expert)}}
  moe.expert by %r each(%v = %w) : !moe.routing<8, top 2>, (tensor<7x4xf32>) -> () {
    moe.yield
  }
  return
}

// -----

// moe.expert (C4)
func.func @expert(%w: tensor<4x4xf32>, %v: tensor<8x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op each tensor 0 is 'tensor<8x4xf32>', expected dimension 0 to be 4 (one slice for every expert)}}
  moe.expert by %r : !moe.routing<8, top 2>, () -> ()
      range 0 to 4 each(%a = %w) : (tensor<4x4xf32>) {
    moe.yield
  }
      range 4 to 8 each(%a = %v) : (tensor<8x4xf32>) {
    moe.yield
  }
  return
}

// -----

// moe.expert (C4)
func.func @expert(%w: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op each tensor 0 is 'tensor<?x4xf32>', expected dimension 0 to be 8 (one slice for every expert)}}
  moe.expert by %r each(%v = %w) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> () {
    moe.yield
  }
  return
}

// -----

// moe.expert (C5)
func.func @expert(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op region 0 has arguments 'tensor<?x4xf32>', 'tensor<8x4xf32>', expected 'tensor<?x4xf32>', 'tensor<4xf32>'}}
  "moe.expert"(%r, %x, %w) <{bounds = array<i64: 0, 8>, each_counts = array<i64: 1>, operandSegmentSizes = array<i32: 1, 1, 1>}> ({
  ^bb0(%t: tensor<?x4xf32>, %v: tensor<8x4xf32>):
    moe.yield
  }) : (!moe.routing<8, top 2>, tensor<?x4xf32>, tensor<8x4xf32>) -> ()
  return
}

// -----

// moe.expert (C6)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op region 0 yields 2 row and 0 per-expert values for 1 results}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32> {
    moe.yield %t, %t : tensor<?x4xf32>, tensor<?x4xf32>
  }
  return
}

// -----

// moe.expert (C6)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op region 1 yields 0 row and 1 per-expert values for 1 results}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32>
      range 0 to 2 {
    moe.yield %t : tensor<?x4xf32>
  }
      range 2 to 8 {
    moe.yield each(%t : tensor<?x4xf32>)
  }
  return
}

// -----

// moe.expert (C7)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op region 0 yields 'tensor<?x4xf32>' for a result of 'tensor<?x5xf32>'}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x5xf32> {
    moe.yield %t : tensor<?x4xf32>
  }
  return
}

// -----

// moe.expert (C7)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op result is 'tensor<4xf32>', expected a dynamic number of rows}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<4xf32> {
    %s = moe.reduce sum %t over 0 : tensor<?x4xf32> -> tensor<4xf32>
    moe.yield %s : tensor<4xf32>
  }
  return
}

// -----

// moe.expert (C8)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.expert' op region 0 yields 'tensor<4xf32>' per expert for a result of 'tensor<7x4xf32>', expected them stacked along 8 experts}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<7x4xf32> {
    %s = moe.reduce sum %t over 0 : tensor<?x4xf32> -> tensor<4xf32>
    moe.yield each(%s : tensor<4xf32>)
  }
  return
}

// -----

// moe.expert (C8)
func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>, %f: f32) {
  // expected-error @below {{'moe.expert' op region 0 yields 'f32' per expert for a result of 'tensor<8xf32>', expected them stacked along 8 experts}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<8xf32> {
    moe.yield each(%f : f32)
  }
  return
}

// -----

// moe.expert (C9)
func.func @expert(%x: tensor<?x4xf32>, %s: tensor<?x8xf32>, %k: tensor<?x8xf32>) {
  %a = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %b = moe.route %s by %k top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %n = moe.normalize %b by sum : !moe.routing<8, top 2>
  %in = moe.dispatch %x by %a : tensor<?x4xf32>, !moe.routing<8, top 2>
  %bf = arith.truncf %in : tensor<?x4xf32> to tensor<?x4xbf16>
  // expected-error @below {{'moe.expert' op and the dispatch of its rows use different routings}}
  %0 = moe.expert by %n rows(%t = %bf) : !moe.routing<8, top 2>, (tensor<?x4xbf16>) -> tensor<?x4xbf16> {
    moe.yield %t : tensor<?x4xbf16>
  }
  return
}

// -----

// moe.expert (C9)
func.func @expert(%x: tensor<?x4xf32>, %a: !moe.routing<8, top 2>, %b: !moe.routing<8, top 3>) {
  %in = moe.dispatch %x by %a : tensor<?x4xf32>, !moe.routing<8, top 2>
  // expected-error @below {{'moe.expert' op and the dispatch of its rows use different routings}}
  %0 = moe.expert by %b rows(%t = %in) : !moe.routing<8, top 3>, (tensor<?x4xf32>) -> tensor<?x4xf32> {
    moe.yield %t : tensor<?x4xf32>
  }
  return
}

// -----

// The router's rows, which no dispatch has grouped.
// moe.expert (C10)
func.func @expert(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>) {
  %l = moe.linear %x, %w : (tensor<?x4xf32>, tensor<8x4xf32>) -> tensor<?x8xf32>
  %s = moe.softmax %l : tensor<?x8xf32>
  %a = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %n = moe.normalize %a by sum : !moe.routing<8, top 2>
  %in = moe.dispatch %x by %n : tensor<?x4xf32>, !moe.routing<8, top 2>
  %bf = arith.truncf %x : tensor<?x4xf32> to tensor<?x4xbf16>
  // expected-error @below {{'moe.expert' op rows tensor 1 is 'tensor<?x4xbf16>' by token of its routing, expected rows of a 'moe.dispatch' by that routing}}
  %0 = moe.expert by %n rows(%t = %in, %u = %bf) : !moe.routing<8, top 2>, (tensor<?x4xf32>, tensor<?x4xbf16>) -> tensor<?x4xf32> {
    moe.yield %t : tensor<?x4xf32>
  }
  return
}

// -----

// moe.expert (C10)
func.func @expert(%x: tensor<?x8xf32>, %n: index) {
  %a = moe.route %x top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %b = moe.limit %a to %n order position overflow drop : !moe.routing<8, top 2>, index
  // expected-error @below {{rows tensor 0 is 'tensor<?x8xf32>' by token of its routing}}
  %0 = moe.expert by %b rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x8xf32>) -> tensor<?x8xf32> {
    moe.yield %t : tensor<?x8xf32>
  }
  return
}

// -----

func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{has 1 inputs, but the type lists 2}}
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32> {
    moe.yield %t : tensor<?x4xf32>
  }
  return
}

// -----

func.func @expert(%w: tensor<8x4xf32>, %r: !moe.routing<8, top 2>) {
  moe.expert by %r each(%v = %w) : !moe.routing<8, top 2>, (tensor<8x4xf32>) -> ()
      // expected-error @below {{each(...) belongs to a range when there are several}}
      range 0 to 8 {
    moe.yield
  }
  return
}

// -----

func.func @expert(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  %0 = moe.expert by %r rows(%t = %x) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32>
      // expected-error @below {{range 0 to 8 names 2 row tensors, expected 1}}
      range 0 to 8 rows(%u, %v) {
    moe.yield %u : tensor<?x4xf32>
  }
  return
}

// -----

func.func @expert(%w: tensor<8x4xf32>, %r: !moe.routing<8, top 2>) {
  moe.expert by %r : !moe.routing<8, top 2>, () -> ()
      // expected-error @below {{range 0 to 8 has 1 tensors, but lists 2 types}}
      range 0 to 8 each(%v = %w) : (tensor<8x4xf32>, tensor<8x4xf32>) {
    moe.yield
  }
  return
}

// -----

func.func @yield(%x: tensor<?x4xf32>) {
  // expected-error @below {{'moe.yield' op expects parent op to be one of 'moe.map, moe.expert'}}
  moe.yield %x : tensor<?x4xf32>
}

// -----

// moe.combine (C1)
func.func @combine(%x: tensor<f32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.combine' op input has rank 0, expected rows of experts}}
  %0 = moe.combine %x by %r weighted : tensor<f32>, !moe.routing<8, top 2>
  return
}

// -----

// moe.combine (C2)
func.func @combine(%x: tensor<?x4xf32>, %s: tensor<?x8xf32>, %k: tensor<?x8xf32>) {
  %a = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %b = moe.route %s by %k top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  %in = moe.dispatch %x by %a : tensor<?x4xf32>, !moe.routing<8, top 2>
  %out = moe.expert by %a rows(%t = %in) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32> {
    moe.yield %t : tensor<?x4xf32>
  }
  // expected-error @below {{'moe.combine' op and the expert or dispatch whose rows it sums use different routings}}
  %0 = moe.combine %out by %b weighted : tensor<?x4xf32>, !moe.routing<8, top 2>
  return
}

// -----

// moe.combine (C2)
func.func @combine(%x: tensor<?x4xf32>, %a: !moe.routing<8, top 2>, %b: !moe.routing<7, top 2>) {
  %in = moe.dispatch %x by %a : tensor<?x4xf32>, !moe.routing<8, top 2>
  %half = moe.map (%t = %in) : (tensor<?x4xf32>) -> tensor<?x4xbf16> {
    %c = arith.truncf %t : f32 to bf16
    moe.yield %c : bf16
  }
  // expected-error @below {{'moe.combine' op and the expert or dispatch whose rows it sums use different routings}}
  %0 = moe.combine %half by %b weighted : tensor<?x4xbf16>, !moe.routing<7, top 2>
  return
}

// -----

// moe.combine (C4)
func.func @combine(%x: tensor<?x8xf32>) {
  %r = moe.route %x top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  // expected-error @below {{'moe.combine' op input is 'tensor<?x8xf32>' by token of its routing, expected rows of 'moe.expert' or 'moe.dispatch' by that routing}}
  %0 = moe.combine %x by %r weighted : tensor<?x8xf32>, !moe.routing<8, top 2>
  return
}

// -----

// moe.combine (C3)
func.func @combine(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  %in = moe.dispatch %x by %r weighted : tensor<?x4xf32>, !moe.routing<8, top 2>
  %out = moe.expert by %r rows(%t = %in) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32> {
    moe.yield %t : tensor<?x4xf32>
  }
  // expected-error @below {{'moe.combine' op applies the weights that 'moe.dispatch' already applied}}
  %0 = moe.combine %out by %r weighted : tensor<?x4xf32>, !moe.routing<8, top 2>
  return
}

// -----

// Through element-wise operations, two experts and an edit of the weights.
// moe.combine (C3)
func.func @combine(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>, %w: tensor<4x4xf32>) {
  %in = moe.dispatch %x by %r weighted : tensor<?x4xf32>, !moe.routing<8, top 2>
  %bf = arith.truncf %in : tensor<?x4xf32> to tensor<?x4xbf16>
  %out = moe.expert by %r rows(%t = %bf) : !moe.routing<8, top 2>, (tensor<?x4xbf16>) -> tensor<?x4xbf16> {
    moe.yield %t : tensor<?x4xbf16>
  }
  %p = moe.linear %out, %w : (tensor<?x4xbf16>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %out2 = moe.expert by %r rows(%t = %p) : !moe.routing<8, top 2>, (tensor<?x4xf32>) -> tensor<?x4xf32> {
    moe.yield %t : tensor<?x4xf32>
  }
  %n = moe.normalize %r by sum : !moe.routing<8, top 2>
  // expected-error @below {{'moe.combine' op applies the weights that 'moe.dispatch' already applied}}
  %0 = moe.combine %out2 by %n weighted : tensor<?x4xf32>, !moe.routing<8, top 2>
  return
}

// -----

func.func @combine(%x: tensor<?x4xi32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.combine' op operand #0 must be ranked tensor of 64-bit float or 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<?x4xi32>'}}
  %0 = moe.combine %x by %r weighted : tensor<?x4xi32>, !moe.routing<8, top 2>
  return
}

// -----

func.func @combine(%x: tensor<?x4xf32>, %r: !moe.routing<8, top 2>) {
  // expected-error @below {{expected string or keyword containing one of the following enum values for attribute 'weighting' [weighted, unweighted]}}
  %0 = moe.combine %x by %r : tensor<?x4xf32>, !moe.routing<8, top 2>
  return
}

// -----

// moe.scope (C1)
func.func @scope(%m: !moe.scope) {
  // expected-error @below {{'moe.scope' op text has {} but no index: at %i}}
  %0 = moe.scope %m "layers.{}."
  return
}

// -----

// moe.scope (C1)
func.func @scope(%m: !moe.scope, %i: index) {
  // expected-error @below {{'moe.scope' op has an index but no {} in its text}}
  %0 = moe.scope %m "layers." at %i
  return
}

// -----

// moe.scope (C1)
func.func @scope(%m: !moe.scope, %i: index) {
  // expected-error @below {{'moe.scope' op text 'a.{}.b.{}.' has 2 {}, expected at most 1}}
  %0 = moe.scope %m "a.{}.b.{}." at %i
  return
}

// -----

// moe.scope (C1)
func.func @scope(%m: !moe.scope) {
  // expected-error @below {{'moe.scope' op text 'experts.{expert}.' has braces other than {}; only 'moe.param' names dimensions}}
  %0 = moe.scope %m "experts.{expert}."
  return
}

// -----

// moe.param (C1)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op is 'tensor<?x4xf32>', expected a static shape as stored}}
  %0 = moe.param %m "w" : tensor<?x4xf32>
  return
}

// -----

// moe.param (C2)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op name 'a.{expert' has a { without }}}
  %0 = moe.param %m "a.{expert" : tensor<8x4xf32>
  return
}

// -----

// moe.param (C2)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op name 'a.{b{c}' has a { without }}}
  %0 = moe.param %m "a.{b{c}" : tensor<8x4xf32>
  return
}

// -----

// moe.param (C2)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op name 'a}.{b}' has a } without {}}
  %0 = moe.param %m "a}.{b}" : tensor<8x4xf32>
  return
}

// -----

// moe.param (C3)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op name 'experts.{expert:}.w' starts {expert} at '', expected an index of 0 or more, in up to 9 digits}}
  %0 = moe.param %m "experts.{expert:}.w" : tensor<8x4xf32>
  return
}

// -----

// moe.param (C3)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op name 'experts.{}.w' has an unnamed {}, expected {expert}}}
  %0 = moe.param %m "experts.{}.w" : tensor<8x4xf32>
  return
}

// -----

// moe.param (C3)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op name 'experts.{expert:-1}.w' starts {expert} at '-1', expected an index of 0 or more, in up to 9 digits}}
  %0 = moe.param %m "experts.{expert:-1}.w" : tensor<8x4xf32>
  return
}

// -----

// moe.param (C3)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op name 'experts.{expert:1000000000}.w' starts {expert} at '1000000000', expected an index of 0 or more, in up to 9 digits}}
  %0 = moe.param %m "experts.{expert:1000000000}.w" : tensor<8x4xf32>
  return
}

// -----

// moe.param (C4)
func.func @param(%m: !moe.scope) {
  // expected-error @below {{'moe.param' op stacks 2 dimensions, but its type 'tensor<8xf32>' has 1}}
  %0 = moe.param %m "{layer}.{expert}.w" : tensor<8xf32>
  return
}
