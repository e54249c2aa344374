// RUN: moe-opt %s --split-input-file --verify-diagnostics --moe-check-causal=remarks
!x = tensor<?x16xf32>
!s = tensor<?x4xf32>
!i = tensor<?xi32>
!r = !moe.routing<4, top 2>
!w = tensor<4x16x16xf32>

// What a router, experts and arithmetic on rows need is the token itself; counts and losses are not about a token.
// expected-remark@+1 {{@layer is causal: a token's results depend on it alone}}
func.func @layer(%x: !x, %bias: tensor<4xf32>, %m: !moe.scope) -> (!x, tensor<4xi32>, tensor<f32>) {
  %wr = moe.param %m "gate" : tensor<4x16xf32>
  %we = moe.param %m "expert" : !w
  %l = moe.linear %x, %wr : (!x, tensor<4x16xf32>) -> !s
  %s = moe.softmax %l : !s
  %b = moe.broadcast %bias like %s : tensor<4xf32>, !s
  %key = arith.addf %s, %b : !s
  %g = moe.route %s by %key top 2 : !s -> !r
  %n = moe.normalize %g by sum : !r
  %r = moe.scale %n by %bias : !r, tensor<4xf32>
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %g rows(%t = %in) each(%v = %we) : !r, (!x, !w) -> !x {
    %a = moe.linear %t, %v : (!x, tensor<16x16xf32>) -> !x
    %h = moe.map (%e = %a) : (!x) -> !x {
      %p = moe.silu %e : f32
      moe.yield %p : f32
    }
    moe.yield %h : !x
  }
  %y = moe.combine %out by %n weighted : !x, !r
  %z = arith.addf %x, %y : !x
  %c = moe.counts %r : !r -> tensor<4xi32>
  %loss = moe.balance_loss %s of %g counting all scale one : !s, !r
  return %z, %c, %loss : !x, tensor<4xi32>, tensor<f32>
}

// -----
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 2>
!q = !moe.routing<4, top 1>
// With a fixed capacity, by position, token by token, and by choice of the only slot.
// expected-remark@+1 {{@limits is causal: a token's results depend on it and earlier ones}}
func.func @limits(%s: !s, %seq: tensor<?xi32>, %c: index, %caps: tensor<?xi32>) -> (!s, !s, !s) {
  %g = moe.route %s top 2 : !s -> !r
  %a = moe.limit %g to %c order position overflow drop : !r, index
  %b = moe.limit %g to %caps order token_choice place 1 overflow next_choice segments %seq : !r, tensor<?xi32>, tensor<?xi32>
  %h = moe.route %s top 1 : !s -> !q
  %d = moe.limit %h to %c order choice overflow drop : !q, index
  %x = moe.to_matrix %a : !r -> !s
  %y = moe.to_matrix %b : !r -> !s
  %z = moe.to_matrix %d : !q -> !s
  return %x, %y, %z : !s, !s, !s
}

// -----
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 2>
func.func @not_by_choice(%s: !s, %c: index) -> !s { // expected-remark {{@not_by_choice is not proved causal: result 0 may depend on later tokens}}
  %g = moe.route %s top 2 : !s -> !r
  // expected-note@+1 {{'moe.limit' places all first choices before second ones}}
  %a = moe.limit %g to %c order choice overflow drop : !r, index
  %x = moe.to_matrix %a : !r -> !s
  return %x : !s
}

// -----
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 2>
func.func @not_by_weight(%s: !s, %c: index) -> !s { // expected-remark {{@not_by_weight is not proved}}
  %g = moe.route %s top 2 : !s -> !r
  // expected-note@+1 {{'moe.limit' prefers tokens by a value, not by their order}}
  %a = moe.limit %g to %c order weight overflow drop : !r, index
  %x = moe.to_matrix %a : !r -> !s
  return %x : !s
}

// -----
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 2>
func.func @not_with_priority(%s: !s, %p: tensor<?xf32>, %c: index) -> !s { // expected-remark {{@not_with_priority is not proved}}
  %g = moe.route %s top 2 : !s -> !r
  // expected-note@+1 {{'moe.limit' prefers tokens by a value, not by their order}}
  %a = moe.limit %g to %c order token_choice by %p overflow drop : !r, index, tensor<?xf32>
  %x = moe.to_matrix %a : !r -> !s
  return %x : !s
}

