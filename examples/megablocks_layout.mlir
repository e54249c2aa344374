// MegaBlocks' layout of rows (arXiv 2211.15841). Special: rows are sorted by expert, and every expert's share is padded to whole blocks of 128 rows of one block-sparse product.
// Normal form: score softmax(x Wᵀ); select top k; weight score; on output; also the sort, the padding and the topology of the product.
!x = tensor<?x16xf32>
!s = tensor<?x4xf32>
!i = tensor<?xi32>
!k = tensor<?x2xi32>
!c = tensor<4xi32>
!b = tensor<?x1xi32>         // 128 / 128 column blocks of an expert
!r = !moe.routing<4, top 2>
!t = !moe.routing<4, top 1>  // row blocks by column blocks

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "w_router" : tensor<4x16xf32>
  %l = moe.linear %x, %w : (!x, tensor<4x16xf32>) -> !s
  %p = moe.softmax %l : !s
  %r = moe.route %p top 2 : !s -> !r
  return %r : !r
}

// Where every share ends: the sum of the counts up to it.
func.func private @ends(%counts: !i) -> !i {
  %none = arith.constant 0 : i32
  %zero = moe.broadcast %none like %counts : i32, !i
  %ends = linalg.generic {indexing_maps = [affine_map<(e, j) -> (j)>, affine_map<(e, j) -> (e)>], iterator_types = ["parallel", "reduction"]}
      ins(%counts : !i) outs(%zero : !i) {
  ^bb0(%n: i32, %sum: i32):
    %e = linalg.index 0 : index
    %j = linalg.index 1 : index
    %is = arith.cmpi ule, %j, %e : index
    %more = arith.addi %sum, %n : i32
    %y = arith.select %is, %more, %sum : i32
    linalg.yield %y : i32
  } -> !i
  return %ends : !i
}

// The sort is the order of dispatch: choices (token · k + slot), their experts, the histogram and where shares end, as they are and padded to 128 rows.
func.func @sort(%x: !x, %m: !moe.scope) -> (!i, !i, !c, !i, !i) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %expert, %token, %slot, %weight = moe.pairs %r : !r -> !i, !i, !i, tensor<?xf32>
  %choice = moe.map (%t = %token, %j = %slot) : (!i, !i) -> !i {
    %k = arith.constant 2 : i32
    %a = arith.muli %t, %k : i32
    %y = arith.addi %a, %j : i32
    moe.yield %y : i32
  }
  %counts = moe.counts %r : !r -> !c
  %padded = func.call @padded(%counts) : (!c) -> !c
  %c = tensor.cast %counts : !c to !i
  %p128 = tensor.cast %padded : !c to !i
  %bins = func.call @ends(%c) : (!i) -> !i
  %padded_bins = func.call @ends(%p128) : (!i) -> !i
  return %choice, %expert, %counts, %bins, %padded_bins : !i, !i, !c, !i, !i
}

func.func private @padded(%counts: !c) -> !c {
  %padded = moe.map (%n = %counts) : (!c) -> !c {
    %more = arith.constant 127 : i32
    %block = arith.constant 128 : i32
    %a = arith.addi %n, %more : i32
    %b = arith.divui %a, %block : i32
    %y = arith.muli %b, %block : i32
    moe.yield %y : i32
  }
  return %padded : !c
}

// Padding is tokens that do not exist: after the T real ones come up to 127 for each expert, who visit it alone and stand last in its share.
func.func private @pad(%r: !r) -> !r {
  %counts = moe.counts %r : !r -> !c
  %padded = func.call @padded(%counts) : (!c) -> !c
  %missing = arith.subi %padded, %counts : !c
  %more = tensor.generate {
  ^bb0(%e: index, %j: index, %slot: index):
    %zero = arith.constant 0 : index
    %none = arith.constant -1 : i32
    %n = tensor.extract %missing[%e] : !c
    %n1 = arith.index_cast %n : i32 to index
    %needed = arith.cmpi ult, %j, %n1 : index
    %first = arith.cmpi eq, %slot, %zero : index
    %is = arith.andi %needed, %first : i1
    %e32 = arith.index_cast %e : index to i32
    %y = arith.select %is, %e32, %none : i32
    tensor.yield %y : i32
  } : tensor<4x127x2xi32>
  %rows = tensor.collapse_shape %more [[0, 1], [2]] : tensor<4x127x2xi32> into tensor<508x2xi32>
  %ids = moe.indices %r : !r -> !k
  %all = tensor.concat dim(0) %ids, %rows : (!k, tensor<508x2xi32>) -> !k
  %one = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %all : f32, !k
  %padding = moe.from_indices %all, %ones : !k, tensor<?x2xf32> -> !r
  return %padding : !r
}

