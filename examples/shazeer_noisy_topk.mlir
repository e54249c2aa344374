// Noisy top-k gating (Shazeer et al. 2017, arXiv 1701.06538; tensor2tensor). Special: learned noise in training; losses balance importance and load.
// Normal form: score x W + noise · (softplus(x Wn) + 0.01); select top k; weight softmax over the chosen; on output; also importance and load losses.
!x = tensor<?x16xf32>
!s = tensor<?x8xf32>
!w = tensor<16x8xf32>        // [in, out]
!v = tensor<8xf32>           // one value per expert
!l = tensor<f32>
!r = !moe.routing<8, top 2>

// The standard normal sample is an input: gates, importance, load and loss.
func.func @train(%x: !x, %noise: !s, %m: !moe.scope) -> (!s, !v, !v, !l) {
  %wg = moe.param %m "w_gate" : !w
  %wn = moe.param %m "w_noise" : !w
  %clean = moe.linear %x, %wg in_out : (!x, !w) -> !s
  %raw   = moe.linear %x, %wn in_out : (!x, !w) -> !s
  %stddev, %noisy = moe.map (%c = %clean, %n = %raw, %z = %noise) : (!s, !s, !s) -> (!s, !s) {
    %least = arith.constant 0.01 : f32
    %p = moe.softplus %n : f32
    %d = arith.addf %p, %least : f32
    %e = arith.mulf %z, %d : f32
    %h = arith.addf %c, %e : f32
    moe.yield %d, %h : f32, f32
  }
  %g = moe.route %noisy top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  %gates = moe.to_matrix %r : !r -> !s
  %importance = moe.importance %r : !r -> !v
  %load = moe.noisy_load %clean, %noisy, %stddev top 2 : !s -> !v
  %loss = func.call @loss(%importance, %load) : (!v, !v) -> !l
  return %gates, %importance, %load, %loss : !s, !v, !v, !l
}

// Without noise the load is the count of every expert, one half each for experts at the border of the choice.
func.func @evaluate(%x: !x, %m: !moe.scope) -> (!s, !v, !v, !l) {
  %wg = moe.param %m "w_gate" : !w
  %clean  = moe.linear %x, %wg in_out : (!x, !w) -> !s
  %stddev = arith.subf %clean, %clean : !s
  %g = moe.route %clean top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  %gates = moe.to_matrix %r : !r -> !s
  %importance = moe.importance %r : !r -> !v
  %load = moe.noisy_load %clean, %clean, %stddev top 2 : !s -> !v
  %loss = func.call @loss(%importance, %load) : (!v, !v) -> !l
  return %gates, %importance, %load, %loss : !s, !v, !v, !l
}

// A gate that never has noise counts whom it chose.
func.func @no_noise(%x: !x, %m: !moe.scope) -> (!s, !v, !v, !l) {
  %wg = moe.param %m "w_gate" : !w
  %clean = moe.linear %x, %wg in_out : (!x, !w) -> !s
  %g = moe.route %clean top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  %gates = moe.to_matrix %r : !r -> !s
  %importance = moe.importance %r : !r -> !v
  %counts = moe.counts %r : !r -> tensor<8xi32>
  %load = arith.sitofp %counts : tensor<8xi32> to !v
  %loss = func.call @loss(%importance, %load) : (!v, !v) -> !l
  return %gates, %importance, %load, %loss : !s, !v, !v, !l
}

// 0.01 * (CV²(importance) + CV²(load))
func.func private @loss(%importance: !v, %load: !v) -> !l {
  %a = moe.cv_squared %importance plus 1.0e-10 : !v
  %b = moe.cv_squared %load plus 1.0e-10 : !v
  %sum = arith.addf %a, %b : !l
  %c = arith.constant dense<0.01> : !l
  %loss = arith.mulf %sum, %c : !l
  return %loss : !l
}
