// Slots of capacity buffers (mesh_tensorflow, flaxformer, V-MoE). Special: no router but a number that programs with buffers of fixed size keep: where a token stands in the buffer of its expert.
// Normal form: score softmax(x W); select top 1, top 2, or every expert its c best tokens; weight none; on output; capacity c a group, order position, weight, choice, or choice by the best score, drop.
!x = tensor<?x16xf32>
!i = tensor<?xi32>           // the group of a row
!t = tensor<?xf32>
!s = tensor<?x8xf32>
!n = tensor<?x8xi32>         // slots, -1 where a token does not visit the expert
!k = tensor<?x2xf32>
!one = !moe.routing<8, top 1>
!two = !moe.routing<8, top 2>
!take = !moe.routing<8, take>

func.func private @scores(%x: !x, %m: !moe.scope) -> !s {
  %w = moe.param %m "w" : tensor<16x8xf32>
  %l = moe.linear %x, %w in_out : (!x, tensor<16x8xf32>) -> !s
  %p = moe.softmax %l : !s
  return %p : !s
}

// A slot is the number of tokens of the same group and expert that come before: by larger %key, then by larger %tie, then by their place.
// %visits is 1 where a token visits an expert and 0 elsewhere.
func.func private @slots(%visits: !s, %key: !s, %tie: !t, %seq: !i) -> !n {
  %none = arith.constant 0 : i32
  %zero = moe.broadcast %none like %visits : i32, !s
  %before = linalg.generic {
      indexing_maps = [affine_map<(t, e, u) -> (u, e)>, affine_map<(t, e, u) -> (t, e)>, affine_map<(t, e, u) -> (u, e)>, affine_map<(t, e, u) -> (t)>,
                       affine_map<(t, e, u) -> (u)>, affine_map<(t, e, u) -> (t)>, affine_map<(t, e, u) -> (u)>, affine_map<(t, e, u) -> (t, e)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%visits, %key, %key, %tie, %tie, %seq, %seq : !s, !s, !s, !t, !t, !i, !i) outs(%zero : !n) {
  ^bb0(%is: f32, %k: f32, %ku: f32, %v: f32, %vu: f32, %g: i32, %gu: i32, %sum: i32):
    %no = arith.constant 0.0 : f32
    %one = arith.constant 1 : i32
    %t = linalg.index 0 : index
    %u = linalg.index 2 : index
    %there = arith.cmpf ogt, %is, %no : f32
    %same = arith.cmpi eq, %g, %gu : i32
    %more = arith.cmpf ogt, %ku, %k : f32
    %equal = arith.cmpf oeq, %ku, %k : f32
    %more2 = arith.cmpf ogt, %vu, %v : f32
    %equal2 = arith.cmpf oeq, %vu, %v : f32
    %earlier = arith.cmpi ult, %u, %t : index
    %a = arith.andi %equal2, %earlier : i1
    %b = arith.ori %more2, %a : i1
    %c = arith.andi %equal, %b : i1
    %d = arith.ori %more, %c : i1
    %e = arith.andi %d, %there : i1
    %f = arith.andi %e, %same : i1
    %next = arith.addi %sum, %one : i32
    %y = arith.select %f, %next, %sum : i32
    linalg.yield %y : i32
  } -> !n
  %slot = moe.map (%v = %visits, %n = %before) : (!s, !n) -> !n {
    %no = arith.constant 0.0 : f32
    %minus = arith.constant -1 : i32
    %there = arith.cmpf ogt, %v, %no : f32
    %y = arith.select %there, %n, %minus : i32
    moe.yield %y : i32
  }
  return %slot : !n
}

// The same number for every token: their place alone decides.
func.func private @no_tie(%p: !s) -> !t {
  %none = arith.constant 0.0 : f32
  %zero = moe.broadcast %none like %p : f32, !s
  %t = moe.reduce sum %zero over 1 : !s -> !t
  return %t : !t
}

// 1 for every pair of a routing with two slots, and the first choices before the second ones: 0 and -1.
func.func private @choices(%r: !two) -> (!s, !s) {
  %w = moe.weights %r : !two -> !k
  %pair = arith.constant dense<1.0> : tensor<2xf32>
  %turn = arith.constant dense<[0.0, -1.0]> : tensor<2xf32>
  %pairs = moe.broadcast %pair like %w : tensor<2xf32>, !k
  %turns = moe.broadcast %turn like %w : tensor<2xf32>, !k
  %a = moe.with_weights %r, %pairs : !two, !k
  %b = moe.with_weights %r, %turns : !two, !k
  %visits = moe.to_matrix %a : !two -> !s
  %key = moe.to_matrix %b : !two -> !s
  return %visits, %key : !s, !s
}

// Switch of mesh_tensorflow: by position, and by weight ("switch_max").
func.func @position(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> !n {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 1 : !s -> !one
  %r = moe.limit %g to %c order position overflow drop segments %seq : !one, index, !i
  %visits = moe.to_matrix %r : !one -> !s
  %tie = func.call @no_tie(%p) : (!s) -> !t
  %equal = arith.subf %p, %p : !s
  %n = func.call @slots(%visits, %equal, %tie, %seq) : (!s, !s, !t, !i) -> !n
  return %n : !n
}

func.func @weight(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> !n {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 1 : !s -> !one
  %r = moe.limit %g to %c order weight overflow drop segments %seq : !one, index, !i
  %visits = moe.to_matrix %r : !one -> !s
  %tie = func.call @no_tie(%p) : (!s) -> !t
  %n = func.call @slots(%visits, %p, %tie, %seq) : (!s, !s, !t, !i) -> !n
  return %n : !n
}

// GShard and flaxformer: all first choices before second ones.
func.func @choice(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> !n {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 2 : !s -> !two
  %r = moe.limit %g to %c order choice overflow drop segments %seq : !two, index, !i
  %visits, %key = func.call @choices(%r) : (!two) -> (!s, !s)
  %tie = func.call @no_tie(%p) : (!s) -> !t
  %n = func.call @slots(%visits, %key, %tie, %seq) : (!s, !s, !t, !i) -> !n
  return %n : !n
}

// V-MoE's batch priority: the same, in the order of the tokens' best scores.
func.func @priority(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> !n {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %g = moe.route %p top 2 : !s -> !two
  %best = moe.reduce max %p over 1 : !s -> !t
  %r = moe.limit %g to %c order choice by %best overflow drop segments %seq : !two, index, !t, !i
  %visits, %key = func.call @choices(%r) : (!two) -> (!s, !s)
  %n = func.call @slots(%visits, %key, %best, %seq) : (!s, !s, !t, !i) -> !n
  return %n : !n
}

// Expert choice: an expert's tokens by descending score.
func.func @taken(%x: !x, %seq: !i, %c: index, %m: !moe.scope) -> !n {
  %p = func.call @scores(%x, %m) : (!x, !moe.scope) -> !s
  %one = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %p : f32, !s
  %r = moe.route %ones by %p take %c segments %seq : !s, index, !i -> !take
  %visits = moe.to_matrix %r : !take -> !s
  %tie = func.call @no_tie(%p) : (!s) -> !t
  %n = func.call @slots(%visits, %p, %tie, %seq) : (!s, !s, !t, !i) -> !n
  return %n : !n
}