// The choice in every padded row, -1 for padding.
func.func @padded_rows(%x: !x, %m: !moe.scope) -> !i {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %all = func.call @pad(%r) : (!r) -> !r
  %expert, %token, %slot, %weight = moe.pairs %all : !r -> !i, !i, !i, tensor<?xf32>
  %n = moe.tokens %x : !x
  %n32 = arith.index_cast %n : index to i32
  %source = moe.map (%t = %token, %j = %slot) : (!i, !i) -> !i {
    %k = arith.constant 2 : i32
    %none = arith.constant -1 : i32
    %real = arith.cmpi slt, %t, %n32 : i32
    %a = arith.muli %t, %k : i32
    %b = arith.addi %a, %j : i32
    %y = arith.select %real, %b, %none : i32
    moe.yield %y : i32
  }
  return %source : !i
}

// The topology of the block-sparse product is a routing, too: row blocks visit the column blocks of their expert. Rows of the routing are compressed
// sparse rows, and dispatch order is the transpose: columns, rows, offsets; rows, offsets and block numbers of the transpose.
func.func @topology(%x: !x, %m: !moe.scope) -> (!i, !i, !i, !i, !i, !i) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %all = func.call @pad(%r) : (!r) -> !r
  %expert, %token, %slot, %weight = moe.pairs %all : !r -> !i, !i, !i, tensor<?xf32>
  %rows = moe.tokens %expert : !i
  %size = arith.constant 128 : index
  %blocks = arith.divui %rows, %size : index
  %owner = tensor.extract_slice %expert[0] [%blocks] [128] : !i to !i
  %owner1 = tensor.expand_shape %owner [[0, 1]] output_shape [%blocks, 1] : !i into tensor<?x1xi32>
  %like = tensor.empty(%blocks) : !b
  %owners = moe.broadcast %owner1 like %like : tensor<?x1xi32>, !b
  %columns = arith.constant dense<[0]> : tensor<1xi32>   // the column blocks of an expert
  %inside = moe.broadcast %columns like %like : tensor<1xi32>, !b
  %ids = moe.map (%e = %owners, %j = %inside) : (!b, !b) -> !b {
    %per = arith.constant 1 : i32
    %a = arith.muli %e, %per : i32
    %y = arith.addi %a, %j : i32
    moe.yield %y : i32
  }
  %one = arith.constant 1.0 : f32
  %ones = moe.broadcast %one like %ids : f32, !b
  %topology = moe.from_indices %ids, %ones : !b, tensor<?x1xf32> -> !t

  %column_indices = tensor.collapse_shape %ids [[0, 1]] : !b into !i
  %n = moe.tokens %column_indices : !i
  %c1 = arith.constant 1 : index
  %per = arith.constant 1 : index
  %row_indices = tensor.generate %n {
  ^bb0(%i: index):
    %row = arith.divui %i, %per : index
    %y = arith.index_cast %row : index to i32
    tensor.yield %y : i32
  } : !i
  %ends = arith.addi %blocks, %c1 : index
  %offsets = tensor.generate %ends {
  ^bb0(%i: index):
    %o = arith.muli %i, %per : index
    %y = arith.index_cast %o : index to i32
    tensor.yield %y : i32
  } : !i
  %column, %row, %j, %w = moe.pairs %topology : !t -> !i, !i, !i, tensor<?xf32>
  %number = moe.map (%a = %row, %b = %j) : (!i, !i) -> !i {
    %per32 = arith.constant 1 : i32
    %o = arith.muli %a, %per32 : i32
    %y = arith.addi %o, %b : i32
    moe.yield %y : i32
  }
  %per_column = moe.counts %topology : !t -> tensor<4xi32>
  %pc = tensor.cast %per_column : tensor<4xi32> to !i
  %column_ends = func.call @ends(%pc) : (!i) -> !i
  return %column_indices, %row_indices, %offsets, %row, %column_ends, %number : !i, !i, !i, !i, !i, !i
}
