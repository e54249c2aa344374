// The routing algebra on the CPU against the reference.
// RUN: moe-compile %s --level=avx2 -o %t.so
// RUN: env LEVELS=avx2 %{python} %S/Inputs/agree.py %s %t.so groups:0,1,33 thresholds:33 nucleus:33 joined:0,33 given:1 bf16:33 weights:0,33,40:special slotless:0,33,40:special kept:0,33,40:special numbers:33 -- --expected_rtol=1e-5
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

// Every form of normalize and scale, with empty slots and without slots.
func.func @weights(%x: !x, %f: tensor<12xf32>, %mask: tensor<?x3xi1>, %c: f32) -> (tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<12xf32>) {
  %p = moe.sigmoid %x : !x
  %t = moe.route %p top 3 : !x -> !three
  %r = moe.keep %t where %mask : !three, tensor<?x3xi1>
  %a = moe.normalize %r by sum : !three
  %b = moe.normalize %r by sum plus 0.5 : !three
  %d = moe.normalize %r by sum at_least 1.5 : !three
  %e = moe.normalize %r by softmax : !three
  %g = moe.normalize %r by lp 1.0 : !three
  %h = moe.normalize %r by lp 3.0 : !three
  %i = moe.scale %r by -2.5 : !three
  %j = moe.scale %r by %c : !three, f32
  %k = moe.scale %r by %f : !three, tensor<12xf32>
  %aw = moe.weights %a : !three -> tensor<?x3xf32>
  %bw = moe.weights %b : !three -> tensor<?x3xf32>
  %dw = moe.weights %d : !three -> tensor<?x3xf32>
  %ew = moe.weights %e : !three -> tensor<?x3xf32>
  %gw = moe.weights %g : !three -> tensor<?x3xf32>
  %hw = moe.weights %h : !three -> tensor<?x3xf32>
  %iw = moe.weights %i : !three -> tensor<?x3xf32>
  %jw = moe.weights %j : !three -> tensor<?x3xf32>
  %kw = moe.weights %k : !three -> tensor<?x3xf32>
  %m = moe.importance %a : !three -> tensor<12xf32>
  return %aw, %bw, %dw, %ew, %gw, %hw, %iw, %jw, %kw, %m : tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<12xf32>
}
func.func @slotless(%x: !x, %f: tensor<12xf32>, %c: f32) -> (!x, !x, !x, !x, !x, !x, !x, !x, !x) {
  %r = moe.route %x greater_than -0.5 : !x -> !any
  %a = moe.normalize %r by sum : !any
  %b = moe.normalize %r by sum plus 0.5 : !any
  %d = moe.normalize %r by sum at_least 1.5 : !any
  %e = moe.normalize %r by softmax : !any
  %g = moe.normalize %r by lp 1.0 : !any
  %h = moe.normalize %r by lp 3.0 : !any
  %i = moe.scale %r by -2.5 : !any
  %j = moe.scale %r by %c : !any, f32
  %k = moe.scale %r by %f : !any, tensor<12xf32>
  %aw = moe.to_matrix %a : !any -> !x
  %bw = moe.to_matrix %b : !any -> !x
  %dw = moe.to_matrix %d : !any -> !x
  %ew = moe.to_matrix %e : !any -> !x
  %gw = moe.to_matrix %g : !any -> !x
  %hw = moe.to_matrix %h : !any -> !x
  %iw = moe.to_matrix %i : !any -> !x
  %jw = moe.to_matrix %j : !any -> !x
  %kw = moe.to_matrix %k : !any -> !x
  return %aw, %bw, %dw, %ew, %gw, %hw, %iw, %jw, %kw : !x, !x, !x, !x, !x, !x, !x, !x, !x
}

// Masks by slot, by expert and by pair; other weights; pairs one by one.
func.func @kept(%x: !x, %y: !x, %each: tensor<12xi1>, %w: tensor<?x3xf32>) -> (tensor<?x3xi32>, tensor<?x3xf32>, tensor<?x3xi32>, tensor<?x3xi32>, tensor<12xi32>, tensor<12xi32>, tensor<?x12xf32>) {
  %t = moe.route %x top 3 : !x -> !three
  %r = moe.route %y at_least 0.0 : !x -> !any
  %pair = arith.cmpf ogt, %y, %x : !x
  %tw = moe.weights %t : !three -> tensor<?x3xf32>
  %slot = arith.cmpf olt, %tw, %w : tensor<?x3xf32>
  %a = moe.keep %t where %slot : !three, tensor<?x3xi1>
  %b = moe.keep %t where %each : !three, tensor<12xi1>
  %c = moe.keep %t where %pair : !three, tensor<?x12xi1>
  %d = moe.keep %r where %each : !any, tensor<12xi1>
  %e = moe.keep %r where %pair : !any, tensor<?x12xi1>
  %o = moe.with_weights %a, %w : !three, tensor<?x3xf32>
  %ai = moe.indices %a : !three -> tensor<?x3xi32>
  %ow = moe.weights %o : !three -> tensor<?x3xf32>
  %bi = moe.indices %b : !three -> tensor<?x3xi32>
  %ci = moe.indices %c : !three -> tensor<?x3xi32>
  %dn = moe.counts %d : !any -> tensor<12xi32>
  %en = moe.counts %e : !any -> tensor<12xi32>
  %rows = moe.dispatch %y by %o weighted : !x, !three
  %sum = moe.combine %rows by %o unweighted : !x, !three
  return %ai, %ow, %bi, %ci, %dn, %en, %sum : tensor<?x3xi32>, tensor<?x3xf32>, tensor<?x3xi32>, tensor<?x3xi32>, tensor<12xi32>, tensor<12xi32>, !x
}

// Thresholds that are numbers of the call.
func.func @numbers(%x: !x, %c: f32) -> (!x, !x, !x) {
  %five = arith.constant 5.0 : f32
  %t = arith.divf %c, %five : f32
  %a = moe.route %x greater_than %t : !x -> !any
  %b = moe.route %x groups 3 keep 2 score max at_least %t : !x -> !any
  %d = moe.route %x top_p %t : !x -> !any
  %aw = moe.to_matrix %a : !any -> !x
  %bw = moe.to_matrix %b : !any -> !x
  %dw = moe.to_matrix %d : !any -> !x
  return %aw, %bw, %dw : !x, !x, !x
}
