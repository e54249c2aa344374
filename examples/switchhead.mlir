// SwitchHead (arXiv 2312.07987). Special: value and output projections of every attention head are mixtures; queries and keys are dense, so heads are few.
// Normal form: score sigmoid(x Wᵀ) of each of 2 heads, for the value of a key row and for the output of a query row; select top 2 of each; weight score; on output; experts a projection; also attention between the two choices, sum over heads.
!x = tensor<?x16xf32>
!s = tensor<?x4xf32>         // 4 experts a head
!i = tensor<?xi32>
!p = tensor<?x8xf32>         // one head
!h = tensor<?x2x8xf32>       // two heads
!u = tensor<?x2x16xf32>
!sel = tensor<8x16xf32>      // 2 heads · 4 experts
!sel1 = tensor<4x16xf32>     // of one head
!v = tensor<8x16x8xf32>      // value projections, [in, out]
!v1 = tensor<4x16x8xf32>
!o = tensor<8x8x16xf32>      // output projections
!o1 = tensor<4x8x16xf32>
!f = tensor<2xf32>
!r = !moe.routing<4, top 2>

func.func private @choose(%x: !x, %w: !sel1) -> !r {
  %l = moe.linear %x, %w : (!x, !sel1) -> !s
  %s = moe.sigmoid %l : !s
  %r = moe.route %s top 2 : !s -> !r
  return %r : !r
}

func.func private @value(%x: !x, %sel: !sel1, %w: !v1) -> tensor<?x1x8xf32> {
  %r  = func.call @choose(%x, %sel) : (!x, !sel1) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%we = %w) : !r, (!x, !v1) -> !p {
    %y = moe.linear %t, %we in_out : (!x, tensor<16x8xf32>) -> !p
    moe.yield %y : !p
  }
  %v = moe.combine %out by %r weighted : !p, !r
  %y = moe.split %v : !p into tensor<?x1x8xf32>
  return %y : tensor<?x1x8xf32>
}

func.func private @values(%x: !x, %m: !moe.scope) -> !h {
  %sel = moe.param %m "sel_v" : !sel
  %w = moe.param %m "w_v" : !v
  %s0 = tensor.extract_slice %sel[0, 0] [4, 16] [1, 1] : !sel to !sel1
  %s1 = tensor.extract_slice %sel[4, 0] [4, 16] [1, 1] : !sel to !sel1
  %w0 = tensor.extract_slice %w[0, 0, 0] [4, 16, 8] [1, 1, 1] : !v to !v1
  %w1 = tensor.extract_slice %w[4, 0, 0] [4, 16, 8] [1, 1, 1] : !v to !v1
  %v0 = func.call @value(%x, %s0, %w0) : (!x, !sel1, !v1) -> tensor<?x1x8xf32>
  %v1 = func.call @value(%x, %s1, %w1) : (!x, !sel1, !v1) -> tensor<?x1x8xf32>
  %v = tensor.concat dim(1) %v0, %v1 : (tensor<?x1x8xf32>, tensor<?x1x8xf32>) -> !h
  return %v : !h
}

