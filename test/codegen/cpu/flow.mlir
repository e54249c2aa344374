// Loops and branches over whole tensors, against the reference: what iterations hand on, loops in loops, counts and conditions
// from arguments and from computed tensors, experts and routings that go round.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so handed:0,5,40,3,1 nested:3,40,7 converge:3,40,9 tested:3,40 branch:3,40,1 alternate:3,40,5,6,2 universal:3,40,0 routed:3,40 fixed:4 twice:4,40 -- --expected_rtol=1e-4

// No iteration, many, and a step that does not go forward.
// DEFINE: %{x} = --input=3x6xf32=1,-2,3,0.5,-4,5,6,7,-8,9,0.25,1,2,3,4,-5,6,7
// RUN: moe-run %t.so --function=handed %{x} %{x} --input=i64=1 | FileCheck %s --check-prefix=NONE
// NONE: 3x6xf32=[1 -2 3 0.5 -4 5][6 7 -8 9 0.25 1][2 3 4 -5 6 7]
// NONE: 6xf32=1 1 1 1 1 1
// NONE: i64=1
// NONE: f32=0.5
// RUN: moe-interpret %s --function=alternate %{x} --input=i64=9 --output=@%t.npy
// RUN: moe-run %t.so --function=alternate %{x} --input=i64=9 --expected_output=@%t.npy --expected_rtol=1e-4
// RUN: moe-run %t.so --function=alternate %{x} --input=i64=-9223372036854775808 | FileCheck %s --check-prefix=BEFORE
// BEFORE: 3x6xf32=[1 -2 3 0.5 -4 5][6 7 -8 9 0.25 1][2 3 4 -5 6 7]
// What the last iteration left is read, recorded and replaced, after an even and an odd number of them.
// DEFINE: %{followed} = moe-run %t.so --function=followed --input=2x2xf32=2,1,3,4
// RUN: %{followed} --input=i64=0 --expected_output=2x2xf32=4,2,12,16
// RUN: %{followed} --input=i64=1 --expected_output=2x2xf32=2,1,6,8 --routing=%t.jsonl && FileCheck %s --input-file=%t.jsonl --check-prefix=FOLLOWED
// RUN: %{followed} --input=i64=2 --expected_output=2x2xf32=1,0.5,3,4
// RUN: %{followed} --input=i64=2 --expected_output=2x2xf32=2,1,6,8 --replay=%t.jsonl
// FOLLOWED: "ids": [0], "weights": [1
// FOLLOWED: "ids": [1], "weights": [2
// RUN: moe-run %t.so --function=far --input=i64=9223372036854775807 --input=i64=4611686018427387904 | FileCheck %s --check-prefix=FAR
// FAR: i64=4
// RUN: not moe-run %t.so --function=far --input=i64=5 --input=i64=0 2>&1 | FileCheck %s --check-prefix=STEP
// STEP: 'far': a loop has step 0, expected at least 1
// RUN: moe-run %t.so --function=unsigned --input=i8=1 --input=i8=-1 --input=i8=100 | FileCheck %s --check-prefix=UNSIGNED
// RUN: moe-interpret %s --function=unsigned --input=i8=1 --input=i8=-1 --input=i8=100 | FileCheck %s --check-prefix=UNSIGNED
// RUN: moe-run %t.so --function=unsigned --input=i8=1 --input=i8=-1 --input=i8=-100 | FileCheck %s --check-prefix=FORWARD
// RUN: moe-interpret %s --function=unsigned --input=i8=1 --input=i8=-1 --input=i8=-100 | FileCheck %s --check-prefix=FORWARD
// UNSIGNED: i64=3
// UNSIGNED: i8=-55
// FORWARD: i64=2
// FORWARD: i8=-99

