// CPU code of losses and expected loads, in every float type, for no token, one and many, against the reference.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so z:0,1,37 cv:0,1,37 load:0,1,37 everyone:0,1,37 router:0,1,37 alone:0,1,37 -- --expected_atol=1e-6 --expected_rtol=1e-6
!s = tensor<?x11xf32>
!l = tensor<f32>

func.func @z(%a: !s, %b: tensor<?x11xbf16>, %c: tensor<?x1xf16>) -> (!l, !l, !l) {
  %x = moe.z_loss %a : !s
  %y = moe.z_loss %b : tensor<?x11xbf16>
  %z = moe.z_loss %c : tensor<?x1xf16>
  return %x, %y, %z : !l, !l, !l
}

// Of a fixed number of values and of one for each token.
func.func @cv(%a: tensor<9xf32>, %b: tensor<?xf32>, %c: tensor<9xbf16>) -> (!l, !l, !l) {
  %x = moe.cv_squared %a plus 1.0e-10 : tensor<9xf32>
  %y = moe.cv_squared %b plus 0.5 : tensor<?xf32>
  %z = moe.cv_squared %c plus 0.0 : tensor<9xbf16>
  return %x, %y, %z : !l, !l, !l
}

func.func @load(%clean: !s, %noise: !s, %raw: !s, %cb: tensor<?x5xbf16>, %nb: tensor<?x5xbf16>) -> (tensor<11xf32>, tensor<5xf32>, tensor<5xf32>) {
  %stddev = moe.softplus %raw : !s
  %scaled = arith.mulf %noise, %stddev : !s
  %noisy = arith.addf %clean, %scaled : !s
  %x = moe.noisy_load %clean, %noisy, %stddev top 3 : !s -> tensor<11xf32>
  // Without noise: 1, 0, or 1/2 at the border of the choice.
  %zero = arith.subf %cb, %cb : tensor<?x5xbf16>
  %y = moe.noisy_load %cb, %cb, %zero top 1 : tensor<?x5xbf16> -> tensor<5xf32>
  %z = moe.noisy_load %cb, %nb, %nb top 4 : tensor<?x5xbf16> -> tensor<5xf32>
  return %x, %y, %z : tensor<11xf32>, tensor<5xf32>, tensor<5xf32>
}

func.func @everyone(%a: !s) -> tensor<11xf32> {
  %x = moe.noisy_load %a, %a, %a top 11 : !s -> tensor<11xf32>
  return %x : tensor<11xf32>
}

// Behind a matmul, whose epilogue could take their maps, and inside an expert, where the tokens are those of the expert.
func.func @router(%x: tensor<?x7xf32>, %m: !moe.scope) -> (!l, tensor<4xf32>, tensor<4x1xf32>) {
  %w = moe.param %m "router" : tensor<4x7xf32>
  %a = moe.linear %x, %w : (tensor<?x7xf32>, tensor<4x7xf32>) -> tensor<?x4xf32>
  %z = moe.z_loss %a : tensor<?x4xf32>
  %n = moe.noisy_load %a, %a, %a top 4 : tensor<?x4xf32> -> tensor<4xf32>
  %r = moe.route %a top 2 : tensor<?x4xf32> -> !moe.routing<4, top 2>
  %in = moe.dispatch %a by %r : tensor<?x4xf32>, !moe.routing<4, top 2>
  %each = moe.expert by %r rows(%t = %in) : !moe.routing<4, top 2>, (tensor<?x4xf32>) -> (tensor<4x1xf32>) {
    %l = moe.z_loss %t : tensor<?x4xf32>
    %e = tensor.expand_shape %l [] output_shape [1] : !l into tensor<1xf32>
    moe.yield each(%e : tensor<1xf32>)
  }
  return %z, %n, %each : !l, tensor<4xf32>, tensor<4x1xf32>
}

// The only reader of a matmul, which writes no f64.
func.func @alone(%x: tensor<?x7xf32>, %m: !moe.scope) -> tensor<4xf32> {
  %w = moe.param %m "router" : tensor<4x7xf32>
  %a = moe.linear %x, %w : (tensor<?x7xf32>, tensor<4x7xf32>) -> tensor<?x4xf32>
  %n = moe.noisy_load %a, %a, %a top 4 : tensor<?x4xf32> -> tensor<4xf32>
  return %n : tensor<4xf32>
}
