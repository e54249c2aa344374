// Constants whose elements are all equal: as weights, as rows and as scales of a product, which reads them in memory, and alone.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: %if avx2 %{ moe-run %t.so --level=avx2 --function=weights --input=2x2xf32=1,2,3,4 --expected_output=2x3xf32=6,6,6,14,14,14 %}
// RUN: %if avx2 %{ moe-run %t.so --level=avx2 --function=rows --input=2xf32=10,20 --expected_output=3x2xf32=13,27,13,27,13,27 %}
// RUN: %if avx2 %{ moe-run %t.so --level=avx2 --function=scales --input=2x2xf32=1,2,3,4 --expected_output=2x2xf32=8.5,11.5,5.5,12.5 %}
// RUN: moe-interpret %s --function=scales --input=2x2xf32=1,2,3,4 --expected_output=2x2xf32=8.5,11.5,5.5,12.5
!x = tensor<?x2xf32>
!r = !moe.routing<2, top 1>

func.func @weights(%x: !x) -> tensor<?x3xf32> {
  %w = arith.constant dense<2.0> : tensor<3x2xf32>
  %y = moe.linear %x, %w : (!x, tensor<3x2xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @rows(%b: tensor<2xf32>) -> tensor<3x2xf32> {
  %x = arith.constant dense<1.0> : tensor<3x2xf32>
  %w = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %y = moe.linear %x, %w, %b : (tensor<3x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  return %y : tensor<3x2xf32>
}

// Row 0 to expert 1, and row 1 to expert 0, each times 1/2.
func.func @scales(%x: !x) -> !x {
  %i = arith.constant dense<[[1], [0]]> : tensor<2x1xi32>
  %h = arith.constant dense<0.5> : tensor<2x1xf32>
  %w = arith.constant dense<[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]> : tensor<2x2x2xf32>
  %ids = tensor.cast %i : tensor<2x1xi32> to tensor<?x1xi32>
  %half = tensor.cast %h : tensor<2x1xf32> to tensor<?x1xf32>
  %r = moe.from_indices %ids, %half : tensor<?x1xi32>, tensor<?x1xf32> -> !r
  %in = moe.dispatch %x by %r weighted : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%v = %w) : !r, (!x, tensor<2x2x2xf32>) -> !x {
    %f = moe.linear %t, %v : (!x, tensor<2x2xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r unweighted : !x, !r
  return %y : !x
}
