// Not inlined, which would fold the loop away.
// RUN: moe-opt --verify-diagnostics --moe-lift-params %s

func.func @no_step(%x: tensor<4xf32>, %m: !moe.scope) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %y = scf.for %i = %c0 to %c2 step %c0 iter_args(%v = %x) -> (tensor<4xf32>) {
    // expected-error@+1 {{'moe.scope' op is in an scf.for of step 0, expected at least 1}}
    %s = moe.scope %m "layers.{}." at %i
    %w = moe.param %s "w" : tensor<4xf32>
    scf.yield %w : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}
