// Numbers as arguments and results, sizes and capacities, elements of computed tensors, against the reference; errors while running.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so numbers:0,3 floats:1 elements:5,33 capacities:3,50 inside:20
// RUN: moe-run %t.so --list | FileCheck %s --check-prefix=LIST
// LIST: numbers(d0x6xf32, i64, f32, i1, i32) -> (d0x6xf32, d0x6xf32, d0x6xf32, i64, f32, i32, i1, i64)

// DEFINE: %{wrong} = not moe-run %t.so
// RUN: %{wrong} --function=numbers --input=0x6xf32 --input=1xi64=0 --input=f32 --input=i1 --input=i32 2>&1 | FileCheck %s --check-prefix=RANK
// RANK: input 1 of 'numbers' is 1xi64, wanted i64
// RUN: %{wrong} --function=numbers --input=2x6xf32 --input=i64=0 --input=f32 --input=i1 --input=i32 2>&1 | FileCheck %s --check-prefix=ZERO
// ZERO: 'numbers': divides 2 by 0
// RUN: %{wrong} --function=elements --input=2x6xf32 --input=i64=2 --input=i64=1 2>&1 | FileCheck %s --check-prefix=ROW
// ROW: 'elements': index 2 is outside [0, 2)
// RUN: %{wrong} --function=elements --input=0x6xf32 --input=i64=0 --input=i64=1 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: 'elements': index 0 is outside [0, 0)
// RUN: %{wrong} --function=elements --input=2x6xf32 --input=i64=1 --input=i64=-1 2>&1 | FileCheck %s --check-prefix=COLUMN
// COLUMN: 'elements': index -1 is outside [0, 6)
// RUN: %{wrong} --function=capacities --input=0x6xf32 --input=0xi32 --input=i64=0 2>&1 | FileCheck %s --check-prefix=CAPACITY
// CAPACITY: 'capacities': capacity of 0 tokens is 0, expected 1 or more
// RUN: %{wrong} --function=some --input=2xi32=4,0 2>&1 | FileCheck %s --check-prefix=SOME
// SOME: 'some': capacity of 0 tokens is 0, expected 1 or more
// RUN: moe-run %t.so --function=extreme --input=i64=-9223372036854775808 --input=i64=-1 --input=i64=9223372036854775807 --input=3xi32=-2147483648,0,2147483647 | FileCheck %s --check-prefix=EXTREME
// RUN: moe-interpret %s --function=extreme --input=i64=-9223372036854775808 --input=i64=-1 --input=i64=9223372036854775807 --input=3xi32=-2147483648,0,2147483647 | FileCheck %s --check-prefix=EXTREME
// EXTREME: i64=-9223372036854775808
// EXTREME-NEXT: i64=0
// EXTREME-NEXT: i64=4611686018427387904
// EXTREME-NEXT: i64=9223372036854775807
// EXTREME-NEXT: i64=9223372036854775807
// EXTREME-NEXT: 3xi32=-2147483648 0 2147483647

// Numbers that depend on arguments alone are computed before the threads start, those of computed tensors behind a barrier.
// RUN: moe-compile %s --emit=cpu --level=avx2 -o - | FileCheck %s --check-prefix=CODE
// CODE-LABEL: func.func @moe_numbers_avx2
// CODE: arith.divsi
// CODE: omp.parallel
// CODE-LABEL: func.func @moe_elements_avx2
// CODE: omp.parallel
// CODE: vector.reduction <maximumf>
// CODE: omp.barrier
// CODE: %[[ELEMENT:.*]] = scf.if
// CODE: scf.while
// CODE: arith.subf
!x = tensor<?x6xf32>
!i = tensor<?xi32>

func.func @numbers(%x: !x, %n: index, %s: f32, %b: i1, %k: i32) -> (!x, !x, !x, index, f32, i32, i1, index) {
  %spread = moe.broadcast %s like %x : f32, !x
  %y = moe.map (%a = %x) : (!x) -> !x {
    %m = arith.mulf %a, %s : f32
    moe.yield %m : f32
  }
  %z = arith.select %b, %x, %y : !x
  %t = moe.tokens %x : !x
  %sum = arith.addi %t, %n : index
  %part = arith.divsi %sum, %n : index
  %e = math.exp %s : f32
  %act = moe.silu %e : f32
  %i = arith.index_cast %n : index to i32
  %j = arith.muli %i, %k : i32
  %less = arith.cmpi slt, %j, %k : i32
  return %spread, %y, %z, %sum, %act, %j, %less, %part : !x, !x, !x, index, f32, i32, i1, index
}

func.func @floats(%x: tensor<?xbf16>, %a: f64, %b: bf16, %c: f16, %d: i8) -> (f64, bf16, f16, i8, tensor<?xbf16>, tensor<2x2xf64>) {
  %two = arith.constant 2.0 : f64
  %a2 = arith.mulf %a, %two : f64
  %b2 = arith.addf %b, %b : bf16
  %c2 = arith.addf %c, %c : f16
  %d2 = arith.addi %d, %d : i8
  %n = moe.tokens %x : tensor<?xbf16>
  %s = tensor.splat %b2[%n] : tensor<?xbf16>
  %y = arith.addf %x, %s : tensor<?xbf16>
  %f = tensor.from_elements %a, %a2, %two, %a : tensor<2x2xf64>
  return %a2, %b2, %c2, %d2, %y, %f : f64, bf16, f16, i8, tensor<?xbf16>, tensor<2x2xf64>
}