// Every iteration ends with a barrier and counts its tasks anew; weights are packed before.
// RUN: moe-compile %s --emit=cpu --level=avx2 -o - | FileCheck %s --check-prefix=CODE
// CODE-LABEL: func.func @moe_universal_avx2
// CODE: omp.parallel
// CODE: omp.barrier
// CODE: scf.for {{.*}} iter_args
// CODE: memref.store %{{.*}} memref<?xi64>
// CODE: memref.atomic_rmw addi
// CODE-COUNT-3: omp.barrier
// CODE: scf.yield
// Numbers without a sign: -1 is the largest, and -100 goes forward.
func.func @unsigned(%begin: i8, %end: i8, %step: i8) -> (index, i8) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n, %last = scf.for unsigned %i = %begin to %end step %step iter_args(%a = %c0, %l = %step) -> (index, i8) : i8 {
    %b = arith.addi %a, %c1 : index
    scf.yield %b, %i : index, i8
  }
  return %n, %last : index, i8
}

// CODE: func.func @moe_universal_prepare
!x = tensor<?x6xf32>
!e = tensor<6xf32>

// Swapped, kept and constant tensors, and numbers, through a loop from 1 to %n by 2.
func.func @handed(%x: !x, %y: !x, %n: index) -> (!x, !x, !x, !e, index, f32, !x) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %one = arith.constant dense<1.0> : !e
  %two = arith.constant dense<2.0> : !e
  %start = arith.constant 0.5 : f32
  %a, %b, %c, %d, %i, %s, %z = scf.for %k = %c1 to %n step %c2 iter_args(%p = %x, %q = %y, %r = %x, %v = %one, %j = %c1, %f = %start, %w = %y)
      -> (!x, !x, !x, !e, index, f32, !x) {
    %sum = arith.addf %p, %q : !x
    %j1 = arith.addi %j, %k : index
    %max = moe.reduce max %sum over 0 : !x -> !e
    %m = tensor.extract %max[%c1] : !e
    %g = arith.addf %f, %m : f32
    %half = moe.map (%u = %w) : (!x) -> !x {
      %h = arith.mulf %u, %start : f32
      %l = arith.addf %h, %g : f32
      moe.yield %l : f32
    }
    scf.yield %q, %p, %r, %two, %j1, %g, %half : !x, !x, !x, !e, index, f32, !x
  }
  return %a, %b, %c, %d, %i, %s, %z : !x, !x, !x, !e, index, f32, !x
}

// A loop in a loop; the inner one runs as often as the outer one says.
func.func @nested(%x: !x, %n: i32) -> (!x, i32) {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i32
  %y, %t = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %count = %c0) -> (!x, i32) : i32 {
    %s = moe.softmax %a : !x
    %b, %many = scf.for %j = %c0 to %i step %c1 iter_args(%v = %s, %c = %count) -> (!x, i32) : i32 {
      %m = moe.reduce sum %v over 0 : !x -> !e
      %w = moe.broadcast %m like %v : !e, !x
      %u = arith.addf %w, %x : !x
      %q = moe.softmax %u : !x
      %c2 = arith.addi %c, %c1 : i32
      scf.yield %q, %c2 : !x, i32
    }
    %d = arith.addf %b, %a : !x
    scf.yield %d, %many : !x, i32
  }
  return %y, %t : !x, i32
}

// Until the largest step is small, at most %most times.
func.func @converge(%x: !x, %tolerance: f32, %most: index) -> (!x, index, f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %large = arith.constant 1.0e+30 : f32
  %y, %n, %step = scf.while (%a = %x, %i = %c0, %d = %large) : (!x, index, f32) -> (!x, index, f32) {
    %far = arith.cmpf ogt, %d, %tolerance : f32
    %more = arith.cmpi slt, %i, %most : index
    %again = arith.andi %far, %more : i1
    scf.condition(%again) %a, %i, %d : !x, index, f32
  } do {
  ^bb0(%a: !x, %i: index, %d: f32):
    %s = moe.softmax %a : !x
    %diff = arith.subf %s, %a : !x
    %dist = math.absf %diff : !x
    %rows = moe.reduce max %dist over 1 : !x -> tensor<?xf32>
    %max = moe.reduce max %rows over 0 : tensor<?xf32> -> tensor<f32>
    %m = tensor.extract %max[] : tensor<f32>
    %i1 = arith.addi %i, %c1 : index
    scf.yield %s, %i1, %m : !x, index, f32
  }
  return %y, %n, %step : !x, index, f32
}

