// A right one (arXiv 1234.56789; a program). Special: nothing, but with a |.
// Normal form: score softmax(x Wᵀ); select top 2;
// weight score / 0.5; on output; also a loss.
func.func @loss(%p: tensor<?x8xf32>, %r: !moe.routing<8, top 2>) -> tensor<f32> {
  %l = moe.balance_loss %p of %r counting all scale one : tensor<?x8xf32>, !moe.routing<8, top 2>
  return %l : tensor<f32>
}
