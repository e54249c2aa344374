// RUN: moe-opt --split-input-file --verify-diagnostics --moe-lower-routing %s

// expected-error@+1 {{'func.func' op takes or returns '!moe.routing<8, top 2>', which has no form outside: use the tensors of moe.indices and moe.weights}}
func.func @returns(%s: tensor<?x8xf32>) -> !moe.routing<8, top 2> {
  %r = moe.route %s top 2 : tensor<?x8xf32> -> !moe.routing<8, top 2>
  return %r : !moe.routing<8, top 2>
}
