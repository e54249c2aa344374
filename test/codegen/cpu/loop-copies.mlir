// Tensors inside a loop over experts whose rows are not those of the expert: every expert has a copy of its own, as large as it is,
// because threads compute experts at the same time.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so all_rows:3,1500 constant_plan:3,1500 -- --expected_atol=1e-3 --expected_rtol=1e-3
!x = tensor<?x16xf32>
!g = tensor<16x16xf32>
!r = !moe.routing<4, top 1>
!q = !moe.routing<8, top 1>

func.func private @route(%x: !x, %m: !moe.scope) -> !r {
  %w = moe.param %m "gate" : tensor<4x16xf32>
  %l = moe.linear %x, %w : (!x, tensor<4x16xf32>) -> tensor<?x4xf32>
  %r = moe.route %l top 1 : tensor<?x4xf32> -> !r
  return %r : !r
}

// tᵀ t of the rows of an expert, times 1/64
func.func private @gram(%t: !x) -> !g {
  %n = moe.tokens %t : !x
  %tt0 = tensor.empty(%n) : tensor<16x?xf32>
  %tt = linalg.transpose ins(%t : !x) outs(%tt0 : tensor<16x?xf32>) permutation = [1, 0]
  %zero = arith.constant dense<0.0> : !g
  %sum = linalg.matmul ins(%tt, %t : tensor<16x?xf32>, !x) outs(%zero : !g) -> !g
  %scale = arith.constant dense<0.015625> : !g
  %g = arith.mulf %sum, %scale : !g
  return %g : !g
}

// An expert multiplies all tokens and takes their largest numbers.
func.func @all_rows(%x: !x, %m: !moe.scope) -> !x {
  %r = func.call @route(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x {
    %g = func.call @gram(%t) : (!x) -> !g
    %a = moe.linear %x, %g in_out : (!x, !g) -> !x
    %most = moe.reduce max %a over 0 : !x -> tensor<16xf32>
    %b = moe.broadcast %most like %t : tensor<16xf32>, !x
    %y = arith.mulf %t, %b : !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}

// Inside an expert, rows in the order of a plan that is the same for all.
func.func @constant_plan(%x: !x, %m: !moe.scope) -> !x {
  %r = func.call @route(%x, %m) : (!x, !moe.scope) -> !r
  %in = moe.dispatch %x by %r : !x, !r
  %out = moe.expert by %r rows(%t = %in) : !r, (!x) -> !x {
    %g = func.call @gram(%t) : (!x) -> !g
    %owners = arith.constant dense<[[7], [6], [5], [4], [3], [2], [1], [0], [0], [1], [2], [3], [4], [5], [6], [7]]> : tensor<16x1xi32>
    %ones = arith.constant dense<1.0> : tensor<16x1xf32>
    %ids = tensor.cast %owners : tensor<16x1xi32> to tensor<?x1xi32>
    %one = tensor.cast %ones : tensor<16x1xf32> to tensor<?x1xf32>
    %q = moe.from_indices %ids, %one : tensor<?x1xi32>, tensor<?x1xf32> -> !q
    %gd = tensor.cast %g : !g to !x
    %qi = moe.dispatch %gd by %q : !x, !q
    %qs = arith.mulf %qi, %qi : !x
    %qo = moe.combine %qs by %q unweighted : !x, !q
    %qg = tensor.cast %qo : !x to !g
    %y = moe.linear %t, %qg in_out : (!x, !g) -> !x
    moe.yield %y : !x
  }
  %y = moe.combine %out by %r weighted : !x, !r
  return %y : !x
}
