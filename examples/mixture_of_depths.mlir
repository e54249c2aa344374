// Mixture of depths (arXiv 2404.02258). Special: the one expert is a whole block, whose attention sees the chosen tokens alone; the rest pass by.
// Normal form: score x · w; select the block takes the c best tokens of a sequence; weight score; on output; capacity c, always full; experts attention and a ReLU MLP; also + the input.
!x = tensor<?x16xf32>
!h = tensor<?x1x16xf32>      // one head
!i = tensor<?xi32>
!w = tensor<16x16xf32>       // [in, out]
!r = !moe.routing<1, take>

func.func private @block(%x: !x, %seq: !i, %pos: !i, %c: !i, %m: !moe.scope) -> !x {
  %wr = moe.param %m "w_router" : tensor<16xf32>
  %wq = moe.param %m "wq" : !w
  %wk = moe.param %m "wk" : !w
  %wv = moe.param %m "wv" : !w
  %w1 = moe.param %m "w1" : !w
  %w2 = moe.param %m "w2" : !w
  %row = tensor.expand_shape %wr [[0, 1]] output_shape [1, 16] : tensor<16xf32> into tensor<1x16xf32>
  %s = moe.linear %x, %row : (!x, tensor<1x16xf32>) -> tensor<?x1xf32>
  %r = moe.route %s take %c segments %seq : tensor<?x1xf32>, !i, !i -> !r

  %in = moe.dispatch %x by %r : !x, !r
  %is = moe.dispatch %seq by %r : !i, !r
  %ip = moe.dispatch %pos by %r : !i, !r
  %out = moe.expert by %r rows(%t = %in, %ts = %is, %tp = %ip) each() : !r, (!x, !i, !i) -> !x {
    %q0 = moe.linear %t, %wq in_out : (!x, !w) -> !x
    %k0 = moe.linear %t, %wk in_out : (!x, !w) -> !x
    %v0 = moe.linear %t, %wv in_out : (!x, !w) -> !x
    %q = moe.split %q0 : !x into !h
    %k = moe.split %k0 : !x into !h
    %v = moe.split %v0 : !x into !h
    %a0 = moe.attention %q, %k, %v segments(%ts, %ts) positions(%tp, %tp) {causal, scale = 0.25} : (!h, !h, !h, !i, !i, !i, !i) -> !h
    %a = tensor.collapse_shape %a0 [[0], [1, 2]] : !h into !x
    %u = moe.linear %a, %w1 in_out : (!x, !w) -> !x
    %h = moe.map (%e = %u) : (!x) -> !x {
      %zero = arith.constant 0.0 : f32
      %relu = arith.maximumf %e, %zero : f32
      moe.yield %relu : f32
    }
    %f = moe.linear %h, %w2 in_out : (!x, !w) -> !x
    moe.yield %f : !x
  }
  %b = moe.combine %out by %r weighted : !x, !r
  %y = arith.addf %x, %b : !x
  return %y : !x
}

// One token in eight goes through the block.
func.func @eighth(%x: !x, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %n = moe.segment_size %seq : !i
  %c = moe.capacity %n by mesh factor 0.125 experts 1 minimum 1 : !i
  %y = func.call @block(%x, %seq, %pos, %c, %m) : (!x, !i, !i, !i, !moe.scope) -> !x
  return %y : !x
}

// Every second one does.
func.func @half(%x: !x, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %n = moe.segment_size %seq : !i
  %c = moe.capacity %n by mesh factor 0.5 experts 1 minimum 1 : !i
  %y = func.call @block(%x, %seq, %pos, %c, %m) : (!x, !i, !i, !i, !moe.scope) -> !x
  return %y : !x
}