func.func @elements(%x: !x, %r: index, %c: index) -> (f32, !x, f32, tensor<2xf32>, tensor<f32>, tensor<f32>) {
  %c2 = arith.constant 2 : index
  %l = moe.softmax %x : !x
  %e = tensor.extract %l[%r, %c] : !x
  %m = moe.reduce max %l over 0 : !x -> tensor<6xf32>
  %m1 = tensor.extract %m[%c2] : tensor<6xf32>
  %mean = arith.addf %m1, %e : f32
  %y = moe.map (%a = %l) : (!x) -> !x {
    %s = arith.subf %a, %mean : f32
    moe.yield %s : f32
  }
  %total = moe.reduce sum %m over 0 : tensor<6xf32> -> tensor<f32>
  %t = tensor.extract %total[] : tensor<f32>
  %exp = math.exp %t : f32
  %f = tensor.from_elements %exp, %mean : tensor<2xf32>
  %g = tensor.from_elements %t : tensor<f32>
  %view = linalg.transpose ins(%f : tensor<2xf32>) outs(%f : tensor<2xf32>) permutation = [0]
  %c1 = arith.constant 1 : index
  %v = tensor.extract %view[%c1] : tensor<2xf32>
  %h = tensor.from_elements %v : tensor<f32>
  return %e, %y, %t, %f, %g, %h : f32, !x, f32, tensor<2xf32>, tensor<f32>, tensor<f32>
}

func.func @capacities(%x: !x, %n: !i, %p: index) -> (index, index, index, index, index, index, index, index, index, !i, !i, f32) {
  %t0 = moe.tokens %x : !x
  %t = arith.addi %t0, %p : index
  %a = moe.capacity %t by mesh factor 1.25 experts 8 minimum 4 : index
  %b = moe.capacity %t by flaxformer factor 1.25 experts 8 minimum 4 : index
  %c = moe.capacity %t by megablocks factor 1.25 experts 8 choices 2 : index
  %d = moe.capacity %t by deepspeed factor 1.25 experts 8 choices 2 minimum 4 : index
  %e = moe.capacity %t by megatron factor 1.1 experts 8 choices 2 : index
  %f = moe.capacity %t by tutel factor 1.3 experts 8 choices 2 : index
  %g = moe.capacity %t by vmoe factor 1.3 experts 8 choices 2 multiple 4 : index
  %h = moe.capacity %t by vmoe_expert_choice factor 1.3 experts 8 multiple 3 : index
  %i = moe.capacity %t by soft_moe factor 1.7 experts 2 : index
  %j = moe.capacity %n by megatron factor 1.3 experts 8 choices 2 : !i
  %k = moe.capacity %n by flaxformer factor 1.1 experts 8 minimum 1 : !i
  %int = arith.index_cast %a : index to i64
  %share = arith.sitofp %int : i64 to f32
  return %a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %share : index, index, index, index, index, index, index, index, index, !i, !i, f32
}

func.func @some(%n: tensor<2xi32>) -> tensor<2xi32> {
  %c = moe.capacity %n by vmoe_expert_choice factor 1.0 experts 4 multiple 4 : tensor<2xi32>
  return %c : tensor<2xi32>
}

// The smallest integer divided by -1 is itself; capacities that no integer holds are the largest.
func.func @extreme(%a: index, %b: index, %n: index, %m: tensor<3xi32>) -> (index, index, index, index, index, tensor<3xi32>) {
  %q = arith.divsi %a, %b : index
  %r = arith.remsi %a, %b : index
  %c = moe.capacity %n by megablocks factor 1.0e+300 experts 8 choices 2 : index
  %d = moe.capacity %n by tutel factor 1.0e+300 experts 8 choices 3 : index
  %e = moe.capacity %n by vmoe factor 1.0e+300 experts 1 choices 1 multiple 9223372036854775807 : index
  %f = moe.capacity %m by megablocks factor 1.0e+300 experts 8 choices 2 : tensor<3xi32>
  return %q, %r, %c, %d, %e, %f : index, index, index, index, index, tensor<3xi32>
}

// Numbers inside a loop over groups: sizes of the group, and elements of what its body computes.
!r = !moe.routing<3, top 2>
func.func @inside(%x: !x, %s: f32, %m: !moe.scope) -> !x {
  %w = moe.param %m "router" : tensor<3x6xf32>
  %l = moe.linear %x, %w : (!x, tensor<3x6xf32>) -> tensor<?x3xf32>
  %g = moe.route %l top 2 : tensor<?x3xf32> -> !r
  %in = moe.dispatch %x by %g : !x, !r
  %out = moe.expert by %g rows(%t = %in) : !r, (!x) -> !x {
    %n = moe.tokens %t : !x
    %i = arith.index_cast %n : index to i32
    %f = arith.sitofp %i : i32 to f32
    %sum = moe.reduce sum %t over 0 : !x -> tensor<6xf32>
    %c3 = arith.constant 3 : index
    %third = tensor.extract %sum[%c3] : tensor<6xf32>
    %y = moe.map (%a = %t) : (!x) -> !x {
      %b = arith.addf %a, %third : f32
      %c = arith.mulf %b, %f : f32
      %d = arith.mulf %c, %s : f32
      moe.yield %d : f32
    }
    moe.yield %y : !x
  }
  %y = moe.combine %out by %g unweighted : !x, !r
  return %y : !x
}
