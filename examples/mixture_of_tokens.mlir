// Mixture of tokens (arXiv 2310.15961). Special: experts read one mix of the tokens of a group, and every token gets its share of what they make of it.
// Normal form: score softmax over the tokens of a group of x Wᵀ; select all; weight score; on output; experts ReLU, on the sum of score · x.
!x = tensor<?x16xf32>
!s = tensor<?x8xf32>
!h = tensor<?x24xf32>
!i = tensor<?xi32>           // the group of a row
!mix = tensor<4x8x16xf32>    // one row for each group and expert
!g = !moe.routing<4, top 1>  // groups as experts
!r = !moe.routing<8, top 1>

// A softmax over the tokens of each group, and for every group the 8 sums of its tokens.
func.func private @mix(%x: !x, %l: !s, %group: !i) -> (!s, !mix) {
  %t = moe.tokens %x : !x
  %ids  = tensor.expand_shape %group [[0, 1]] output_shape [%t, 1] : !i into tensor<?x1xi32>
  %one  = arith.constant dense<1.0> : tensor<1xf32>
  %ones = moe.broadcast %one like %ids : tensor<1xf32>, tensor<?x1xi32>
  %g  = moe.from_indices %ids, %ones : tensor<?x1xi32>, tensor<?x1xf32> -> !g
  %lg = moe.dispatch %l by %g : !s, !g
  %xg = moe.dispatch %x by %g : !x, !g
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %out, %mix = moe.expert by %g rows(%a = %lg, %b = %xg) : !g, (!s, !x) -> (!s, !mix) {
    %p = moe.softmax %a over 0 : !s
    %sums = linalg.generic {indexing_maps = [affine_map<(e, d, t) -> (t, e)>, affine_map<(e, d, t) -> (t, d)>, affine_map<(e, d, t) -> (e, d)>],
        iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %b : !s, !x) outs(%zero : tensor<8x16xf32>) {
    ^bb0(%w: f32, %v: f32, %sum: f32):
      %wv = arith.mulf %w, %v : f32
      %next = arith.addf %sum, %wv : f32
      linalg.yield %next : f32
    } -> tensor<8x16xf32>
    moe.yield rows(%p : !s) each(%sums : tensor<8x16xf32>)
  }
  %p = moe.combine %out by %g unweighted : !s, !g
  return %p, %mix : !s, !mix
}

// Every expert on its mix of every group: 32 rows, of which row 8 g + e belongs to expert e.
func.func private @experts(%mix: !mix, %m: !moe.scope) -> !mix {
  %w1 = moe.param %m "experts.{expert}.up.weight" : tensor<8x24x16xf32>
  %w2 = moe.param %m "experts.{expert}.down.weight" : tensor<8x16x24xf32>
  %e   = arith.constant dense<[[0], [1], [2], [3], [4], [5], [6], [7]]> : tensor<8x1xi32>
  %e0  = tensor.empty() : tensor<4x8x1xi32>
  %es  = moe.broadcast %e like %e0 : tensor<8x1xi32>, tensor<4x8x1xi32>
  %ef  = tensor.collapse_shape %es [[0, 1], [2]] : tensor<4x8x1xi32> into tensor<32x1xi32>
  %ids = tensor.cast %ef : tensor<32x1xi32> to tensor<?x1xi32>
  %one  = arith.constant dense<1.0> : tensor<1xf32>
  %ones = moe.broadcast %one like %ids : tensor<1xf32>, tensor<?x1xi32>
  %r = moe.from_indices %ids, %ones : tensor<?x1xi32>, tensor<?x1xf32> -> !r

  %flat = tensor.collapse_shape %mix [[0, 1], [2]] : !mix into tensor<32x16xf32>
  %rows = tensor.cast %flat : tensor<32x16xf32> to !x
  %in   = moe.dispatch %rows by %r : !x, !r
  %out  = moe.expert by %r rows(%t = %in) each(%up = %w1, %down = %w2) : !r, (!x, tensor<8x24x16xf32>, tensor<8x16x24xf32>) -> !x {
    %a = moe.linear %t, %up : (!x, tensor<24x16xf32>) -> !h
    %h = moe.map (%v = %a) : (!h) -> !h {
      %zero = arith.constant 0.0 : f32
      %relu = arith.maximumf %v, %zero : f32
      moe.yield %relu : f32
    }
    %f = moe.linear %h, %down : (!h, tensor<16x24xf32>) -> !x
    moe.yield %f : !x
  }
  %y  = moe.combine %out by %r unweighted : !x, !r
  %yf = tensor.cast %y : !x to tensor<32x16xf32>
  %ym = tensor.expand_shape %yf [[0, 1], [2]] output_shape [4, 8, 16] : tensor<32x16xf32> into !mix
  return %ym : !mix
}

// A group without tokens makes mixes of zeros, which nobody reads.
func.func @mixture_of_tokens(%x: !x, %group: !i, %m: !moe.scope) -> !x {
  %w = moe.param %m "controller.weight" : tensor<8x16xf32>
  %l = moe.linear %x, %w : (!x, tensor<8x16xf32>) -> !s
  %p, %mix = func.call @mix(%x, %l, %group) : (!x, !s, !i) -> (!s, !mix)
  %made = func.call @experts(%mix, %m) : (!mix, !moe.scope) -> !mix
  %t  = moe.tokens %x : !x
  %of = moe.gather %made at %group : !mix, !i -> tensor<?x8x16xf32>
  %pc = tensor.expand_shape %p [[0], [1, 2]] output_shape [%t, 8, 1] : !s into tensor<?x8x1xf32>
  %pb = moe.broadcast %pc like %of : tensor<?x8x1xf32>, tensor<?x8x16xf32>
  %v  = arith.mulf %of, %pb : tensor<?x8x16xf32>
  %y  = moe.reduce sum %v over 1 : tensor<?x8x16xf32> -> !x
  return %y : !x
}
