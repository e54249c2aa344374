// Weights as 8-bit and 4-bit entries: what quantising leaves of the weights is the interpreter's; rows are quantised too, exactly so
// where a row has one magnitude, and otherwise within the bound of --moe-quantize-weights.
// RUN: moe-opt %s --moe-to-grouped=weights-format=q8 -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: moe-compile %s --weights-format=q8 -o %t.so
// RUN: env REFERENCE=%t.mlir LEVELS=%{levels} %{python} %S/Inputs/agree.py %s %t.so exact:0,1,19 narrow:1,19 -- --expected_atol=1e-4 --expected_rtol=1e-5
// RUN: env REFERENCE=%t.mlir LEVELS=%{levels} %{python} %S/Inputs/agree.py %s %t.so bounded:33 -- --expected_atol=0.35 --expected_rtol=0
// RUN: moe-opt %s --moe-to-grouped=weights-format=q8g -o %t.q8g.mlir
// RUN: moe-compile %s --weights-format=q8g -o %t.q8g.so
// RUN: env REFERENCE=%t.q8g.mlir LEVELS=%{levels} %{python} %S/Inputs/agree.py %s %t.q8g.so exact:0,1,19 narrow:1,19 -- --expected_atol=1e-4 --expected_rtol=1e-5
// RUN: env REFERENCE=%t.q8g.mlir LEVELS=%{levels} %{python} %S/Inputs/agree.py %s %t.q8g.so bounded:33 -- --expected_atol=0.35 --expected_rtol=0
// RUN: moe-opt %s --moe-to-grouped=weights-format=q4 -o %t.q4.mlir
// RUN: moe-compile %s --weights-format=q4 -o %t.q4.so
// RUN: env REFERENCE=%t.q4.mlir LEVELS=%{levels} %{python} %S/Inputs/agree.py %s %t.q4.so exact:0,1,19 narrow:1,19 -- --expected_atol=1e-4 --expected_rtol=1e-5
// RUN: env REFERENCE=%t.q4.mlir LEVELS=%{levels} %{python} %S/Inputs/agree.py %s %t.q4.so bounded:33 -- --expected_atol=0.35 --expected_rtol=0
// RUN: moe-opt %s --moe-to-grouped=weights-format=q4z -o %t.q4z.mlir
// RUN: moe-compile %s --weights-format=q4z -o %t.q4z.so
// RUN: env REFERENCE=%t.q4z.mlir LEVELS=%{levels} %{python} %S/Inputs/agree.py %s %t.q4z.so exact:0,1,19 narrow:1,19 -- --expected_atol=1e-4 --expected_rtol=1e-5
// RUN: env REFERENCE=%t.q4z.mlir LEVELS=%{levels} %{python} %S/Inputs/agree.py %s %t.q4z.so bounded:33 -- --expected_atol=0.35 --expected_rtol=0
// RUN: moe-compile %s --weights-format=q8 --level=avxvnni --emit=asm -o - | FileCheck %s --check-prefix=VNNI --implicit-check-not=zmm
// VNNI: {vex} vpdpbusd {{.*}}%ymm
// RUN: moe-compile %s --weights-format=q4z --level=avxvnni --emulated -o %t.vnni.so
// RUN: env REFERENCE=%t.q4z.mlir LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.vnni.so exact:19 -- --expected_atol=1e-4 --expected_rtol=1e-5
// RUN: moe-compile %s --weights-format=q8 --level=avx512bf16 --emulated -o %t.emulated.so
// RUN: env REFERENCE=%t.mlir LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.emulated.so exact:19 -- --expected_atol=1e-4 --expected_rtol=1e-5
!x = tensor<?x19xf32>
!r = !moe.routing<5, top 2>
!h = tensor<?x23xf32>

