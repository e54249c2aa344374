// Numbers of rows that are made of an input's, or that the data decide, as results and in between; slices and elements at places that
// only a run knows.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so several:0,1,7,130 below:0,7,130 made:0,1,7 pairs:0,1,7,130 blocks:0,1,7,130 part:7,40 inserted:7,40 rounds:5,40 loop:7,40 wide:0,7,40 vectors:1,40 means:0,1,40 -- --expected_rtol=1e-4

// RUN: moe-run %t.so --list | FileCheck %s --check-prefix=LIST
// LIST: several({{.*}}) -> (2*d0x4xf32, 4*d0x2xf32)
// LIST: made({{.*}}) -> (2*d0+3x2xf32, d0/2xi64)
// LIST: pairs({{.*}}) -> (at most 2*d0xi32, at most 2*d0xf32, at most 2*d0+3xi32)
// LIST: blocks({{.*}}) -> (at most 2*d0/3xi32, at most 4*d0/3+1xi32)

// Slices and elements must exist.
// DEFINE: %{x} = --input=3x6xf32=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18
// RUN: moe-run %t.so --function=part %{x} --input=i64=1 --input=i64=2 | FileCheck %s --check-prefix=PART
// PART: 2x2xf32=[9 10][15 16]
// RUN: not moe-run %t.so --function=part %{x} --input=i64=2 --input=i64=2 2>&1 | FileCheck %s --check-prefix=OUTSIDE
// RUN: not moe-run %t.so --function=part %{x} --input=i64=-1 --input=i64=2 2>&1 | FileCheck %s --check-prefix=BEFORE
// RUN: not moe-run %t.so --function=part %{x} --input=i64=0 --input=i64=5 2>&1 | FileCheck %s --check-prefix=BESIDE
// RUN: not moe-run %t.so --function=inserted %{x} --input=i64=9223372036854775807 --input=i64=1 2>&1 | FileCheck %s --check-prefix=FAR
// RUN: not moe-run %t.so --function=rounds %{x} --input=i64=3 2>&1 | FileCheck %s --check-prefix=ELEMENT
// OUTSIDE: 'part': index 2 is outside [0, 2)
// BEFORE: 'part': index -1 is outside [0, 2)
// BESIDE: 'part': index 5 is outside [0, 5)
// FAR: 'inserted': index 9223372036854775807 is outside [0, 2)
// ELEMENT: 'rounds': index 3 is outside [0, 3)
!x = tensor<?x6xf32>
!i = tensor<?xi32>
!f = tensor<?xf32>
!r = !moe.routing<5, top 2>

func.func @several(%x: tensor<?x2x4xf32>) -> (tensor<?x4xf32>, tensor<?x2xf32>) {
  %c = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x2x4xf32> into tensor<?x4xf32>
  %e = arith.negf %c : tensor<?x4xf32>
  %n = moe.tokens %e : tensor<?x4xf32>
  %s = tensor.expand_shape %e [[0], [1, 2]] output_shape [%n, 2, 2] : tensor<?x4xf32> into tensor<?x2x2xf32>
  %h = tensor.collapse_shape %s [[0, 1], [2]] : tensor<?x2x2xf32> into tensor<?x2xf32>
  return %e, %h : tensor<?x4xf32>, tensor<?x2xf32>
}

// One below the other, and where they begin and end.
func.func @below(%x: !x, %b: tensor<3x6xf32>) -> (!x, tensor<6xf32>, tensor<7x6xf32>) {
  %all = tensor.concat dim(0) %x, %b, %x : (!x, tensor<3x6xf32>, !x) -> !x
  %sum = moe.reduce sum %all over 0 : !x -> tensor<6xf32>
  %fixed = tensor.concat dim(0) %b, %b : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<6x6xf32>
  %first = tensor.extract_slice %all[2, 0] [1, 6] [1, 1] : !x to tensor<1x6xf32>
  %more = tensor.concat dim(0) %fixed, %first : (tensor<6x6xf32>, tensor<1x6xf32>) -> tensor<7x6xf32>
  return %all, %sum, %more : !x, tensor<6xf32>, tensor<7x6xf32>
}

func.func @made(%x: !x, %k: index) -> (tensor<?x2xf32>, tensor<?xi64>) {
  %c1 = arith.constant 1 : index
  %n = moe.tokens %x : !x
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %twice = arith.muli %n, %c2 : index
  %rows = arith.addi %twice, %c3 : index
  %g = tensor.generate %rows {
  ^bb0(%i: index, %j: index):
    %p = arith.muli %i, %k : index
    %q = arith.addi %p, %j : index
    %a = arith.index_cast %q : index to i64
    %b = arith.sitofp %a : i64 to f32
    %y = math.sqrt %b : f32
    tensor.yield %y : f32
  } : tensor<?x2xf32>
  %half = arith.divui %n, %c2 : index
  %h = tensor.generate %half {
  ^bb0(%i: index):
    %e = tensor.extract %g[%i, %c1] : tensor<?x2xf32>
    %y = arith.fptosi %e : f32 to i64
    tensor.yield %y : i64
  } : tensor<?xi64>
  return %g, %h : tensor<?x2xf32>, tensor<?xi64>
}