// -----
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 2>
func.func @not_with_a_capacity_of_all(%s: !s) -> !s { // expected-remark {{@not_with_a_capacity_of_all is not proved}}
  %g = moe.route %s top 2 : !s -> !r
  // expected-note@+1 {{'moe.tokens' counts all rows}}
  %t = moe.tokens %s : !s
  %c = moe.capacity %t by mesh factor 1.0 experts 4 minimum 1 : index
  %a = moe.limit %g to %c order position overflow drop : !r, index
  %x = moe.to_matrix %a : !r -> !s
  return %x : !s
}

// -----
!s = tensor<?x4xf32>
!i = tensor<?xi32>
!r = !moe.routing<4, top 2>
func.func @not_with_a_capacity_of_segments(%s: !s, %seq: !i) -> !s { // expected-remark {{@not_with_a_capacity_of_segments is not proved}}
  %g = moe.route %s top 2 : !s -> !r
  // expected-note@+1 {{'moe.segment_size' counts all tokens of a segment}}
  %t = moe.segment_size %seq : !i
  %c = moe.capacity %t by mesh factor 1.0 experts 4 minimum 1 : !i
  %a = moe.limit %g to %c order position overflow drop segments %seq : !r, !i, !i
  %x = moe.to_matrix %a : !r -> !s
  return %x : !s
}

// -----
!s = tensor<?x4xf32>
func.func @not_expert_choice(%s: !s, %c: index) -> !s { // expected-remark {{@not_expert_choice is not proved}}
  // expected-note@+1 {{'moe.route' lets experts choose among all tokens}}
  %g = moe.route %s take %c : !s, index -> !moe.routing<4, take>
  %x = moe.to_matrix %g : !moe.routing<4, take> -> !s
  return %x : !s
}

// -----
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 1>
func.func @not_balanced(%s: !s) -> !r { // expected-remark {{@not_balanced is not proved}}
  // expected-note@+1 {{'moe.assign' balances experts over all tokens}}
  %r = moe.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : !s -> !r
  return %r : !r
}

// -----
!s = tensor<?x4xf32>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
func.func @not_over_rows(%s: !s) -> (!s, !s) {
  // expected-note@+1 {{'moe.softmax' mixes all rows}}
  %a = moe.softmax %s over 0 : !s
  // expected-note@+1 {{'moe.reduce' mixes all rows}}
  %m = moe.reduce sum %s over 0 : !s -> tensor<4xf32>
  %b = moe.broadcast %m like %s : tensor<4xf32>, !s
  return %a, %b : !s, !s
}

// -----
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 2>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
func.func @not_by_load(%s: !s) -> (!s, !s) {
  %g = moe.route %s top 2 : !s -> !r
  // expected-note@+1 {{'moe.counts' is a number of all tokens}}
  %c = moe.counts %g : !r -> tensor<4xi32>
  %f = arith.sitofp %c : tensor<4xi32> to tensor<4xf32>
  %r = moe.scale %g by %f : !r, tensor<4xf32>
  %x = moe.to_matrix %r : !r -> !s
  // expected-note@+1 {{'moe.z_loss' is a number of all tokens}}
  %z = moe.z_loss %s : !s
  %y = moe.broadcast %z like %s : tensor<f32>, !s
  return %x, %y : !s, !s
}

