// A capacity that has two values in one segment is an error of the run, here and in the reference, that names both.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: not moe-run %t.so --input=3x1xf32=1,2,3 --input=3xi32=4,5,4 --input=3xi32=2,1,7 2>&1 | FileCheck %s
// RUN: not moe-interpret %s --input=3x1xf32=1,2,3 --input=3xi32=4,5,4 --input=3xi32=2,1,7 2>&1 | FileCheck %s
// RUN: moe-run %t.so --input=3x1xf32=1,2,3 --input=3xi32=4,5,4 --input=3xi32=1,7,1 | FileCheck %s --check-prefix=SAME
// CHECK: capacity is both 2 and 7 in one segment
// SAME: 3x1xi32={{\[0\]\[0\]\[-1\]}}
func.func @f(%s: tensor<?x1xf32>, %seq: tensor<?xi32>, %c: tensor<?xi32>) -> tensor<?x1xi32> {
  %g = moe.route %s top 1 : tensor<?x1xf32> -> !moe.routing<1, top 1>
  %r = moe.limit %g to %c order position overflow drop segments %seq : !moe.routing<1, top 1>, tensor<?xi32>, tensor<?xi32>
  %i = moe.indices %r : !moe.routing<1, top 1> -> tensor<?x1xi32>
  return %i : tensor<?x1xi32>
}
