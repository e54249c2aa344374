// The level amx: what its inner loops are, and that they compute what the reference does. The real object code runs on every machine:
// its vectors are those of AVX2, its tile instructions are emulated (test/amx); where the CPU has them, the level runs itself as well.
// RUN: moe-compile %s --level=amx --emit=asm -o %t.s
// RUN: %{python} %S/Inputs/tile_loops.py < %t.s | FileCheck %s --implicit-check-not=tile
// RUN: FileCheck %s --check-prefix=ONCE < %t.s
// RUN: moe-compile %s --level=amx --weights-format=q8 --emit=asm -o - | %{python} %S/Inputs/tile_loops.py | FileCheck %s --check-prefix=INT8 --implicit-check-not=tile

// A step of 32 inputs (64 of 8 bits) by 1, 2 and 3 tiles of rows: no tile goes to memory. The first product of a panel asks for the
// next step, the others for an eighth of the next panel. With 3 tiles of rows the weights of a step are loaded twice, the second time
// from L1.
// CHECK:      {{^}}3 tileloadd, 32 prefetcht0, 2 tdpbf16ps
// CHECK-NEXT: {{^}}4 tileloadd, 32 prefetcht0, 4 tdpbf16ps
// CHECK-NEXT: {{^}}4 tileloadd, 4 prefetcht1, 4 tdpbf16ps
// CHECK-NEXT: {{^}}7 tileloadd, 4 prefetcht1, 6 tdpbf16ps

// INT8:      {{^}}3 tileloadd, 32 prefetcht0, 2 tdpbf16ps
// INT8-NEXT: {{^}}3 tileloadd, 32 prefetcht0, 2 tdpbusd
// INT8-NEXT: {{^}}4 tileloadd, 32 prefetcht0, 4 tdpbf16ps
// INT8-NEXT: {{^}}4 tileloadd, 32 prefetcht0, 4 tdpbusd
// INT8-NEXT: {{^}}4 tileloadd, 4 prefetcht1, 4 tdpbf16ps
// INT8-NEXT: {{^}}4 tileloadd, 4 prefetcht1, 4 tdpbusd
// INT8-NEXT: {{^}}7 tileloadd, 4 prefetcht1, 6 tdpbf16ps
// INT8-NEXT: {{^}}7 tileloadd, 4 prefetcht1, 6 tdpbusd

// The tiles of a thread are configured in its own code and released at its end.
// ONCE-LABEL: moe_experts_amx..omp_par:
// ONCE:         tilerelease
// ONCE:         ret

