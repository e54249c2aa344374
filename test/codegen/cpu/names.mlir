// Functions may have any names: those of other symbols, of steps, and such as no symbol has.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: moe-run %t.so --list | FileCheck %s --check-prefix=LIST
// LIST: f(d0x2xf32) -> (d0x2xf32)
// LIST: f_prepare0(d0x2xf32)
// LIST: f_workspace(d0x2xf32)
// LIST: f_workspace_(d0x2xf32)
// LIST: a "b" $(d0x2xf32)
// RUN: moe-run %t.so --function=f_prepare0 --input=1x2xf32=1,-2 | FileCheck %s --check-prefix=PREPARE
// PREPARE: 1x2xf32=[1 0]
// RUN: moe-run %t.so --function=f_workspace --input=1x2xf32=1,-2 | FileCheck %s --check-prefix=WORKSPACE
// WORKSPACE: 1x2xf32=[-1 2]
// RUN: moe-run %t.so --function=f_workspace_ --input=1x2xf32=1,-2 | FileCheck %s --check-prefix=LINE
// LINE: 1x2xf32=[1 -2]
// RUN: moe-run %t.so '--function=a "b" $' --input=1x2xf32=1,-2 | FileCheck %s --check-prefix=ODD
// ODD: 1x2xf32=[2 -4]
// RUN: moe-compile %s --emit=cpu --level=avx2 -o - | FileCheck %s
// CHECK-DAG: func.func @moe_f_avx2
// CHECK-DAG: func.func @moe_f_workspace___avx2
// CHECK-DAG: func.func @moe_f_prepare0__avx2
// CHECK-DAG: func.func @moe_a$20$22b$22$20$24_avx2
!x = tensor<?x2xf32>
func.func @f(%x: !x, %m: !moe.scope) -> !x {
  %w = moe.param %m "w" : tensor<2x2xf32>
  %y = moe.linear %x, %w : (!x, tensor<2x2xf32>) -> !x
  return %y : !x
}
func.func @f_prepare0(%x: !x) -> !x {
  %y = moe.relu2 %x : !x
  return %y : !x
}
func.func @f_workspace(%x: !x) -> !x {
  %y = arith.negf %x : !x
  return %y : !x
}
func.func @f_workspace_(%x: !x) -> !x {
  return %x : !x
}
func.func @"a \22b\22 $"(%x: !x) -> !x {
  %y = arith.addf %x, %x : !x
  return %y : !x
}
