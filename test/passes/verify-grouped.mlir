// RUN: moe-opt --moe-verify-grouped %s

// A prepare step may pack; a loop over experts may hold a linear.
func.func @f_prepare0(%w: tensor<6x6xf32> {moe.param = "w"}) -> !grouped.packed<1x6x6xf32, 1>
    attributes {moe.prepare_of = "f", moe.step = 0 : i64} {
  %p = grouped.pack %w : tensor<6x6xf32> -> !grouped.packed<1x6x6xf32, 1>
  return %p : !grouped.packed<1x6x6xf32, 1>
}
func.func @f(%o: tensor<6xi32>, %x: tensor<?x6xf32>, %w: tensor<5x6x6xf32> {moe.param = "w"},
             %p: !grouped.packed<1x6x6xf32, 1> {moe.step = 0 : i64, moe.result = 0 : i64}) -> tensor<?x6xf32> {
  %y = grouped.loop over %o rows(%x) each(%w) bounds [0, 5] counts [1] : (tensor<6xi32>, tensor<?x6xf32>, tensor<5x6x6xf32>) -> tensor<?x6xf32> {
  ^bb0(%t: tensor<?x6xf32>, %v: tensor<6x6xf32>):
    %a = moe.linear %t, %v : (tensor<?x6xf32>, tensor<6x6xf32>) -> tensor<?x6xf32>
    grouped.yield rows(%a : tensor<?x6xf32>)
  }
  return %y : tensor<?x6xf32>
}