// Few rows an expert and many (@experts), one token to each (@each), all tokens to one (@one), odd sizes (@tails), rows that are
// divided among threads (@dense).
// RUN: moe-compile %s --level=amx --emulated -o %t.so
// RUN: env LEVELS=avx2 %{amx} %{python} %S/Inputs/agree.py %s %t.so experts:0,1,3,67 each:1 one:4,5,33 tails:1,13,67 dense:4,97 odd:33,96 -- --expected_atol=0.06 --expected_rtol=0.02
// RUN: moe-opt %s --moe-to-grouped=weights-format=q8 -o %t.q8.mlir
// RUN: moe-compile %s --level=amx --emulated --weights-format=q8 -o %t.q8.so
// RUN: env REFERENCE=%t.q8.mlir LEVELS=avx2 %{amx} %{python} %S/Inputs/agree.py %s %t.q8.so experts:0,1,3,67 each:1 one:4,5,33 tails:1,13,67 -- --expected_atol=0.5 --expected_rtol=0.02
// Weights with groups, of 8 and of 4 bits, with and without zero points: from 24 rows on they are unpacked for tiles.
// RUN: moe-opt %s --moe-to-grouped=weights-format=q8g -o %t.q8g.mlir
// RUN: moe-compile %s --level=amx --emulated --weights-format=q8g -o %t.q8g.so
// RUN: env REFERENCE=%t.q8g.mlir LEVELS=avx2 %{amx} %{python} %S/Inputs/agree.py %s %t.q8g.so experts:67 one:33 tails:13,67 -- --expected_atol=0.5 --expected_rtol=0.02
// RUN: moe-opt %s --moe-to-grouped=weights-format=q4 -o %t.q4.mlir
// RUN: moe-compile %s --level=amx --emulated --weights-format=q4 -o %t.q4.so
// RUN: env REFERENCE=%t.q4.mlir LEVELS=avx2 %{amx} %{python} %S/Inputs/agree.py %s %t.q4.so experts:3,67 one:33 -- --expected_atol=0.5 --expected_rtol=0.02
// RUN: moe-opt %s --moe-to-grouped=weights-format=q4z -o %t.q4z.mlir
// RUN: moe-compile %s --level=amx --emulated --weights-format=q4z -o %t.q4z.so
// RUN: env REFERENCE=%t.q4z.mlir LEVELS=avx2 %{amx} %{python} %S/Inputs/agree.py %s %t.q4z.so one:33 tails:13,67 -- --expected_atol=0.5 --expected_rtol=0.02
// RUN: %if amx %{ moe-compile %s --level=amx -o %t.native.so %}
// RUN: %if amx %{ env LEVELS=amx %{python} %S/Inputs/agree.py %s %t.native.so experts:0,1,3,67 each:1 one:4,5,33 tails:1,13,67 dense:4,97 odd:33,96 -- --expected_atol=0.06 --expected_rtol=0.02 %}
// RUN: %if amx %{ moe-compile %s --level=amx --weights-format=q8 -o %t.native.q8.so %}
// RUN: %if amx %{ env REFERENCE=%t.q8.mlir LEVELS=amx %{python} %S/Inputs/agree.py %s %t.native.q8.so experts:0,1,3,67 each:1 one:4,5,33 tails:1,13,67 -- --expected_atol=0.5 --expected_rtol=0.02 %}
// RUN: %if amx %{ moe-compile %s --level=amx --weights-format=q8g -o %t.native.q8g.so %}
// RUN: %if amx %{ env REFERENCE=%t.q8g.mlir LEVELS=amx %{python} %S/Inputs/agree.py %s %t.native.q8g.so experts:67 one:33 tails:13,67 -- --expected_atol=0.5 --expected_rtol=0.02 %}
// RUN: %if amx %{ moe-compile %s --level=amx --weights-format=q4 -o %t.native.q4.so %}
// RUN: %if amx %{ env REFERENCE=%t.q4.mlir LEVELS=amx %{python} %S/Inputs/agree.py %s %t.native.q4.so experts:3,67 one:33 -- --expected_atol=0.5 --expected_rtol=0.02 %}
// RUN: %if amx %{ moe-compile %s --level=amx --weights-format=q4z -o %t.native.q4z.so %}
// RUN: %if amx %{ env REFERENCE=%t.q4z.mlir LEVELS=amx %{python} %S/Inputs/agree.py %s %t.native.q4z.so one:33 tails:13,67 -- --expected_atol=0.5 --expected_rtol=0.02 %}
!x  = tensor<?x96xbf16>
!s  = tensor<?x7xf32>
!r  = !moe.routing<7, top 2>
!h  = tensor<?x64xf32>
!hb = tensor<?x64xbf16>

