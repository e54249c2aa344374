// A float becomes the nearest integer that exists, towards 0, and NaN becomes 0: on vectors, in regions and as a number, in CPU code as in
// the reference.
// RUN: moe-compile %s --level=avx2 -o %t.so
// DEFINE: %{f} = --input=9xf32=1.9,-1.9,nan,inf,-inf,2147483648,-2147483904,1e30,-0.5
// DEFINE: %{expected} = --expected_output=9xi32=1,-1,0,2147483647,-2147483648,2147483647,-2147483648,2147483647,0 --expected_output=9xi8=1,-1,0,127,-128,127,-128,127,0 --expected_output=9xi64=1,-1,0,9223372036854775807,-9223372036854775808,2147483648,-2147483904,9223372036854775807,0 --expected_output=9xi32=1,0,0,-1,0,-2147483648,0,-1,0 --expected_output=9xi1=1,0,0,1,0,1,0,1,0
// RUN: moe-interpret %s --function=rows %{f} %{expected}
// RUN: %if avx2 %{ moe-run %t.so --level=avx2 --function=rows %{f} %{expected} %}
// RUN: moe-interpret %s --function=number --input=f64=nan --expected_output=i32=0 --expected_output=i64=0
// RUN: moe-interpret %s --function=number --input=f64=-9e99 --expected_output=i32=-2147483648 --expected_output=i64=0
// RUN: %if avx2 %{ moe-run %t.so --level=avx2 --function=number --input=f64=nan --expected_output=i32=0 --expected_output=i64=0 %}
// RUN: %if avx2 %{ moe-run %t.so --level=avx2 --function=number --input=f64=-9e99 --expected_output=i32=-2147483648 --expected_output=i64=0 %}
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so rows:9,40:special number:1
!f = tensor<?xf32>
!i = tensor<?xi32>

func.func @rows(%x: !f) -> (!i, tensor<?xi8>, tensor<?xi64>, !i, tensor<?xi1>) {
  %a = arith.fptosi %x : !f to !i
  %b = arith.fptosi %x : !f to tensor<?xi8>
  %c = moe.map (%v = %x) : (!f) -> tensor<?xi64> {
    %w = arith.extf %v : f32 to f64
    %y = arith.fptosi %w : f64 to i64
    moe.yield %y : i64
  }
  %d = arith.fptoui %x : !f to !i
  %e = moe.map (%v = %x) : (!f) -> tensor<?xi1> {
    %h = arith.truncf %v : f32 to bf16
    %y = arith.fptoui %h : bf16 to i1
    moe.yield %y : i1
  }
  return %a, %b, %c, %d, %e : !i, tensor<?xi8>, tensor<?xi64>, !i, tensor<?xi1>
}

func.func @number(%x: f64) -> (i32, i64) {
  %a = arith.fptosi %x : f64 to i32
  %b = arith.fptoui %x : f64 to i64
  return %a, %b : i32, i64
}
