// CPU code of bf16 and f16: rows, weights and results, in every mixture, against the reference; also the tiles and
// layouts of the higher levels, which --emulated makes run anywhere.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so bf16:0,1,19 f16:1,19 rows:1,10 -- --expected_atol=0.06 --expected_rtol=0.02
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so mixed:33 -- --expected_atol=0 --expected_rtol=0
// RUN: moe-compile %s --level=avx512bf16 --emulated -o %t.emulated.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.emulated.so bf16:0,1,19 f16:1,19 rows:1,10 -- --expected_atol=0.06 --expected_rtol=0.02
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.emulated.so mixed:33 -- --expected_atol=0 --expected_rtol=0
!xb = tensor<?x19xbf16>
!xf = tensor<?x19xf16>
!x  = tensor<?x19xf32>
!s  = tensor<?x5xf32>
!r  = !moe.routing<5, top 2>

func.func @bf16(%x: !xb, %m: !moe.scope) -> !xb {
  %w = moe.param %m "router" : tensor<5x19xbf16>
  %u = moe.param %m "{expert}.up.bf16" : tensor<5x23x19xbf16>
  %d = moe.param %m "{expert}.down.bf16" : tensor<5x19x23xbf16>
  %l = moe.linear %x, %w : (!xb, tensor<5x19xbf16>) -> !s
  %g = moe.route %l top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  %in = moe.dispatch %x by %r : !xb, !r
  %out = moe.expert by %r rows(%t = %in) each(%a = %u, %b = %d) : !r, (!xb, tensor<5x23x19xbf16>, tensor<5x19x23xbf16>) -> !xb {
    %h = moe.linear %t, %a : (!xb, tensor<23x19xbf16>) -> tensor<?x23xf32>
    %c = moe.gelu %h tanh : tensor<?x23xf32>
    %z = arith.constant 0.0625 : f32
    %k = moe.broadcast %z like %c : f32, tensor<?x23xf32>
    %e = arith.mulf %c, %k : tensor<?x23xf32>
    %n = arith.truncf %e : tensor<?x23xf32> to tensor<?x23xbf16>
    %f = moe.linear %n, %b : (tensor<?x23xbf16>, tensor<19x23xbf16>) -> !xb
    moe.yield %f : !xb
  }
  %y = moe.combine %out by %r weighted : !xb, !r
  return %y : !xb
}

func.func @f16(%x: !xf, %m: !moe.scope) -> (!xf, !s) {
  %w = moe.param %m "router.f16" : tensor<5x19xf16>
  %u = moe.param %m "{expert}.square.f16" : tensor<5x19x19xf16>
  %l = moe.linear %x, %w : (!xf, tensor<5x19xf16>) -> !s
  %p = moe.softmax %l : !s
  %g = moe.route %p by %l top 2 : !s -> !r
  %in = moe.dispatch %x by %g : !xf, !r
  %out = moe.expert by %g rows(%t = %in) each(%a = %u) : !r, (!xf, tensor<5x19x19xf16>) -> !xf {
    %h = moe.linear %t, %a in_out : (!xf, tensor<19x19xf16>) -> !xf
    moe.yield %h : !xf
  }
  %y = moe.combine %out by %g weighted : !xf, !r
  %z = arith.addf %y, %x : !xf
  return %z, %p : !xf, !s
}

// f32 rows with bf16 weights, and a bf16 hidden layer that two products of different types read. Rows are whole numbers of at most 2
// and weights eighths, so the hidden layer (eighths below 32) has 8 bits, sums are exact in f32, and every answer is the right one.
func.func @mixed(%x: !x, %m: !moe.scope) -> (!x, !x) {
  %u = moe.param %m "a.bf16" : tensor<19x19xbf16>
  %v = moe.param %m "b.f32" : tensor<19x19xf32>
  %w = moe.param %m "c.bf16" : tensor<19x19xbf16>
  %n = moe.map (%e = %x) : (!x) -> !x {
    %high = arith.constant 2.0 : f32
    %low = arith.constant -2.0 : f32
    %c = arith.minimumf %e, %high : f32
    %d = arith.maximumf %c, %low : f32
    %r = math.roundeven %d : f32
    moe.yield %r : f32
  }
  %a = moe.linear %n, %u : (!x, tensor<19x19xbf16>) -> !xb
  %b = moe.linear %a, %v : (!xb, tensor<19x19xf32>) -> !x
  %c = moe.linear %a, %w : (!xb, tensor<19x19xbf16>) -> !x
  return %b, %c : !x, !x
}

func.func @rows(%x: !xb, %n: tensor<19xbf16>) -> (!xb, !x, tensor<?xbf16>) {
  %a = moe.rms_norm %x, %n eps 1.0e-6 : !xb, tensor<19xbf16>
  %b = moe.softmax %a : !xb
  %c = moe.softplus %x : !xb
  %d = arith.extf %c : !xb to !x
  %s = moe.reduce sum %d over 1 : !x -> tensor<?xf32>
  %t = arith.truncf %s : tensor<?xf32> to tensor<?xbf16>
  return %b, %d, %t : !xb, !x, tensor<?xbf16>
}
