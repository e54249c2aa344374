// A loop over experts whose rows are the entry with which the table of layouts grows: they must stay where they are.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so mixed:0,1,2,7
!x = tensor<?x2xf32>
!r = !moe.routing<2, top 1>

func.func @mixed(%x: !x, %m: !moe.scope) -> (tensor<f32>, tensor<2x2xf32>, !x) {
  %v1 = moe.param %m "cosine" : tensor<2x2xf32>
  %v2 = arith.mulf %x, %x : !x
  %v3 = moe.reduce sum %v2 over 1 : !x -> tensor<?xf32>
  %v4 = moe.tokens %x : !x
  %v5 = tensor.expand_shape %v3 [[0, 1]] output_shape [%v4, 1] : tensor<?xf32> into tensor<?x1xf32>
  %v6 = moe.map (%av6 = %v5) : (tensor<?x1xf32>) -> tensor<?x1xf32> {
    %ev6 = arith.constant 1.0e-6 : f32
    %sv6 = arith.addf %av6, %ev6 : f32
    %rv6 = math.rsqrt %sv6 : f32
    moe.yield %rv6 : f32
  }
  %v7 = moe.linear %x, %v1 : (!x, tensor<2x2xf32>) -> !x
  %v8 = moe.broadcast %v6 like %v7 : tensor<?x1xf32>, !x
  %v9 = arith.mulf %v7, %v8 : !x
  %v10 = moe.param %m "bias" : tensor<2xf32>
  %v11 = moe.broadcast %v10 like %v9 : tensor<2xf32>, !x
  %v12 = arith.addf %v9, %v11 : !x
  %v13 = moe.softmax %v12 : !x
  %v14 = moe.route %v13 top 1 : !x -> !r
  %v15 = moe.normalize %v14 by sum at_least 1.0e-3 : !r
  %v16 = moe.z_loss %v12 : !x
  %v17 = moe.dispatch %x by %v15 weighted : !x, !r
  %v22 = moe.param %m "w" : tensor<2x2x2xf32>
  %v26, %v27 = moe.expert by %v15 rows(%v18 = %v17) each(%v23 = %v22) : !r, (!x, tensor<2x2x2xf32>) -> (!x, tensor<2x2xf32>) {
    %v19 = moe.reduce sum %v18 over 0 : !x -> tensor<2xf32>
    %v20 = moe.broadcast %v19 like %v18 : tensor<2xf32>, !x
    %v21 = arith.addf %v18, %v20 : !x
    %v24 = moe.linear %v21, %v23 : (!x, tensor<2x2xf32>) -> !x
    %v25 = moe.reduce sum %v24 over 0 : !x -> tensor<2xf32>
    moe.yield rows(%v24 : !x) each(%v25 : tensor<2xf32>)
  }
  %v28 = moe.combine %v26 by %v15 unweighted : !x, !r
  return %v16, %v27, %v28 : tensor<f32>, tensor<2x2xf32>, !x
}
