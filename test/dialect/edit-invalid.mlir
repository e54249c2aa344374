// What the edits of a routing's pairs refuse.
// RUN: moe-opt %s -split-input-file -verify-diagnostics

// moe.keep (C1)
func.func @keep(%r: !moe.routing<8, top 2>, %m: tensor<?x3xi1>) {
  // expected-error @below {{'moe.keep' op mask is 'tensor<?x3xi1>', expected one value per slot, expert or pair of '!moe.routing<8, top 2>'}}
  %0 = moe.keep %r where %m : !moe.routing<8, top 2>, tensor<?x3xi1>
  return
}

// -----

// moe.keep (C1)
func.func @keep(%r: !moe.routing<8, top 2>, %m: tensor<7xi1>) {
  // expected-error @below {{'moe.keep' op mask is 'tensor<7xi1>', expected one value per slot, expert or pair of '!moe.routing<8, top 2>'}}
  %0 = moe.keep %r where %m : !moe.routing<8, top 2>, tensor<7xi1>
  return
}

// -----

// moe.keep (C1)
func.func @keep(%r: !moe.routing<8, top 2>, %m: tensor<?xi1>) {
  // expected-error @below {{'moe.keep' op mask is 'tensor<?xi1>', expected one value per slot, expert or pair of '!moe.routing<8, top 2>'}}
  %0 = moe.keep %r where %m : !moe.routing<8, top 2>, tensor<?xi1>
  return
}

// -----

// moe.keep (C1)
func.func @keep(%r: !moe.routing<8, top 2>, %m: tensor<i1>) {
  // expected-error @below {{'moe.keep' op mask is 'tensor<i1>', expected one value per slot, expert or pair of '!moe.routing<8, top 2>'}}
  %0 = moe.keep %r where %m : !moe.routing<8, top 2>, tensor<i1>
  return
}

// -----

// moe.keep (C1)
func.func @keep(%r: !moe.routing<8, any>, %m: tensor<?x2xi1>) {
  // expected-error @below {{'moe.keep' op mask is 'tensor<?x2xi1>', expected one value per slot, expert or pair of '!moe.routing<8, any>'}}
  %0 = moe.keep %r where %m : !moe.routing<8, any>, tensor<?x2xi1>
  return
}

// -----

// moe.join (C1)
func.func @join(%a: !moe.routing<8, top 2>, %b: !moe.routing<9, top 2>) {
  // expected-error @below {{'moe.join' op joins '!moe.routing<8, top 2>' and '!moe.routing<9, top 2>' to '!moe.routing<8, top 4>', expected the same experts}}
  %0 = moe.join %a, %b : !moe.routing<8, top 2>, !moe.routing<9, top 2> -> !moe.routing<8, top 4>
  return
}

// -----

// moe.join (C2)
func.func @join(%a: !moe.routing<8, top 2>, %b: !moe.routing<8, any>) {
  // expected-error @below {{'moe.join' op joins '!moe.routing<8, top 2>' and '!moe.routing<8, any>' to '!moe.routing<8, top 3>', expected any}}
  %0 = moe.join %a, %b : !moe.routing<8, top 2>, !moe.routing<8, any> -> !moe.routing<8, top 3>
  return
}

// -----

// moe.join (C2)
func.func @join(%a: !moe.routing<8, take>, %b: !moe.routing<8, take>) {
  // expected-error @below {{'moe.join' op joins '!moe.routing<8, take>' and '!moe.routing<8, take>' to '!moe.routing<8, take>', expected any}}
  %0 = moe.join %a, %b : !moe.routing<8, take>, !moe.routing<8, take> -> !moe.routing<8, take>
  return
}

// -----

// moe.join (C2)
func.func @join(%a: !moe.routing<8, top 2>, %b: !moe.routing<8, top 2>) {
  // expected-error @below {{'moe.join' op joins top 2 and top 2 to top 3}}
  %0 = moe.join %a, %b : !moe.routing<8, top 2>, !moe.routing<8, top 2> -> !moe.routing<8, top 3>
  return
}

// -----

func.func @limit(%r: !moe.routing<8, top 2>, %c: index) {
  // expected-error @below {{unknown order 'random', expected position, choice, token_choice, weight or a value}}
  %0 = moe.limit %r to %c order random overflow drop : !moe.routing<8, top 2>, index
  return
}

// -----

func.func @limit(%r: !moe.routing<8, top 2>, %c: index) {
  // expected-error @below {{expected 'drop' without place}}
  %0 = moe.limit %r to %c order choice overflow next_choice : !moe.routing<8, top 2>, index
  return
}

// -----

func.func @limit(%r: !moe.routing<8, top 2>, %c: index) {
  // expected-error @below {{expected 'next_choice' after place}}
  %0 = moe.limit %r to %c order choice place 1 overflow drop : !moe.routing<8, top 2>, index
  return
}

// -----

// moe.limit (C1)
func.func @limit(%r: !moe.routing<8, any>, %c: index) {
  // expected-error @below {{'moe.limit' op in order choice needs a routing with slots, found '!moe.routing<8, any>'}}
  %0 = moe.limit %r to %c order choice overflow drop : !moe.routing<8, any>, index
  return
}

// -----

