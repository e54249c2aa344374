// What has no CPU code is refused with the operation, its place and the reason; exit code 1 and no output.
// RUN: rm -rf %t && split-file %s %t
// RUN: %{python} %S/Inputs/refused.py %t

//--- inner.mlir
// error: argument 0 is 'tensor<?x?xf32>': only one dimension may be dynamic in CPU code
func.func @f(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  return %x : tensor<?x?xf32>
}
//--- inner-read.mlir
func.func @f(%x: tensor<8x?x4xf32>) -> tensor<?x4xf32> {
  // error: 'moe.reduce' op reads a 'tensor<8x?x4xf32>': only the first dimension may be dynamic in CPU code
  %s = moe.reduce sum %x over 0 : tensor<8x?x4xf32> -> tensor<?x4xf32>
  return %s : tensor<?x4xf32>
}
//--- inner-returned.mlir
func.func @f(%x: tensor<8x?x4xf32>) -> tensor<8x?x4xf32> {
  // error: 'func.return' op returns 'tensor<8x?x4xf32>' as result 0: only the first dimension may be dynamic in CPU code
  return %x : tensor<8x?x4xf32>
}
//--- large-argument.mlir
// error: argument 0 is 'tensor<?x4294967296x4294967296xf32>': larger than any memory
func.func @f(%x: tensor<?x4294967296x4294967296xf32>) -> index {
  %n = moe.tokens %x : tensor<?x4294967296x4294967296xf32>
  return %n : index
}
//--- large-param.mlir
// error: argument 1 is '!grouped.packed<1x16777216x16777216xf32, 1>': larger than any memory
func.func @f(%x: tensor<?x16777216xf32>, %m: !moe.scope) -> tensor<?x16777216xf32> {
  %w = moe.param %m "w" : tensor<16777216x16777216xf32>
  %y = moe.linear %x, %w : (tensor<?x16777216xf32>, tensor<16777216x16777216xf32>) -> tensor<?x16777216xf32>
  return %y : tensor<?x16777216xf32>
}
//--- large.mlir
func.func @f(%x: tensor<1xf32>) -> f32 {
  %one = arith.constant 1 : index
  // error: 'tensor.empty' op makes a 'tensor<4294967296x4294967296xf32>': larger than any memory
  %e = tensor.empty() : tensor<4294967296x4294967296xf32>
  %b = moe.broadcast %x like %e : tensor<1xf32>, tensor<4294967296x4294967296xf32>
  %f = tensor.extract %b[%one, %one] : tensor<4294967296x4294967296xf32>
  return %f : f32
}
//--- scalar.mlir
// error: argument 1 is 'i16': entries take and return numbers and tensors of f64, f32, f16, bf16, i1, i8, ui8, i32, i64 and index
func.func @f(%x: tensor<?x4xf32>, %s: i16) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
//--- element.mlir
// error: argument 0 is 'tensor<?x4xi16>': entries take and return numbers and tensors
func.func @f(%x: tensor<?x4xi16>) -> tensor<?x4xi16> {
  return %x : tensor<?x4xi16>
}
//--- element-returned.mlir
func.func @f(%x: tensor<?x4xi32>) -> tensor<?x4xi16> {
  %y = arith.trunci %x : tensor<?x4xi32> to tensor<?x4xi16>
  // error: 'func.return' op returns 'tensor<?x4xi16>' as result 0: entries take and return numbers and tensors
  return %y : tensor<?x4xi16>
}
//--- wide-math.mlir
func.func @f(%x: tensor<?x4xf64>) -> tensor<?x4xf64> {
  // error: 'math.erf' op cannot be compiled for the CPU
  %e = math.erf %x : tensor<?x4xf64>
  return %e : tensor<?x4xf64>
}
//--- function.mlir
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // error: 'math.acosh' op cannot be compiled for the CPU
  %e = math.acosh %x : tensor<?x4xf32>
  return %e : tensor<?x4xf32>
}
//--- moved.mlir
func.func @f(%x: tensor<?x4xf32>) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  // error: 'tensor.empty' op makes a 'tensor<4x?xf32>': only the first dimension may be dynamic in CPU code
  %e = tensor.empty(%n) : tensor<4x?xf32>
  %t = linalg.transpose ins(%x : tensor<?x4xf32>) outs(%e : tensor<4x?xf32>) permutation = [1, 0]
  %r = moe.reduce sum %t over 1 : tensor<4x?xf32> -> tensor<4xf32>
  return %r : tensor<4xf32>
}
//--- unsupported.mlir
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x6xf32> {
  %z = arith.constant 0.0 : f32
  // error: 'tensor.pad' op cannot be compiled for the CPU
  %p = tensor.pad %x low[0, 1] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %z : f32
  } : tensor<?x4xf32> to tensor<?x6xf32>
  return %p : tensor<?x6xf32>
}
//--- fixed.mlir
func.func @f(%x: tensor<?x4xf32>, %ids: tensor<?x1xi32>) -> tensor<3x4xf32> {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 2 : tensor<?x1xi32> -> tensor<3xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x1xi32>
  %g = moe.gather %x at %tokens : tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
  // error: 'tensor.extract_slice' op takes a fixed number of the rows of 'tensor<?x4xf32>', which may have fewer
  %s = tensor.extract_slice %g[0, 0][3, 4][1, 1] : tensor<?x4xf32> to tensor<3x4xf32>
  return %s : tensor<3x4xf32>
}
//--- cast.mlir
func.func @f(%x: tensor<?x4xf32>, %ids: tensor<?x1xi32>) -> tensor<3x4xf32> {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 2 : tensor<?x1xi32> -> tensor<3xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x1xi32>
  %g = moe.gather %x at %tokens : tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
  // error: rows have nothing to do with each other: a number made of the rows that a routing dispatches, and 3
  // or: rows have nothing to do with each other: 3, and a number made of the rows that a routing dispatches
  %s = tensor.cast %g : tensor<?x4xf32> to tensor<3x4xf32>
  return %s : tensor<3x4xf32>
}
//--- not-dispatched.mlir
!r = !moe.routing<4, top 2>
func.func @f(%n: tensor<2xf32>, %x: tensor<?x4xf32>, %s: tensor<?x4xf32>, %w: tensor<4x4x4xf32>) -> tensor<?x4xf32> {
  %r = moe.route %s top 2 : tensor<?x4xf32> -> !r
  %out = moe.expert by %r rows(%t = %x) each(%v = %w) : !r, (tensor<?x4xf32>, tensor<4x4x4xf32>) -> tensor<?x4xf32> {
    %a = moe.linear %t, %v : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    moe.yield %a : tensor<?x4xf32>
  }
  // error: 'grouped.matmul' op takes a 'tensor<?x4xf32>' with a number made of the rows of argument 1 as the rows of its groups, expected what 'moe.dispatch' makes by its routing
  %y = moe.combine %out by %r weighted : tensor<?x4xf32>, !r
  return %y : tensor<?x4xf32>
}
//--- not-dispatched-loop.mlir
!r = !moe.routing<4, top 2>
func.func @f(%x: tensor<?x4xf32>, %s: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %r = moe.route %s top 2 : tensor<?x4xf32> -> !r
  // error: 'grouped.loop' op takes a 'tensor<?x4xf32>' with a number made of the rows of argument 0 as the rows of its groups, expected what 'moe.dispatch' makes by its routing
  %out = moe.expert by %r rows(%t = %x) : !r, (tensor<?x4xf32>) -> tensor<?x4xf32> {
    %a = moe.softmax %t over 0 : tensor<?x4xf32>
    moe.yield %a : tensor<?x4xf32>
  }
  %y = moe.combine %out by %r weighted : tensor<?x4xf32>, !r
  return %y : tensor<?x4xf32>
}
//--- other-groups.mlir
func.func @f(%x: tensor<?x4xf32>, %a: tensor<?x2xi32>, %b: tensor<?x2xi32>) -> tensor<?x4xf32> {
  %o, %t, %s, %rows = grouped.plan %a experts 4 : tensor<?x2xi32> -> tensor<5xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
  %o2, %t2, %s2, %rows2 = grouped.plan %b experts 4 : tensor<?x2xi32> -> tensor<5xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x2xi32>
  %g = moe.gather %x at %t : tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
  // error: 'grouped.combine' op takes a 'tensor<?x4xf32>' with the rows of other groups as the rows of its groups, expected what 'moe.dispatch' makes by its routing
  %y = grouped.combine %g by %rows2 : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
//--- other-rows.mlir
func.func @f(%x: tensor<?x4xf32>, %n: index) -> tensor<4xf32> {
  // error: 'tensor.extract_slice' op cuts out a number of rows known only at run time
  %s = tensor.extract_slice %x[0, 0][%n, 4][1, 1] : tensor<?x4xf32> to tensor<?x4xf32>
  %r = moe.reduce sum %s over 0 : tensor<?x4xf32> -> tensor<4xf32>
  return %r : tensor<4xf32>
}
//--- concat.mlir
func.func @f(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // error: 'tensor.concat' op puts together numbers of rows that have nothing to do with each other
  %s = tensor.concat dim(0) %x, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %s : tensor<?x4xf32>
}
//--- contradiction.mlir
func.func @f(%x: tensor<?x4xf32>, %a: tensor<3x4xf32>, %b: tensor<2x4xf32>) -> tensor<?x4xf32> {
  %c = tensor.cast %a : tensor<3x4xf32> to tensor<?x4xf32>
  %d = tensor.cast %b : tensor<2x4xf32> to tensor<?x4xf32>
  %s = arith.addf %c, %x : tensor<?x4xf32>
  // error: 'arith.mulf' op uses tensors of 3 and 2 rows as if they had equally many
  %t = arith.mulf %s, %d : tensor<?x4xf32>
  return %t : tensor<?x4xf32>
}
//--- never-equal.mlir
func.func @f(%x: tensor<?x2x4xf32>, %a: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %c = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x2x4xf32> into tensor<?x4xf32>
  // error: 'tensor.cast' op uses tensors whose numbers of rows have nothing to do with each other
  %d = tensor.cast %c : tensor<?x4xf32> to tensor<3x4xf32>
  %s = arith.addf %d, %a : tensor<3x4xf32>
  return %s : tensor<3x4xf32>
}
//--- bound-slice.mlir
func.func @f(%x: tensor<?x4xf32>, %a: tensor<3x4xf32>) -> (tensor<?x4xf32>, tensor<2x4xf32>) {
  // error: 'tensor.extract_slice' op takes row 3 of 3 rows
  %s = tensor.extract_slice %x[2, 0][2, 4][1, 1] : tensor<?x4xf32> to tensor<2x4xf32>
  %c = tensor.cast %a : tensor<3x4xf32> to tensor<?x4xf32>
  %t = arith.mulf %x, %c : tensor<?x4xf32>
  return %t, %s : tensor<?x4xf32>, tensor<2x4xf32>
}
//--- bound-split.mlir
func.func @f(%x: tensor<?x4xf32>, %a: tensor<3x4xf32>, %h: index) -> (tensor<?x4xf32>, tensor<2x4xf32>) {
  // error: 'tensor.expand_shape' op splits 3 rows into parts of 2
  %e = tensor.expand_shape %x [[0, 1], [2]] output_shape [%h, 2, 4] : tensor<?x4xf32> into tensor<?x2x4xf32>
  %r = moe.reduce sum %e over 0 : tensor<?x2x4xf32> -> tensor<2x4xf32>
  %c = tensor.cast %a : tensor<3x4xf32> to tensor<?x4xf32>
  %t = arith.mulf %x, %c : tensor<?x4xf32>
  return %t, %r : tensor<?x4xf32>, tensor<2x4xf32>
}
//--- odd.mlir
func.func @f(%x: tensor<?x4xf32>, %ids: tensor<?x1xi32>) -> tensor<4xf32> {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 2 : tensor<?x1xi32> -> tensor<3xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x1xi32>
  %g = moe.gather %x at %tokens : tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
  %n = moe.tokens %x : tensor<?x4xf32>
  // error: 'tensor.expand_shape' op splits rows into 2, which does not divide their number
  %e = tensor.expand_shape %g [[0, 1], [2]] output_shape [%n, 2, 4] : tensor<?x4xf32> into tensor<?x2x4xf32>
  %m = moe.softmax %e : tensor<?x2x4xf32>
  %c = tensor.collapse_shape %m [[0, 1], [2]] : tensor<?x2x4xf32> into tensor<?x4xf32>
  %r = moe.reduce sum %c over 0 : tensor<?x4xf32> -> tensor<4xf32>
  return %r : tensor<4xf32>
}
//--- empty.mlir
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  // error: 'arith.addf' op reads a tensor without contents
  %s = arith.addf %x, %e : tensor<?x4xf32>
  return %s : tensor<?x4xf32>
}
//--- empty-returned.mlir
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  // error: 'func.return' op returns result 0 without contents
  return %e : tensor<4xf32>
}
//--- blocks.mlir
// error: has several blocks, expected one: control flow is that of scf
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  cf.br ^a
^a:
  %y = arith.addf %x, %x : tensor<4xf32>
  cf.br ^a
}
//--- index-rows.mlir
func.func @f(%x: tensor<?xf32>) -> tensor<4x4xf32> {
  %z = arith.constant dense<0.0> : tensor<4x4xf32>
  // error: 'linalg.generic' op computes with the numbers of rows
  %g = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i + j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?xf32>) outs(%z : tensor<4x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<4x4xf32>
  return %g : tensor<4x4xf32>
}
//--- nested.mlir
func.func @f(%x: tensor<?x4xf32>, %ids: tensor<?x1xi32>, %o: tensor<?x2xi32>) -> tensor<?x4xf32> {
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 2 : tensor<?x1xi32> -> tensor<3xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x1xi32>
  %in = moe.gather %x at %tokens : tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
  %y = grouped.loop over %offsets rows(%in) bounds [0, 2] counts [0] : (tensor<3xi32>, tensor<?x4xf32>) -> tensor<?x4xf32> {
  ^bb0(%t: tensor<?x4xf32>):
    %c, %i = grouped.top_k %t by %t top 1 : tensor<?x4xf32>, tensor<?x4xf32> -> tensor<?x1xf32>, tensor<?x1xi32>
    // error: 'grouped.plan' op inside a loop over groups is not supported in CPU code
    %a, %b, %d, %e = grouped.plan %i experts 4 : tensor<?x1xi32> -> tensor<5xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?x1xi32>
    %g = moe.gather %t at %b : tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
    %h = grouped.combine %g by %e : (tensor<?x4xf32>, tensor<?x1xi32>) -> tensor<?x4xf32>
    grouped.yield rows(%h : tensor<?x4xf32>)
  }
  %z = grouped.combine %y by %rows : (tensor<?x4xf32>, tensor<?x1xi32>) -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}