// -1, 0 and 1: one magnitude a row. The hidden layer is -1 or 1.
// CHECK-LABEL: @exact
// CHECK:         grouped.matmul {{.*}}!grouped.packed<5x23x19xi8, 1>
// CHECK:         grouped.matmul {{.*}}!grouped.packed<5x19x23xi8, 1>
func.func @exact(%numbers: tensor<?x19xi32>, %s: tensor<?x5xf32>, %m: !moe.scope) -> !x {
  %u = moe.param %m "{expert}.up" : tensor<5x23x19xf32>
  %d = moe.param %m "{expert}.down" : tensor<5x19x23xf32>
  %x = moe.map (%n = %numbers) : (tensor<?x19xi32>) -> !x {
    %one = arith.constant 1 : i32
    %v = arith.subi %n, %one : i32
    %f = arith.sitofp %v : i32 to f32
    moe.yield %f : f32
  }
  %g = moe.route %s top 2 : tensor<?x5xf32> -> !r
  %r = moe.normalize %g by softmax : !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%a = %u, %b = %d) : !r, (!x, tensor<5x23x19xf32>, tensor<5x19x23xf32>) -> !x {
    %l = moe.linear %t, %a : (!x, tensor<23x19xf32>) -> !h
    %h = moe.map (%v = %l) : (!h) -> !h {
      %zero = arith.constant 0.01 : f32
      %plus = arith.constant 1.0 : f32
      %minus = arith.constant -1.0 : f32
      %c = arith.cmpf ogt, %v, %zero : f32
      %k = arith.select %c, %plus, %minus : f32
      moe.yield %k : f32
    }
    %f = moe.linear %h, %b : (!h, tensor<19x23xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// bf16 weights stored [in, out], widened in the text: they are quantised as stored. The router's stay as they are.
// CHECK-LABEL: @narrow
// CHECK:         grouped.matmul {{.*}}!grouped.packed<1x5x19xf32, 1>
// CHECK:         grouped.matmul {{.*}}!grouped.packed<5x23x19xi8, 2>
func.func @narrow(%numbers: tensor<?x19xi32>, %m: !moe.scope) -> !h {
  %w = moe.param %m "router" : tensor<5x19xf32>
  %u0 = moe.param %m "{expert}.gate.bf16" : tensor<5x19x23xbf16>
  %d0 = moe.param %m "{expert}.up.bf16" : tensor<5x19x23xbf16>
  %u = arith.extf %u0 : tensor<5x19x23xbf16> to tensor<5x19x23xf32>
  %d = arith.extf %d0 : tensor<5x19x23xbf16> to tensor<5x19x23xf32>
  %x = moe.map (%n = %numbers) : (tensor<?x19xi32>) -> !x {
    %one = arith.constant 1 : i32
    %v = arith.subi %n, %one : i32
    %f = arith.sitofp %v : i32 to f32
    moe.yield %f : f32
  }
  %l = moe.linear %x, %w : (!x, tensor<5x19xf32>) -> tensor<?x5xf32>
  %r = moe.route %l top 2 : tensor<?x5xf32> -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%a = %u, %b = %d) : !r, (!x, tensor<5x19x23xf32>, tensor<5x19x23xf32>) -> !h {
    %g = moe.linear %t, %a in_out : (!x, tensor<19x23xf32>) -> !h
    %v = moe.linear %t, %b in_out : (!x, tensor<19x23xf32>) -> !h
    %s = moe.silu %g : !h
    %h = arith.mulf %s, %v : !h
    moe.yield %h : !h
  }
  %y = moe.combine %out by %r unweighted : !h, !r
  return %y : !h
}

// 19 weights of mean size 0.8 and rows whose largest entry is below 3.5: half a step of 3.5 / 127 for each weight.
func.func @bounded(%x: !x, %s: tensor<?x5xf32>, %m: !moe.scope) -> !h {
  %u = moe.param %m "{expert}.up" : tensor<5x23x19xf32>
  %r = moe.route %s top 1 : tensor<?x5xf32> -> !moe.routing<5, top 1>
  %in = moe.dispatch %x by %r : !x, !moe.routing<5, top 1>
  %out = moe.expert by %r rows(%t = %in) each(%a = %u) : !moe.routing<5, top 1>, (!x, tensor<5x23x19xf32>) -> !h {
    %l = moe.linear %t, %a : (!x, tensor<23x19xf32>) -> !h
    moe.yield %l : !h
  }
  %y = moe.combine %out by %r unweighted : !h, !moe.routing<5, top 1>
  return %y : !h
}
