// Nemotron 3 Super (nvidia; transformers' nemotron_h). Special: experts see a token in a latent space of half its width; they have no gate, and the shared expert sees all of it.
// Normal form: score sigmoid(x Wᵀ); key score + bias; select top 6; weight score / (sum + 1e-20) · 5; on output; experts latent, squared ReLU; also + shared expert.
!x  = tensor<?x32xf32>
!z  = tensor<?x16xf32>       // a token in the latent space
!s  = tensor<?x16xf32>
!h  = tensor<?x24xf32>
!up = tensor<24x16xf32>
!dn = tensor<16x24xf32>
!u  = tensor<16x24x16xf32>
!d  = tensor<16x16x24xf32>
!sh = tensor<?x40xf32>       // inside the shared expert
!su = tensor<40x32xf32>
!sd = tensor<32x40xf32>
!r  = !moe.routing<16, top 6>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<16x32xf32>
  %bias = moe.param %m "gate.e_score_correction_bias" : tensor<16xf32>
  %l   = moe.linear %x, %w : (!x, tensor<16x32xf32>) -> !s
  %s   = moe.sigmoid %l : !s
  %b   = moe.broadcast %bias like %s : tensor<16xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 6 : !s -> !r
  %n   = moe.normalize %g by sum plus 1.0e-20 : !r
  %r   = moe.scale %n by 5.0 : !r
  return %r : !r
}

func.func private @shared(%x: !x, %m: !moe.scope) -> !x {
  %wu = moe.param %m "shared_experts.up_proj.weight" : !su
  %wd = moe.param %m "shared_experts.down_proj.weight" : !sd
  %a = moe.linear %x, %wu : (!x, !su) -> !sh
  %h = moe.relu2 %a : !sh
  %y = moe.linear %h, %wd : (!sh, !sd) -> !x
  return %y : !x
}

// %m: "backbone.layers.1.mixer."
func.func @nemotron_h(%x: !x, %m: !moe.scope) -> !x {
  %to   = moe.param %m "fc1_latent_proj.weight" : tensor<16x32xf32>
  %from = moe.param %m "fc2_latent_proj.weight" : tensor<32x16xf32>
  %wu = moe.param %m "experts.{expert}.up_proj.weight" : !u
  %wd = moe.param %m "experts.{expert}.down_proj.weight" : !d

  // The router looks at the whole token; only what is dispatched is narrow.
  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %z   = moe.linear %x, %to : (!x, tensor<16x32xf32>) -> !z
  %in  = moe.dispatch %z by %r : !z, !r
  %out = moe.expert by %r rows(%t = %in) each(%up = %wu, %down = %wd) : !r, (!z, !u, !d) -> !z {
    %a = moe.linear %t, %up : (!z, !up) -> !h
    %h = moe.relu2 %a : !h
    %f = moe.linear %h, %down : (!h, !dn) -> !z
    moe.yield %f : !z
  }
  %sum    = moe.combine %out by %r weighted : !z, !r
  %routed = moe.linear %sum, %from : (!z, tensor<32x16xf32>) -> !x
  %shared = func.call @shared(%x, %m) : (!x, !moe.scope) -> !x
  %y      = arith.addf %routed, %shared : !x
  return %y : !x
}

// The weights as a matrix: the published code gives the chosen experts in no particular order.
func.func @routing(%x: !x, %m: !moe.scope) -> !s {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %g = moe.to_matrix %r : !r -> !s
  return %g : !s
}