// -----
!q = tensor<?x4x32xf32>
!i = tensor<?xi32>
// Positions and segments of queries and keys are the same arguments, also of chosen tokens.
// expected-remark@+1 {{@attention is causal: a token's results depend on it and earlier ones}}
func.func @attention(%q: !q, %seq: !i, %pos: !i, %s: tensor<?x1xf32>) -> (!q, !q) {
  %f = moe.rope_frequencies {dim = 32, theta = 1.0e4} : tensor<16xf32>
  %qr = moe.rope %q at %pos by %f pairs half : !q, !i, tensor<16xf32>
  %y = moe.attention %qr, %q, %q segments(%seq, %seq) positions(%pos, %pos) {causal, scale = 0.1} : (!q, !q, !q, !i, !i, !i, !i) -> !q
  %r = moe.route %s at_least 0.5 : tensor<?x1xf32> -> !moe.routing<1, any>
  %in = moe.dispatch %q by %r : !q, !moe.routing<1, any>
  %is = moe.dispatch %seq by %r : !i, !moe.routing<1, any>
  %ip = moe.dispatch %pos by %r : !i, !moe.routing<1, any>
  %out = moe.expert by %r rows(%t = %in, %ts = %is, %tp = %ip) each() : !moe.routing<1, any>, (!q, !i, !i) -> !q {
    %chosen = moe.attention %t, %t, %t segments(%ts, %ts) positions(%tp, %tp) {causal, scale = 0.1} : (!q, !q, !q, !i, !i, !i, !i) -> !q
    %all = moe.attention %t, %q, %q segments(%ts, %seq) positions(%tp, %pos) {causal, scale = 0.1} : (!q, !q, !q, !i, !i, !i, !i) -> !q
    %sum = arith.addf %chosen, %all : !q
    moe.yield %sum : !q
  }
  %z = moe.combine %out by %r weighted : !q, !moe.routing<1, any>
  return %y, %z : !q, !q
}

// -----
!q = tensor<?x4x32xf32>
!i = tensor<?xi32>
func.func @not_seeing_all(%q: !q, %seq: !i) -> !q { // expected-remark {{@not_seeing_all is not proved}}
  // expected-note@+1 {{'moe.attention' sees later rows}}
  %y = moe.attention %q, %q, %q segments(%seq, %seq) {scale = 0.1} : (!q, !q, !q, !i, !i) -> !q
  return %y : !q
}

// -----
!q = tensor<?x4x32xf32>
!i = tensor<?xi32>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
func.func @not_at_other_positions(%q: !q, %seq: !i, %pos: !i, %other: !i) -> (!q, !q) {
  // expected-note@+1 {{'moe.attention' compares positions or segments that are not one argument of the function}}
  %y = moe.attention %q, %q, %q segments(%seq, %seq) positions(%pos, %other) {causal, scale = 0.1} : (!q, !q, !q, !i, !i, !i, !i) -> !q
  %back = arith.subi %other, %pos : !i
  // expected-note@+1 {{'moe.attention' compares positions or segments that are not one argument of the function}}
  %z = moe.attention %q, %q, %q segments(%seq, %seq) positions(%back, %back) {causal, scale = 0.1} : (!q, !q, !q, !i, !i, !i, !i) -> !q
  return %y, %z : !q, !q
}

// -----
!x = tensor<?x16xf32>
!i = tensor<?xi32>
func.func @not_by_number(%x: !x, %ids: !i, %table: tensor<100x16xf32>) -> (!x, !x) { // expected-remark {{result 1 may depend on later tokens}}
  %a = moe.gather %table at %ids : tensor<100x16xf32>, !i -> !x
  // expected-note@+1 {{'moe.gather' reads rows by number}}
  %b = moe.gather %x at %ids : !x, !i -> !x
  return %a, %b : !x, !x
}

