// CPU code of rotary positions and of attention against the reference: head counts, widths that end inside a vector, masks, types.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so rope:0,1,37 -- --expected_atol=1e-6 --expected_rtol=0
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so rope_bf16:1,37 -- --expected_atol=1e-6 --expected_rtol=0.00391
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so full:0,1,3,150 masks:0,1,9,150 experts:0,1,9,150 -- --expected_atol=1e-6 --expected_rtol=1e-6
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so block:0,1,70 -- --expected_atol=5e-5 --expected_rtol=1e-6
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so narrow:0,1,37,150 -- --expected_atol=1e-6 --expected_rtol=0.00391
// DEFINE: %{special} = --function=special --input=7x1x1xf32=1,1,1,1,1,1,1 --input=7xi32=0,1,2,3,4,5,6
// RUN: moe-interpret %s %{special} | FileCheck %s --check-prefix=SPECIAL
// RUN: moe-run %t.so --level=avx2 %{special} | FileCheck %s --check-prefix=SPECIAL
// SPECIAL: {{^7x1x1xf[0-9]+=\[\[-?nan\]\]\[\[7\]\]\[\[-?nan\]\]\[\[-?nan\]\]\[\[0\]\]\[\[-?nan\]\]\[\[1\.37754[0-9]+\]\]$}}
!i = tensor<?xi32>

// Positions of any size and sign; widths that end inside a vector; columns that stay.
func.func @rope(%a: tensor<?x3x32xf32>, %b: tensor<?x22xf32>, %p: !i, %f: tensor<5xf32>)
    -> (tensor<?x3x32xf32>, tensor<?x22xf32>, tensor<?x22xf32>, tensor<?x3x32xf32>) {
  %large = moe.map (%n = %p) : (!i) -> !i {
    %k = arith.constant 715827 : i32
    %m = arith.muli %n, %k : i32
    %l = arith.constant 700000 : i32
    %d = arith.subi %m, %l : i32
    moe.yield %d : i32
  }
  %f16 = moe.rope_frequencies {dim = 32, theta = 5.0e5, factor = 8.0, low = 1.0, high = 4.0, original = 8192} : tensor<16xf32>
  %f1 = moe.rope_frequencies {dim = 2, theta = 1.0e4, factor = 2.0} : tensor<1xf32>
  %v = moe.rope %a at %large by %f16 pairs half : tensor<?x3x32xf32>, !i, tensor<16xf32>
  %w = moe.rope %b at %large by %f pairs interleaved : tensor<?x22xf32>, !i, tensor<5xf32>
  %y = moe.rope %b at %large by %f1 pairs half : tensor<?x22xf32>, !i, tensor<1xf32>
  %z = moe.rope %a at %large by %f16 pairs interleaved : tensor<?x3x32xf32>, !i, tensor<16xf32>
  return %v, %w, %y, %z : tensor<?x3x32xf32>, tensor<?x22xf32>, tensor<?x22xf32>, tensor<?x3x32xf32>
}

// A result is rounded once, by up to 2^-8 of itself.
func.func @rope_bf16(%c: tensor<?x2x10xbf16>, %p: !i, %f: tensor<5xf32>) -> tensor<?x2x10xbf16> {
  %x = moe.rope %c at %p by %f pairs half : tensor<?x2x10xbf16>, !i, tensor<5xf32>
  return %x : tensor<?x2x10xbf16>
}

// Everyone sees everyone; one head, then two heads for each of three keys, and a value of another width.
func.func @full(%q: tensor<?x1x8xf32>, %k: tensor<?x1x8xf32>, %v: tensor<?x1x8xf32>,
                %q6: tensor<?x6x13xf32>, %k3: tensor<?x3x13xf32>, %v3: tensor<?x3x85xf32>) -> (tensor<?x1x8xf32>, tensor<?x6x85xf32>) {
  %a = moe.attention %q, %k, %v {scale = 0.35} : (tensor<?x1x8xf32>, tensor<?x1x8xf32>, tensor<?x1x8xf32>) -> tensor<?x1x8xf32>
  %b = moe.attention %q6, %k3, %v3 {scale = -0.25} : (tensor<?x6x13xf32>, tensor<?x3x13xf32>, tensor<?x3x85xf32>) -> tensor<?x6x85xf32>
  return %a, %b : tensor<?x1x8xf32>, tensor<?x6x85xf32>
}