func.func @experts(%x: !x, %s: !s, %m: !moe.scope) -> !x {
  %g = moe.param %m "{expert}.gate.bf16" : tensor<7x64x96xbf16>
  %u = moe.param %m "{expert}.up.bf16" : tensor<7x64x96xbf16>
  %d = moe.param %m "{expert}.down.bf16" : tensor<7x96x64xbf16>
  %c = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %c by softmax : !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%a = %g, %b = %u, %e = %d) : !r, (!x, tensor<7x64x96xbf16>, tensor<7x64x96xbf16>, tensor<7x96x64xbf16>) -> !x {
    %p = moe.linear %t, %a : (!x, tensor<64x96xbf16>) -> !h
    %q = moe.linear %t, %b : (!x, tensor<64x96xbf16>) -> !h
    %v = moe.sigmoid %p : !h
    %k = arith.constant 0.01 : f32
    %l = moe.broadcast %k like %q : f32, !h
    %w = arith.mulf %q, %l : !h
    %z = arith.mulf %v, %w : !h
    %n = arith.truncf %z : !h to !hb
    %f = moe.linear %n, %e : (!hb, tensor<96x64xbf16>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @each(%x: !x, %s: !s, %m: !moe.scope) -> !h {
  %g = moe.param %m "{expert}.gate.bf16" : tensor<7x64x96xbf16>
  %r = moe.route %s top 7 : !s -> !moe.routing<7, top 7>
  %in = moe.dispatch %x by %r : !x, !moe.routing<7, top 7>
  %out = moe.expert by %r rows(%t = %in) each(%a = %g) : !moe.routing<7, top 7>, (!x, tensor<7x64x96xbf16>) -> !h {
    %p = moe.linear %t, %a : (!x, tensor<64x96xbf16>) -> !h
    moe.yield %p : !h
  }
  %y = moe.combine %out by %r weighted : !h, !moe.routing<7, top 7>
  %k = arith.constant 0.01 : f32
  %l = moe.broadcast %k like %y : f32, !h
  %w = arith.mulf %y, %l : !h
  return %w : !h
}

func.func @one(%x: !x, %s: tensor<?x1xf32>, %m: !moe.scope) -> !h {
  %g = moe.param %m "{expert}.only.bf16" : tensor<1x64x96xbf16>
  %r = moe.route %s top 1 : tensor<?x1xf32> -> !moe.routing<1, top 1>
  %in = moe.dispatch %x by %r : !x, !moe.routing<1, top 1>
  %out = moe.expert by %r rows(%t = %in) each(%a = %g) : !moe.routing<1, top 1>, (!x, tensor<1x64x96xbf16>) -> !h {
    %p = moe.linear %t, %a : (!x, tensor<64x96xbf16>) -> !h
    moe.yield %p : !h
  }
  %y = moe.combine %out by %r unweighted : !h, !moe.routing<1, top 1>
  return %y : !h
}

func.func @tails(%x: tensor<?x19xbf16>, %s: tensor<?x3xf32>, %m: !moe.scope) -> tensor<?x19xf32> {
  %u = moe.param %m "{expert}.in.bf16" : tensor<3x19x23xbf16>
  %d = moe.param %m "{expert}.out.bf16" : tensor<3x19x23xbf16>
  %r = moe.route %s top 1 : tensor<?x3xf32> -> !moe.routing<3, top 1>
  %in = moe.dispatch %x by %r : tensor<?x19xbf16>, !moe.routing<3, top 1>
  %out = moe.expert by %r rows(%t = %in) each(%a = %u, %b = %d) : !moe.routing<3, top 1>, (tensor<?x19xbf16>, tensor<3x19x23xbf16>, tensor<3x19x23xbf16>) -> tensor<?x19xf32> {
    %h = moe.linear %t, %a in_out : (tensor<?x19xbf16>, tensor<19x23xbf16>) -> tensor<?x23xf32>
    %z = moe.sigmoid %h : tensor<?x23xf32>
    %n = arith.truncf %z : tensor<?x23xf32> to tensor<?x23xbf16>
    %f = moe.linear %n, %b : (tensor<?x23xbf16>, tensor<19x23xbf16>) -> tensor<?x19xf32>
    moe.yield %f : tensor<?x19xf32>
  }
  %y = moe.combine %out by %r unweighted : tensor<?x19xf32>, !moe.routing<3, top 1>
  return %y : tensor<?x19xf32>
}

func.func @dense(%x: !x, %m: !moe.scope) -> !h {
  %w = moe.param %m "dense.bf16" : tensor<64x96xbf16>
  %l = moe.linear %x, %w : (!x, tensor<64x96xbf16>) -> !h
  return %l : !h
}

// Whole tiles of sums go straight to the results, but for the last panel.
func.func @odd(%x: !x, %m: !moe.scope) -> tensor<?x50xf32> {
  %w = moe.param %m "odd.bf16" : tensor<50x96xbf16>
  %l = moe.linear %x, %w : (!x, tensor<50x96xbf16>) -> tensor<?x50xf32>
  return %l : tensor<?x50xf32>
}