// -----
!x = tensor<?x16xf32>
// Columns are cut, joined and reshaped; sizes may be the number of tokens.
// expected-remark@+1 {{@columns is causal: a token's results depend on it alone}}
func.func @columns(%x: !x, %v: tensor<?xf32>) -> (!x, tensor<?x1xf32>, !x, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %t = moe.tokens %x : !x
  %d = tensor.dim %x, %c0 : !x
  %l = tensor.extract_slice %x[0, 0] [%t, 8] [1, 1] : !x to tensor<?x8xf32>
  %r = tensor.extract_slice %x[0, 8] [%d, 8] [1, 1] : !x to tensor<?x8xf32>
  %y = tensor.concat dim(1) %r, %l : (tensor<?x8xf32>, tensor<?x8xf32>) -> !x
  %w = tensor.insert_slice %l into %y[0, 4] [%t, 8] [1, 1] : tensor<?x8xf32> into !x
  %column = tensor.expand_shape %v [[0, 1]] output_shape [%t, 1] : tensor<?xf32> into tensor<?x1xf32>
  %row = tensor.collapse_shape %column [[0, 1]] : tensor<?x1xf32> into tensor<?xf32>
  %heads = moe.split %w : !x into tensor<?x4x4xf32>
  %flat = tensor.collapse_shape %heads [[0], [1, 2]] : tensor<?x4x4xf32> into !x
  %fixed = tensor.cast %flat : !x to tensor<9x16xf32>
  %any = tensor.cast %fixed : tensor<9x16xf32> to !x
  return %y, %column, %any, %row : !x, tensor<?x1xf32>, !x, tensor<?xf32>
}

// -----
!x = tensor<?x16xf32>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
// expected-remark@below {{result 2 may depend on later tokens}}
func.func @not_moved(%x: !x, %n: index) -> (!x, !x, tensor<?xf32>) {
  // expected-note@+1 {{'tensor.extract_slice' moves rows}}
  %tail = tensor.extract_slice %x[1, 0] [%n, 16] [1, 1] : !x to !x
  // expected-note@+1 {{'tensor.concat' moves rows}}
  %twice = tensor.concat dim(0) %x, %x : (!x, !x) -> !x
  // expected-note@+1 {{'tensor.collapse_shape' moves rows}}
  %flat = tensor.collapse_shape %x [[0, 1]] : !x into tensor<?xf32>
  return %tail, %twice, %flat : !x, !x, tensor<?xf32>
}

