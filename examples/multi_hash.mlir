// MultiHash layers (arXiv 2106.04426, section 3.3). Special: several hashes of an id choose one slice each of the hidden layer and of the output.
// Normal form: score none; select table[id] of each of 2 hashes; weight 1; on output; experts a half of up, and a half of down; also slices are joined, not summed.
!x = tensor<?x16xf32>
!h = tensor<?x12xf32>        // half of the hidden layer
!v = tensor<?x24xf32>        // both halves
!o = tensor<?x8xf32>         // half of the output
!i = tensor<?xi64>
!k = tensor<50x1xi64>        // the expert of every id
!a = tensor<6x12x16xf32>     // up of 6 experts, [expert, half of hidden, in]
!b = tensor<6x8x24xf32>      // down, [expert, half of out, hidden]
!r = !moe.routing<6, top 1>

// Every token's rows of the matrix that its expert has.
func.func private @up(%x: !x, %r: !r, %a: !a) -> !h {
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) each(%w = %a) : !r, (!x, !a) -> !h {
    %y = moe.linear %t, %w : (!x, tensor<12x16xf32>) -> !h
    moe.yield %y : !h
  }
  %y = moe.combine %out by %r unweighted : !h, !r
  return %y : !h
}

func.func private @down(%v: !v, %r: !r, %b: !b) -> !o {
  %in = moe.dispatch %v by %r : !v, !r
  %out = moe.expert by %r rows(%t = %in) each(%w = %b) : !r, (!v, !b) -> !o {
    %y = moe.linear %t, %w : (!v, tensor<8x24xf32>) -> !o
    moe.yield %y : !o
  }
  %y = moe.combine %out by %r unweighted : !o, !r
  return %y : !o
}

// v = relu([A_k1 x; A_k2 x]) with the experts k1 and k2 that the two hashes choose, and y = [B_k1 v; B_k2 v].
func.func @multi_hash(%x: !x, %ids: !i, %m: !moe.scope) -> !x {
  %both = moe.param %m "tables" : tensor<50x2xi64>
  %a = moe.param %m "up" : !a
  %b = moe.param %m "down" : !b
  %k1 = tensor.extract_slice %both[0, 0] [50, 1] [1, 1] : tensor<50x2xi64> to !k
  %k2 = tensor.extract_slice %both[0, 1] [50, 1] [1, 1] : tensor<50x2xi64> to !k
  %r1 = moe.lookup %ids in %k1 : !i, !k -> !r
  %r2 = moe.lookup %ids in %k2 : !i, !k -> !r
  %h1 = func.call @up(%x, %r1, %a) : (!x, !r, !a) -> !h
  %h2 = func.call @up(%x, %r2, %a) : (!x, !r, !a) -> !h
  %h = tensor.concat dim(1) %h1, %h2 : (!h, !h) -> !v
  %v = moe.map (%e = %h) : (!v) -> !v {
    %zero = arith.constant 0.0 : f32
    %relu = arith.maximumf %e, %zero : f32
    moe.yield %relu : f32
  }
  %y1 = func.call @down(%v, %r1, %b) : (!v, !r, !b) -> !o
  %y2 = func.call @down(%v, %r2, %b) : (!v, !r, !b) -> !o
  %y = tensor.concat dim(1) %y1, %y2 : (!o, !o) -> !x
  return %y : !x
}
