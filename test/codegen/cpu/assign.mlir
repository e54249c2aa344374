// grouped.assign on the CPU gives the tokens of the reference: sizes of one token an expert and many, equal scores, few
// rounds before the quick end, narrow and wide scores, one expert, no tokens, segments in no order.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so five:0,5,40,515 ties:40 one:0,7 wide:10 -- --expected_rtol=1e-6
// RUN: moe-compile %s --level=avx512 --emulated -o %t.512.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.512.so five:40 -- --expected_rtol=1e-6

// Segments 7, -2 and 3 have 4, 6 and 2 rows.
// DEFINE: %{rows} = --function=segments --input=12x2xf32=5,1,5,1.5,2,3,4,0,1,1,-1,0.5,7,7.25,3,3,0.125,0.25,2,1,9,8,1,4 --input=12xi32=7,-2,-2,3,7,-2,7,-2,3,-2,7,-2
// RUN: moe-interpret %s %{rows} --output=@%t.w.npy --output=@%t.i.npy
// RUN: moe-run %t.so %{rows} --expected_output=@%t.w.npy --expected_output=@%t.i.npy

// Scores alike for all experts, so that 1, 3 and 100 rounds before the quick end give three answers.
// DEFINE: %{alike} = --function=rounds --input=9x3xf32=-0.25,-0.25,-1,0.25,0,0.25,-0.75,-1.75,-1,0,-0.75,-0.75,1.5,1.75,1.75,0.5,0,0,0.75,1.5,1.25,0.75,0.75,1,2,1,1.5
// RUN: moe-interpret %s %{alike} | FileCheck %s --check-prefix=ROUNDS
// RUN: moe-run %t.so %{alike} | FileCheck %s --check-prefix=ROUNDS
// ROUNDS: 9x1xi32={{\[1\]\[2\]\[0\]\[0\]\[1\]\[2\]\[1\]\[2\]\[0\]}}
// ROUNDS: 9x1xi32={{\[2\]\[0\]\[2\]\[2\]\[1\]\[0\]\[1\]\[1\]\[0\]}}
// ROUNDS: 9x1xi32={{\[1\]\[2\]\[2\]\[0\]\[1\]\[0\]\[1\]\[2\]\[0\]}}

// What no auction can do is an error of the run, in the words of the reference.
// DEFINE: %{share} = --function=two --input=3x2xf32=1
// DEFINE: %{finite} = --function=two --input=2x2xf32=1,2,inf,3
// DEFINE: %{forever} = --function=two --input=2x2xf32=1.0e30
// RUN: not moe-interpret %s %{share} 2>&1 | FileCheck %s --check-prefix=SHARE
// RUN: not moe-run %t.so %{share} 2>&1 | FileCheck %s --check-prefix=SHARE
// RUN: not moe-interpret %s %{finite} 2>&1 | FileCheck %s --check-prefix=FINITE
// RUN: not moe-run %t.so %{finite} 2>&1 | FileCheck %s --check-prefix=FINITE
// RUN: not moe-interpret %s %{forever} 2>&1 | FileCheck %s --check-prefix=FOREVER
// RUN: not moe-run %t.so %{forever} 2>&1 | FileCheck %s --check-prefix=FOREVER
// SHARE: assigns 3 tokens, which is no multiple of 2 experts
// FINITE: scores are not all finite in f32
// FOREVER: the auction has no end after
!k = tensor<?x1xf32>
!i = tensor<?x1xi32>

func.func @five(%w: tensor<?x5xf32>, %s: tensor<?x5xf32>, %h: tensor<?x5xbf16>) -> (!k, !i, !i, !i) {
  %a, %i = grouped.assign %w by %s epsilon over 50.0 at_least 1.0e-4 rounds 100
      : (tensor<?x5xf32>, tensor<?x5xf32>) -> (!k, !i)
  %b, %j = grouped.assign %w by %s epsilon over 50.0 at_least 1.0e-4 rounds 2
      : (tensor<?x5xf32>, tensor<?x5xf32>) -> (!k, !i)
  %c, %l = grouped.assign %h by %h epsilon over 50.0 at_least 1.0e-4 rounds 100
      : (tensor<?x5xbf16>, tensor<?x5xbf16>) -> (!k, !i)
  return %a, %i, %j, %l : !k, !i, !i, !i
}

func.func @ties(%x: tensor<?x5xf32>) -> !i {
  %s = math.floor %x : tensor<?x5xf32>
  %a, %i = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100
      : (tensor<?x5xf32>, tensor<?x5xf32>) -> (!k, !i)
  return %i : !i
}

func.func @one(%s: !k) -> (!k, !i) {
  %a, %i = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 : (!k, !k) -> (!k, !i)
  return %a, %i : !k, !i
}

func.func @rounds(%s: tensor<?x3xf32>) -> (!i, !i, !i) {
  %a, %i = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 1
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> (!k, !i)
  %b, %j = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 3
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> (!k, !i)
  %c, %l = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100
      : (tensor<?x3xf32>, tensor<?x3xf32>) -> (!k, !i)
  return %i, %j, %l : !i, !i, !i
}

func.func @two(%s: tensor<?x2xf32>) -> !i {
  %a, %i = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100
      : (tensor<?x2xf32>, tensor<?x2xf32>) -> (!k, !i)
  return %i : !i
}

func.func @segments(%s: tensor<?x2xf32>, %seq: tensor<?xi32>) -> (!k, !i) {
  %a, %i = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100 segments %seq
      : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?xi32>) -> (!k, !i)
  return %a, %i : !k, !i
}

func.func @wide(%s: tensor<?x5xf64>) -> (!k, !i) {
  %a, %i = grouped.assign %s by %s epsilon over 50.0 at_least 1.0e-4 rounds 100
      : (tensor<?x5xf64>, tensor<?x5xf64>) -> (!k, !i)
  return %a, %i : !k, !i
}
