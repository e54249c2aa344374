// RUN: moe-opt --split-input-file --moe-hoist-params %s | FileCheck %s
!x = tensor<?x6xf32>

// One step for each packed weight, views included; the narrowing is the packing's, the widening nobody's.
// CHECK-LABEL: func.func @f_prepare0(
// CHECK-SAME:    %[[B:.*]]: tensor<12xf32> {moe.param = "b"}) -> tensor<6xf32> attributes {moe.prepare_of = "f", moe.step = 0 : i64}
// CHECK-NEXT:    %[[S:.*]] = tensor.extract_slice %[[B]][0] [6] [2]
// CHECK-NEXT:    return %[[S]]
// CHECK-LABEL: func.func @f_prepare1(
// CHECK-SAME:    %[[W:.*]]: tensor<12x6xf32> {moe.param = "w"}) -> !grouped.packed<1x6x6xbf16, 1>
// CHECK-NEXT:    %[[T:.*]] = tensor.extract_slice %[[W]][6, 0] [6, 6] [1, 1] : tensor<12x6xf32> to tensor<6x6xf32>
// CHECK-NEXT:    %[[P:.*]] = grouped.pack %[[T]] : tensor<6x6xf32> -> !grouped.packed<1x6x6xbf16, 1>
// CHECK-NEXT:    return %[[P]]
// CHECK-LABEL: func.func @f_prepare2(
// CHECK-SAME:    %[[V:.*]]: tensor<6x6xbf16> {moe.param = "v"}) -> !grouped.packed<1x6x6xbf16, 1>
// CHECK-NEXT:    grouped.pack %[[V]] : tensor<6x6xbf16> -> !grouped.packed<1x6x6xbf16, 1>
// Inputs, params as stored, results of steps.
// CHECK-LABEL: func.func @f(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: tensor<?x6xf32>, %[[N:[a-z0-9]*]]: tensor<6xbf16> {moe.param = "n"},
// CHECK-SAME:    %[[C0:[a-z0-9]*]]: tensor<6xf32> {moe.result = 0 : i64, moe.step = 0 : i64},
// CHECK-SAME:    %[[C1:[a-z0-9]*]]: !grouped.packed<1x6x6xbf16, 1> {moe.result = 0 : i64, moe.step = 1 : i64},
// CHECK-SAME:    %[[C2:[a-z0-9]*]]: !grouped.packed<1x6x6xbf16, 1> {moe.result = 0 : i64, moe.step = 2 : i64})
// CHECK-NEXT:    grouped.matmul %[[X]] weights %[[C1]] with(%[[C0]])
// CHECK:         grouped.matmul %{{.*}} weights %[[C2]] with(%[[N]])
func.func @f(%x: !x, %w: tensor<12x6xf32> {moe.param = "w"}, %v: tensor<6x6xbf16> {moe.param = "v"},
             %b: tensor<12xf32> {moe.param = "b"}, %n: tensor<6xbf16> {moe.param = "n"}) -> !x {
  %c = tensor.extract_slice %b[0] [6] [2] : tensor<12xf32> to tensor<6xf32>
  %t = arith.truncf %w : tensor<12x6xf32> to tensor<12x6xbf16>
  %s = tensor.extract_slice %t[6, 0] [6, 6] [1, 1] : tensor<12x6xbf16> to tensor<6x6xbf16>
  %p0 = grouped.pack %s : tensor<6x6xbf16> -> !grouped.packed<1x6x6xbf16, 1>
  %m0 = grouped.matmul %x weights %p0 with(%c) : (!x, !grouped.packed<1x6x6xbf16, 1>, tensor<6xf32>) -> !x {
  ^bb0(%a: f32, %d: f32):
    %e = arith.addf %a, %d : f32
    grouped.yield rows(%e : f32)
  }
  %u = arith.extf %v : tensor<6x6xbf16> to tensor<6x6xf32>
  %p1 = grouped.pack %u : tensor<6x6xf32> -> !grouped.packed<1x6x6xf32, 1>
  %m1 = grouped.matmul %m0 weights %p1 with(%n) : (!x, !grouped.packed<1x6x6xf32, 1>, tensor<6xbf16>) -> !x {
  ^bb0(%a: f32, %d: bf16):
    %g = arith.extf %d : bf16 to f32
    %e = arith.addf %a, %g : f32
    grouped.yield rows(%e : f32)
  }
  return %m1 : !x
}

// -----
!x = tensor<?x6xf32>
// A widened tensor that is not packed would only take more memory.
// CHECK-NOT:   prepare
// CHECK-LABEL: func.func @not_when_it_grows(
// CHECK-SAME:    tensor<6xbf16> {moe.param = "b"})
// CHECK-NEXT:    arith.extf
func.func @not_when_it_grows(%x: !x, %b: tensor<6xbf16> {moe.param = "b"}) -> !x {
  %w = arith.extf %b : tensor<6xbf16> to tensor<6xf32>
  %y = moe.rms_norm %x, %w eps 1.0e-5 : !x, tensor<6xf32>
  return %y : !x
}

