// Products without outputs, or of no inputs, for which there is nothing to pack.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so outputs:0,7 inputs:0,7 inner:3 of_experts:0,7 --
func.func @outputs(%x: tensor<?x6xf32>, %w: tensor<0x6xf32>) -> tensor<?x0xf32> {
  %y = moe.linear %x, %w : (tensor<?x6xf32>, tensor<0x6xf32>) -> tensor<?x0xf32>
  return %y : tensor<?x0xf32>
}
func.func @inputs(%x: tensor<?x0xf32>, %w: tensor<4x0xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  %y = moe.linear %x, %w, %b : (tensor<?x0xf32>, tensor<4x0xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
func.func @inner(%x: tensor<?x3x0xf32>, %w: tensor<0x4xf32>, %v: tensor<0xf32>) -> (tensor<?x3x4xf32>, tensor<4xf32>) {
  %y = moe.linear %x, %w in_out : (tensor<?x3x0xf32>, tensor<0x4xf32>) -> tensor<?x3x4xf32>
  %z = moe.linear %v, %w in_out : (tensor<0xf32>, tensor<0x4xf32>) -> tensor<4xf32>
  return %y, %z : tensor<?x3x4xf32>, tensor<4xf32>
}
!r = !moe.routing<4, top 2>
func.func @of_experts(%x: tensor<?x4xf32>, %w: tensor<4x4x0xf32>, %v: tensor<4x0x4xf32>) -> tensor<?x4xf32> {
  %r = moe.route %x top 2 : tensor<?x4xf32> -> !r
  %in = moe.dispatch %x by %r : tensor<?x4xf32>, !r
  %out = moe.expert by %r rows(%t = %in) each(%u = %v, %d = %w) : !r, (tensor<?x4xf32>, tensor<4x0x4xf32>, tensor<4x4x0xf32>) -> tensor<?x4xf32> {
    %a = moe.linear %t, %u : (tensor<?x4xf32>, tensor<0x4xf32>) -> tensor<?x0xf32>
    %b = moe.linear %a, %d : (tensor<?x0xf32>, tensor<4x0xf32>) -> tensor<?x4xf32>
    moe.yield %b : tensor<?x4xf32>
  }
  %y = moe.combine %out by %r weighted : tensor<?x4xf32>, !r
  return %y : tensor<?x4xf32>
}
