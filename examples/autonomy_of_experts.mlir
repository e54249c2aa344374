// Autonomy of experts (arXiv 2501.13074). Special: there is no router: every expert makes its first, narrow product for every token, and the largest ones win.
// Normal form: score |D x| of every expert; select top 2; weight softmax over the chosen; on output; experts silu(U D x) · V x.
!x = tensor<?x16xf32>
!s = tensor<?x6xf32>
!n = tensor<?x4xf32>         // a narrow product
!z = tensor<?x6x4xf32>       // those of all experts
!h = tensor<?x24xf32>
!i = tensor<?xi32>
!u = tensor<6x24x4xf32>
!v = tensor<6x24x16xf32>
!d = tensor<6x16x24xf32>
!r = !moe.routing<6, top 2>

func.func private @narrow(%x: !x, %m: !moe.scope) -> !z {
  %w = moe.param %m "experts.{expert}.gate_down.weight" : tensor<6x4x16xf32>
  %all = tensor.collapse_shape %w [[0, 1], [2]] : tensor<6x4x16xf32> into tensor<24x16xf32>
  %a = moe.linear %x, %all : (!x, tensor<24x16xf32>) -> !h
  %z = moe.split %a : !h into !z
  return %z : !z
}

func.func private @router(%z: !z) -> !r {
  %square = arith.mulf %z, %z : !z
  %sum  = moe.reduce sum %square over 2 : !z -> !s
  %norm = math.sqrt %sum : !s
  %g = moe.route %norm top 2 : !s -> !r
  %r = moe.normalize %g by softmax : !r
  return %r : !r
}

// The chosen products, in dispatch order: that of expert e for token t is row 6 t + e.
func.func private @chosen(%z: !z, %r: !r) -> !n {
  %expert, %token, %slot, %weight = moe.pairs %r : !r -> !i, !i, !i, tensor<?xf32>
  %row = moe.map (%e = %expert, %t = %token) : (!i, !i) -> !i {
    %six = arith.constant 6 : i32
    %a = arith.muli %t, %six : i32
    %b = arith.addi %a, %e : i32
    moe.yield %b : i32
  }
  %table = tensor.collapse_shape %z [[0, 1], [2]] : !z into !n
  %y = moe.gather %table at %row : !n, !i -> !n
  return %y : !n
}

func.func @autonomy_of_experts(%x: !x, %m: !moe.scope) -> !x {
  %wu = moe.param %m "experts.{expert}.gate_up.weight" : !u
  %wv = moe.param %m "experts.{expert}.up.weight" : !v
  %wd = moe.param %m "experts.{expert}.down.weight" : !d
  %z   = func.call @narrow(%x, %m) : (!x, !moe.scope) -> !z
  %r   = func.call @router(%z) : (!z) -> !r
  %in  = moe.dispatch %x by %r : !x, !r
  %zin = func.call @chosen(%z, %r) : (!z, !r) -> !n
  %out = moe.expert by %r rows(%t = %in, %n = %zin) each(%gate = %wu, %up = %wv, %down = %wd) : !r, (!x, !n, !u, !v, !d) -> !x {
    %a = moe.linear %n, %gate : (!n, tensor<24x4xf32>) -> !h
    %b = moe.linear %t, %up : (!x, tensor<24x16xf32>) -> !h
    %s = moe.silu %a : !h
    %h = arith.mulf %s, %b : !h
    %f = moe.linear %h, %down : (!h, tensor<16x24xf32>) -> !x
    moe.yield %f : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

func.func @routing(%x: !x, %m: !moe.scope) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  %z = func.call @narrow(%x, %m) : (!x, !moe.scope) -> !z
  %r = func.call @router(%z) : (!z) -> !r
  %i = moe.indices %r : !r -> tensor<?x2xi32>
  %w = moe.weights %r : !r -> tensor<?x2xf32>
  return %i, %w : tensor<?x2xi32>, tensor<?x2xf32>
}