// What a head found, projected by the experts that its query row chooses.
func.func private @output(%x: !x, %a: !h, %head: index, %sel: !sel1, %w: !o1) -> !x {
  %t = moe.tokens %x : !x
  %p = tensor.extract_slice %a[0, %head, 0] [%t, 1, 8] [1, 1, 1] : !h to !p
  %r  = func.call @choose(%x, %sel) : (!x, !sel1) -> !r
  %in = moe.dispatch %p by %r : !p, !r
  %out = moe.expert by %r rows(%b = %in) each(%we = %w) : !r, (!p, !o1) -> !x {
    %y = moe.linear %b, %we in_out : (!p, tensor<8x16xf32>) -> !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func private @outputs(%x: !x, %a: !h, %m: !moe.scope) -> !x {
  %sel = moe.param %m "sel_o" : !sel
  %w = moe.param %m "w_o" : !o
  %s0 = tensor.extract_slice %sel[0, 0] [4, 16] [1, 1] : !sel to !sel1
  %s1 = tensor.extract_slice %sel[4, 0] [4, 16] [1, 1] : !sel to !sel1
  %w0 = tensor.extract_slice %w[0, 0, 0] [4, 8, 16] [1, 1, 1] : !o to !o1
  %w1 = tensor.extract_slice %w[4, 0, 0] [4, 8, 16] [1, 1, 1] : !o to !o1
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y0 = func.call @output(%x, %a, %c0, %s0, %w0) : (!x, !h, index, !sel1, !o1) -> !x
  %y1 = func.call @output(%x, %a, %c1, %s1, %w1) : (!x, !h, index, !sel1, !o1) -> !x
  %y = arith.addf %y0, %y1 : !x
  return %y : !x
}

func.func private @project(%x: !x, %w: tensor<16x16xf32>) -> !h {
  %q = moe.linear %x, %w : (!x, tensor<16x16xf32>) -> !x
  %h = moe.split %q : !x into !h
  return %h : !h
}

// Rotary positions on the first half of every head.
func.func @rope(%x: !x, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %wq = moe.param %m "w_q" : tensor<16x16xf32>
  %wk = moe.param %m "w_k" : tensor<16x16xf32>
  %q0 = func.call @project(%x, %wq) : (!x, tensor<16x16xf32>) -> !h
  %k0 = func.call @project(%x, %wk) : (!x, tensor<16x16xf32>) -> !h
  %v = func.call @values(%x, %m) : (!x, !moe.scope) -> !h
  %f = moe.rope_frequencies {dim = 4, theta = 1.0e4} : !f
  %q = moe.rope %q0 at %pos by %f pairs half : !h, !i, !f
  %k = moe.rope %k0 at %pos by %f pairs half : !h, !i, !f
  %a = moe.attention %q, %k, %v segments(%seq, %seq) positions(%pos, %pos) {causal, scale = 0.35355339059327379} : (!h, !h, !h, !i, !i, !i, !i) -> !h
  %y = func.call @outputs(%x, %a, %m) : (!x, !h, !moe.scope) -> !x
  return %y : !x
}

func.func @no_positions(%x: !x, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %wq = moe.param %m "w_q" : tensor<16x16xf32>
  %wk = moe.param %m "w_k" : tensor<16x16xf32>
  %q = func.call @project(%x, %wq) : (!x, tensor<16x16xf32>) -> !h
  %k = func.call @project(%x, %wk) : (!x, tensor<16x16xf32>) -> !h
  %v = func.call @values(%x, %m) : (!x, !moe.scope) -> !h
  %a = moe.attention %q, %k, %v segments(%seq, %seq) positions(%pos, %pos) {causal, scale = 0.35355339059327379} : (!h, !h, !h, !i, !i, !i, !i) -> !h
  %y = func.call @outputs(%x, %a, %m) : (!x, !h, !moe.scope) -> !x
  return %y : !x
}

// Transformer-XL adds (q W) · e(s - t) to the score of key row s for query row t, where e(n) = (sin n f, cos n f, ...). A difference of angles is two
// rotations: the query turns q W by -t, the key has e(s), which is (0, 1, ...) turned by -s, and both are more columns of query and key.
func.func @xl(%x: !x, %seq: !i, %pos: !i, %m: !moe.scope) -> !x {
  %wq = moe.param %m "w_q" : tensor<16x16xf32>
  %wk = moe.param %m "w_k" : tensor<16x16xf32>
  %wp = moe.param %m "pos_to_pk" : tensor<16x16xf32>
  %q0 = func.call @project(%x, %wq) : (!x, tensor<16x16xf32>) -> !h
  %k0 = func.call @project(%x, %wk) : (!x, tensor<16x16xf32>) -> !h
  %v = func.call @values(%x, %m) : (!x, !moe.scope) -> !h
  %f = moe.rope_frequencies {dim = 16, theta = 1.0e4} : tensor<8xf32>
  %back = moe.map (%n = %pos) : (!i) -> !i {
    %zero = arith.constant 0 : i32
    %y = arith.subi %zero, %n : i32
    moe.yield %y : i32
  }
  %t = moe.tokens %x : !x
  %qa = tensor.extract_slice %q0[0, 0, 0] [%t, 1, 8] [1, 1, 1] : !h to !p
  %qb = tensor.extract_slice %q0[0, 1, 0] [%t, 1, 8] [1, 1, 1] : !h to !p
  %wa = tensor.extract_slice %wp[0, 0] [8, 16] [1, 1] : tensor<16x16xf32> to tensor<8x16xf32>
  %wb = tensor.extract_slice %wp[8, 0] [8, 16] [1, 1] : tensor<16x16xf32> to tensor<8x16xf32>
  %ua = moe.linear %qa, %wa in_out : (!p, tensor<8x16xf32>) -> !x
  %ub = moe.linear %qb, %wb in_out : (!p, tensor<8x16xf32>) -> !x
  %ua1 = moe.split %ua : !x into tensor<?x1x16xf32>
  %ub1 = moe.split %ub : !x into tensor<?x1x16xf32>
  %u0 = tensor.concat dim(1) %ua1, %ub1 : (tensor<?x1x16xf32>, tensor<?x1x16xf32>) -> !u
  %u = moe.rope %u0 at %back by %f pairs interleaved : !u, !i, tensor<8xf32>
  %unit = arith.constant dense<[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]> : tensor<16xf32>
  %e0 = moe.broadcast %unit like %u : tensor<16xf32>, !u
  %e = moe.rope %e0 at %back by %f pairs interleaved : !u, !i, tensor<8xf32>
  %q = tensor.concat dim(2) %q0, %u : (!h, !u) -> tensor<?x2x24xf32>
  %k = tensor.concat dim(2) %k0, %e : (!h, !u) -> tensor<?x2x24xf32>
  %a = moe.attention %q, %k, %v segments(%seq, %seq) positions(%pos, %pos) {causal, scale = 0.35355339059327379}
      : (tensor<?x2x24xf32>, tensor<?x2x24xf32>, !h, !i, !i, !i, !i) -> !h
  %y = func.call @outputs(%x, %a, %m) : (!x, !h, !moe.scope) -> !x
  return %y : !x
}
