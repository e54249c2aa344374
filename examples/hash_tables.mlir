// Tables of hash layers (arXiv 2106.04426, section 3.2). Special: what the table of `hash_layers.mlir` can be: random, balanced, clustered, dispersed, or no table but a pair of ids.
// Normal form: score none; select table[id], or a number made of the id and the one before it; weight 1; on output.
!f = tensor<100xf32>         // one value per id
!t = tensor<100xi32>         // the table: the expert of every id
!e = tensor<8xf32>
!x = tensor<?x16xf32>
!i = tensor<?xi32>
!r = !moe.routing<8, top 1>

// Every id goes to a random expert.
func.func @random(%seed: i64) -> !t {
  %like = tensor.empty() : !f
  %u = moe.random uniform like %like seed %seed stream 0 : !f
  %table = moe.map (%v = %u) : (!f) -> !t {
    %experts = arith.constant 8.0 : f32
    %w = arith.mulf %v, %experts : f32
    %e = arith.fptosi %w : f32 to i32
    moe.yield %e : i32
  }
  return %table : !t
}

// Ids in the order of their frequency go to the expert that has the least so far: the table, and what every expert has.
func.func @balanced(%frequency: !f) -> (!t, !e) {
  // One token that visits all ids in descending order of their score is a sort.
  %row = tensor.expand_shape %frequency [[0, 1]] output_shape [1, 100] : !f into tensor<1x100xf32>
  %rows = tensor.cast %row : tensor<1x100xf32> to tensor<?x100xf32>
  %sorted = moe.route %rows top 100 : tensor<?x100xf32> -> !moe.routing<100, top 100>
  %order = moe.indices %sorted : !moe.routing<100, top 100> -> tensor<?x100xi32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ids = arith.constant 100 : index
  %empty = arith.constant dense<0> : !t
  %zero = arith.constant dense<0.0> : !e
  %table, %load = scf.for %i = %c0 to %ids step %c1 iter_args(%t = %empty, %l = %zero) -> (!t, !e) {
    %id32 = tensor.extract %order[%c0, %i] : tensor<?x100xi32>
    %id = arith.index_cast %id32 : i32 to index
    %less = arith.negf %l : !e
    %less1 = tensor.expand_shape %less [[0, 1]] output_shape [1, 8] : !e into tensor<1x8xf32>
    %key = tensor.cast %less1 : tensor<1x8xf32> to tensor<?x8xf32>
    %emptiest = moe.route %key top 1 : tensor<?x8xf32> -> !r
    %chosen = moe.indices %emptiest : !r -> tensor<?x1xi32>
    %e32 = tensor.extract %chosen[%c0, %c0] : tensor<?x1xi32>
    %e = arith.index_cast %e32 : i32 to index
    %t1 = tensor.insert %e32 into %t[%id] : !t
    %has = tensor.extract %l[%e] : !e
    %gets = tensor.extract %frequency[%id] : !f
    %sum = arith.addf %has, %gets : f32
    %l1 = tensor.insert %sum into %l[%e] : !e
    scf.yield %t1, %l1 : !t, !e
  }
  return %table, %load : !t, !e
}

// Ids whose embeddings are nearest to the same of 8 centroids (of k-means) share an expert: |x - c|² is least where x · c - |c|² / 2 is largest.
func.func private @nearest(%embeddings: !x, %m: !moe.scope) -> !r {
  %centroids = moe.param %m "centroids" : tensor<8x16xf32>
  %dot = moe.linear %embeddings, %centroids : (!x, tensor<8x16xf32>) -> tensor<?x8xf32>
  %squares = arith.mulf %centroids, %centroids : tensor<8x16xf32>
  %norms = moe.reduce sum %squares over 1 : tensor<8x16xf32> -> !e
  %ns = moe.broadcast %norms like %dot : !e, tensor<?x8xf32>
  %key = moe.map (%d = %dot, %n = %ns) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> {
    %half = arith.constant 0.5 : f32
    %h = arith.mulf %n, %half : f32
    %k = arith.subf %d, %h : f32
    moe.yield %k : f32
  }
  %r = moe.route %key top 1 : tensor<?x8xf32> -> !r
  return %r : !r
}

func.func @clustered(%embeddings: !x, %m: !moe.scope) -> tensor<?x1xi32> {
  %r = func.call @nearest(%embeddings, %m) : (!x, !moe.scope) -> !r
  %table = moe.indices %r : !r -> tensor<?x1xi32>
  return %table : tensor<?x1xi32>
}

// The opposite: ids of one cluster are dealt to the experts in turn. In dispatch order they stand one after the other.
func.func @dispersed(%embeddings: !x, %m: !moe.scope) -> tensor<?x1xi32> {
  %r = func.call @nearest(%embeddings, %m) : (!x, !moe.scope) -> !r
  %ids = moe.indices %r : !r -> tensor<?x1xi32>
  %in = moe.dispatch %ids by %r : tensor<?x1xi32>, !r
  %n = moe.tokens %in : tensor<?x1xi32>
  %experts = arith.constant 8 : index
  %dealt = tensor.generate %n {
  ^bb0(%row: index, %column: index):
    %e = arith.remui %row, %experts : index
    %e32 = arith.index_cast %e : index to i32
    %f = arith.sitofp %e32 : i32 to f32
    tensor.yield %f : f32
  } : tensor<?x1xf32>
  %back = moe.combine %dealt by %r unweighted : tensor<?x1xf32>, !r
  %table = arith.fptosi %back : tensor<?x1xf32> to tensor<?x1xi32>
  return %table : tensor<?x1xi32>
}

// Bigram hash: a number made of the id and the one before it in the sequence, -1 for the first, chooses; a table of pairs would be too large.
func.func @bigram(%x: !x, %ids: !i, %pos: !i) -> (!x, tensor<?x1xi32>) {
  %n = moe.tokens %ids : !i
  %c1 = arith.constant 1 : index
  %longer = arith.addi %n, %c1 : index
  %empty = tensor.empty(%longer) : !i
  %shifted = tensor.insert_slice %ids into %empty[1] [%n] [1] : !i into !i
  %before = tensor.extract_slice %shifted[0] [%n] [1] : !i to !i
  %bucket = moe.map (%id = %ids, %b = %before, %p = %pos) : (!i, !i, !i) -> !i {
    %zero = arith.constant 0 : i32
    %none = arith.constant -1 : i32
    %a1 = arith.constant 40503 : i32
    %a2 = arith.constant 30011 : i32
    %half = arith.constant 16 : i32
    %experts = arith.constant 8 : i32
    %first = arith.cmpi eq, %p, %zero : i32
    %previous = arith.select %first, %none, %b : i32
    %m1 = arith.muli %id, %a1 : i32
    %m2 = arith.muli %previous, %a2 : i32
    %sum = arith.addi %m1, %m2 : i32
    %mixed = arith.muli %sum, %a1 : i32
    %high = arith.shrui %mixed, %half : i32              // the high bits depend on all bits of the ids
    %e = arith.remui %high, %experts : i32
    moe.yield %e : i32
  }
  %column = tensor.expand_shape %bucket [[0, 1]] output_shape [%n, 1] : !i into tensor<?x1xi32>
  %one = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %column : f32, tensor<?x1xi32>
  %r = moe.from_indices %column, %ones : tensor<?x1xi32>, tensor<?x1xf32> -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %y = moe.combine %in by %r weighted : !x, !r
  return %y, %column : !x, tensor<?x1xi32>
}