//--- fixed-plan.mlir
func.func @f(%ids: tensor<4x1xi32>) -> tensor<4xi32> {
  // error: 'grouped.plan' op makes 'tensor<4xi32>', expected a dynamic number of rows
  %offsets, %tokens, %slots, %rows = grouped.plan %ids experts 2 : tensor<4x1xi32> -> tensor<3xi32>, tensor<4xi32>, tensor<4xi32>, tensor<4x1xi32>
  return %tokens : tensor<4xi32>
}
//--- branch-slice.mlir
func.func @f(%x: tensor<?x4xf32>, %c: i1) -> tensor<4xf32> {
  %zero = arith.constant dense<0.0> : tensor<4xf32>
  %y = scf.if %c -> tensor<4xf32> {
    // error: 'tensor.extract_slice' op takes a fixed number of the rows of 'tensor<?x4xf32>', which may have fewer
    %s = tensor.extract_slice %x[3, 0][1, 4][1, 1] : tensor<?x4xf32> to tensor<4xf32>
    scf.yield %s : tensor<4xf32>
  } else {
    scf.yield %zero : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}
//--- branch-empty.mlir
func.func @f(%x: tensor<?x4xf32>, %c: i1) -> tensor<?x4xf32> {
  %n = moe.tokens %x : tensor<?x4xf32>
  %y = scf.if %c -> tensor<?x4xf32> {
    scf.yield %x : tensor<?x4xf32>
  } else {
    %e = tensor.empty(%n) : tensor<?x4xf32>
    // error: 'scf.yield' op returns result 0 without contents
    scf.yield %e : tensor<?x4xf32>
  }
  return %y : tensor<?x4xf32>
}
//--- loop-rows.mlir
func.func @f(%x: tensor<?x2x4xf32>, %n: index) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x2x4xf32> into tensor<?x4xf32>
  %t = moe.reduce sum %x over 1 : tensor<?x2x4xf32> -> tensor<?x4xf32>
  // error: 'scf.for' op uses tensors whose numbers of rows have nothing to do with each other
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%a = %s) -> tensor<?x4xf32> {
    scf.yield %t : tensor<?x4xf32>
  }
  %r = moe.reduce sum %y over 0 : tensor<?x4xf32> -> tensor<4xf32>
  return %r : tensor<4xf32>
}
//--- loop-in-loop.mlir
!r = !moe.routing<2, top 1>
func.func @f(%x: tensor<?x4xf32>, %s: tensor<?x2xf32>, %n: index) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %g = moe.route %s top 1 : tensor<?x2xf32> -> !r
  %in = moe.dispatch %x by %g : tensor<?x4xf32>, !r
  %out = moe.expert by %g rows(%t = %in) : !r, (tensor<?x4xf32>) -> tensor<?x4xf32> {
    // error: 'scf.for' op inside a loop over groups is not supported in CPU code
    %y = scf.for %i = %c0 to %n step %c1 iter_args(%a = %t) -> tensor<?x4xf32> {
      %b = moe.softmax %a over 0 : tensor<?x4xf32>
      scf.yield %b : tensor<?x4xf32>
    }
    moe.yield %y : tensor<?x4xf32>
  }
  %z = moe.combine %out by %g weighted : tensor<?x4xf32>, !r
  return %z : tensor<?x4xf32>
}
//--- other-support.mlir
!r = !moe.routing<4, any>
func.func @f(%x: tensor<?x4xf32>, %c: i1) -> tensor<?x4xf32> {
  %a = moe.route %x greater_than 0.5 : tensor<?x4xf32> -> !r
  %b = scf.if %c -> !r {
    scf.yield %a : !r
  } else {
    %d = moe.route %x greater_than 0.0 : tensor<?x4xf32> -> !r
    scf.yield %d : !r
  }
  %in = moe.dispatch %x by %a : tensor<?x4xf32>, !r
  // error: op takes a 'tensor<?x4xf32>' with the rows of other groups as the rows of its groups
  %y = moe.combine %in by %b weighted : tensor<?x4xf32>, !r
  return %y : tensor<?x4xf32>
}
//--- selected-support.mlir
!r = !moe.routing<4, any>
func.func @f(%x: tensor<?x4xf32>, %c: i1) -> tensor<?x4xf32> {
  %a = moe.route %x greater_than 0.5 : tensor<?x4xf32> -> !r
  %b = moe.route %x greater_than 0.0 : tensor<?x4xf32> -> !r
  %d = arith.select %c, %a, %b : !r
  %in = moe.dispatch %x by %a : tensor<?x4xf32>, !r
  // error: op takes a 'tensor<?x4xf32>' with the rows of other groups as the rows of its groups
  %y = moe.combine %in by %d weighted : tensor<?x4xf32>, !r
  return %y : tensor<?x4xf32>
}
//--- given-rows.mlir
func.func @f(%x: tensor<?x4xf32>, %r: tensor<?x2xi32>) -> tensor<?x4xf32> {
  // error: 'grouped.combine' op adds rows in an order that no plan made
  %y = grouped.combine %x by %r : (tensor<?x4xf32>, tensor<?x2xi32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
//--- given-offsets.mlir
func.func @f(%x: tensor<?x4xf32>, %o: tensor<3xi32>, %w: tensor<2x4x4xf32> {moe.param = "w"}) -> tensor<?x4xf32> {
  %p = grouped.pack %w : tensor<2x4x4xf32> -> !grouped.packed<2x4x4xf32, 1>
  // error: 'grouped.matmul' op multiplies rows of groups that no plan made
  %y = grouped.matmul %x groups %o weights %p : (tensor<?x4xf32>, tensor<3xi32>, !grouped.packed<2x4x4xf32, 1>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %y : tensor<?x4xf32>
}
//--- given-tokens.mlir
func.func @f(%x: tensor<?x4xf32>, %t: tensor<?xi32>, %w: tensor<4x4xf32> {moe.param = "w"}) -> tensor<?x4xf32> {
  %p = grouped.pack %w : tensor<4x4xf32> -> !grouped.packed<1x4x4xf32, 1>
  // error: 'grouped.matmul' op multiplies rows that no plan chose
  %y = grouped.matmul %x rows %t weights %p : (tensor<?x4xf32>, tensor<?xi32>, !grouped.packed<1x4x4xf32, 1>) -> tensor<?x4xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %y : tensor<?x4xf32>
}
