// Nearly all of a million experts are chosen within two minutes (exits.py), in much less: keys are sorted, where rounds of maximum would
// look at all of them for each. The same for the largest keys that make up a sum (here all of them), and for groups.
// REQUIRES: avx2
// DEFINE: %{run} = %{python} %S/../../tools/bad-input/Inputs/exits.py 0 moe-run %t.so --level=avx2 --input=@%t.npy
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: moe-run %t.so --level=avx2 --function=keys --input=1xf32=0 --output=@%t.npy
// RUN: moe-interpret %s --function=top --input=@%t.npy --output=@%t.top.npy
// RUN: %{run} --function=top --expected_output=@%t.top.npy
// RUN: moe-interpret %s --function=best --input=@%t.npy --input=f32=2 --output=@%t.best.npy
// RUN: %{run} --function=best --input=f32=2 --expected_output=@%t.best.npy
// RUN: moe-interpret %s --function=groups --input=@%t.npy --output=@%t.groups.npy
// RUN: %{run} --function=groups --expected_output=@%t.groups.npy
!s = tensor<?x1000000xf32>

// Distinct numbers, by steps of the golden ratio.
func.func @keys(%x: tensor<?xf32>) -> !s {
  %t = moe.tokens %x : tensor<?xf32>
  %e = tensor.generate %t {
  ^bb0(%row: index, %column: index):
    %i = arith.index_cast %column : index to i32
    %golden = arith.constant -1640531535 : i32
    %mixed = arith.muli %i, %golden : i32
    %k = arith.sitofp %mixed : i32 to f32
    tensor.yield %k : f32
  } : !s
  return %e : !s
}

func.func @top(%x: !s) -> tensor<?x999990xi32> {
  %r = moe.route %x top 999990 : !s -> !moe.routing<1000000, top 999990>
  %i = moe.indices %r : !moe.routing<1000000, top 999990> -> tensor<?x999990xi32>
  return %i : tensor<?x999990xi32>
}
func.func @best(%x: !s, %sum: f32) -> tensor<1000000xi32> {
  %p = moe.softmax %x : !s
  %r = moe.route %p top_p %sum : !s -> !moe.routing<1000000, any>
  %c = moe.counts %r : !moe.routing<1000000, any> -> tensor<1000000xi32>
  return %c : tensor<1000000xi32>
}
func.func @groups(%x: !s) -> tensor<?x200000xi32> {
  %r = moe.route %x groups 500000 keep 250000 score max top 200000 : !s -> !moe.routing<1000000, top 200000>
  %i = moe.indices %r : !moe.routing<1000000, top 200000> -> tensor<?x200000xi32>
  return %i : tensor<?x200000xi32>
}
