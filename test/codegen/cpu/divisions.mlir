// Integers of rows divided by 0 are an error that names the dividend, and the smallest one divided by -1 is itself; neither is a trap.
// RUN: moe-compile %s --level=avx2 -o %t.so
// DEFINE: %{run} = moe-run %t.so --level=avx2
// DEFINE: %{good} = --input=3xi32=7,-2147483648,-9 --input=3xi32=2,-1,4
// RUN: %if avx2 %{ %{run} --function=elements %{good} --expected_output=3xi32=3,-2147483648,-2 --expected_output=3xi32=1,-2147483648,3 %}
// RUN: %if avx2 %{ %{run} --function=map %{good} --expected_output=3xi32=1,0,-1 %}
// RUN: %if avx2 %{ %{run} --function=nest %{good} --expected_output=3xi32=3,-2147483648,-3 %}
// RUN: %if avx2 %{ %{run} --function=product --input=2x2xf32=1,2,3,4 --input=2x3xi32=12,13,14,15,16,17 --expected_output=2x3xi32=4,4,4,2,2,2 %}
// RUN: %if avx2 %{ not %{run} --function=elements --input=3xi32=7,8,9 --input=3xi32=2,0,4 2>&1 | FileCheck %s --check-prefix=ZERO %}
// RUN: %if avx2 %{ not %{run} --function=map --input=3xi32=7,8,9 --input=3xi32=2,0,4 2>&1 | FileCheck %s --check-prefix=ZERO %}
// RUN: %if avx2 %{ not %{run} --function=nest --input=3xi32=7,8,9 --input=3xi32=2,0,4 2>&1 | FileCheck %s --check-prefix=ZERO %}
// ZERO: moe-run: '{{elements|map|nest}}': divides 8 by 0
!i = tensor<?xi32>
!p = tensor<?x3xi32>

func.func @elements(%a: !i, %b: !i) -> (!i, !i) {
  %q = arith.divsi %a, %b : !i
  %r = arith.remui %a, %b : !i
  return %q, %r : !i, !i
}

func.func @map(%a: !i, %b: !i) -> !i {
  %y = moe.map (%u = %a, %v = %b) : (!i, !i) -> !i {
    %r = arith.remsi %u, %v : i32
    moe.yield %r : i32
  }
  return %y : !i
}

func.func @nest(%a: !i, %b: !i) -> !i {
  %y = linalg.generic {indexing_maps = [affine_map<(t) -> (t)>, affine_map<(t) -> (t)>, affine_map<(t) -> (t)>], iterator_types = ["parallel"]}
      ins(%a, %b : !i, !i) outs(%a : !i) {
  ^bb0(%u: i32, %v: i32, %o: i32):
    %q = arith.floordivsi %u, %v : i32
    linalg.yield %q : i32
  } -> !i
  return %y : !i
}

// A product has lanes beyond its last column, which divide by nothing.
func.func @product(%x: tensor<?x2xf32>, %a: !p) -> !p {
  %w = arith.constant dense<1.0> : tensor<3x2xf32>
  %l = moe.linear %x, %w : (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x3xf32>
  %y = moe.map (%u = %a, %v = %l) : (!p, tensor<?x3xf32>) -> !p {
    %i = arith.fptosi %v : f32 to i32
    %q = arith.divsi %u, %i : i32
    moe.yield %q : i32
  }
  return %y : !p
}