// -----
// CHECK-NOT:   prepare
// CHECK-LABEL: func.func @not_what_depends_on_inputs(
// CHECK:         grouped.pack
func.func @not_what_depends_on_inputs(%x: tensor<?x6xf32>, %w: tensor<6x6xf32>) -> tensor<?x6xf32> {
  %p = grouped.pack %w : tensor<6x6xf32> -> !grouped.packed<1x6x6xf32, 1>
  %m = grouped.matmul %x weights %p : (tensor<?x6xf32>, !grouped.packed<1x6x6xf32, 1>) -> tensor<?x6xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %m : tensor<?x6xf32>
}

// -----
// Indices have a size, too: twice that of an i32.
// CHECK-NOT:   prepare
// CHECK-LABEL: func.func @not_indices(
// CHECK:         arith.index_cast
func.func @not_indices(%i: tensor<8xi32> {moe.param = "i"}) -> tensor<8xi1> {
  %j = arith.index_cast %i : tensor<8xi32> to tensor<8xindex>
  %n = arith.constant dense<[0, 1, 2, 3, 4, 5, 6, 7]> : tensor<8xindex>
  %b = arith.cmpi ult, %n, %j : tensor<8xindex>
  return %b : tensor<8xi1>
}

// -----

// What depends on params alone leaves loops and branches; what depends on the iteration stays.
// CHECK-LABEL: func.func @round_prepare0(
// CHECK:         grouped.pack
// CHECK-LABEL: func.func @round(
// CHECK-NOT:     grouped.pack %
// CHECK:         scf.for
// CHECK:           grouped.matmul
// CHECK:           scf.if
// CHECK:             arith.mulf
func.func @round(%x: tensor<?x6xf32>, %n: index, %c: i1, %w: tensor<6x6xf32> {moe.param = "w"}) -> tensor<?x6xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<?x6xf32> {
    %b = scf.if %c -> tensor<?x6xf32> {
      %p = grouped.pack %w : tensor<6x6xf32> -> !grouped.packed<1x6x6xf32, 1>
      %m = grouped.matmul %a weights %p : (tensor<?x6xf32>, !grouped.packed<1x6x6xf32, 1>) -> tensor<?x6xf32> {
      ^bb0(%d: f32):
        grouped.yield rows(%d : f32)
      }
      scf.yield %m : tensor<?x6xf32>
    } else {
      scf.yield %a : tensor<?x6xf32>
    }
    %d = scf.if %c -> tensor<?x6xf32> {
      %e = arith.mulf %b, %a : tensor<?x6xf32>
      scf.yield %e : tensor<?x6xf32>
    } else {
      scf.yield %b : tensor<?x6xf32>
    }
    scf.yield %d : tensor<?x6xf32>
  }
  return %y : tensor<?x6xf32>
}

// -----
// A step makes tensors: a number, here of a param's rows, stays, and may stand inside of a step.
// CHECK-LABEL: func.func @not_numbers_prepare0(
// CHECK:         tensor.extract
// CHECK:         grouped.pack
// CHECK-NOT:   prepare1
// CHECK-LABEL: func.func @not_numbers(
// CHECK:         tensor.extract
func.func @not_numbers(%x: tensor<?x6xf32>, %w: tensor<6x6xf32> {moe.param = "w"}, %s: tensor<1xf32> {moe.param = "s"}) -> (tensor<?x6xf32>, f32) {
  %zero = arith.constant 0 : index
  %f = tensor.extract %s[%zero] : tensor<1xf32>
  %b = moe.broadcast %f like %w : f32, tensor<6x6xf32>
  %v = arith.mulf %w, %b : tensor<6x6xf32>
  %p = grouped.pack %v : tensor<6x6xf32> -> !grouped.packed<1x6x6xf32, 1>
  %m = grouped.matmul %x weights %p : (tensor<?x6xf32>, !grouped.packed<1x6x6xf32, 1>) -> tensor<?x6xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %m, %f : tensor<?x6xf32>, f32
}

// -----
// Another function has the name of a step.
// CHECK-LABEL: func.func @named_prepare0_0(
// CHECK-SAME:    moe.prepare_of = "named", moe.step = 0
// CHECK-LABEL: func.func @named(
// CHECK-LABEL: func.func @named_prepare0(
func.func @named(%x: tensor<?x6xf32>, %w: tensor<6x6xf32> {moe.param = "w"}) -> tensor<?x6xf32> {
  %p = grouped.pack %w : tensor<6x6xf32> -> !grouped.packed<1x6x6xf32, 1>
  %m = grouped.matmul %x weights %p : (tensor<?x6xf32>, !grouped.packed<1x6x6xf32, 1>) -> tensor<?x6xf32> {
  ^bb0(%a: f32):
    grouped.yield rows(%a : f32)
  }
  return %m : tensor<?x6xf32>
}
func.func @named_prepare0(%x: tensor<?x6xf32>) -> tensor<?x6xf32> {
  return %x : tensor<?x6xf32>
}