// Pairs of which some are dropped.
func.func private @route(%l: tensor<?x5xf32>) -> !r {
  %r = moe.route %l top 2 : tensor<?x5xf32> -> !r
  %zero = arith.constant 0.0 : f32
  %weights = moe.weights %r : !r -> tensor<?x2xf32>
  %mask = moe.map (%w = %weights) : (tensor<?x2xf32>) -> tensor<?x2xi1> {
    %some = arith.cmpf ogt, %w, %zero : f32
    moe.yield %some : i1
  }
  %kept = moe.keep %r where %mask : !r, tensor<?x2xi1>
  return %kept : !r
}
func.func @pairs(%l: tensor<?x5xf32>) -> (!i, !f, !i) {
  %r = func.call @route(%l) : (tensor<?x5xf32>) -> !r
  %expert, %token, %slot, %weight = moe.pairs %r : !r -> !i, !i, !i, !f
  %three = arith.constant dense<7> : tensor<3xi32>
  %more = tensor.concat dim(0) %three, %token : (tensor<3xi32>, !i) -> !i
  return %expert, %weight, %more : !i, !f, !i
}

// Every third pair.
func.func @blocks(%l: tensor<?x5xf32>) -> (!i, !i) {
  %r = func.call @route(%l) : (tensor<?x5xf32>) -> !r
  %expert, %token, %slot, %weight = moe.pairs %r : !r -> !i, !i, !i, !f
  %n = moe.tokens %token : !i
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %blocks = arith.divui %n, %c3 : index
  %third = tensor.extract_slice %token[2] [%blocks] [3] : !i to !i
  %twice = arith.muli %blocks, %c2 : index
  %odd = arith.addi %twice, %c1 : index
  %g = tensor.generate %odd {
  ^bb0(%i: index):
    %y = arith.index_cast %i : index to i32
    tensor.yield %y : i32
  } : !i
  return %third, %g : !i, !i
}

func.func @part(%x: !x, %i: index, %j: index) -> tensor<2x2xf32> {
  %y = arith.addf %x, %x : !x
  %s = tensor.extract_slice %y[%i, %j] [2, 2] [1, 1] : !x to tensor<2x2xf32>
  %half = arith.constant dense<0.5> : tensor<2x2xf32>
  %r = arith.mulf %s, %half : tensor<2x2xf32>
  return %r : tensor<2x2xf32>
}

// Rows, a row, every second column of all rows, and what is below the last row of another.
func.func @inserted(%x: !x, %i: index, %j: index) -> (!x, !x, !x, !x) {
  %n = moe.tokens %x : !x
  %c2 = arith.constant 2 : index
  %two = tensor.extract_slice %x[0, 0] [2, 6] [1, 1] : !x to tensor<2x6xf32>
  %a = tensor.insert_slice %two into %x[%i, 0] [2, 6] [1, 1] : tensor<2x6xf32> into !x
  %row = tensor.extract_slice %x[%i, 1] [1, 5] [1, 1] : !x to tensor<5xf32>
  %b = tensor.insert_slice %row into %x[%j, 0] [1, 5] [1, 1] : tensor<5xf32> into !x
  %some = tensor.extract_slice %x[0, %i] [%n, 2] [1, 1] : !x to tensor<?x2xf32>
  %c = tensor.insert_slice %some into %x[0, 1] [%n, 2] [1, 2] : tensor<?x2xf32> into !x
  %longer = arith.addi %n, %c2 : index
  %zero = arith.constant 0.0 : f32
  %zeros = tensor.splat %zero[%longer] : !x
  %d = tensor.insert_slice %x into %zeros[2, 0] [%n, 6] [1, 1] : !x into !x
  return %a, %b, %c, %d : !x, !x, !x, !x
}

// Numbers put in one by one.
func.func @rounds(%x: !x, %k: index) -> (!x, tensor<6xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c6 = arith.constant 6 : index
  %zero = arith.constant dense<0.0> : tensor<6xf32>
  %y, %z = scf.for %j = %c0 to %c6 step %c1 iter_args(%y = %x, %z = %zero) -> (!x, tensor<6xf32>) {
    %e = tensor.extract %y[%c1, %j] : !x
    %f = tensor.extract %y[%k, %c0] : !x
    %s = arith.addf %e, %f : f32
    %y1 = tensor.insert %s into %y[%k, %j] : !x
    %z1 = tensor.insert %f into %z[%j] : tensor<6xf32>
    scf.yield %y1, %z1 : !x, tensor<6xf32>
  }
  return %y, %z : !x, tensor<6xf32>
}