// What is known before it is tested: the region of the test computes.
func.func @tested(%x: !x, %n: index) -> (!e, index) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %y, %z, %i = scf.while (%a = %x, %j = %c1) : (!x, index) -> (!e, !x, index) {
    %s = moe.reduce sum %a over 0 : !x -> !e
    %t = tensor.extract %s[%c2] : !e
    %b = arith.negf %a : !x
    %j1 = arith.addi %j, %c1 : index
    %more = arith.cmpi slt, %j1, %n : index
    %zero = arith.constant 1.0e+10 : f32
    %small = arith.cmpf olt, %t, %zero : f32
    %again = arith.andi %more, %small : i1
    scf.condition(%again) %s, %b, %j1 : !e, !x, index
  } do {
  ^bb0(%s: !e, %b: !x, %j: index):
    %w = moe.broadcast %s like %b : !e, !x
    %c = arith.addf %b, %w : !x
    scf.yield %c, %j : !x, index
  }
  return %y, %i : !e, index
}

func.func @branch(%x: !x, %flag: i1, %n: index) -> (!x, index, !x, f32) {
  %c1 = arith.constant 1 : index
  %max = moe.reduce max %x over 0 : !x -> !e
  %m = tensor.extract %max[%c1] : !e
  %zero = arith.constant 0.0 : f32
  %y, %i = scf.if %flag -> (!x, index) {
    %s = moe.softmax %x : !x
    %t = arith.addf %s, %x : !x
    scf.yield %t, %n : !x, index
  } else {
    scf.yield %x, %c1 : !x, index
  }
  %positive = arith.cmpf ogt, %m, %zero : f32
  %z, %f = scf.if %positive -> (!x, f32) {
    %r = arith.subf %x, %y : !x
    scf.yield %r, %m : !x, f32
  } else {
    %s = moe.softmax %y over 0 : !x
    %e = math.exp %m : f32
    scf.yield %s, %e : !x, f32
  }
  return %y, %i, %z, %f : !x, index, !x, f32
}

// Alternately one thing and another, an odd number of times.
func.func @alternate(%x: !x, %n: index) -> !x {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> !x {
    %r = arith.remui %i, %c2 : index
    %odd = arith.cmpi eq, %r, %c1 : index
    %b = scf.if %odd -> !x {
      %s = moe.softmax %a over 0 : !x
      %d = scf.for %j = %c0 to %i step %c1 iter_args(%v = %s) -> !x {
        %w = arith.addf %v, %a : !x
        scf.yield %w : !x
      }
      scf.yield %d : !x
    } else {
      %s = moe.softmax %a : !x
      %m = moe.reduce sum %s over 0 : !x -> !e
      %w = moe.broadcast %m like %s : !e, !x
      %d = arith.subf %s, %w : !x
      scf.yield %d : !x
    }
    scf.yield %b : !x
  }
  return %y : !x
}

// One layer of experts, again and again: the weights are packed once.
!r = !moe.routing<4, top 2>
func.func @universal(%x: !x, %n: index, %m: !moe.scope) -> (!x, tensor<?x2xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ids = arith.constant dense<0> : tensor<2xi32>
  %t = moe.tokens %x : !x
  %e = tensor.empty(%t) : tensor<?x2xi32>
  %none = moe.broadcast %ids like %e : tensor<2xi32>, tensor<?x2xi32>
  %y, %last = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %none) -> (!x, tensor<?x2xi32>) {
    %w = moe.param %m "router" : tensor<4x6xf32>
    %up = moe.param %m "{expert}.up" : tensor<4x9x6xf32>
    %down = moe.param %m "{expert}.down" : tensor<4x6x9xf32>
    %l = moe.linear %a, %w : (!x, tensor<4x6xf32>) -> tensor<?x4xf32>
    %g = moe.route %l top 2 : tensor<?x4xf32> -> !r
    %r = moe.normalize %g by softmax : !r
    %in = moe.dispatch %a by %r : !x, !r
    %out = moe.expert by %r rows(%v = %in) each(%u = %up, %d = %down) : !r, (!x, tensor<4x9x6xf32>, tensor<4x6x9xf32>) -> !x {
      %h = moe.linear %v, %u : (!x, tensor<9x6xf32>) -> tensor<?x9xf32>
      %s = moe.silu %h : tensor<?x9xf32>
      %f = moe.linear %s, %d : (tensor<?x9xf32>, tensor<6x9xf32>) -> !x
      moe.yield %f : !x
    }
    %c = moe.combine %out by %r weighted : !x, !r
    %sum = arith.addf %c, %a : !x
    %scale = moe.softmax %sum : !x
    %chosen = moe.indices %r : !r -> tensor<?x2xi32>
    scf.yield %scale, %chosen : !x, tensor<?x2xi32>
  }
  return %y, %last : !x, tensor<?x2xi32>
}

