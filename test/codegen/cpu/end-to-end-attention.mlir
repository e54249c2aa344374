// CPU code of rotary positions and of attention against the reference: head counts, widths that end inside a vector, masks, types.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so rope:0,1,37 -- --expected_atol=1e-6 --expected_rtol=0
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so rope_bf16:1,37 -- --expected_atol=1e-6 --expected_rtol=0.00391
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
