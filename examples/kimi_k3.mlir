// Kimi K3 (moonshotai/Kimi-K3). Special: SiTU, a SwiGLU whose two factors are bent by tanh and so cannot grow; experts work in a latent space, and their sum is normalised there.
// Normal form: score sigmoid(x Wᵀ); key score + bias; select top 4; weight score / sum; on output; experts latent, SiTU-GLU; also + shared experts.
!x  = tensor<?x32xf32>
!z  = tensor<?x16xf32>       // a token in the latent space
!s  = tensor<?x16xf32>
!h  = tensor<?x24xf32>
!gu = tensor<24x16xf32>
!dn = tensor<16x24xf32>
!u  = tensor<16x24x16xf32>
!d  = tensor<16x16x24xf32>
!sh = tensor<?x48xf32>       // inside the two shared experts, which are one of twice the width
!su = tensor<48x32xf32>
!sd = tensor<32x48xf32>
!r  = !moe.routing<16, top 4>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<16x32xf32>
  %bias = moe.param %m "gate.e_score_correction_bias" : tensor<16xf32>
  %l   = moe.linear %x, %w : (!x, tensor<16x32xf32>) -> !s
  %s   = moe.sigmoid %l : !s
  %b   = moe.broadcast %bias like %s : tensor<16xf32>, !s
  %key = arith.addf %s, %b : !s
  %g   = moe.route %s by %key top 4 : !s -> !r
  %r   = moe.normalize %g by sum : !r
  return %r : !r
}

// 4 tanh(g / 4) · sigmoid(g) · 25 tanh(u / 25)
func.func private @situ(%gate: !h, %up: !h) -> !h {
  %h = moe.map (%g = %gate, %u = %up) : (!h, !h) -> !h {
    %four = arith.constant 4.0 : f32
    %most = arith.constant 25.0 : f32
    %a0 = arith.divf %g, %four : f32
    %a1 = math.tanh %a0 : f32
    %a2 = arith.mulf %a1, %four : f32
    %s  = moe.sigmoid %g : f32
    %a  = arith.mulf %a2, %s : f32
    %b0 = arith.divf %u, %most : f32
    %b1 = math.tanh %b0 : f32
    %b  = arith.mulf %b1, %most : f32
    %p  = arith.mulf %a, %b : f32
    moe.yield %p : f32
  }
  return %h : !h
}

func.func private @shared_situ(%gate: !sh, %up: !sh) -> !sh {
  %h = moe.map (%g = %gate, %u = %up) : (!sh, !sh) -> !sh {
    %four = arith.constant 4.0 : f32
    %most = arith.constant 25.0 : f32
    %a0 = arith.divf %g, %four : f32
    %a1 = math.tanh %a0 : f32
    %a2 = arith.mulf %a1, %four : f32
    %s  = moe.sigmoid %g : f32
    %a  = arith.mulf %a2, %s : f32
    %b0 = arith.divf %u, %most : f32
    %b1 = math.tanh %b0 : f32
    %b  = arith.mulf %b1, %most : f32
    %p  = arith.mulf %a, %b : f32
    moe.yield %p : f32
  }
  return %h : !sh
}

func.func private @shared(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "shared_experts.gate_proj.weight" : !su
  %wu = moe.param %m "shared_experts.up_proj.weight" : !su
  %wd = moe.param %m "shared_experts.down_proj.weight" : !sd
  %a = moe.linear %x, %wg : (!x, !su) -> !sh
  %b = moe.linear %x, %wu : (!x, !su) -> !sh
  %h = func.call @shared_situ(%a, %b) : (!sh, !sh) -> !sh
  %y = moe.linear %h, %wd : (!sh, !sd) -> !x
  return %y : !x
}

func.func @kimi_k3(%x: !x, %m: !moe.scope) -> !x {
  %to   = moe.param %m "routed_expert_down_proj.weight" : tensor<16x32xf32>
  %norm = moe.param %m "routed_expert_norm.weight" : tensor<16xf32>
  %from = moe.param %m "routed_expert_up_proj.weight" : tensor<32x16xf32>
  %wg = moe.param %m "experts.{expert}.w1.weight" : !u
  %wu = moe.param %m "experts.{expert}.w3.weight" : !u
  %wd = moe.param %m "experts.{expert}.w2.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %z   = moe.linear %x, %to : (!x, tensor<16x32xf32>) -> !z
  %in  = moe.dispatch %z by %r : !z, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!z, !u, !u, !d) -> !z {
    %a = moe.linear %t, %gate : (!z, !gu) -> !h
    %b = moe.linear %t, %up : (!z, !gu) -> !h
    %h = func.call @situ(%a, %b) : (!h, !h) -> !h
    %f = moe.linear %h, %down : (!h, !dn) -> !z
    moe.yield %f : !z
  }
  %sum    = moe.combine %out by %r weighted : !z, !r
  %even   = moe.rms_norm %sum, %norm eps 1.0e-5 : !z, tensor<16xf32>
  %routed = moe.linear %even, %from : (!z, tensor<32x16xf32>) -> !x
  %shared = func.call @shared(%x, %m) : (!x, !moe.scope) -> !x
  %y      = arith.addf %routed, %shared : !x
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x4xi32>, tensor<?x4xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x4xi32>
  %w = moe.weights %r : !r -> tensor<?x4xf32>
  return %i, %w : tensor<?x4xi32>, tensor<?x4xf32>
}