// A routing itself goes round: its weights are halved every time.
func.func @routed(%x: !x, %n: index, %m: !moe.scope) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %half = arith.constant 0.5 : f32
  %w = moe.param %m "router" : tensor<4x6xf32>
  %l = moe.linear %x, %w : (!x, tensor<4x6xf32>) -> tensor<?x4xf32>
  %g = moe.route %l top 2 : tensor<?x4xf32> -> !r
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%r = %g) -> !r {
    %s = moe.scale %r by %half : !r, f32
    scf.yield %s : !r
  }
  %v = moe.weights %y : !r -> tensor<?x2xf32>
  %i = moe.indices %y : !r -> tensor<?x2xi32>
  return %v, %i : tensor<?x2xf32>, tensor<?x2xi32>
}

// One that tokens then follow.
func.func @followed(%x: tensor<?x2xf32>, %n: index) -> tensor<?x2xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %g = moe.route %x top 1 : tensor<?x2xf32> -> !moe.routing<2, top 1>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %g) -> !moe.routing<2, top 1> {
    %s = moe.scale %a by 0.5 : !moe.routing<2, top 1>
    scf.yield %s : !moe.routing<2, top 1>
  }
  %in = moe.dispatch %x by %r : tensor<?x2xf32>, !moe.routing<2, top 1>
  %y = moe.combine %in by %r weighted : tensor<?x2xf32>, !moe.routing<2, top 1>
  return %y : tensor<?x2xf32>
}

// Rows that a body makes fixed, and a branch that makes nothing.
func.func @fixed(%x: !x, %n: index) -> (tensor<4x6xf32>, !x) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %k = arith.constant dense<0.25> : tensor<4x6xf32>
  %y, %z = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %k, %b = %x) -> (tensor<4x6xf32>, !x) {
    %d = tensor.cast %a : tensor<4x6xf32> to !x
    %s = arith.addf %d, %b : !x
    %t = tensor.cast %s : !x to tensor<4x6xf32>
    %e = moe.softmax %t over 0 : tensor<4x6xf32>
    %f = linalg.transpose ins(%e : tensor<4x6xf32>) outs(%k : tensor<4x6xf32>) permutation = [0, 1]
    scf.yield %f, %s : tensor<4x6xf32>, !x
  }
  return %y, %z : tensor<4x6xf32>, !x
}

// One value yielded twice, also as a view of itself; and the same input twice.
func.func @twice(%x: !x, %n: index) -> (!x, !x, tensor<?x2x3xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %t = moe.tokens %x : !x
  %v = tensor.expand_shape %x [[0], [1, 2]] output_shape [%t, 2, 3] : !x into tensor<?x2x3xf32>
  %a, %b, %c = scf.for %i = %c0 to %n step %c1 iter_args(%p = %x, %q = %x, %r = %v) -> (!x, !x, tensor<?x2x3xf32>) {
    %s = moe.softmax %q : !x
    %w = tensor.collapse_shape %r [[0], [1, 2]] : tensor<?x2x3xf32> into !x
    %y = arith.addf %s, %w : !x
    %u = tensor.expand_shape %y [[0], [1, 2]] output_shape [%t, 2, 3] : !x into tensor<?x2x3xf32>
    scf.yield %y, %y, %u : !x, !x, tensor<?x2x3xf32>
  }
  return %a, %b, %c : !x, !x, tensor<?x2x3xf32>
}

// Iterations are counted without passing the largest integer.
func.func @far(%n: index, %step: index) -> index {
  %least = arith.constant -9223372036854775808 : index
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %low = arith.minsi %c0, %least : index
  %r = scf.for %i = %low to %n step %step iter_args(%a = %c0) -> index {
    %b = arith.addi %a, %c1 : index
    scf.yield %b : index
  }
  return %r : index
}