// Each iteration cuts out its row and puts it elsewhere.
func.func @loop(%x: !x) -> !x {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = moe.tokens %x : !x
  %last = arith.subi %n, %c1 : index
  %y = scf.for %i = %c0 to %last step %c1 iter_args(%y = %x) -> !x {
    %i1 = arith.addi %i, %c1 : index
    %a = tensor.extract_slice %y[%i, 0] [1, 6] [1, 1] : !x to tensor<1x6xf32>
    %b = tensor.extract_slice %y[%i1, 0] [1, 6] [1, 1] : !x to tensor<1x6xf32>
    %s = arith.addf %a, %b : tensor<1x6xf32>
    %t = tensor.insert_slice %s into %y[%i1, 0] [1, 6] [1, 1] : tensor<1x6xf32> into !x
    scf.yield %t : !x
  }
  return %y : !x
}

// Experts and a router of f64 are computed in it.
func.func @wide(%x: tensor<?x5xf64>, %w: tensor<4x5xf64>, %u: tensor<4x3x5xf64>) -> (tensor<?x3xf64>, tensor<?x4xf64>) {
  %l = moe.linear %x, %w : (tensor<?x5xf64>, tensor<4x5xf64>) -> tensor<?x4xf64>
  %p = moe.softmax %l : tensor<?x4xf64>
  %r = moe.route %p top 2 : tensor<?x4xf64> -> !moe.routing<4, top 2>
  %in = moe.dispatch %x by %r : tensor<?x5xf64>, !moe.routing<4, top 2>
  %out = moe.expert by %r rows(%t = %in) each(%e = %u) : !moe.routing<4, top 2>, (tensor<?x5xf64>, tensor<4x3x5xf64>) -> tensor<?x3xf64> {
    %y = moe.linear %t, %e : (tensor<?x5xf64>, tensor<3x5xf64>) -> tensor<?x3xf64>
    %z = moe.silu %y : tensor<?x3xf64>
    moe.yield %z : tensor<?x3xf64>
  }
  %y = moe.combine %out by %r weighted : tensor<?x3xf64>, !moe.routing<4, top 2>
  %g = moe.sigmoid %l : tensor<?x4xf64>
  return %y, %g : tensor<?x3xf64>, tensor<?x4xf64>
}

// A vector is one row, also of an expert.
func.func @vectors(%x: tensor<?x8xf64>, %w: tensor<4x8xf64>) -> (tensor<4xf64>, tensor<8xf32>) {
  %s = moe.reduce sum %x over 0 : tensor<?x8xf64> -> tensor<8xf64>
  %v = moe.linear %s, %w : (tensor<8xf64>, tensor<4x8xf64>) -> tensor<4xf64>
  %c = arith.truncf %s : tensor<8xf64> to tensor<8xf32>
  %n = arith.constant dense<2.0> : tensor<8xf32>
  %i = moe.rms_norm %c, %n eps 1.0e-5 : tensor<8xf32>, tensor<8xf32>
  return %v, %i : tensor<4xf64>, tensor<8xf32>
}
func.func @means(%x: tensor<?x8xf32>, %m: !moe.scope) -> tensor<?x8xf32> {
  %w = moe.param %m "w" : tensor<4x8xf32>
  %e = moe.param %m "{expert}.e" : tensor<4x8x8xf32>
  %b = moe.param %m "{expert}.b" : tensor<4x8xf32>
  %l = moe.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x4xf32>
  %r = moe.route %l top 2 : tensor<?x4xf32> -> !moe.routing<4, top 2>
  %in = moe.dispatch %x by %r : tensor<?x8xf32>, !moe.routing<4, top 2>
  %out = moe.expert by %r rows(%t = %in) each(%u = %e, %d = %b) : !moe.routing<4, top 2>, (tensor<?x8xf32>, tensor<4x8x8xf32>, tensor<4x8xf32>) -> tensor<?x8xf32> {
    %s = moe.reduce sum %t over 0 : tensor<?x8xf32> -> tensor<8xf32>
    %v = moe.linear %s, %u, %d : (tensor<8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %f = moe.rms_norm %v, %d eps 1.0e-5 : tensor<8xf32>, tensor<8xf32>
    %y = moe.broadcast %f like %t : tensor<8xf32>, tensor<?x8xf32>
    moe.yield %y : tensor<?x8xf32>
  }
  %y = moe.combine %out by %r weighted : tensor<?x8xf32>, !moe.routing<4, top 2>
  return %y : tensor<?x8xf32>
}