// -----
!x = tensor<?x16xf32>
#row = affine_map<(t, c) -> (t, c)>
#column = affine_map<(t, c) -> (c)>
#swapped = affine_map<(t, c) -> (c, t)>
// expected-remark@+1 {{@with_linalg is causal: a token's results depend on it alone}}
func.func @with_linalg(%x: !x, %v: tensor<16xf32>) -> !x {
  %t = moe.tokens %x : !x
  %empty = tensor.empty(%t) : !x
  %y = linalg.generic {indexing_maps = [#row, #column, #row], iterator_types = ["parallel", "parallel"]}
      ins(%x, %v : !x, tensor<16xf32>) outs(%empty : !x) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i32
    %k = arith.sitofp %j : i32 to f32
    %s = arith.mulf %a, %b : f32
    %u = arith.addf %s, %k : f32
    linalg.yield %u : f32
  } -> !x
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
func.func @not_as_a_matrix(%x: !x, %w: tensor<16x16xf32>) -> (tensor<16x?xf32>, !x) {
  // expected-note@+1 {{'moe.tokens' counts all rows}}
  %t = moe.tokens %x : !x
  %e = tensor.empty(%t) : tensor<16x?xf32>
  %y = linalg.transpose ins(%x : !x) outs(%e : tensor<16x?xf32>) permutation = [1, 0]
  // expected-note@+1 {{'linalg.generic' mixes all rows}}
  %z = linalg.generic {indexing_maps = [affine_map<(m, n, t) -> (t, m)>, affine_map<(m, n, t) -> (t, n)>, affine_map<(m, n, t) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %x : !x, !x) outs(%w : tensor<16x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %c, %p : f32
    linalg.yield %q : f32
  } -> tensor<16x16xf32>
  %u = moe.linear %x, %z : (!x, tensor<16x16xf32>) -> !x
  return %y, %u : tensor<16x?xf32>, !x
}

// -----
!x = tensor<?x16xf32>
!r = !moe.routing<4, top 1>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
func.func @not_of_two_routings(%x: !x, %s: tensor<?x4xf32>, %p: tensor<?x4xf32>) -> (!x, !x) {
  %a = moe.route %s top 1 : tensor<?x4xf32> -> !r
  %b = moe.route %p top 1 : tensor<?x4xf32> -> !r
  %u = moe.dispatch %x by %a : !x, !r
  %v = moe.dispatch %x by %b : !x, !r
  // expected-note@+1 {{'arith.addf' reads rows of two kinds together}}
  %y = arith.addf %u, %v : !x
  // expected-note@+1 {{'moe.combine' reads rows that are not those of its routing}}
  %z = moe.combine %x by %a weighted : !x, !r
  return %y, %z : !x, !x
}

// -----
!x = tensor<?x16xf32>
!i = tensor<?xi32>
!r = !moe.routing<4, top 1>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
// expected-remark@below {{result 2 may depend on later tokens}}
func.func @not_pairs(%x: !x, %s: tensor<?x4xf32>) -> (!x, !x, !x) {
  %r = moe.route %s top 1 : tensor<?x4xf32> -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %seed = arith.constant 7 : i64
  // expected-note@+1 {{'moe.random' numbers rows in the order of dispatch}}
  %n = moe.random normal like %in seed %seed stream 0 : !x
  %y = moe.combine %n by %r weighted : !x, !r
  // A second choice among pairs: its positions are those of dispatch order.
  %q = moe.route %in top 1 : !x -> !moe.routing<16, top 1>
  %one = arith.constant 1 : index
  // expected-note@+1 {{'moe.limit' numbers rows in the order of dispatch}}
  %l = moe.limit %q to %one order position overflow drop : !moe.routing<16, top 1>, index
  %g = moe.to_matrix %l : !moe.routing<16, top 1> -> !x
  %z = moe.combine %g by %r weighted : !x, !r
  return %in, %y, %z : !x, !x, !x // expected-note {{a result has rows that are not tokens}}
}

// -----
!x = tensor<?x16xf32>
!r = !moe.routing<4, top 1>
// Inside an expert rows stand in the order of tokens: their number, and what is chosen among them, is known from earlier ones.
// expected-remark@+1 {{@in_the_order_of_tokens is causal: a token's results depend on it and earlier ones}}
func.func @in_the_order_of_tokens(%x: !x, %s: tensor<?x4xf32>) -> !x {
  %r = moe.route %s top 1 : tensor<?x4xf32> -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %seed = arith.constant 7 : i64
  %one = arith.constant 1 : index
  %out = moe.expert by %r rows(%t = %in) each() : !r, (!x) -> !x {
    %n = moe.random normal like %t seed %seed stream 0 : !x
    %q = moe.route %t top 1 : !x -> !moe.routing<16, top 1>
    %l = moe.limit %q to %one order position overflow drop : !moe.routing<16, top 1>, index
    %d = moe.dispatch %n by %l : !x, !moe.routing<16, top 1>
    %c = moe.combine %d by %l weighted : !x, !moe.routing<16, top 1>
    moe.yield %c : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
!r = !moe.routing<4, top 1>
func.func @not_mixed_in_an_expert(%x: !x, %s: tensor<?x4xf32>) -> !x { // expected-remark {{@not_mixed_in_an_expert is not proved}}
  %r = moe.route %s top 1 : tensor<?x4xf32> -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out:2 = moe.expert by %r rows(%t = %in) each() : !r, (!x) -> (!x, tensor<4x16xf32>) {
    // expected-note@+1 {{'moe.reduce' mixes all rows}}
    %sum = moe.reduce sum %t over 0 : !x -> tensor<16xf32>
    %b = moe.broadcast %sum like %t : tensor<16xf32>, !x
    moe.yield rows(%b : !x) each(%sum : tensor<16xf32>)
  }
  %y = moe.combine %out#0 by %r weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
!r = !moe.routing<4, top 1>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
func.func @not_other_rows_in_an_expert(%x: !x, %s: tensor<?x4xf32>) -> (!x, !x) {
  %r = moe.route %s top 1 : tensor<?x4xf32> -> !r
  // expected-note@+1 {{'moe.expert' reads rows that are not those of its routing}}
  %a = moe.expert by %r rows(%t = %x) each() : !r, (!x) -> !x {
    moe.yield %t : !x
  }
  %in = moe.dispatch %x by %r : !x, !r
  // expected-note@+1 {{'moe.expert' yields rows that are not the expert's}}
  %b = moe.expert by %r rows(%t = %in) each() : !r, (!x) -> !x {
    moe.yield %x : !x
  }
  %y = moe.combine %a by %r weighted : !x, !r
  %z = moe.combine %b by %r weighted : !x, !r
  return %y, %z : !x, !x
}

// -----
!x = tensor<?x16xf32>
!r = !moe.routing<4, top 1>
!i = tensor<?xi32>
// Which token a pair is of follows its number; as rows of the pair it is one of its own.
// expected-remark@+1 {{@pairs is causal: a token's results depend on it alone}}
func.func @pairs(%x: !x, %s: tensor<?x4xf32>) -> !x {
  %r = moe.route %s top 1 : tensor<?x4xf32> -> !r
  %e, %t, %j, %w = moe.pairs %r : !r -> !i, !i, !i, tensor<?xf32>
  %ef = arith.sitofp %e : !i to tensor<?xf32>
  %tf = arith.sitofp %t : !i to tensor<?xf32>
  %a = arith.addf %ef, %tf : tensor<?xf32>
  %b = arith.mulf %a, %w : tensor<?xf32>
  %n = moe.tokens %b : tensor<?xf32>
  %c = tensor.expand_shape %b [[0, 1]] output_shape [%n, 1] : tensor<?xf32> into tensor<?x1xf32>
  %in = moe.dispatch %x by %r : !x, !r
  %d = moe.broadcast %c like %in : tensor<?x1xf32>, !x
  %y = moe.combine %d by %r unweighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
// A call is followed with what its operands are: the same function of a constant and of rows.
func.func private @norm(%v: !x) -> !x {
  %s = moe.softmax %v : !x
  return %s : !x
}
// expected-remark@+1 {{@calls is causal: a token's results depend on it alone}}
func.func @calls(%x: !x, %p: tensor<16x16xf32>) -> !x {
  %c = tensor.cast %p : tensor<16x16xf32> to !x
  %w = func.call @norm(%c) : (!x) -> !x
  %v = tensor.cast %w : !x to tensor<16x16xf32>
  %n = func.call @norm(%x) : (!x) -> !x
  %y = moe.linear %n, %v : (!x, tensor<16x16xf32>) -> !x
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
// expected-note@+1 {{'func.func' calls itself}}
func.func private @again(%x: !x) -> !x {
  %y = func.call @again(%x) : (!x) -> !x
  return %y : !x
}
func.func private @outside(%x: !x) -> !x
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
func.func @not_called(%x: !x) -> (!x, !x) {
  %a = func.call @again(%x) : (!x) -> !x
  // expected-note@+1 {{'func.call' calls a function without a body}}
  %b = func.call @outside(%x) : (!x) -> !x
  return %a, %b : !x, !x
}

// -----
!x = tensor<?x16xf32>
// Rounds of a loop join what they carry: rows of a constant become rows of tokens.
// expected-remark@+1 {{@loops is causal: a token's results depend on it and earlier ones}}
func.func @loops(%x: !x, %start: tensor<9x16xf32>, %n: index, %b: i1) -> (!x, !x) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = tensor.cast %start : tensor<9x16xf32> to !x
  %p, %q = scf.for %k = %c0 to %n step %c1 iter_args(%p0 = %s, %q0 = %s) -> (!x, !x) {
    %r = moe.route %p0 top 1 : !x -> !moe.routing<16, top 1>
    %l = moe.limit %r to %c1 order position overflow drop : !moe.routing<16, top 1>, index
    %g = moe.to_matrix %l : !moe.routing<16, top 1> -> !x
    %sum = arith.addf %g, %q0 : !x
    scf.yield %x, %sum : !x, !x
  }
  %y = scf.if %b -> !x {
    scf.yield %p : !x
  } else {
    scf.yield %x : !x
  }
  return %q, %y : !x, !x
}

// -----
!x = tensor<?x16xf32>
func.func @not_for_as_many_rounds(%x: !x) -> !x { // expected-remark {{@not_for_as_many_rounds is not proved}}
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-note@+1 {{'moe.tokens' counts all rows}}
  %n = moe.tokens %x : !x
  %y = scf.for %k = %c0 to %n step %c1 iter_args(%p = %x) -> !x {
    %a = arith.addf %p, %x : !x
    scf.yield %a : !x
  }
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
!r = !moe.routing<4, top 1>
func.func @not_by_chance(%x: !x, %s: tensor<?x4xf32>, %b: i1) -> !x { // expected-remark {{@not_by_chance is not proved}}
  %r = moe.route %s top 1 : tensor<?x4xf32> -> !r
  %in = moe.dispatch %x by %r : !x, !r
  // expected-note@+1 {{'scf.if' gives rows of one kind or of another}}
  %y = scf.if %b -> !x {
    scf.yield %in : !x
  } else {
    scf.yield %x : !x
  }
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 1>
func.func @not_of_two_selections(%x: !x, %s: !s, %t: !s, %b: i1, %c: i1) -> !x { // expected-remark {{@not_of_two_selections is not proved}}
  %r = moe.route %s top 1 : !s -> !r
  %q = moe.route %t top 1 : !s -> !r
  %one = arith.select %b, %r, %q : !r
  %other = arith.select %c, %r, %q : !r
  %in = moe.dispatch %x by %one : !x, !r
  // expected-note@+1 {{'moe.combine' reads rows that are not those of its routing}}
  %y = moe.combine %in by %other weighted : !x, !r
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
!s = tensor<?x4xf32>
!r = !moe.routing<4, top 1>
func.func @of_one_selection(%x: !x, %s: !s, %t: !s, %b: i1) -> !x { // expected-remark {{@of_one_selection is causal}}
  %r = moe.route %s top 1 : !s -> !r
  %q = moe.route %t top 1 : !s -> !r
  %one = arith.select %b, %r, %q : !r
  %in = moe.dispatch %x by %one : !x, !r
  %y = moe.combine %in by %one weighted : !x, !r
  return %y : !x
}

// -----
// expected-remark@+2 {{@not_in_front is not proved}}
// expected-note@+1 {{argument 0 has tokens in another dimension than the first}}
func.func @not_in_front(%x: tensor<4x?xf32>) -> tensor<4x?xf32> {
  return %x : tensor<4x?xf32>
}

// -----
!x = tensor<?x16xf32>
func.func @not_known(%x: !x, %n: index) -> !x { // expected-remark {{@not_known is not proved}}
  %zero = arith.constant 0.0 : f32
  // expected-note@+1 {{'tensor.pad' is not known to keep rows apart}}
  %y = tensor.pad %x low[%n, 0] high[0, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : !x to !x
  return %y : !x
}

// -----
!x = tensor<?x16xf32>
// expected-remark@below {{result 0 may depend on later tokens}}
// expected-remark@below {{result 1 may depend on later tokens}}
func.func @not_times_all(%x: !x, %d: index) -> (!x, !x) {
  %w = tensor.cast %x : !x to tensor<16x16xf32>
  // expected-note@+1 {{'moe.linear' uses all rows for each row}}
  %y = moe.linear %x, %w : (!x, tensor<16x16xf32>) -> !x
  // expected-note@+1 {{'tensor.dim' is a size that may count rows}}
  %n = tensor.dim %x, %d : !x
  %i = arith.index_cast %n : index to i32
  %f = arith.sitofp %i : i32 to f32
  %z = moe.broadcast %f like %x : f32, !x
  return %y, %z : !x, !x
}

// -----
// expected-remark@+1 {{@numbers has no result by token}}
func.func @numbers(%s: tensor<?x4xf32>) -> tensor<4xf32> {
  %m = moe.reduce sum %s over 0 : tensor<?x4xf32> -> tensor<4xf32>
  return %m : tensor<4xf32>
}

// -----
// expected-remark@+1 {{@constants is causal: its results do not depend on tokens}}
func.func @constants(%s: tensor<?x4xf32>, %p: tensor<9x4xf32>) -> tensor<?x4xf32> {
  %a = tensor.cast %p : tensor<9x4xf32> to tensor<?x4xf32>
  return %a : tensor<?x4xf32>
}
