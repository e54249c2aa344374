// Zaya (Zyphra/ZAYA1; arXiv 2511.17127). Special: the router is a small MLP whose first layer also sees the router of the layer before; one choice is to skip, the sooner the larger its bias.
// Normal form: score softmax(MLP(rms_norm(D x + v · state before))); key score + bias; select top 1; weight score; on output; experts 8 SwiGLU, 1 zero; also the state for the next layer.
!x  = tensor<?x32xf32>
!z  = tensor<?x12xf32>       // the router's state
!s  = tensor<?x9xf32>
!h  = tensor<?x16xf32>
!gu = tensor<16x32xf32>
!dn = tensor<32x16xf32>
!b  = tensor<8x32x32xf32>    // gate (first half) and up of the 8 experts that compute
!u  = tensor<8x16x32xf32>
!d  = tensor<8x32x16xf32>
!w  = tensor<12x12xf32>
!v  = tensor<12xf32>
!r  = !moe.routing<9, top 1>

func.func private @router(%x: !x, %before: !z, %m: !moe.scope) -> (!r, !z) {
  %wd = moe.param %m "gate.down_proj.weight" : tensor<12x32xf32>
  %bd = moe.param %m "gate.down_proj.bias" : !v
  %vs = moe.param %m "gate.router_states_scale" : !v
  %vn = moe.param %m "gate.router_mlp.norm.weight" : !v
  %w1 = moe.param %m "gate.router_mlp.fc1.weight" : !w
  %b1 = moe.param %m "gate.router_mlp.fc1.bias" : !v
  %w2 = moe.param %m "gate.router_mlp.fc2.weight" : !w
  %b2 = moe.param %m "gate.router_mlp.fc2.bias" : !v
  %wo = moe.param %m "gate.router_mlp.out_proj.weight" : tensor<9x12xf32>
  %bias = moe.param %m "gate.balancing_biases" : tensor<9xf32>

  %own = moe.linear %x, %wd, %bd : (!x, tensor<12x32xf32>, !v) -> !z
  %vb  = moe.broadcast %vs like %before : !v, !z
  %old = arith.mulf %before, %vb : !z
  %z   = arith.addf %own, %old : !z

  %n  = moe.rms_norm %z, %vn eps 1.0e-5 : !z, !v
  %a0 = moe.linear %n, %w1, %b1 : (!z, !w, !v) -> !z
  %a  = moe.gelu %a0 exact : !z
  %c0 = moe.linear %a, %w2, %b2 : (!z, !w, !v) -> !z
  %c  = moe.gelu %c0 exact : !z
  %l  = moe.linear %c, %wo : (!z, tensor<9x12xf32>) -> !s

  %p   = moe.softmax %l : !s
  %b   = moe.broadcast %bias like %p : tensor<9xf32>, !s
  %key = arith.addf %p, %b : !s
  %r   = moe.route %p by %key top 1 : !s -> !r
  return %r, %z : !r, !z
}

func.func private @swiglu(%x: !x, %gate: !gu, %up: !gu, %down: !dn) -> !x {
  %a = moe.linear %x, %gate : (!x, !gu) -> !h
  %b = moe.linear %x, %up : (!x, !gu) -> !h
  %s = moe.silu %a : !h
  %h = arith.mulf %s, %b : !h
  %y = moe.linear %h, %down : (!h, !dn) -> !x
  return %y : !x
}

// The second result is the state for the router of the next layer. %m: "model.layers.1.mlp."
func.func @zaya(%x: !x, %before: !z, %m: !moe.scope) -> (!x, !z) {
  %both = moe.param %m "experts.gate_up_proj" : !b
  %wd   = moe.param %m "experts.down_proj" : !d
  %wg = tensor.extract_slice %both[0, 0, 0] [8, 16, 32] [1, 1, 1] : !b to !u
  %wu = tensor.extract_slice %both[0, 16, 0] [8, 16, 32] [1, 1, 1] : !b to !u

  %r, %z = func.call @router(%x, %before, %m) : (!x, !z, !moe.scope) -> (!r, !z)
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x
      range 0 to 8 each(%gate = %wg, %up = %wu, %down = %wd) : (!u, !u, !d) {
    %f = func.call @swiglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
      range 8 to 9 {
    %zero = arith.constant 0.0 : f32
    %f = moe.broadcast %zero like %t : f32, !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y, %z : !x, !z
}

func.func @routing(%x: !x, %before: !z, %m: !moe.scope) -> tensor<?x1xi32> {
  %r, %z = func.call @router(%x, %before, %m) : (!x, !z, !moe.scope) -> (!r, !z)
  %i = moe.indices %r : !r -> tensor<?x1xi32>
  return %i : tensor<?x1xi32>
}
