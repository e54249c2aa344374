// The routing algebra on the CPU against the reference.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so groups:0,1,33 thresholds:33 nucleus:33 joined:0,33 given:1 bf16:33 -- --expected_rtol=1e-5
!x = tensor<?x12xf32>
!any = !moe.routing<12, any>
!two = !moe.routing<12, top 2>
!three = !moe.routing<12, top 3>

func.func @groups(%x: !x, %key: !x) -> (tensor<?x3xi32>, tensor<?x3xf32>, !x) {
  %g = moe.route %x by %key groups 4 keep 2 score sum 2 top 3 : !x -> !three
  %n = moe.normalize %g by lp 2.0 : !three
  %i = moe.indices %n : !three -> tensor<?x3xi32>
  %w = moe.weights %n : !three -> tensor<?x3xf32>
  %m = moe.to_matrix %n : !three -> !x
  return %i, %w, %m : tensor<?x3xi32>, tensor<?x3xf32>, !x
}

func.func @thresholds(%x: !x) -> (!x, tensor<12xi32>, !x, !x, !x) {
  %a = moe.route %x greater_than 0.25 : !x -> !any
  %b = moe.route %x groups 3 keep 2 score sum 1 at_least 0.25 : !x -> !any
  %c = moe.route %x nonzero : !x -> !any
  %d = moe.route %x groups 3 keep 1 score sum 4 all : !x -> !any
  %s = moe.normalize %a by softmax : !any
  %t = moe.normalize %b by sum at_least 1.0e-3 : !any
  %u = moe.scale %d by 2.0 : !any
  %aw = moe.to_matrix %s : !any -> !x
  %ai = moe.counts %a : !any -> tensor<12xi32>
  %bw = moe.to_matrix %t : !any -> !x
  %cw = moe.to_matrix %c : !any -> !x
  %dw = moe.to_matrix %u : !any -> !x
  return %aw, %ai, %bw, %cw, %dw : !x, tensor<12xi32>, !x, !x, !x
}

func.func @nucleus(%x: !x) -> (tensor<12xi32>, tensor<12xi32>, tensor<12xi32>) {
  %p = moe.softmax %x : !x
  %a = moe.route %p top_p 0.7 : !x -> !any
  %b = moe.route %x top_p 1.0 : !x -> !any
  %c = moe.route %x groups 4 keep 2 score sum 3 top_p 1.0 : !x -> !any
  %i = moe.counts %a : !any -> tensor<12xi32>
  %j = moe.counts %b : !any -> tensor<12xi32>
  %k = moe.counts %c : !any -> tensor<12xi32>
  return %i, %j, %k : tensor<12xi32>, tensor<12xi32>, tensor<12xi32>
}

func.func @joined(%x: !x, %y: !x, %f: tensor<12xf32>) -> (tensor<?x5xi32>, tensor<?x5xf32>, tensor<12xi32>, !x) {
  %a = moe.route %x top 2 : !x -> !two
  %b = moe.route %y top 3 : !x -> !three
  %c = moe.route %y greater_than 0.5 : !x -> !any
  %d = moe.join %a, %b : !two, !three -> !moe.routing<12, top 5>
  %e = moe.join %d, %c : !moe.routing<12, top 5>, !any -> !any
  %s = moe.scale %e by %f : !any, tensor<12xf32>
  %i = moe.indices %d : !moe.routing<12, top 5> -> tensor<?x5xi32>
  %w = moe.weights %d : !moe.routing<12, top 5> -> tensor<?x5xf32>
  %j = moe.counts %s : !any -> tensor<12xi32>
  %v = moe.to_matrix %s : !any -> !x
  return %i, %w, %j, %v : tensor<?x5xi32>, tensor<?x5xf32>, tensor<12xi32>, !x
}

// Every id stands once in a row; random ids are 0, 1 and 2.
func.func @given(%ids: tensor<?x1xi32>, %w: tensor<?x1xf32>, %values: tensor<?x12xi64>) -> (!x, tensor<?x1xi64>) {
  %r = moe.from_indices %ids, %w : tensor<?x1xi32>, tensor<?x1xf32> -> !moe.routing<12, top 1>
  %m = moe.to_matrix %r : !moe.routing<12, top 1> -> !x
  %i = moe.indices %r : !moe.routing<12, top 1> -> tensor<?x1xi32>
  %p = grouped.pick %values at %i : tensor<?x12xi64>, tensor<?x1xi32> -> tensor<?x1xi64>
  return %m, %p : !x, tensor<?x1xi64>
}

// Keys of 16 bits choose as they are; weights become f32.
func.func @bf16(%x: tensor<?x12xbf16>) -> (tensor<?x3xi32>, tensor<?x3xf32>, tensor<12xi32>) {
  %a = moe.route %x groups 2 keep 1 score sum 3 top 3 : tensor<?x12xbf16> -> !three
  %b = moe.route %x at_least 0.5 : tensor<?x12xbf16> -> !any
  %i = moe.indices %a : !three -> tensor<?x3xi32>
  %w = moe.weights %a : !three -> tensor<?x3xf32>
  %j = moe.counts %b : !any -> tensor<12xi32>
  return %i, %w, %j : tensor<?x3xi32>, tensor<?x3xf32>, tensor<12xi32>
}
