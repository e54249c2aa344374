// grouped.balance_loss on the CPU against the reference: what is counted, both scales, segments of different sizes in
// no order, empty slots, no tokens. The sums are f64, so that only the inputs and the result are rounded.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so losses:0,1,7,513 segments:0,1,64,513 wide:7 -- --expected_rtol=1e-6
!s = tensor<?x37xf32>
!n = tensor<?xi32>
!l = tensor<f32>
!r = !moe.routing<37, top 3>

func.func @losses(%p: !s, %h: tensor<?x37xbf16>) -> (!l, !l, !l, !l, !l) {
  %c2 = arith.constant 2 : index
  %g = moe.route %p top 3 : !s -> !r
  %d = moe.limit %g to %c2 order position overflow drop : !r, index
  %e = moe.route %p greater_than 0.0 : !s -> !moe.routing<37, any>
  %a = moe.balance_loss %p of %g counting first scale choices : !s, !r
  %b = moe.balance_loss %p of %g counting all scale choices : !s, !r
  %c = moe.balance_loss %p of %d counting all scale one : !s, !r
  %f = moe.balance_loss %h of %d counting first scale one : tensor<?x37xbf16>, !r
  %h1 = moe.balance_loss %p of %e counting all scale choices : !s, !moe.routing<37, any>
  return %a, %b, %c, %f, %h1 : !l, !l, !l, !l, !l
}

func.func @segments(%p: !s, %seq: !n) -> (!l, !l) {
  %g = moe.route %p top 3 : !s -> !r
  %a = moe.balance_loss %p of %g counting first scale choices segments %seq : !s, !r, !n
  %b = moe.balance_loss %p of %g counting all scale one segments %seq : !s, !r, !n
  return %a, %b : !l, !l
}

func.func @wide(%p: tensor<?x37xf64>, %x: !s) -> !l {
  %g = moe.route %x top 3 : !s -> !r
  %a = moe.balance_loss %p of %g counting all scale one : tensor<?x37xf64>, !r
  return %a : !l
}