// moe.limit (C1)
func.func @limit(%r: !moe.routing<8, take>, %c: index) {
  // expected-error @below {{'moe.limit' op in order token_choice needs a routing with slots, found '!moe.routing<8, take>'}}
  %0 = moe.limit %r to %c order token_choice overflow drop : !moe.routing<8, take>, index
  return
}

// -----

// moe.limit (C2)
func.func @limit(%r: !moe.routing<8, top 2>, %c: index) {
  // expected-error @below {{'moe.limit' op in order of a value needs that value}}
  %0 = "moe.limit"(%r, %c) <{order = 4 : i32, operandSegmentSizes = array<i32: 1, 1, 0, 0>}> : (!moe.routing<8, top 2>, index) -> !moe.routing<8, top 2>
  return
}

// -----

// moe.limit (C2)
func.func @limit(%r: !moe.routing<8, top 2>, %c: index, %p: tensor<?xf32>) {
  // expected-error @below {{'moe.limit' op in order weight has no priority}}
  %0 = moe.limit %r to %c order weight by %p overflow drop : !moe.routing<8, top 2>, index, tensor<?xf32>
  return
}

// -----

// moe.limit (C3)
func.func @limit(%r: !moe.routing<8, top 2>, %c: index, %p: tensor<?x2xf32>) {
  // expected-error @below {{'moe.limit' op priority is 'tensor<?x2xf32>', expected one value per token}}
  %0 = moe.limit %r to %c order choice by %p overflow drop : !moe.routing<8, top 2>, index, tensor<?x2xf32>
  return
}

// -----

// moe.limit (C3)
func.func @limit(%r: !moe.routing<8, top 2>, %c: index, %p: tensor<?x3xf32>) {
  // expected-error @below {{'moe.limit' op priority is 'tensor<?x3xf32>', expected one value per token, slot or pair}}
  %0 = moe.limit %r to %c order %p overflow drop : !moe.routing<8, top 2>, index, tensor<?x3xf32>
  return
}

// -----

// moe.limit (C4)
func.func @limit(%r: !moe.routing<8, top 2>, %c: tensor<?xi32>) {
  // expected-error @below {{'moe.limit' op has a capacity per token, but no segments}}
  %0 = moe.limit %r to %c order position overflow drop : !moe.routing<8, top 2>, tensor<?xi32>
  return
}

// -----

// moe.limit (C4)
func.func @limit(%r: !moe.routing<8, top 2>, %c: index, %q: tensor<?x2xi32>) {
  // expected-error @below {{'moe.limit' op has segments 'tensor<?x2xi32>', expected one number per token}}
  %0 = moe.limit %r to %c order position overflow drop segments %q : !moe.routing<8, top 2>, index, tensor<?x2xi32>
  return
}

// -----

// moe.limit (C5)
func.func @limit(%r: !moe.routing<8, top 2>, %t: index) {
  %c = moe.capacity %t by tutel factor 0.0 experts 8 choices 2 : index
  // expected-error @below {{'moe.limit' op is limited by a capacity of tutel with factor 0, which means dropless there}}
  %0 = moe.limit %r to %c order choice overflow drop : !moe.routing<8, top 2>, index
  return
}

// -----

// moe.limit (C6)
func.func @limit(%r: !moe.routing<8, top 2>, %c: index) {
  // expected-error @below {{'moe.limit' op places next choices of '!moe.routing<8, top 2>' in order position, expected a routing with slots, and another order than position}}
  %0 = moe.limit %r to %c order position place 1 overflow next_choice : !moe.routing<8, top 2>, index
  return
}

// -----

// moe.limit (C6)
func.func @limit(%r: !moe.routing<8, any>, %c: index) {
  // expected-error @below {{'moe.limit' op places next choices of '!moe.routing<8, any>' in order weight, expected a routing with slots, and another order than position}}
  %0 = moe.limit %r to %c order weight place 1 overflow next_choice : !moe.routing<8, any>, index
  return
}

// -----

// moe.limit (C7)
func.func @limit(%r: !moe.routing<8, top 2>, %c: index) {
  // expected-error @below {{'moe.limit' op places 3 of 2 choices}}
  %0 = moe.limit %r to %c order choice place 3 overflow next_choice : !moe.routing<8, top 2>, index
  return
}

// -----

// moe.limit (C7)
func.func @limit(%r: !moe.routing<8, top 2>, %c: index) {
  // expected-error @below {{'moe.limit' op places 0 of 2 choices}}
  %0 = moe.limit %r to %c order choice place 0 overflow next_choice : !moe.routing<8, top 2>, index
  return
}

// -----

// moe.combine (C2)
func.func @other_support(%x: tensor<?x64xf32>, %r: !moe.routing<8, top 2>, %c: index) {
  %l = moe.limit %r to %c order position overflow drop : !moe.routing<8, top 2>, index
  %k = moe.limit %r to %c order weight overflow drop : !moe.routing<8, top 2>, index
  %in = moe.dispatch %x by %k : tensor<?x64xf32>, !moe.routing<8, top 2>
  // expected-error @below {{'moe.combine' op and the expert or dispatch whose rows it sums use different routings}}
  %0 = moe.combine %in by %l weighted : tensor<?x64xf32>, !moe.routing<8, top 2>
  return
}
