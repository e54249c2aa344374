// Gemma 4 26B-A4B (google/gemma-4-26B-A4B). Special: a dense MLP runs in parallel, each branch between norms of its own; the router has a norm of its own too, and experts have scales.
// Normal form: score softmax((x / rms · v / √d) Wᵀ); select top 4; weight score / sum · scale of the expert; on output; experts GeGLU; also + parallel dense MLP.
!x  = tensor<?x16xf32>
!s  = tensor<?x12xf32>
!h  = tensor<?x24xf32>
!gu = tensor<24x16xf32>
!dn = tensor<16x24xf32>
!u  = tensor<12x24x16xf32>
!d  = tensor<12x16x24xf32>
!b  = tensor<12x48x16xf32>   // gate (first half) and up of every expert
!mh = tensor<?x40xf32>       // inside the dense MLP
!mu = tensor<40x16xf32>
!md = tensor<16x40xf32>
!v  = tensor<16xf32>
!r  = !moe.routing<12, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w     = moe.param %m "router.proj.weight" : tensor<12x16xf32>
  %scale = moe.param %m "router.scale" : !v
  %each  = moe.param %m "router.per_expert_scale" : tensor<12xf32>
  %root  = arith.constant dense<0.25> : !v    // 1 / √16
  %v = arith.mulf %scale, %root : !v
  %n = moe.rms_norm %x, %v eps 1.0e-6 : !x, !v
  %l = moe.linear %n, %w : (!x, tensor<12x16xf32>) -> !s
  %s = moe.softmax %l : !s
  %g = moe.route %s top 4 : !s -> !r
  %q = moe.normalize %g by sum : !r
  %r = moe.scale %q by %each : !r, tensor<12xf32>
  return %r : !r
}

func.func private @mlp(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "mlp.gate_proj.weight" : !mu
  %wu = moe.param %m "mlp.up_proj.weight" : !mu
  %wd = moe.param %m "mlp.down_proj.weight" : !md
  %a = moe.linear %x, %wg : (!x, !mu) -> !mh
  %b = moe.linear %x, %wu : (!x, !mu) -> !mh
  %g = moe.gelu %a tanh : !mh
  %h = arith.mulf %g, %b : !mh
  %y = moe.linear %h, %wd : (!mh, !md) -> !x
  return %y : !x
}

func.func private @experts(%x: !x, %r: !r, %m: !moe.scope) -> !x {
  %both = moe.param %m "experts.gate_up_proj" : !b
  %wd   = moe.param %m "experts.down_proj" : !d
  %wg = tensor.extract_slice %both[0, 0, 0] [12, 24, 16] [1, 1, 1] : !b to !u
  %wu = tensor.extract_slice %both[0, 24, 0] [12, 24, 16] [1, 1, 1] : !b to !u
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %a = moe.linear %t, %gate : (!x, !gu) -> !h
    %b = moe.linear %t, %up : (!x, !gu) -> !h
    %g = moe.gelu %a tanh : !h
    %h = arith.mulf %g, %b : !h
    %f = moe.linear %h, %down : (!h, !dn) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// %x is the residual stream after attention, the result is what is added to it. %m: "model.layers.1."
func.func @gemma4(%x: !x, %m: !moe.scope) -> !x {
  %before_mlp     = moe.param %m "pre_feedforward_layernorm.weight" : !v
  %before_experts = moe.param %m "pre_feedforward_layernorm_2.weight" : !v
  %after_mlp      = moe.param %m "post_feedforward_layernorm_1.weight" : !v
  %after_experts  = moe.param %m "post_feedforward_layernorm_2.weight" : !v
  %after          = moe.param %m "post_feedforward_layernorm.weight" : !v

  %a0 = moe.rms_norm %x, %before_mlp eps 1.0e-6 : !x, !v
  %a1 = func.call @mlp(%a0, %m) : (!x, !moe.scope) -> !x
  %a  = moe.rms_norm %a1, %after_mlp eps 1.0e-6 : !x, !v

  %r  = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %b0 = moe.rms_norm %x, %before_experts eps 1.0e-6 : !x, !v
  %b1 = func.call @experts(%b0, %r, %m) : (!x, !r, !moe.scope) -> !x
  %b  = moe.rms_norm %b1, %after_experts eps 1.0e-6 : !x, !v

  %sum = arith.addf %a, %b : !x
  %y   = moe.rms_norm %sum, %after eps 1.0e-6 : !x, !v
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x4xi32>
  %w = moe.weights %r : !r -> tensor<?x4xf32>
  return %i, %w : tensor<?x4xi32>, tensor<?x4xf32>
}
