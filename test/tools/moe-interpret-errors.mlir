// moe-interpret: what each mistake says and which exit status it has.
// DEFINE: %{exits} = %{python} %S/bad-input/Inputs/exits.py
func.func @rows(%x: tensor<?x2xf32>, %y: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %z = arith.addf %x, %y : tensor<?x2xf32>
  return %z : tensor<?x2xf32>
}

func.func @unknown(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %y = math.acos %x : tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

func.func @param(%m: !moe.scope) -> tensor<2xf32> {
  %w = moe.param %m "gate.weight" : tensor<2xf32>
  return %w : tensor<2xf32>
}

func.func @routing(%w: tensor<?x2xf32>) -> !moe.routing<2, top 1> {
  %r = moe.route %w top 1 : tensor<?x2xf32> -> !moe.routing<2, top 1>
  return %r : !moe.routing<2, top 1>
}

func.func @huge(%n: index) -> tensor<?xf32> {
  %x = tensor.empty(%n) : tensor<?xf32>
  return %x : tensor<?xf32>
}

// Errors of the program: 1, with file, line and column.
// RUN: %{exits} 1 moe-interpret %s --function=rows --input=3x2xf32 --input=2x2xf32 2>&1 | FileCheck %s --check-prefix=ROWS
// ROWS: moe-interpret-errors.mlir:4:8: error: 'arith.addf' op operands have shapes 3x2 and 2x2
// ROWS-NOT: see current operation
// RUN: %{exits} 1 moe-interpret %s --function=unknown --input=1x2xf32 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: moe-interpret-errors.mlir:9:8: error: unknown operation 'math.acos' at {{.*}}moe-interpret-errors.mlir:9:8
// RUN: %{exits} 1 moe-interpret %s --function=huge --input=i64=1099511627776 2>&1 | FileCheck %s --check-prefix=HUGE
// HUGE: error: 'tensor.empty' op a tensor of 1099511627776 elements is beyond the limit of 2^30

// Mistakes on the command line: 2.
// RUN: %{exits} 2 moe-interpret %s --input=3x2xf32 2>&1 | FileCheck %s --check-prefix=CHOOSE
// CHOOSE: has 5 functions ('rows', 'unknown', 'param', 'routing', 'huge'): choose with --function
// RUN: %{exits} 2 moe-interpret %s --function=row --input=3x2xf32 2>&1 | FileCheck %s --check-prefix=NAME
// NAME: has no function 'row'; it has 'rows', 'unknown', 'param', 'routing', 'huge'
// RUN: %{exits} 2 moe-interpret %s --function=rows --input=3x2xf32 2>&1 | FileCheck %s --check-prefix=COUNT
// COUNT: 1 --input option, function 'rows' has 2 inputs
// RUN: %{exits} 2 moe-interpret %s --function=rows --input=3x3xf32 --input=3x2xf32 2>&1 | FileCheck %s --check-prefix=SHAPE
// SHAPE: input 0 of 'rows' is 3x3xf32, wanted ?x2xf32
// RUN: %{exits} 2 moe-interpret %s --function=rows --input=3x2xf32 --input=3x2xf16 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: input 1 of 'rows' is 3x2xf16, wanted ?x2xf32
// RUN: %{exits} 2 moe-interpret %s --function=routing --input=1x2xf32 2>&1 | FileCheck %s --check-prefix=ROUTING
// ROUTING: function 'routing' has a !moe.routing<2, top 1>, wanted only tensors and numbers
// RUN: %{exits} 2 moe-interpret %s --function=param 2>&1 | FileCheck %s --check-prefix=WEIGHTS
// WEIGHTS: the model needs the weight 'gate.weight', but no weights were given
// RUN: %{exits} 2 moe-interpret 2>&1 | FileCheck %s --check-prefix=MODEL
// MODEL: no model given
// RUN: %{exits} 2 moe-interpret %s --wrong 2>&1 | FileCheck %s --check-prefix=OPTION
// OPTION: --wrong

// Files: 5 cannot be read or written, 4 is not what it should be, or lacks the weight.
// RUN: %{exits} 5 moe-interpret %t.none.mlir 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: moe-interpret: cannot read '{{.*}}.none.mlir': No such file or directory
// RUN: %{exits} 5 moe-interpret %s --function=rows --input=1x2xf32 --input=1x2xf32 --output=@/nowhere/y.npy 2>&1 | FileCheck %s --check-prefix=OUTPUT
// OUTPUT: /nowhere
// RUN: %{exits} 4 moe-interpret %s --function=param --weights=%{golden}/mixtral --prefix=model.layers.1.block_sparse_moe.x 2>&1 | FileCheck %s --check-prefix=MISSING
// MISSING: 'model.layers.1.block_sparse_moe.xgate.weight'
// RUN: %{exits} 4 moe-interpret %s --function=param --weights=%{golden}/mixtral --prefix=model.layers.1.block_sparse_moe. 2>&1 | FileCheck %s --check-prefix=STORED
// STORED: 'model.layers.1.block_sparse_moe.gate.weight' is {{.*}}8x64xf32, the model wants 2xf32

// Brackets nested too deeply, in any mixture, are found before the parser sees them.
// RUN: %{python} -c "print('({[<' * 65)" > %t.deep.mlir
// RUN: %{exits} 1 moe-interpret %t.deep.mlir 2>&1 | FileCheck %s --check-prefix=DEEP
// RUN: %{python} -c "print('tuple<' * 20000)" | %{exits} 1 moe-interpret - 2>&1 | FileCheck %s --check-prefix=TUPLE
// DEEP: .deep.mlir:1:257: error: brackets are nested more than 256 deep
// TUPLE: <stdin>:1:{{[0-9]+}}: error: brackets are nested more than 256 deep
// RUN: %{python} -c "print('// ' + '(' * 300 + chr(10) + 'func.func @f() -> i32 attributes {a = ' + chr(34) + '(' * 300 + chr(34) + '} { %%c = arith.constant 7 : i32 return %%c : i32 }')" > %t.strings.mlir
// RUN: moe-interpret %t.strings.mlir | FileCheck %s --check-prefix=STRINGS
// STRINGS: i32=7
