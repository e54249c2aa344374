// Grok-1 (xai-org/grok-1; the router as vLLM runs it). Special: logits are capped softly at 30 before the softmax, and experts are GeGLU.
// Normal form: score softmax(30 tanh(x Wᵀ / 30)); select top 2; weight score / sum; on output; experts GeGLU.
!x  = tensor<?x32xf32>
!s  = tensor<?x8xf32>
!h  = tensor<?x24xf32>
!gu = tensor<24x32xf32>      // gate or up of one expert
!dn = tensor<32x24xf32>
!u  = tensor<8x24x32xf32>
!d  = tensor<8x32x24xf32>
!r  = !moe.routing<8, top 2>

func.func private @router(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate.weight" : tensor<8x32xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x32xf32>) -> !s
  %c = moe.map (%v = %l) : (!s) -> !s {
    %cap = arith.constant 30.0 : f32
    %a = arith.divf %v, %cap : f32
    %t = math.tanh %a : f32
    %y = arith.mulf %t, %cap : f32
    moe.yield %y : f32
  }
  %s = moe.softmax %c : !s
  %g = moe.route %s top 2 : !s -> !r
  %r = moe.normalize %g by sum : !r
  return %r : !r
}

func.func private @geglu(%x: !x, %gate: !gu, %up: !gu, %down: !dn) -> !x {
  %a = moe.linear %x, %gate : (!x, !gu) -> !h
  %b = moe.linear %x, %up : (!x, !gu) -> !h
  %g = moe.gelu %a tanh : !h
  %h = arith.mulf %g, %b : !h
  %y = moe.linear %h, %down : (!h, !dn) -> !x
  return %y : !x
}

func.func @grok(%x: !x, %m: !moe.scope) -> !x {
  %wg = moe.param %m "experts.{expert}.linear.weight" : !u
  %wu = moe.param %m "experts.{expert}.linear_v.weight" : !u
  %wd = moe.param %m "experts.{expert}.linear_1.weight" : !d

  %r   = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%gate = %wg, %up = %wu, %down = %wd) : !r, (!x, !u, !u, !d) -> !x {
    %f = func.call @geglu(%t, %gate, %up, %down) : (!x, !gu, !gu, !dn) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %r = func.call @router(%x, %m) : (!x, !moe.scope) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
