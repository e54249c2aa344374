// CPU code of random numbers against the reference: words and uniform numbers are the same, others equal to rounding.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so uniform:0,1,41 experts:0,1,23 -- --expected_atol=0 --expected_rtol=0
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so others:0,1,4001 -- --expected_atol=7e-8 --expected_rtol=2e-7
// DEFINE: %{seeded} = --function=seeded --input=3x5xf32=0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
// RUN: moe-interpret %s %{seeded} --input=i64=-6148914691236517206 --output=@%t.npy
// RUN: moe-run %t.so --level=avx2 %{seeded} --input=i64=-6148914691236517206 --expected_output=@%t.npy --expected_atol=0 --expected_rtol=0
// RUN: not moe-run %t.so --level=avx2 %{seeded} --input=i64=7 --expected_output=@%t.npy --expected_atol=0 --expected_rtol=0
!s = tensor<?x11xf32>

// Two streams; rows of every kind of element, of which only the shape matters; a tensor without rows.
func.func @uniform(%a: !s, %b: tensor<?x3x7xi32>, %c: tensor<?xf64>, %d: tensor<f32>) -> (!s, !s, tensor<?x3x7xf32>, tensor<?xf32>, tensor<f32>) {
  %seed = arith.constant 1234567890123456789 : i64
  %v = moe.random uniform like %a seed %seed stream 0 : !s
  %w = moe.random uniform like %a seed %seed stream 4294967295 : !s
  %x = moe.random uniform like %b seed %seed stream 1 : tensor<?x3x7xi32>
  %y = moe.random uniform like %c seed %seed stream 1 : tensor<?xf64>
  %z = moe.random uniform like %d seed %seed stream 2 : tensor<f32>
  return %v, %w, %x, %y, %z : !s, !s, tensor<?x3x7xf32>, tensor<?xf32>, tensor<f32>
}

func.func @others(%a: !s) -> (!s, !s) {
  %seed = arith.constant -3 : i64
  %n = moe.random normal like %a seed %seed stream 5 : !s
  %g = moe.random gumbel like %a seed %seed stream 5 : !s
  return %n, %g : !s, !s
}

// The elements of an expert's rows are counted from its first.
func.func @experts(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %seed = arith.constant 99 : i64
  %r = moe.route %x top 1 : tensor<?x4xf32> -> !moe.routing<4, top 1>
  %in = moe.dispatch %x by %r : tensor<?x4xf32>, !moe.routing<4, top 1>
  %out = moe.expert by %r rows(%t = %in) : !moe.routing<4, top 1>, (tensor<?x4xf32>) -> tensor<?x4xf32> {
    %u = moe.random uniform like %t seed %seed stream 0 : tensor<?x4xf32>
    moe.yield %u : tensor<?x4xf32>
  }
  %y = moe.combine %out by %r unweighted : tensor<?x4xf32>, !moe.routing<4, top 1>
  return %y : tensor<?x4xf32>
}

func.func @seeded(%a: tensor<?x5xf32>, %seed: i64) -> tensor<?x5xf32> {
  %u = moe.random uniform like %a seed %seed stream 3 : tensor<?x5xf32>
  return %u : tensor<?x5xf32>
}