// Segments alone, positions in any order, a window; some rows see nothing.
func.func @masks(%q: tensor<?x2x5xf32>, %k: tensor<?x2x5xf32>, %s: !i, %t: !i, %p: !i, %n: !i)
    -> (tensor<?x2x5xf32>, tensor<?x2x5xf32>, tensor<?x2x5xf32>) {
  %a = moe.attention %q, %k, %k segments(%s, %t) {scale = 0.5}
      : (tensor<?x2x5xf32>, tensor<?x2x5xf32>, tensor<?x2x5xf32>, !i, !i) -> tensor<?x2x5xf32>
  %b = moe.attention %q, %k, %k segments(%s, %t) positions(%p, %n) {causal, scale = 0.5}
      : (tensor<?x2x5xf32>, tensor<?x2x5xf32>, tensor<?x2x5xf32>, !i, !i, !i, !i) -> tensor<?x2x5xf32>
  %c = moe.attention %q, %k, %k positions(%p, %n) {scale = 0.5, window = 1 : i64}
      : (tensor<?x2x5xf32>, tensor<?x2x5xf32>, tensor<?x2x5xf32>, !i, !i) -> tensor<?x2x5xf32>
  return %a, %b, %c : tensor<?x2x5xf32>, tensor<?x2x5xf32>, tensor<?x2x5xf32>
}

// Sums are f32, and one rounding of the result remains.
func.func @narrow(%q: tensor<?x4x16xbf16>, %k: tensor<?x2x16xbf16>, %v: tensor<?x2x16xf16>, %p: !i) -> tensor<?x4x16xbf16> {
  %a = moe.attention %q, %k, %v positions(%p, %p) {causal, scale = 0.25, window = 2 : i64}
      : (tensor<?x4x16xbf16>, tensor<?x2x16xbf16>, tensor<?x2x16xf16>, !i, !i) -> tensor<?x4x16xbf16>
  return %a : tensor<?x4x16xbf16>
}

// A whole block: products of three matmuls, positions, attention, and a product of what it gives.
func.func @block(%x: tensor<?x24xf32>, %p: !i, %m: !moe.scope) -> tensor<?x24xf32> {
  %wq = moe.param %m "q" : tensor<32x24xf32>
  %wk = moe.param %m "k" : tensor<16x24xf32>
  %wv = moe.param %m "v" : tensor<16x24xf32>
  %wo = moe.param %m "o" : tensor<24x32xf32>
  %f = moe.rope_frequencies {dim = 8, theta = 1.0e4} : tensor<4xf32>
  %q0 = moe.linear %x, %wq : (tensor<?x24xf32>, tensor<32x24xf32>) -> tensor<?x32xf32>
  %k0 = moe.linear %x, %wk : (tensor<?x24xf32>, tensor<16x24xf32>) -> tensor<?x16xf32>
  %v0 = moe.linear %x, %wv : (tensor<?x24xf32>, tensor<16x24xf32>) -> tensor<?x16xf32>
  %q1 = moe.split %q0 : tensor<?x32xf32> into tensor<?x4x8xf32>
  %k1 = moe.split %k0 : tensor<?x16xf32> into tensor<?x2x8xf32>
  %v = moe.split %v0 : tensor<?x16xf32> into tensor<?x2x8xf32>
  %q = moe.rope %q1 at %p by %f pairs half : tensor<?x4x8xf32>, !i, tensor<4xf32>
  %k = moe.rope %k1 at %p by %f pairs half : tensor<?x2x8xf32>, !i, tensor<4xf32>
  %a0 = moe.attention %q, %k, %v positions(%p, %p) {causal, scale = 0.03}
      : (tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32>, !i, !i) -> tensor<?x4x8xf32>
  %a = tensor.collapse_shape %a0 [[0], [1, 2]] : tensor<?x4x8xf32> into tensor<?x32xf32>
  %y = moe.linear %a, %wo : (tensor<?x32xf32>, tensor<24x32xf32>) -> tensor<?x24xf32>
  return %y : tensor<?x24xf32>
}

