// moe-interpret: values inline and through files, choice of the function, comparison, statistics, level 2 as well as level 1.
func.func @layer(%x: tensor<?x2xf32>, %m: !moe.scope) -> (tensor<?x2xf32>, tensor<?x1xi32>) {
  %w = arith.constant dense<[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]> : tensor<3x2xf32>
  %v = arith.constant dense<[[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]]> : tensor<3x2xf32>
  %l = moe.linear %x, %w : (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x3xf32>
  %r = moe.route %l top 1 : tensor<?x3xf32> -> !moe.routing<3, top 1>
  %in = moe.dispatch %x by %r : tensor<?x2xf32>, !moe.routing<3, top 1>
  %out = moe.expert by %r rows(%t = %in) each(%e = %v) : !moe.routing<3, top 1>, (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x2xf32> {
    %b = moe.broadcast %e like %t : tensor<2xf32>, tensor<?x2xf32>
    %s = arith.addf %t, %b : tensor<?x2xf32>
    moe.yield %s : tensor<?x2xf32>
  }
  %y = moe.combine %out by %r unweighted : tensor<?x2xf32>, !moe.routing<3, top 1>
  %i = moe.indices %r : !moe.routing<3, top 1> -> tensor<?x1xi32>
  return %y, %i : tensor<?x2xf32>, tensor<?x1xi32>
}

// Only public functions can be run.
func.func private @helper(%x: f32) -> f32 {
  return %x : f32
}

// The only public function needs no name. Token (1, 2) prefers expert 1, (3, -4) expert 0.
// RUN: moe-interpret %s --input=2x2xf32=1,2,3,-4 | FileCheck %s --check-prefix=TEXT --match-full-lines
// RUN: moe-interpret - --function=@layer --input="2x2xf32=[1 2][3 -4]" < %s | FileCheck %s --check-prefix=TEXT --match-full-lines
// TEXT: {{.*}}2x2xf64=[21 22][13 6]
// TEXT-NEXT: {{.*}}2x1xi32=[1][0]

// No tokens are legal.
// RUN: moe-interpret %s --input=0x2xf32 | FileCheck %s --check-prefix=EMPTY
// EMPTY: 0x2xf64

// Results are f64, with --round of the type in the text; a file comes back as it went.
// RUN: moe-interpret %s --input=2x2xf32=1,2,3,-4 --output=@%t.npy --output=@%t.ids.npy | count 0
// RUN: moe-interpret %s --input=2x2xf32=1,2,3,-4 --expected_output=@%t.npy --expected_output=@%t.ids.npy | FileCheck %s --check-prefix=SAME
// RUN: moe-interpret %s --input=@%t.npy --output=- --output=@%t.i.npy | FileCheck %s --check-prefix=AGAIN
// RUN: moe-interpret %s --input=2x2xf32=1,2,3,-4 --round | FileCheck %s --check-prefix=ROUND
// SAME: [SUCCESS] result[0]: all 4 elements match
// SAME: [SUCCESS] result[1]: all 2 elements match
// AGAIN: 2x2xf64=[41 42][23 16]
// ROUND: 2x2xf32=[21 22][13 6]

// A difference is exit status 3 and names the element.
// RUN: %{python} %S/bad-input/Inputs/exits.py 3 moe-interpret %s --input=2x2xf32=1,2,3,-4 --expected_output=2x2xf32=21,22,13,7 --expected_output=2x1xi32=1,0 | FileCheck %s --check-prefix=DIFFERS
// DIFFERS: [FAILED] result[0]: element at index 3 (6) does not match the expected (7)
// DIFFERS: [SUCCESS] result[1]

// RUN: moe-interpret %s --input=3x2xf32=1,2,3,-4,5,6 --output=@%t.y.npy --output=@%t.i.npy --stats | FileCheck %s --check-prefix=STATS
// RUN: moe-opt --moe-to-grouped %s | moe-interpret - --input=3x2xf32=1,2,3,-4,5,6 --output=@%t.y.npy --output=@%t.i.npy --stats | FileCheck %s --check-prefix=STATS
// STATS: routing 0: 3 experts, up to 1 a token, 3 rows
// STATS-NEXT: expert 0 {{.*}} 1 33.3%
// STATS-NEXT: expert 1 {{.*}} 2 66.7%
// STATS-NEXT: expert 2 0 0.0%

// RUN: moe-opt --moe-to-grouped %s | moe-interpret - --input=2x2xf32=1,2,3,-4 | FileCheck %s --check-prefix=TEXT --match-full-lines
// RUN: moe-interpret %s --list | FileCheck %s --check-prefix=LIST
// LIST: layer : (tensor<?x2xf32>, !moe.scope) -> (tensor<?x2xf32>, tensor<?x1xi32>)
// LIST-NOT: helper
// RUN: moe-interpret --help | FileCheck %s --check-prefix=HELP
// HELP: Usage: moe-interpret MODEL.mlir
// RUN: moe-interpret --version | FileCheck %s --check-prefix=VERSION
// VERSION: moe-interpret {{[0-9]+\.[0-9]+\.[0-9]+}}
