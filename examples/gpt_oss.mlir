// gpt-oss (arXiv 2508.10925). Special: [in, out] weights with gate in even and up in odd columns, biases, a clamped SwiGLU.
// Normal form: score x Wᵀ + b; select top 3; weight softmax over the chosen; on output; experts clamped SwiGLU, biases.
!x  = tensor<?x64xf32>
!s  = tensor<?x8xf32>
!h  = tensor<?x40xf32>
!gu = tensor<8x64x80xf32>    // as stored: [expert, in, out], columns gate 0, up 0, gate 1, up 1, ...
!w  = tensor<8x64x40xf32>
!d  = tensor<8x40x64xf32>
!b  = tensor<8x40xf32>
!r  = !moe.routing<8, top 3>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "router.weight" : tensor<8x64xf32>
  %b = moe.param %m "router.bias" : tensor<8xf32>
  %l = moe.linear %x, %w, %b : (!x, tensor<8x64xf32>, tensor<8xf32>) -> !s
  %g = moe.route %l top 3 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  return %r : !r
}

// (up + 1) · gate · sigmoid(1.702 gate), with gate at most 7 and up between -7 and 7
func.func private @clamped_swiglu(%gate: !h, %up: !h) -> !h {
  %h = moe.map (%g = %gate, %u = %up) : (!h, !h) -> !h {
    %alpha = arith.constant 1.702 : f32
    %one   = arith.constant 1.0 : f32
    %high  = arith.constant 7.0 : f32
    %low   = arith.constant -7.0 : f32
    %gc = arith.minimumf %g, %high : f32
    %u0 = arith.minimumf %u, %high : f32
    %uc = arith.maximumf %u0, %low : f32
    %z  = arith.mulf %gc, %alpha : f32
    %s  = moe.sigmoid %z : f32
    %p  = arith.mulf %gc, %s : f32
    %q  = arith.addf %uc, %one : f32
    %v  = arith.mulf %q, %p : f32
    moe.yield %v : f32
  }
  return %h : !h
}

// %m: "model.layers.1.mlp."
func.func @gpt_oss(%x: !x, %m: !moe.scope) -> !x {
  %wgu = moe.param %m "experts.gate_up_proj" : !gu
  %bgu = moe.param %m "experts.gate_up_proj_bias" : tensor<8x80xf32>
  %wd  = moe.param %m "experts.down_proj" : !d
  %bd  = moe.param %m "experts.down_proj_bias" : tensor<8x64xf32>
  %wg = tensor.extract_slice %wgu[0, 0, 0] [8, 64, 40] [1, 1, 2] : !gu to !w
  %wu = tensor.extract_slice %wgu[0, 0, 1] [8, 64, 40] [1, 1, 2] : !gu to !w
  %bg = tensor.extract_slice %bgu[0, 0] [8, 40] [1, 2] : tensor<8x80xf32> to !b
  %bu = tensor.extract_slice %bgu[0, 1] [8, 40] [1, 2] : tensor<8x80xf32> to !b

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in)
      each(%gate = %wg, %up = %wu, %down = %wd, %gb = %bg, %ub = %bu, %db = %bd)
      : !r, (!x, !w, !w, !d, !b, !b, tensor<8x64xf32>) -> !x {
    %a = moe.linear %t, %gate, %gb in_out : (!x, tensor<64x40xf32>, tensor<40xf32>) -> !h
    %c = moe.linear %t, %up, %ub in_out : (!x, tensor<64x40xf32>, tensor<40xf32>) -> !h
    %h = func.call @clamped_swiglu(%a, %c) : (!h, !h) -> !h
    %f = moe.linear %h, %down, %db in_out : (!h, tensor<40x64xf32>, tensor<64xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x3xi32>, tensor<?x3xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x3xi32>
  %w = moe.weights %r : !r -> tensor<?x3xf32>
  return %i, %w : tensor<?x3xi32>, tensor<?x3xf32>
}