// In an expert the rows are those of its tokens; the keys of the second attention are all tokens.
func.func @experts(%x: tensor<?x8xf32>, %p: !i, %m: !moe.scope) -> tensor<?x8xf32> {
  %w = moe.param %m "gate" : tensor<3x8xf32>
  %l = moe.linear %x, %w : (tensor<?x8xf32>, tensor<3x8xf32>) -> tensor<?x3xf32>
  %g = moe.route %l top 2 : tensor<?x3xf32> -> !moe.routing<3, top 2>
  %r = moe.normalize %g by softmax : !moe.routing<3, top 2>
  %all = moe.split %x : tensor<?x8xf32> into tensor<?x2x4xf32>
  %in = moe.dispatch %x by %r : tensor<?x8xf32>, !moe.routing<3, top 2>
  %ip = moe.dispatch %p by %r : !i, !moe.routing<3, top 2>
  %out = moe.expert by %r rows(%t = %in, %n = %ip) : !moe.routing<3, top 2>, (tensor<?x8xf32>, !i) -> tensor<?x8xf32> {
    %h = moe.split %t : tensor<?x8xf32> into tensor<?x2x4xf32>
    %f = moe.rope_frequencies {dim = 4, theta = 1.0e4} : tensor<2xf32>
    %q = moe.rope %h at %n by %f pairs interleaved : tensor<?x2x4xf32>, !i, tensor<2xf32>
    %a = moe.attention %q, %q, %h positions(%n, %n) {causal, scale = 0.5}
        : (tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?x2x4xf32>, !i, !i) -> tensor<?x2x4xf32>
    %b = moe.attention %a, %all, %all {scale = 0.5}
        : (tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?x2x4xf32>) -> tensor<?x2x4xf32>
    %s = arith.addf %a, %b : tensor<?x2x4xf32>
    %o = tensor.collapse_shape %s [[0], [1, 2]] : tensor<?x2x4xf32> into tensor<?x8xf32>
    moe.yield %o : tensor<?x8xf32>
  }
  %y = moe.combine %out by %r weighted : tensor<?x8xf32>, !moe.routing<3, top 2>
  return %y : tensor<?x8xf32>
}

// Scores of -inf alone; 66 of them before a finite one; an infinite and a NaN score; nothing to see; a NaN value; NaN elsewhere.
func.func @special(%q: tensor<?x1x1xf32>, %s: !i) -> tensor<?x1x1xf32> {
  %low = arith.constant dense<0xFF800000> : tensor<66x1x1xf32>
  %half = arith.constant dense<0.5> : tensor<66x1x1xf32>
  %one = arith.constant dense<1> : tensor<66xi32>
  %k0 = arith.constant dense<[[[2.0]], [[0xFF800000]], [[0x7F800000]], [[0x7FC00000]], [[1.0]], [[1.0]], [[0.5]]]> : tensor<7x1x1xf32>
  %v0 = arith.constant dense<[[[7.0]], [[3.0]], [[4.0]], [[5.0]], [[0x7FC00000]], [[1.0]], [[2.0]]]> : tensor<7x1x1xf32>
  %t0 = arith.constant dense<[1, 0, 2, 3, 5, 6, 6]> : tensor<7xi32>
  %k = tensor.concat dim(0) %low, %k0 : (tensor<66x1x1xf32>, tensor<7x1x1xf32>) -> tensor<73x1x1xf32>
  %v = tensor.concat dim(0) %half, %v0 : (tensor<66x1x1xf32>, tensor<7x1x1xf32>) -> tensor<73x1x1xf32>
  %t = tensor.concat dim(0) %one, %t0 : (tensor<66xi32>, tensor<7xi32>) -> tensor<73xi32>
  %a = moe.attention %q, %k, %v segments(%s, %t) {scale = 1.0}
      : (tensor<?x1x1xf32>, tensor<73x1x1xf32>, tensor<73x1x1xf32>, !i, tensor<73xi32>) -> tensor<?x1x1xf32>
  return %a : tensor<?x1x1xf32>
}
