// --stats: the tokens that every expert got after all dropping, and how many slots were left empty, by the interpreter at
// both levels and by compiled code alike. A router that is called twice is two routings; one that moves no rows is none.
// DEFINE: %{options} = --input=5x2xf32=9,1,8,2,7,3,1,6,6,5 --output=@%t.y.npy --output=@%t.i.npy --stats
// RUN: moe-interpret %s %{options} | FileCheck %s
// RUN: moe-opt --moe-to-grouped %s -o %t.grouped
// RUN: moe-interpret %t.grouped %{options} | FileCheck %s
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: moe-run %t.so %{options} --threads=1 | FileCheck %s
// Four tokens prefer expert 0, which has room for two; of -x four prefer expert 1.
// CHECK: routing 0: 2 experts, up to 1 a token, 3 rows, 2 of 5 slots empty (40.0%), the busiest has 1.33 times the mean
// CHECK-NEXT: expert 0 {{.*}} 2 66.7%
// CHECK-NEXT: expert 1 {{.*}} 1 33.3%
// CHECK-NEXT: routing 1: 2 experts, up to 1 a token, 3 rows, 2 of 5 slots empty (40.0%), the busiest has 1.33 times the mean
// CHECK-NEXT: expert 0 {{.*}} 1 33.3%
// CHECK-NEXT: expert 1 {{.*}} 2 66.7%
// Experts that take tokens leave no slots empty.
// CHECK-NEXT: routing 2: 2 experts, up to 2 a token, 2 rows, the busiest has 1.00 times the mean
// CHECK-NEXT: expert 0 {{.*}} 1 50.0%
// CHECK-NEXT: expert 1 {{.*}} 1 50.0%
// CHECK-NOT: routing
!x = tensor<?x2xf32>
!r = !moe.routing<2, top 1>

func.func private @router(%x: !x) -> !r {
  %c = arith.constant 2 : index
  %g = moe.route %x top 1 : !x -> !r
  %l = moe.limit %g to %c order position overflow drop : !r, index
  %n = moe.scale %l by 2.0 : !r
  return %n : !r
}

func.func @layers(%x: !x) -> (!x, tensor<?x1xi32>) {
  %minus = arith.negf %x : !x
  %one = arith.constant 1 : index
  %a = func.call @router(%x) : (!x) -> !r
  %b = func.call @router(%minus) : (!x) -> !r
  %d = moe.route %x take %one : !x, index -> !moe.routing<2, take>
  %shown = moe.route %x top 1 : !x -> !r
  %ina = moe.dispatch %x by %a : !x, !r
  %inb = moe.dispatch %x by %b : !x, !r
  %ind = moe.dispatch %x by %d : !x, !moe.routing<2, take>
  %ya = moe.combine %ina by %a weighted : !x, !r
  %yb = moe.combine %inb by %b unweighted : !x, !r
  %yd = moe.combine %ind by %d unweighted : !x, !moe.routing<2, take>
  %i = moe.indices %shown : !r -> tensor<?x1xi32>
  %s = arith.addf %ya, %yb : !x
  %y = arith.addf %s, %yd : !x
  return %y, %i : !x, tensor<?x1xi32>
}
